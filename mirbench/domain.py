"""The nouns: clip, features, encoder, data set, task, metric, result.

Times are in seconds. Audio is mono float32 in [-1, 1]. The axes are named batch, samples, layer, time, dim, label.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mirbench.arrays import as_features, mean_of
from mirbench.errors import EncoderError

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

Audio = Float32[np.ndarray, "_samples"]  # clips in one collection differ in length
Target = Int64[np.ndarray, "*time"] | Float32[np.ndarray, "*time label"]
Counts = Int64[np.ndarray, "resample clip"]

MEAN_OF_TOKENS = "mean of tokens"


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


@dataclass(frozen=True)
class Features:
    """What an encoder heard in one clip.

    Attributes
    ----------
    frames
        One vector for every layer and frame.
    times
        Frame centres.
    tokens
        Vectors that stand for the whole clip (class tokens, class probabilities), by name; a token may have layers and
        dims of its own.
    """

    frames: Float32[np.ndarray, "layer time dim"]
    times: Float64[np.ndarray, "time"]
    tokens: Mapping[str, Float32[np.ndarray, "_layer _dim"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vars(self).update(as_features(self.frames, self.times, self.tokens))

    def readout(self, name: str) -> Float32[np.ndarray, "_layer ... _dim"]:
        """Pick what a probe sees.

        Parameters
        ----------
        name
            "frames" (layer, time, dim); "mean" over time; "mean and deviation" over time, side by side; the name of a
            token; or "mean of tokens".

        Raises
        ------
        EncoderError
            If there is no such readout.
        """
        if name == "frames":
            return self.frames
        if name == "mean":
            return np.asarray(self.frames.mean(axis=1))
        if name == "mean and deviation":
            return np.concatenate([self.frames.mean(axis=1), self.frames.std(axis=1)], axis=-1)
        if name in self.tokens:
            return self.tokens[name]
        if name == MEAN_OF_TOKENS and self.tokens:
            return mean_of(self.tokens)
        known = ["frames", "mean", "mean and deviation", *self.tokens, *([MEAN_OF_TOKENS] if self.tokens else [])]
        raise EncoderError(f"no readout {name!r}; there are {', '.join(known)}")


class Encoder(ABC):
    """A frozen audio encoder.

    A subclass sets `sample_rate` and `fingerprint` and implements `encode`; everything else has a default. Networks
    of fixed input length derive from `mirbench.WindowedEncoder` instead.

    Attributes
    ----------
    sample_rate
        In Hz; the harness resamples to it.
    fingerprint
        Changes whenever weights or preprocessing change: stored features are found by it. See `mirbench.fingerprint`.
    tokens
        Names of the tokens in its features.
    clip_readouts
        The readouts that clip tasks choose from, on validation; None for the mean and every token.
    n_parameters
        Of the network; None where there is none.
    is_parallel
        Whether `encode` may be called from several threads at a time; several clips are then encoded side by side, each
        in one thread. For encoders that are too light to keep several cores busy with one clip.
    about
        What else a user should know, line by line: what the weights were trained on, for how long.
    """

    sample_rate: int
    fingerprint: str
    tokens: tuple[str, ...] = ()
    clip_readouts: tuple[str, ...] | None = None
    n_parameters: int | None = None
    is_parallel: bool = False
    about: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def encode(self, audio: Audio) -> Features:
        """Turn one clip into features. The input must not be modified."""

    def encode_all(self, clips: Iterable[Audio], batch_size: int) -> Iterator[Features]:
        """Turn clips into features, in their order; override where clips can share a batch."""
        for audio in clips:
            yield self.encode(audio)

    def attention(self) -> "Encoder | None":
        """Give an encoder of the attention that each frame receives (layer: block, dim: head; 1: even), or None."""
        return None

    def readouts(self, scope: "Scope") -> tuple[str, ...]:
        """Name the readouts that a task of this scope may choose from."""
        if scope == "frame":
            return ("frames",)
        if self.clip_readouts is not None:
            return self.clip_readouts
        return ("mean", *self.tokens, *([MEAN_OF_TOKENS] if len(self.tokens) > 1 else []))


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


@dataclass(frozen=True, eq=False)
class Answer:
    """A probe's output on one clip, beside its reference."""

    reference: Any
    logits: Float32[np.ndarray, "*time label"]
    times: Float64[np.ndarray, "time"]
    duration: float


Scope = Literal["clip", "frame"]
Objective = Literal["multiclass", "multilabel"]


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
    objective: ClassVar[Objective]
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

    @abstractmethod
    def target(self, reference: Any, times: Float64[np.ndarray, "time"]) -> Target:
        """Make what the probe learns: a class index (or label vector) for the clip, or one for every time."""

    @abstractmethod
    def decode(
        self, logits: Float32[np.ndarray, "*time label"], times: Float64[np.ndarray, "time"], duration: float
    ) -> Any:
        """Turn the probe's output into an estimate, of the same type as a reference."""

    def tuned(self, examples: Sequence[Answer]) -> "Task":
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


@dataclass(frozen=True, eq=False)
class ClipScores:
    """What a number on the test split is made of, so that two encoders can be compared on the same clips.

    Attributes
    ----------
    clips
        Hash of the test clips and their groups, in order: numbers with the same hash and seed pair up.
    resampled
        The number in each resample of the bootstrap, which draws the same groups for every encoder.
    values, weights
        Score of each clip, and how much it counts; None where clips can only be scored together.
    """

    clips: str
    resampled: Float64[np.ndarray, "resample"]
    values: Float64[np.ndarray, "clip"] | None = None
    weights: Float64[np.ndarray, "clip"] | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number, and all that is needed to dispute it.

    Attributes
    ----------
    options
        Of the task, where they are not its defaults, such as the decoder.
    label
        The one label that the number is about; empty for all.
    aggregate
        How clips make the value: "mean", "sum" (a count), or "set" (scored together).
    low, high
        The 95 % interval by bootstrap over groups.
    deviation
        Of the value, over the seeds of a protocol that has them.
    n, n_groups
        Clips and groups of the test split.
    train_fraction
        The share of the training clips that was asked for; `n_train` says how many they are.
    setting
        Strength of a convex probe; what tells the probes of another protocol apart.
    selection
        What the validation split chose, and from what: for each seed of the protocol the readout, layer, setting and
        decoder, and the cross-entropy of every readout, layer and setting. The first one's are repeated in the
        result's own fields.
    extraction
        Speed, in times real time from files to store, where enough was encoded in this run. How networks ran where they
        did not run as they are: precision, and the relative error of the features.
    scores
        Clip by clip; kept beside the record. None for a single label's number.
    """

    run: str
    date: str
    encoder: str
    fingerprint: str
    task: str
    dataset: str
    dataset_version: str
    size: str
    split: str
    options: Mapping[str, str]
    metric: str
    label: str
    is_headline: bool
    aggregate: str
    value: float
    low: float
    high: float
    deviation: float
    n: int
    n_groups: int
    n_train: int
    n_valid: int
    protocol: str
    n_seeds: int
    train_fraction: float
    readout: str
    layer: int
    setting: Any
    seed: int
    source: str
    selection: Mapping[str, Any]
    extraction: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    scores: ClipScores | None = field(default=None, compare=False, repr=False)
