"""How ViT-1D is trained, and its ablation on the equivariant task alone.

Schedule: AdamW, a cosine with ten epochs of warm-up, batches of 128, 999 epochs of 512 steps (arXiv 2608.30974, of
the same authors; its base rate is not published).
"""

from collections.abc import Mapping

import torch

from mirbench.specs import PretrainRequest
from mirbench_ssl.frontends import MT2_FRONT_END, crops, mel_of, vqt_of
from mirbench_ssl.losses import equivariance, nt_xent
from mirbench_ssl.segments import Batch
from mirbench_ssl.training import Objective, Recipe, pretrain
from mirbench_vit1d.network import N_FRAMES, Vit1d


class ContrastiveObjective(Objective):
    """ViT-1D: two segments of a track have like class tokens."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__()
        self.network: Vit1d = Vit1d(128, int(options["depth"]))

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute the loss."""
        mels = torch.cat([mel_of(batch.first), mel_of(batch.second)])
        first, second = self.network(mels.to(self.device)).float().chunk(2)
        return {"loss": nt_xent(first, second)}


class EquivariantObjective(Objective):
    """The ablation: STONE's task for the class token of a transformer over constant-Q frames."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__()
        self.network: Vit1d = Vit1d(84, int(options["depth"]), n_outputs=84)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute the loss."""
        first, second = vqt_of(batch.first), vqt_of(batch.second)
        views = [crops(first, batch.crop), crops(first, batch.crop + batch.shift), crops(second, batch.crop)]
        scores = self.network.scores(torch.cat(views).to(self.device))
        first_profile, moved, second_profile = scores.float().softmax(dim=-1).chunk(3)
        return {"loss": equivariance(first_profile, moved, second_profile, batch.shift.to(self.device))}


OBJECTIVES = {"vit1d": ContrastiveObjective, "vit1d-equivariant": EquivariantObjective}


def train(request: PretrainRequest) -> None:
    """Train one of the two."""
    recipe = Recipe(
        front_end=MT2_FRONT_END,
        n_frames=N_FRAMES,
        objective=OBJECTIVES[request.model],
        options={"depth": "12"},
        batch_size=128,
        steps=999 * 512,
        learning_rate=5e-4,
        lowest_rate=1.5e-6,
        warm_up=100,
        weight_decay=(0.04, 0.01),
    )
    pretrain(recipe, request)
