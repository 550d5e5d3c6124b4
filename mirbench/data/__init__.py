"""Data sets: read audio, CSV files, downloads and what is made on this machine."""
