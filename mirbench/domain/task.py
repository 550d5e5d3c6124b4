"""Tasks: labels, targets for the probe, decoding, metrics."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mirbench.domain.dataset import Dataset, LabelledIntervals
from mirbench.domain.encoder import Scope

Target = Int64[np.ndarray, "*time"] | Float32[np.ndarray, "*time label"]
Counts = Int64[np.ndarray, "resample clip"]
SHORTEST_PART = 0.001  # seconds of an interval that lie in a clip; less is rounding


@dataclass(frozen=True, eq=False)
class Prediction:
    """A probe's output on one clip, beside its reference."""

    reference: Any
    logits: Float32[np.ndarray, "*time label"]
    times: Float64[np.ndarray, "time"]
    duration: float


@dataclass(frozen=True)
class ClipMetric:
    """A score of one clip, averaged (or summed) over clips.

    Attributes
    ----------
    score
        Called with reference and estimate; returns the value, or the value and its weight in the average.
    source
        Library, version and function that computes it.
    best, worst
        Its bounds.
    label
        The one label that it is about; empty for all.
    """

    name: str
    score: Callable[[Any, Any], float | tuple[float, float]]
    source: str
    aggregate: Literal["mean", "sum"] = "mean"
    best: float = 1.0
    worst: float = 0.0
    label: str = ""

    @property
    def higher_is_better(self) -> bool:
        """Direction of the metric, from its bounds."""
        return self.best > self.worst


@dataclass(frozen=True)
class SetMetric:
    """A score that exists only over many clips, such as a macro average.

    Attributes
    ----------
    score
        Called with all references and all estimates.
    resample
        Called with all references, all estimates, and how often each clip is in each resample; returns what `score`
        would for each. None: `score` is called for each.
    label
        The one label that it is about; empty for all.
    """

    name: str
    score: Callable[[Sequence[Any], Sequence[Any]], float]
    source: str
    best: float = 1.0
    worst: float = 0.0
    resample: "Callable[[Sequence[Any], Sequence[Any], Counts], Float64[np.ndarray, 'resample']] | None" = None
    label: str = ""
    aggregate: ClassVar[Literal["set"]] = "set"

    @property
    def higher_is_better(self) -> bool:
        """Direction of the metric, from its bounds."""
        return self.best > self.worst


Metric = ClipMetric | SetMetric


@dataclass(frozen=True)
class Confusion:
    """What is taken for what.

    Attributes
    ----------
    rows, columns
        What was there; what was said.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: Float64[np.ndarray, "row column"]
    unit: str


class Task(ABC):
    """A question to an encoder: labels, targets for the probe, and how answers are scored.

    Attributes
    ----------
    scope
        Whether a clip or every frame has a target.
    objective
        "multiclass": one label each; "multilabel": any number of them.
    label_column
        The column of a CSV file that holds its references.
    labels
        Its vocabulary; empty where that comes from the data set (see `with_labels_of`).
    metrics
        The first is the headline.
    """

    name: ClassVar[str]
    scope: ClassVar[Scope]
    objective: ClassVar[Any]
    label_column: ClassVar[str]
    labels: tuple[str, ...]
    metrics: tuple[Metric, ...]

    def labels_in(self, text: str, folder: Path) -> tuple[str, ...]:
        """Name the labels in a cell of the label column, for a task whose vocabulary comes from the data set."""
        return ()

    def with_labels_of(self, dataset: "Dataset") -> "Task":
        """Return this task with the vocabulary of a data set; most tasks have one of their own."""
        return self

    @abstractmethod
    def read_reference(self, text: str, folder: Path) -> Any:
        """Read a cell of the label column; a file named there lies relative to the folder.

        Raises
        ------
        ValueError
            Saying what was expected.
        """

    def cut(self, reference: Any, start: float, end: float) -> Any:
        """Return the part of a recording's annotation that lies in a clip of it, with times from the clip's beginning.

        Override it for references of another type than those named below.

        Parameters
        ----------
        reference
            Annotation of the whole recording: an array of times, or labelled intervals. What a task of scope "clip" is
            asked is said of the clip itself and returned as it is.
        start, end
            Borders of the clip in the recording, in seconds.

        Returns
        -------
        Any
            Times from `start` (included) to `end` (excluded); intervals cut at the borders, without those of which
            less than `SHORTEST_PART` seconds lie inside.

        Raises
        ------
        TypeError
            If the reference is of another type.
        """
        if self.scope == "clip":
            return reference
        if isinstance(reference, LabelledIntervals):
            intervals = np.clip(reference.intervals, start, end)
            inside = intervals[:, 1] - intervals[:, 0] >= SHORTEST_PART
            labels = tuple(label for label, is_in in zip(reference.labels, inside, strict=True) if is_in)
            return LabelledIntervals(intervals[inside] - start, labels)
        if isinstance(reference, np.ndarray) and reference.ndim == 1:
            return reference[(reference >= start) & (reference < end)] - start
        raise TypeError(f"task {self.name!r} cannot cut a {type(reference).__name__}; it needs a method cut of its own")

    @abstractmethod
    def target(self, reference: Any, times: Float64[np.ndarray, "time"]) -> Target:
        """Make what the probe learns: a class index (or label vector) for the clip, or one for every time."""

    @abstractmethod
    def decode(
        self, logits: Float32[np.ndarray, "*time label"], times: Float64[np.ndarray, "time"], duration: float
    ) -> Any:
        """Turn the probe's output into an estimate, of the same type as a reference."""

    def tuned(self, examples: Sequence[Prediction]) -> "Task":
        """Return this task with its decoder tuned on the validation split; most decoders have nothing to tune."""
        return self

    @property
    def decoder(self) -> Mapping[str, Any]:
        """Name what was tuned, for the record."""
        return {}

    def confusion(self, references: Sequence[Any], estimates: Sequence[Any]) -> Confusion | None:
        """Lay out what is taken for what, in an order that makes sense of it; None where nothing is."""
        return None

    @abstractmethod
    def empty(self) -> Any:
        """Give the estimate that says nothing, such as no beats at all."""

    @abstractmethod
    def example(self, random: np.random.Generator) -> tuple[Any, float]:
        """Make up a plausible reference and a clip's duration, for the conformance checks."""
