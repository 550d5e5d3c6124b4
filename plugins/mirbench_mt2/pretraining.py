"""Training of MT2: the sum of STONE's task for one class token and ViT-1D's for the other.

Which segment plays which role, and the schedule, are not published. Here two segments of a track, A and B, make three
views, as in STONE: A, A transposed, B; the contrastive pair is A and B.

The mel branch cannot be transposed by cropping. Beside the mel frames of the same segment, the crop of the constant-Q
branch can be read off the difference between the two, and the equivariant task is solved without any tonality:
so trained for 800 steps, the loss fell to 0.33, below the 0.58 of a network without mel branch, while a linear probe
read much less of the key from the equivariant token (cross-entropy on validation 1.00 against 0.24). Therefore the mel
frames of a view are another track's here, the same one for A and for B. That alone did not make the token represent
keys (training/README.md, "What they did not learn").
"""

from collections.abc import Mapping

import torch

from mirbench.specs import PretrainRequest
from mirbench_mt2.network import N_FRAMES, Mt2
from mirbench_ssl.frontends import MT2_FRONT_END, crops, mel_of, vqt_of
from mirbench_ssl.losses import concentration, equivariance, nt_xent, pairing_at, turned_back
from mirbench_ssl.recipe import ALONE, TRANSFORMER_SCHEDULE, Objective, Recipe, whole_number
from mirbench_ssl.segments import Batch
from mirbench_ssl.training import pretrain


class Mt2Objective(Objective):
    """Both tasks, unweighted."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__()
        self.network: Mt2 = Mt2(whole_number(options, "depth", 1))
        self.n_kept = whole_number(options, "frames", 1)
        self.alone = whole_number(options, "alone")

    def forward(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Compute both terms and their sum."""
        first, second = vqt_of(batch.first), vqt_of(batch.second)
        vqt = [crops(first, batch.crop), crops(first, batch.crop + batch.shift), crops(second, batch.crop)]
        mel_first, mel_second = (mel_of(segment).roll(1, dims=0) for segment in (batch.first, batch.second))
        mel = torch.cat([mel_first, mel_first, mel_second])
        scores, tokens = self.network(torch.cat(vqt).to(self.device), mel.to(self.device), self.n_kept)
        profile, moved, other_profile = scores.float().softmax(dim=-1).chunk(3)
        shift, pairing = batch.shift.to(self.device), pairing_at(step, self.alone)
        other_profile = turned_back(other_profile, batch.relation.to(self.device))
        cpsd = equivariance(profile, moved, other_profile, shift, pairing=pairing)
        token_first, _, token_second = tokens.float().chunk(3)
        is_same = batch.relation.to(self.device) == 0  # a contrastive pair is of one recording
        contrast = nt_xent(token_first[is_same], token_second[is_same])
        crowd = concentration(profile, batch.crop.to(self.device))
        return {"loss": cpsd + contrast, "cpsd": cpsd, "contrast": contrast, "concentration": crowd}


def train(request: PretrainRequest) -> None:
    """Train MT2."""
    recipe = Recipe(
        front_end=MT2_FRONT_END,
        n_frames=N_FRAMES,
        objective=Mt2Objective,
        options={"depth": "12", "frames": str(N_FRAMES), "alone": ALONE, "related": "0"},
        related="related",
        **TRANSFORMER_SCHEDULE,
    )
    pretrain(recipe, request)
