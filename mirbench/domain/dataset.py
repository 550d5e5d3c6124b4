"""Data sets: clips with references, in three splits."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class LabelledIntervals:
    """What is so from when to when: chords, sections, events.

    Attributes
    ----------
    intervals
        One row of start and end each.
    """

    intervals: Float64[np.ndarray, "interval 2"]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.intervals) != len(self.labels):
            raise ValueError(f"{len(self.intervals)} intervals but {len(self.labels)} labels")


@dataclass(frozen=True)
class Clip:
    """A stretch of a recording and what is known about it.

    Attributes
    ----------
    duration
        None means to the end of the file.
    reference
        The annotation, of the type that its task decodes to.
    group
        Recording, artist or site: what two clips must not share if they lie in different splits.
    sha256
        Of the file's bytes, where the data set knows it; a file that differs is refused.
    """

    id: str
    path: Path
    split: Split
    group: str
    reference: Any
    start: float = 0.0
    duration: float | None = None
    sha256: str | None = None


class Dataset(ABC):
    """Clips with references for one task, in three fixed splits.

    Attributes
    ----------
    version
        Changes whenever clips, splits or references change.
    labels
        The vocabulary of its references, for tasks that leave it to the data set (tags, species, events); label vectors
        are in its order.
    label_groups
        Names of groups of labels that get a score of their own, such as the rare species.
    """

    name: str
    version: str
    size: str = "default"
    labels: tuple[str, ...] = ()
    label_groups: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    @abstractmethod
    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split, always in the same order."""
