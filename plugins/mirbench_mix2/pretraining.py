"""Training of Mix2: species of a clip, from mixtures of clips (arXiv 2403.09598).

At every step one of the losses is drawn: Manifold Mixup with a probability of 0.5, MultiMix and Mixup with 0.25 each.
The formulas are the paper's. Its released code (github.com/ilyassmoummad/Mix2 @5734179) differs: there, the shares of
Mixup follow the mel axis, because a column of shares meets maps of as many bands as a batch has clips, and `--mix
mixup` trains without mixing. Among the states of the network, the one with the highest macro average precision on the
validation split is kept; the released code keeps the epoch that is best on the test split.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from mirbench.errors import TrainingError
from mirbench.evaluation.multilabel import average_precision
from mirbench.specs import PretrainRequest
from mirbench_mix2.encoder import PUBLISHED, SECONDS
from mirbench_mix2.frontend import MelFrontEnd, scaled
from mirbench_mix2.network import N_DIMS, MobileNet, pooled
from mirbench_ssl.corpus import Track
from mirbench_ssl.recipe import Objective, Recipe, whole_number
from mirbench_ssl.segments import Batch
from mirbench_ssl.training import pretrain

MIXES = ("mix2", "none", "mixup", "manifold", "multimix")
SHARES = {"manifold": 0.5, "multimix": 0.25, "mixup": 0.25}
CONCENTRATION = 0.2  # of MultiMix's Dirichlet distribution
# Masks of the published input size (128 bands, 376 frames): three of at most 10 bands, six of at most 30 frames.
N_MEL_MASKS, MEL_MASK, N_TIME_MASKS, TIME_MASK = 3, 10 / 128, 6, 30 / 376
EPOCHS, CLIPS = 100, 62191  # published, of AnuraSet
Maps = Float[torch.Tensor, "batch mel time"]
Labels = Float[torch.Tensor, "batch label"]


class Mix2Objective(Objective):
    """Binary cross-entropy of mixtures."""

    def __init__(self, options: Mapping[str, str], n_labels: int) -> None:
        super().__init__()
        self.network: MobileNet = MobileNet()
        self.head = nn.Linear(N_DIMS, n_labels)
        self.mix = options["mix"]
        self.takes_union = options["labels"] == "union"

    def forward(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Compute the loss of a batch."""
        maps = scaled(batch.first[:, :-1]).to(self.device)
        labels = torch.from_numpy(np.stack([np.asarray(label) for label in batch.labels])).float().to(self.device)
        maps = masked(maps)
        mix = self.mix if self.mix != "mix2" else _drawn()
        if mix == "mixup":
            maps, labels = self._in_pairs(maps, labels)
        embedding = pooled(self.network(maps).float())
        if mix == "manifold":
            embedding, labels = self._in_pairs(embedding, labels)
        elif mix == "multimix":
            weights = torch._standard_gamma(torch.full((len(labels), len(labels)), CONCENTRATION, device=self.device))
            weights = weights / weights.sum(dim=1, keepdim=True)
            embedding, labels = weights @ embedding, weights @ labels
        return {"loss": functional.binary_cross_entropy_with_logits(self.head(embedding), labels)}

    def _in_pairs(self, rows: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, Labels]:
        """Mix each row with another one; each pair has a share of its own."""
        order = torch.randperm(len(rows), device=rows.device)
        share = torch.rand(len(rows), device=rows.device)
        of_rows = share.view(-1, *[1] * (rows.ndim - 1))
        mixed = of_rows * rows + (1 - of_rows) * rows[order]
        if self.takes_union:
            return mixed, torch.maximum(labels, labels[order])
        return mixed, share[:, None] * labels + (1 - share[:, None]) * labels[order]

    def validation(self, tracks: Sequence[Track]) -> float:
        """Return one minus the macro average precision on clips.

        Parameters
        ----------
        tracks
            Levels and labels of the clips.
        """
        scores = []
        for track in tracks:
            levels = np.ascontiguousarray(track.levels[:, :-1].T, dtype=np.float32)
            maps = scaled(torch.from_numpy(levels)[None]).to(self.device)
            scores.append(self.head(pooled(self.network(maps).float()))[0].cpu().numpy().astype(np.float32))
        return 1 - average_precision([np.asarray(track.label, dtype=np.float32) for track in tracks], scores)


def masked(maps: Maps) -> Maps:
    """Rotate spectrograms in time, and silence some bands and frames; the same for all clips of a batch, as published.

    Parameters
    ----------
    maps
        Spectrograms between 0 and 1.
    """
    n_mels, n_frames = maps.shape[1:]
    found = maps.roll(int(torch.randint(n_frames, ())), dims=2).clone()
    for axis, n_masks, widest in ((1, N_MEL_MASKS, MEL_MASK * n_mels), (2, N_TIME_MASKS, TIME_MASK * n_frames)):
        for _ in range(n_masks):
            width = int(torch.rand(()) * widest)
            start = int(torch.randint(maps.shape[axis] - width + 1, ()))
            found.narrow(axis, start, width).zero_()
    return found


def _drawn() -> str:
    names = list(SHARES)
    return names[int(torch.multinomial(torch.tensor([SHARES[name] for name in names]), 1))]


def train(request: PretrainRequest) -> None:
    """Train the network on the labels of a data set.

    Raises
    ------
    TrainingError
        If the clips have no labels, or there are none to validate on.
    """
    references = [clip.reference for clip in request.clips]
    if not references or not request.valid_clips:
        raise TrainingError(
            f"mix2 learns the labels of {len(references)} training clips and is chosen on {len(request.valid_clips)} "
            "validation clips; give --dataset NAME or --data FILE with both splits"
        )
    n_labels = len(references[0])
    front_end = MelFrontEnd(*(whole_number({**PUBLISHED, **request.options}, name, 1) for name in PUBLISHED))
    recipe = Recipe(
        front_end=front_end,
        n_frames=int(SECONDS * front_end.frame_rate),
        objective=lambda options: Mix2Objective(options, n_labels),
        options={"mix": MIXES[0], "labels": "weighted", **PUBLISHED},
        choices={"mix": MIXES, "labels": ("weighted", "union")},
        batch_size=128,
        steps=EPOCHS * CLIPS // 128,
        learning_rate=1e-2,
        lowest_rate=0.0,
        weight_decay=(0.01, 0.01),
        warm_up=1,
        is_chosen_on_validation=True,
    )
    pretrain(recipe, request)
