"""MT2 (arXiv 2507.12996): one transformer, two class tokens; one moves with transposition, one tells tracks apart.

After the descriptions of the released code in two independent wrappers of it.
"""

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
N_MELS, N_BINS = 128, 84


class Mt2(nn.Module):
    """The network; with 12 blocks, 5,421,436 parameters."""

    def __init__(self, depth: int = DEPTH) -> None:
        super().__init__()
        self.vqt_branch, self.mel_branch = Branch(N_BINS), Branch(N_MELS)
        self.equivariant_token, self.contrastive_token = learnable(DIM), learnable(DIM)
        self.positions = learnable(2 + N_FRAMES, DIM)
        self.transformer = Transformer(depth)
        self.head = nn.Linear(DIM, N_BINS)
        begin_equivariant(self.vqt_branch, self.head)

    def tokens(
        self, vqt: Float[torch.Tensor, "batch 84 126"], mel: Float[torch.Tensor, "batch 128 126"]
    ) -> Float[torch.Tensor, "batch 128 dim"]:
        """Make the transformer's input: both class tokens, each with the mean of its branch, and the branches' sums."""
        from_vqt, from_mel = self.vqt_branch(vqt), self.mel_branch(mel)
        equivariant = self.equivariant_token + from_vqt.mean(dim=1)
        contrastive = self.contrastive_token + from_mel.mean(dim=1)
        return torch.cat([equivariant[:, None], contrastive[:, None], from_vqt + from_mel], dim=1) + self.positions

    def forward(
        self,
        vqt: Float[torch.Tensor, "batch 84 126"],
        mel: Float[torch.Tensor, "batch 128 126"],
        n_kept: int = N_FRAMES,
    ) -> tuple[Float[torch.Tensor, "batch 12"], Float[torch.Tensor, "batch dim"]]:
        """Return the key signature's class scores and the contrastive token, from all frames or a random part."""
        outputs = self.transformer(thinned(self.tokens(vqt, mel), 2, n_kept))
        return class_scores(self.head(outputs[:, 0])), outputs[:, 1]
