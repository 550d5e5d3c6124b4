"""ViT-1D (arXiv 2506.23873): a transformer over one token per frame, and a class token."""

import torch
from jaxtyping import Float
from torch import nn

from mirbench_ssl.transformer import (
    DEPTH,
    DIM,
    Branch,
    Transformer,
    begin_equivariant,
    class_scores,
    learnable,
    thinned,
)

N_FRAMES = 126  # 4 s at 31.25 Hz


class Vit1d(nn.Module):
    """The network; with 128 inputs and 12 blocks, 5,388,352 parameters.

    Parameters
    ----------
    n_bins
        Of a frame: 128 mel bands, or 84 of a constant-Q spectrogram (the equivariant ablation).
    n_outputs
        Of a linear map of the class token, before its octaves are averaged; 0 for none.
    """

    def __init__(self, n_bins: int, depth: int = DEPTH, n_outputs: int = 0) -> None:
        super().__init__()
        self.branch = Branch(n_bins)
        self.class_token = learnable(DIM)
        self.positions = learnable(1 + N_FRAMES, DIM)
        self.transformer = Transformer(depth)
        self.head = nn.Linear(DIM, n_outputs) if n_outputs else None
        if self.head is not None:
            begin_equivariant(self.branch, self.head)

    def tokens(self, spectrogram: Float[torch.Tensor, "batch bin 126"]) -> Float[torch.Tensor, "batch 127 dim"]:
        """Make the transformer's input: the class token (what is learned, and the mean of the frames), the frames."""
        frames = self.branch(spectrogram)
        class_token = self.class_token + frames.mean(dim=1)
        return torch.cat([class_token[:, None], frames], dim=1) + self.positions

    def forward(
        self, spectrogram: Float[torch.Tensor, "batch bin 126"], n_kept: int = N_FRAMES
    ) -> Float[torch.Tensor, "batch dim"]:
        """Return the class token, from all frames or from some drawn at random."""
        return self.transformer(thinned(self.tokens(spectrogram), 1, n_kept))[:, 0]

    def scores(
        self, spectrogram: Float[torch.Tensor, "batch 84 126"], n_kept: int = N_FRAMES
    ) -> Float[torch.Tensor, "batch 12"]:
        """Return the key signature's class scores, of a network that has a head of 84 outputs."""
        assert self.head is not None
        return class_scores(self.head(self(spectrogram, n_kept)))
