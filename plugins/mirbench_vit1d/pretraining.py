"""Training of ViT-1D, and of its ablation on the equivariant task alone.

The schedule is that of `mirbench_ssl.recipe.TRANSFORMER_SCHEDULE`.
"""

from collections.abc import Mapping

import torch

from mirbench.specs import PretrainRequest
from mirbench_ssl.frontends import MT2_FRONT_END, crops, mel_of, vqt_of
from mirbench_ssl.losses import concentration, equivariance, nt_xent, pairing_at, turned_back
from mirbench_ssl.recipe import ALONE, TRANSFORMER_SCHEDULE, Objective, Recipe, whole_number
from mirbench_ssl.segments import Batch
from mirbench_ssl.training import pretrain
from mirbench_vit1d.network import N_FRAMES, Vit1d


class ContrastiveObjective(Objective):
    """ViT-1D: two segments of a track have like class tokens."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__()
        self.n_kept = whole_number(options, "frames", 1)
        self.network: Vit1d = Vit1d(128, whole_number(options, "depth", 1))

    def forward(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Compute the loss."""
        mels = torch.cat([mel_of(batch.first), mel_of(batch.second)])
        first, second = self.network(mels.to(self.device), self.n_kept).float().chunk(2)
        return {"loss": nt_xent(first, second)}


class EquivariantObjective(Objective):
    """The ablation: STONE's task for the class token of a transformer over constant-Q frames."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__()
        self.network: Vit1d = Vit1d(84, whole_number(options, "depth", 1), n_outputs=84)
        self.n_kept = whole_number(options, "frames", 1)
        self.alone = whole_number(options, "alone")

    def forward(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Compute the loss."""
        first, second = vqt_of(batch.first), vqt_of(batch.second)
        views = [crops(first, batch.crop), crops(first, batch.crop + batch.shift), crops(second, batch.crop)]
        scores = self.network.scores(torch.cat(views).to(self.device), self.n_kept)
        first_profile, moved, second_profile = scores.float().softmax(dim=-1).chunk(3)
        second_profile = turned_back(second_profile, batch.relation.to(self.device))
        shift, pairing = batch.shift.to(self.device), pairing_at(step, self.alone)
        loss = equivariance(first_profile, moved, second_profile, shift, pairing=pairing)
        return {"loss": loss, "concentration": concentration(first_profile, batch.crop.to(self.device))}


OBJECTIVES = {"vit1d": ContrastiveObjective, "vit1d-equivariant": EquivariantObjective}


def train(request: PretrainRequest) -> None:
    """Train one of the two."""
    is_equivariant = request.model == "vit1d-equivariant"
    alone = {"alone": ALONE, "related": "0"} if is_equivariant else {}
    recipe = Recipe(
        front_end=MT2_FRONT_END,
        n_frames=N_FRAMES,
        objective=OBJECTIVES[request.model],
        options={"depth": "12", "frames": str(N_FRAMES), **alone},
        related="related" if is_equivariant else "",
        **TRANSFORMER_SCHEDULE,
    )
    pretrain(recipe, request)
