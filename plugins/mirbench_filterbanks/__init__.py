"""Filterbanks of strided convolutions: auditory kernels, decoders, frame bounds, aliasing. A library, no plugin."""
