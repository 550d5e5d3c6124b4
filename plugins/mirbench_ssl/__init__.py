"""Front ends and, for self-supervised encoders, what they share. A library: it offers no encoder itself."""
