"""The library of encoders that come from transformers: where a model is, how it is loaded, and its hidden states."""
