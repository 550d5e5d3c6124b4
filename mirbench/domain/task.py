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
    """A probe's output on one clip, with the clip's reference.

    Attributes
    ----------
    reference
        Annotation of the clip.
    logits
        Output of the probe, for the clip or for every frame.
    times
        Frame centres in seconds.
    duration
        Length of the clip in seconds.
    """

    reference: Any
    logits: Float32[np.ndarray, "*time label"]
    times: Float64[np.ndarray, "time"]
    duration: float


@dataclass(frozen=True)
class ClipMetric:
    """A score of one clip, averaged (or summed) over clips.

    Attributes
    ----------
    name
        Name in results.
    score
        Called with reference and estimate; returns the value, or the value and its weight in the average.
    source
        Library, version and function that computes it.
    aggregate
        "mean" over clips, or "sum" for counts.
    best, worst
        Bounds of the metric.
    label
        Label to which the metric is restricted; empty for all labels.
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
    """A score that is defined over many clips only, such as a macro average.

    Attributes
    ----------
    name
        Name in results.
    score
        Called with all references and all estimates; returns the value.
    source
        Library, version and function that computes it.
    best, worst
        Bounds of the metric.
    resample
        Called with all references, all estimates, and how often each clip is drawn in each resample; returns the value
        of `score` in each resample. If None, `score` is called for each of the 10,000.
    label
        Label to which the metric is restricted; empty for all labels.
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
    """A confusion matrix in display order.

    Attributes
    ----------
    rows, columns
        Labels of the references; labels of the estimates.
    counts
        Entries of the matrix.
    unit
        Unit of the entries, such as "clips" or "seconds".
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: Float64[np.ndarray, "row column"]
    unit: str


class Task(ABC):
    """A question to an encoder: labels, targets for the probe, decoding of its output, and metrics.

    Attributes
    ----------
    name
        Name on the command line and in results.
    scope
        "clip" if a clip has one target, "frame" if every frame has one.
    objective
        "multiclass": one label each; "multilabel": any number of labels.
    label_column
        Column of a CSV file that holds the references.
    labels
        Vocabulary of the task; empty where it comes from the data set (see `with_labels_of`).
    metrics
        Metrics to compute; the first is the headline.
    """

    name: ClassVar[str]
    scope: ClassVar[Scope]
    objective: ClassVar[Any]
    label_column: ClassVar[str]
    labels: tuple[str, ...]
    metrics: tuple[Metric, ...]

    def labels_in(self, text: str, folder: Path) -> tuple[str, ...]:
        """Return the labels in a cell of the label column, for a task whose vocabulary comes from the data set.

        Parameters
        ----------
        text
            Content of the cell.
        folder
            Folder of the CSV file, to which paths in it are relative.
        """
        return ()

    def with_labels_of(self, dataset: "Dataset") -> "Task":
        """Return this task with the vocabulary of a data set; by default the task itself, which has its own.

        Parameters
        ----------
        dataset
            Data set whose `labels` and `label_groups` may be used.
        """
        return self

    @abstractmethod
    def read_reference(self, text: str, folder: Path) -> Any:
        """Return the annotation in a cell of the label column.

        Parameters
        ----------
        text
            Content of the cell: the annotation itself, or the path of a file that holds it.
        folder
            Folder of the CSV file, to which paths in it are relative.

        Raises
        ------
        ValueError
            If the cell holds no annotation; the message states what was expected.
        """

    def cut(self, reference: Any, start: float, end: float) -> Any:
        """Return the part of a recording's annotation that lies in a clip of it, with times from the clip's beginning.

        Override it for references of types other than those named below.

        Parameters
        ----------
        reference
            Annotation of the whole recording: an array of times, or labelled intervals. A reference of a task of scope
            "clip" describes the clip itself and is returned unchanged.
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
        """Return the target of the probe: a class index or label vector, for the clip or for every frame.

        Parameters
        ----------
        reference
            Annotation of the clip.
        times
            Frame centres in seconds.

        Returns
        -------
        Target
            For "multiclass", int64 class indices, -1 where a frame has no class and is left out of training; for
            "multilabel", float32 values in [0, 1].
        """

    @abstractmethod
    def decode(
        self, logits: Float32[np.ndarray, "*time label"], times: Float64[np.ndarray, "time"], duration: float
    ) -> Any:
        """Return the estimate that a probe's output stands for, of the same type as a reference.

        Parameters
        ----------
        logits
            Output of the probe, for the clip or for every frame.
        times
            Frame centres in seconds.
        duration
            Length of the clip in seconds.
        """

    def tuned(self, examples: Sequence[Prediction]) -> "Task":
        """Return this task with its decoder tuned on the validation split; by default the task itself.

        Parameters
        ----------
        examples
            Predictions on the clips of the validation split.
        """
        return self

    @property
    def decoder(self) -> Mapping[str, Any]:
        """Tuned parameters of the decoder by name, for the record."""
        return {}

    def restored(self, decoder: Mapping[str, Any]) -> "Task":
        """Return this task with the decoder of a record, as `tuned` returned it; by default the task itself.

        A task that overrides `tuned` overrides this, too: `mirbench verify` computes scores again without tuning.

        Parameters
        ----------
        decoder
            The property `decoder` of the tuned task, as JSON holds it.

        Raises
        ------
        ValueError, TypeError, KeyError
            If these are not parameters of this task's decoder.
        """
        return self

    def confusion(self, references: Sequence[Any], estimates: Sequence[Any]) -> Confusion | None:
        """Return the confusion matrix, its labels in a meaningful order; None where the task has none.

        Parameters
        ----------
        references
            Annotations of the clips.
        estimates
            Decoded estimates of the same clips, in the same order.
        """
        return None

    def baselines(self, references: Sequence[Any], durations: Sequence[float]) -> Mapping[str, Sequence[Any]]:
        """Return estimates that need no audio, by what they are; none by default.

        An encoder that scores no higher has shown nothing; see `mirbench check NAME --validity`.

        Parameters
        ----------
        references
            Annotations of the training clips.
        durations
            Lengths of the test clips in seconds.

        Returns
        -------
        Mapping[str, Sequence[Any]]
            Estimates of the test clips, in their order, as `decode` returns them.
        """
        return {}

    @abstractmethod
    def empty(self) -> Any:
        """Return the empty estimate, such as an array without beats."""

    @abstractmethod
    def example(self, random: np.random.Generator) -> tuple[Any, float]:
        """Return a random plausible reference and the duration of its clip in seconds, for the conformance checks.

        Parameters
        ----------
        random
            Source of randomness.
        """
