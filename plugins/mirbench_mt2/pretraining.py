"""How MT2 is trained: the sum of STONE's task for one class token and ViT-1D's for the other.

Which segment plays which role, and the schedule, are not published. Here two segments of a track, A and B, make three
views, as in STONE: A, A transposed, B. The mel branch cannot be transposed and stays as it is. The contrastive pair is
A and B. Schedule as for ViT-1D.
"""

from collections.abc import Mapping

import torch

from mirbench.specs import PretrainRequest
from mirbench_mt2.network import N_FRAMES, Mt2
from mirbench_ssl.frontends import MT2_FRONT_END, crops, mel_of, vqt_of
from mirbench_ssl.losses import equivariance, nt_xent
from mirbench_ssl.segments import Batch
from mirbench_ssl.training import Objective, Recipe, pretrain


class Mt2Objective(Objective):
    """Both tasks, unweighted."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__()
        self.network: Mt2 = Mt2(int(options["depth"]))

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Compute both terms and their sum."""
        first, second = vqt_of(batch.first), vqt_of(batch.second)
        vqt = [crops(first, batch.crop), crops(first, batch.crop + batch.shift), crops(second, batch.crop)]
        mel_first, mel_second = mel_of(batch.first), mel_of(batch.second)
        mel = torch.cat([mel_first, mel_first, mel_second])
        scores, tokens = self.network(torch.cat(vqt).to(self.device), mel.to(self.device))
        profile, moved, other_profile = scores.float().softmax(dim=-1).chunk(3)
        cpsd = equivariance(profile, moved, other_profile, batch.shift.to(self.device))
        token_first, _, token_second = tokens.float().chunk(3)
        contrast = nt_xent(token_first, token_second)
        return {"loss": cpsd + contrast, "cpsd": cpsd, "contrast": contrast}


def train(request: PretrainRequest) -> None:
    """Train MT2."""
    recipe = Recipe(
        front_end=MT2_FRONT_END,
        n_frames=N_FRAMES,
        objective=Mt2Objective,
        options={"depth": "12"},
        batch_size=128,
        steps=999 * 512,
        learning_rate=5e-4,
        lowest_rate=1.5e-6,
        warm_up=100,
        weight_decay=(0.04, 0.01),
    )
    pretrain(recipe, request)
