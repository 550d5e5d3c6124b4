"""Figures of probes and encoders."""
