"""Front ends and, for self-supervised encoders, what they share. A library: it offers no encoder itself."""

# Remark on all shipped weights: they were trained on renderings of version 3 of the data set, which split the pieces
# otherwise.
SHARED_PIECES = "trained without labels on pieces of which 78 are among the 312 test pieces of rendered-scores"
