"""Encoders: windows, weights by name, precision, fingerprints."""
