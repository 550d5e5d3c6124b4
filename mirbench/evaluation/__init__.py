"""Evaluation: choose a probe, decode, score, resample."""
