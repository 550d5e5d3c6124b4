"""Spectrograms that encoders are made of: mel and constant-Q, in torch. A library, no plugin."""
