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
    """Labels of intervals of time: chords, sections or sound events.

    Attributes
    ----------
    intervals
        Start and end of each interval, in seconds.
    labels
        Label of each interval, in the same order.

    Raises
    ------
    ValueError
        If there are not as many labels as intervals.
    """

    intervals: Float64[np.ndarray, "interval 2"]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.intervals) != len(self.labels):
            raise ValueError(f"{len(self.intervals)} intervals but {len(self.labels)} labels")


@dataclass(frozen=True)
class Clip:
    """A region of a recording, with its annotation.

    Attributes
    ----------
    id
        Name of the clip, unique in its data set.
    path
        Audio file.
    split
        "train", "valid" or "test".
    group
        Recording, artist or site. Clips of different splits must not share a group.
    reference
        Annotation of the clip, of the type to which its task decodes.
    start
        Beginning of the clip in the file, in seconds.
    duration
        Length of the clip in seconds; None for everything up to the end of the file.
    sha256
        SHA-256 of the file's bytes in hexadecimal, where the data set states it; a file that differs is refused.
    part
        Part of the data set, such as a genre; the headline metric is also computed for the test clips of each part.
        Empty in a data set without parts.
    """

    id: str
    path: Path
    split: Split
    group: str
    reference: Any
    start: float = 0.0
    duration: float | None = None
    sha256: str | None = None
    part: str = ""


class Dataset(ABC):
    """Clips with references for one task, in three fixed splits, or in folds of a cross-validation.

    Attributes
    ----------
    name
        Name in results.
    version
        Version of clips, splits and references; changes whenever one of them does.
    size
        Size of an embedded data set: "default" or "small".
    labels
        Vocabulary of the references, for tasks that leave it to the data set (tags, species, events). Label vectors
        follow its order.
    label_groups
        Groups of labels that get scores of their own, such as the rare species, by name.
    fold
        Name of the fold, of a data set that is one of `folds`; empty otherwise.
    """

    name: str
    version: str
    size: str = "default"
    labels: tuple[str, ...] = ()
    label_groups: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    fold: str = ""

    @abstractmethod
    def clips(self, split: Split) -> Sequence[Clip]:
        """Return the clips of a split, in the same order at every call.

        Parameters
        ----------
        split
            "train", "valid" or "test".
        """

    @property
    def folds(self) -> "Sequence[Dataset]":
        """Folds of a cross-validation: data sets with other splits of the same clips; empty for one fixed split.

        Each fold is evaluated, and scores are averaged. `clips` then returns the splits of the first fold.
        """
        return ()
