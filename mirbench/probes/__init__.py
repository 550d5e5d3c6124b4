"""Probes: from features to logits, by protocol."""
