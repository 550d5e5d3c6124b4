"""Parts of the training of a model."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mirbench.errors import TrainingError
from mirbench.specs import PretrainRequest
from mirbench_ssl.corpus import Track
from mirbench_ssl.frontends import FrontEnd
from mirbench_ssl.segments import Batch

ALONE = "200"  # steps; see `mirbench_ssl.losses.pairing_at`
# Of ViT-1D, its ablation and MT2: batches of 128, 999 epochs of 512 steps, a cosine to 1.5e-6 after a warm-up, weight
# decay falling from 0.04 to 0.01 (arXiv 2608.30974, of the same authors). The base rate is not published: ours.
TRANSFORMER_SCHEDULE: dict[str, Any] = {
    "batch_size": 128,
    "steps": 999 * 512,
    "learning_rate": 3e-4,
    "lowest_rate": 1.5e-6,
    "weight_decay": (0.04, 0.01),
}


class Objective(nn.Module):
    """A network and what it is trained for.

    A subclass sets `network` and implements `forward`.
    """

    network: nn.Module

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.parameters()).device

    def forward(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Compute the terms of the loss at a step, and their sum under the name "loss"."""
        raise NotImplementedError

    def validation(self, tracks: Sequence[Track]) -> float:
        """Return a number that is lower for a better network, from tracks that are not trained on.

        Called in evaluation mode without gradients, where the recipe says `is_chosen_on_validation`.
        """
        raise NotImplementedError


def whole_number(options: Mapping[str, str], name: str, least: int = 0) -> int:
    """Read an option.

    Raises
    ------
    TrainingError
        If it is not a whole number, or too small.
    """
    text = options[name]
    if not text.isdecimal() or int(text) < least:
        raise TrainingError(f"{name} {text!r}; expected a whole number of {least} or more")
    return int(text)


def number(options: Mapping[str, str], name: str) -> float:
    """Read an option that is a number of 0 or more.

    Raises
    ------
    TrainingError
        If it is not.
    """
    try:
        value = float(options[name])
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise TrainingError(f"{name} {options[name]!r}; expected a number of 0 or more")
    return value


def one_pool(tracks: Sequence[Track]) -> list[Sequence[Track]]:
    """Draw every batch from all tracks."""
    return [tracks]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Recipe of the training of a model.

    Attributes
    ----------
    objective
        Called with the options.
    options
        What the user may choose, with the defaults.
    choices
        Allowed values of those options that have few.
    n_frames
        Of a segment.
    steps, batch_size
        Published; on a small machine the user chooses fewer.
    learning_rate, lowest_rate, warm_up
        Rises linearly for `warm_up` steps, then falls along a cosine.
    weight_decay
        At the beginning and at the end, along a cosine; matrices only.
    pools
        Called with all tracks; batches are drawn from what it returns, in turn.
    is_chosen_on_validation
        Whether the state of the network with the lowest `Objective.validation` is kept, instead of the last one.
    related
        Name of the option that holds the share of pairs from two renderings of one piece; empty for none.
    calibrate
        Called with the trained network; what it returns goes into the header.
    """

    front_end: FrontEnd
    n_frames: int
    objective: Callable[[Mapping[str, str]], Objective]
    options: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    batch_size: int = 128
    steps: int
    learning_rate: float = 1e-3
    lowest_rate: float = 1e-6
    warm_up: int = 100
    weight_decay: tuple[float, float] = (0.04, 0.04)
    pools: Callable[[Sequence[Track]], Sequence[Sequence[Track]]] = one_pool
    is_chosen_on_validation: bool = False
    related: str = ""
    calibrate: Callable[[nn.Module], dict[str, Any]] | None = None

    def checked(self, request: PretrainRequest) -> dict[str, str]:
        """Put the user's choices in the place of the defaults.

        Raises
        ------
        TrainingError
            If there is no such option, or no such value of it.
        """
        for name, value in request.options.items():
            if name not in self.options:
                raise TrainingError(
                    f"{request.model} has no option {name!r}; it has {', '.join(self.options) or 'none'}"
                )
            if name in self.choices and value not in self.choices[name]:
                raise TrainingError(f"{name} {value!r}; expected {' or '.join(self.choices[name])}")
        return {**self.options, **request.options}
