"""Training of STONE, S-KEY and Semi-TONE.

Optimiser and schedule: AdamW, 1e-3, as published; the papers write of a cosine with warm-up, the released checkpoints
show a horizon of 999 epochs of which 50 to 253 were run, so that the rate hardly fell. Here it falls to its end.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float

from mirbench.errors import TrainingError
from mirbench.specs import PretrainRequest
from mirbench_ssl.corpus import Track
from mirbench_ssl.frontends import STONE_FRONT_END, crop, crops, magnitude, vqt_of
from mirbench_ssl.losses import (
    FIFTHS,
    SEMITONES,
    concentration,
    equivariance,
    major,
    mode_agreement,
    mode_balance,
    mode_entropy,
    pairing_at,
    pseudo_mode,
    signature,
    turned_by,
)
from mirbench_ssl.recipe import ALONE, Objective, Recipe, number, one_pool, whole_number
from mirbench_ssl.segments import Batch
from mirbench_ssl.training import pretrain
from mirbench_stone.calibration import calibrate
from mirbench_stone.network import MIN_FRAMES, ChromaNet

SECONDS = "15"
# S-KEY, equation 8: weights of the mode and of the balance; "checkpoint": what the released weights were trained with.
SKEY_WEIGHTS = {"paper": (1.5, 15.0), "checkpoint": (2.55, 20.0)}
MODE_WEIGHT = 1.5  # of 24-STONE, github.com/deezer/stone @9179423


class ChromaObjective(Objective):
    """Three views of every pair: a segment, the same moved by some semitones, another segment of the track."""

    def __init__(self, options: Mapping[str, str], n_outputs: Literal[12, 24]) -> None:
        super().__init__()
        self.omega = int(options["omega"])
        self.sharpness = number(options, "sharpness")
        self.alone = whole_number(options, "alone")
        self.network = ChromaNet(n_outputs)

    def views(self, batch: Batch) -> tuple[Float[torch.Tensor, "batch 84 time"], ...]:
        """Cut the views; see `Batch`."""
        first, second = vqt_of(batch.first), vqt_of(batch.second)
        return crops(first, batch.crop), crops(first, batch.crop + batch.shift), crops(second, batch.crop)

    def profiles(self, *views: Float[torch.Tensor, "_batch 84 time"]) -> tuple[torch.Tensor, ...]:
        """Return the classes' probabilities for each view; one batch, as the normalisation sees it."""
        scores = self.network(torch.cat(views).to(self.device))
        return scores.float().softmax(dim=-1).split([len(view) for view in views])

    def equivariance(self, profiles: Sequence[torch.Tensor], shift: torch.Tensor, pairing: float) -> torch.Tensor:
        """Compute STONE's loss, and the same at the other frequency with the weight `sharpness`.

        A profile that is halved between two neighbours on the circle of fifths costs next to nothing at the frequency
        7: its modulus there is cos 15 degrees, 0.97. Within some hundred steps networks were seen to settle on such
        halves, so that the strongest class is a matter of chance. At the frequency 1 the halves are 210 degrees apart.
        Ours.
        """
        first, moved, second = profiles
        shift = shift.to(self.device)
        loss = equivariance(first, moved, second, shift, self.omega, pairing)
        if self.sharpness:
            other = FIFTHS + SEMITONES - self.omega
            loss = loss + self.sharpness * equivariance(first, moved, second, shift, other, pairing)
        return loss


class StoneObjective(ChromaObjective):
    """STONE: key signatures, moved as the sound is."""

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(options, 12)

    def forward(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Compute the loss."""
        profiles = self.profiles(*self.views(batch))
        loss = self.equivariance(profiles, batch.shift, pairing_at(step, self.alone))
        return {"loss": loss, "concentration": concentration(profiles[0], batch.crop.to(self.device))}


class SkeyObjective(ChromaObjective):
    """S-KEY: STONE, and a mode learned from the chroma.

    The mode is guessed by comparing two pitch classes of the chroma, at places that the signature names. But nothing in
    the equivariant task says which class is which pitch class, and networks were seen to turn along the circle of
    fifths as long as they learned modes, by one step in ten, so that their guesses compared the wrong pitch classes. So
    their circle is held to that of the chroma (`mirbench_ssl.losses.turned_by`), with the weight `anchor`; and the
    terms of the mode come in after those that compare two segments, when signatures have settled. Ours, both.

    The published code guesses from decibels, averaged over octaves, of which tonality hardly moves the mean; at the
    true signatures of rendered music, magnitudes name 85 % of the modes, decibels 74 % (`chroma`).
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(options, 24)
        self.weights = SKEY_WEIGHTS[options["weights"]]
        self.anchor = number(options, "anchor")
        self.relative: Literal[-3, 3] = -3 if options["relative"] == "-3" else 3
        self.takes_decibels = options["chroma"] == "decibels"

    def forward(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Compute the four terms and their weighted sum."""
        views = self.views(batch)
        profiles = self.profiles(*views)
        first, moved, second = (signature(profile) for profile in profiles)
        pairing, settled = pairing_at(step, self.alone), pairing_at(step, 2 * self.alone)
        cpsd = self.equivariance((first, moved, second), batch.shift, pairing)
        magnitudes = [_chroma(magnitude(view)).to(self.device) for view in (views[0], views[2])]
        anchor = turned_by(torch.cat([first, second]), torch.cat(magnitudes))
        chroma = [_chroma(view).to(self.device) for view in (views[0], views[2])] if self.takes_decibels else magnitudes
        target = pseudo_mode((first + second) / 2, (chroma[0] + chroma[1]) / 2, self.relative)
        modes = [major(profile) for profile in profiles]
        mode = torch.stack([mode_entropy(target, estimate) for estimate in modes]).sum()
        balance = mode_balance(modes[0], modes[2])
        of_mode, of_balance = (settled * weight for weight in self.weights)
        loss = cpsd + of_mode * mode + of_balance * balance + self.anchor * anchor
        crowd = concentration(first, batch.crop.to(self.device))
        return {"loss": loss, "cpsd": cpsd, "mode": mode, "balance": balance, "anchor": anchor, "concentration": crowd}


class SemitoneObjective(ChromaObjective):
    """Semi-TONE and Sup-TONE: 24-STONE, where labels stand in for the first view of labelled tracks.

    Semi-TONE alternates between tracks without labels (two batches) and with (one); Sup-TONE has labels only.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(options, 24)

    def forward(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Compute the loss of a batch that is labelled throughout, or not at all."""
        shift = batch.shift
        if batch.labels[0] is None:
            first, moved, second = self.profiles(*self.views(batch))
            pairing = pairing_at(step, self.alone)
        else:
            pairing = 1.0
            levels = vqt_of(batch.first)
            shift = batch.crop.clamp(max=11)
            _, moved, second = self.profiles(crop(levels), crops(levels, shift), crop(levels))
            first = _one_hot(batch.labels).to(self.device)
        cpsd = self.equivariance((signature(first), signature(moved), signature(second)), shift, pairing)
        mode = mode_agreement(major(first), major(moved), major(second))
        return {"loss": cpsd + pairing * MODE_WEIGHT * mode, "cpsd": cpsd, "mode": mode}


def _chroma(view: Float[torch.Tensor, "batch 84 time"]) -> Float[torch.Tensor, "batch 12"]:
    """Average the view over time and octaves."""
    return view.mean(dim=-1).unflatten(1, (7, 12)).mean(dim=1)


def _one_hot(labels: tuple[object, ...]) -> Float[torch.Tensor, "batch 24"]:
    """Turn keys into profiles; relative keys share a place, as the loss needs it."""
    tonics = {name: index for index, names in enumerate(TONICS) for name in names}
    profiles = torch.zeros(len(labels), 24)
    for row, label in enumerate(labels):
        tonic, mode = str(label).split()
        if mode == "major":
            profiles[row, tonics[tonic]] = 1
        elif mode == "minor":
            profiles[row, 12 + (tonics[tonic] + 3) % 12] = 1
        else:
            raise TrainingError(f"key {label!r}; expected a tonic, and major or minor")
    return profiles


TONICS = (
    ("C",), ("C#", "Db"), ("D",), ("D#", "Eb"), ("E",), ("F",),
    ("F#", "Gb"), ("G",), ("G#", "Ab"), ("A",), ("A#", "Bb"), ("B",),
)  # fmt: skip


OBJECTIVES: dict[str, Callable[[Mapping[str, str]], Objective]] = {
    "stone": StoneObjective,
    "skey": SkeyObjective,
    "semitone": SemitoneObjective,
}
# As the released checkpoints counted them: epochs times steps of an epoch.
STEPS = {"stone": 50 * 512, "skey": 98 * 256, "semitone": 253 * 512}
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "stone": {},
    "skey": {"weights": tuple(SKEY_WEIGHTS), "relative": ("-3", "3"), "chroma": ("magnitudes", "decibels")},
    "semitone": {"labels": ("some", "all")},
}


def train(request: PretrainRequest) -> None:
    """Train one of the models."""
    choices = {"omega": ("7", "1"), **CHOICES[request.model]}
    recipe = Recipe(
        front_end=STONE_FRONT_END,
        n_frames=_n_frames(request.options.get("seconds", SECONDS)),
        objective=OBJECTIVES[request.model],
        options={
            "seconds": SECONDS,
            "alone": ALONE,
            "sharpness": "0",
            **({"anchor": "3"} if request.model == "skey" else {}),
            **{name: values[0] for name, values in choices.items()},
        },
        choices=choices,
        batch_size=128,
        steps=STEPS[request.model],
        learning_rate=1e-3,
        lowest_rate=5e-8,
        pools=partial(_alternating, request.options.get("labels", "some")) if request.model == "semitone" else one_pool,
        calibrate=calibrate,
    )
    pretrain(recipe, request)


def _alternating(labels: str, tracks: Sequence[Track]) -> list[Sequence[Track]]:
    """Pair two batches without labels with one that has them (skey_chord @1c37919), or take the latter only."""
    labelled = [track for track in tracks if track.label is not None]
    others = [track for track in tracks if track.label is None]
    if not labelled or not (others or labels == "all"):
        raise TrainingError(
            f"{len(labelled)} tracks with keys and {len(others)} without; expected some of each: --data or --dataset "
            "gives the former, --audio the latter; with '-o labels=all' the former are enough"
        )
    return [labelled] if labels == "all" else [others, others, labelled]


def _n_frames(seconds: str) -> int:
    try:
        n_frames = 1 + int(float(seconds) * STONE_FRONT_END.frame_rate)
    except ValueError:
        n_frames = 0
    if n_frames < MIN_FRAMES:
        raise TrainingError(
            f"seconds {seconds!r}; expected a number of {MIN_FRAMES / STONE_FRONT_END.frame_rate:.0f} or more"
        )
    return n_frames
