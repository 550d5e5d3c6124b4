"""Features: extract them once and keep them."""
