"""Fit a probe, decode, score: from stored features to numbers with intervals."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from mirbench.data import audio
from mirbench.domain import (
    SPLITS,
    Answer,
    Clip,
    ClipMetric,
    ClipScores,
    Counts,
    Dataset,
    Encoder,
    Metric,
    SetMetric,
    Split,
    Task,
)
from mirbench.errors import DatasetError, MirbenchError
from mirbench.evaluation.scoring import score_clips
from mirbench.features.extract import Region
from mirbench.features.store import FeatureKey, FeatureStore
from mirbench.probes.linear import MEMORY, Examples, Probe, constant_cross_entropy
from mirbench.probes.protocols import PROTOCOLS, Candidate, Problem, Protocol
from mirbench.probes.subsets import subset

N_RESAMPLES = 1000
COVERAGE = 0.95
WORSE_THAN_A_CONSTANT = "worse than a constant on validation"


@dataclass(frozen=True)
class Fitting:
    """How probes are fitted.

    Attributes
    ----------
    seed
        Of the bootstrap and of subsets of the training clips.
    fraction
        Of the training clips.
    memory
        In bytes: what the training rows of one readout and layer may take.
    workers
        Processes that score clips, where that takes long.
    """

    protocol: Protocol = PROTOCOLS["convex"]
    seed: int = 0
    fraction: float = 1.0
    memory: float = MEMORY
    device: str = "cpu"
    workers: int = 1


@dataclass(frozen=True)
class Score:
    """A metric's value on the test split and its interval; means over the probe's seeds, and their deviation."""

    metric: Metric
    value: float
    low: float
    high: float
    deviation: float = 0.0
    scores: ClipScores | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Choice:
    """What validation chose, and from what.

    Attributes
    ----------
    setting
        The strength, or whatever tells the protocol's probes apart.
    curve
        Cross-entropy on validation for every readout, layer and setting, in the order in which they were tried.
    constant
        Cross-entropy on validation of the frequencies of the training targets.
    marks
        Reasons for caution: the probe is worse than that constant, or its setting lies at an edge of the grid.
    """

    probe: Probe
    readout: str
    layer: int
    setting: Any
    curve: tuple[tuple[str, int, Any, float], ...]
    constant: float = float("nan")
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Everything that became of one encoder, task and data set; the first score is the headline.

    Attributes
    ----------
    choices, decoders
        One for each seed of the protocol.
    constant
        Cross-entropy on validation of the frequencies of the training targets.
    """

    scores: tuple[Score, ...]
    choices: tuple[Choice, ...]
    decoders: tuple[Mapping[str, Any], ...]
    n_clips: dict[Split, int]
    n_groups: int
    seconds: dict[str, float]
    constant: float


def evaluate(
    encoder: Encoder, task: Task, dataset: Dataset, store: FeatureStore, fitting: Fitting | None = None
) -> Evaluation:
    """Choose a probe on train and valid, then meet the test split once.

    Raises
    ------
    DatasetError
        If a split has no clips.
    """
    fitting = fitting or Fitting()
    clips = {split: dataset.clips(split) for split in SPLITS}
    for split, members in clips.items():
        if not members:
            raise DatasetError(f"data set {dataset.name!r} has no clips in its {split} split")
    task = task.with_labels_of(dataset)
    if not task.labels:
        raise DatasetError(f"data set {dataset.name!r} has no labels: none of its references names one")
    started = time.perf_counter()
    if fitting.fraction < 1:
        clips["train"] = _subset(encoder, task, clips["train"], store, fitting)
    choices = choose(encoder, task, clips["train"], clips["valid"], store, fitting)
    tuned = [
        task.tuned([answer_of(encoder, task, choice, clip, store) for clip in clips["valid"]]) for choice in choices
    ]
    fitted = time.perf_counter()
    estimates = []
    for choice, own in zip(choices, tuned, strict=True):
        answers = [answer_of(encoder, task, choice, clip, store) for clip in clips["test"]]
        estimates.append([own.decode(answer.logits, answer.times, answer.duration) for answer in answers])
    scores = score(tuned, clips["test"], estimates, fitting.seed, fitting.workers)
    return Evaluation(
        scores=scores,
        choices=choices,
        constant=choices[0].constant,
        decoders=tuple(own.decoder for own in tuned),
        n_clips={split: len(members) for split, members in clips.items()},
        n_groups=len({clip.group for clip in clips["test"]}),
        seconds={"probe": fitted - started, "score": time.perf_counter() - fitted},
    )


def choose(
    encoder: Encoder, task: Task, train: Sequence[Clip], valid: Sequence[Clip], store: FeatureStore, fitting: Fitting
) -> tuple[Choice, ...]:
    """Fit every readout and layer on train; keep the probe with the lowest cross-entropy on valid, for every seed."""
    curves: dict[int, list[tuple[str, int, Any, float]]] = {}
    best: dict[int, tuple[Candidate, str, int]] = {}
    protocol = fitting.protocol

    def problem(readout: str, layer: int) -> Problem:
        return Problem(
            train=examples_of(task, train, keys_of(encoder, train, readout), layer, store),
            valid=examples_of(task, valid, keys_of(encoder, valid, readout), layer, store),
            objective=task.objective,
            n_labels=len(task.labels),
            memory=fitting.memory,
            device=fitting.device,
        )

    constant = float("nan")
    for readout in encoder.readouts(task.scope):
        for layer in range(store.n_layers(Region.of(train[0]).key(encoder, readout))):
            rows = problem(readout, layer)
            if np.isnan(constant):
                constant = constant_cross_entropy(rows.train, rows.valid, task.objective, rows.n_labels)
            for candidate in protocol.candidates(rows):
                seed = candidate.seed
                curves.setdefault(seed, []).append((readout, layer, candidate.setting, candidate.loss))
                if seed not in best or candidate.loss < best[seed][0].loss:
                    best[seed] = candidate, readout, layer
    return tuple(
        Choice(
            probe=protocol.finished(problem(readout, layer), chosen),
            readout=readout,
            layer=layer,
            setting=chosen.setting,
            curve=tuple(curves[seed]),
            constant=constant,
            marks=(
                *((WORSE_THAN_A_CONSTANT,) if chosen.loss > constant else ()),
                *protocol.marks(chosen.setting),
            ),
        )
        for seed, (chosen, readout, layer) in sorted(best.items())
    )


def _subset(
    encoder: Encoder, task: Task, clips: Sequence[Clip], store: FeatureStore, fitting: Fitting
) -> Sequence[Clip]:
    """Take a part of the training clips, whole groups, with labels in their proportions."""
    readout = encoder.readouts(task.scope)[0]
    masses = np.zeros((len(clips), len(task.labels)))
    for mass, clip in zip(masses, clips, strict=True):
        _, times = store.read(Region.of(clip).key(encoder, readout), 0)
        target = np.atleast_1d(task.target(clip.reference, times))
        if task.objective == "multiclass":
            mass += np.bincount(target[target >= 0], minlength=len(mass))
        else:
            mass += target.reshape(-1, len(mass)).sum(axis=0)
    return [clips[i] for i in subset(masses, [clip.group for clip in clips], fitting.fraction, fitting.seed)]


def score(
    tasks: Sequence[Task], clips: Sequence[Clip], estimates: Sequence[Sequence[object]], seed: int, workers: int = 1
) -> tuple[Score, ...]:
    """Score estimates with every metric of a task, with bootstrap intervals over groups.

    A metric that is not defined on these clips (about a label that none of them has) is left out.

    Parameters
    ----------
    tasks, estimates
        For every seed of the probe: the task as it was tuned, and the estimates of all clips; values are averaged.

    Raises
    ------
    MirbenchError
        If that is the headline.
    """
    _, groups = np.unique([clip.group for clip in clips], return_inverse=True)
    references = [clip.reference for clip in clips]
    counts = _group_counts(groups, seed)[:, groups]
    names = hashlib.sha256(json.dumps([[clip.id, clip.group] for clip in clips]).encode()).hexdigest()[:16]
    scores = []
    for metrics in zip(*(task.metrics for task in tasks), strict=True):
        metric = metrics[0]
        found = [_score(each, references, own, counts, workers) for each, own in zip(metrics, estimates, strict=True)]
        numbers = [each.value for each in found]
        value = float(np.mean(numbers))
        resampled = np.mean([each.resampled for each in found], axis=0)
        low, high = _interval(resampled) if np.isfinite(value) else (value, value)
        by_clip = [each.by_clip for each in found if each.by_clip is not None]
        kept = ClipScores(names, resampled, *(np.mean(by_clip, axis=0) if by_clip else ()))
        scores.append(Score(metric, value, low, high, float(np.std(numbers)), None if metric.label else kept))
    if not np.isfinite(scores[0].value):
        raise MirbenchError(
            f"{scores[0].metric.name} is not defined on the test split: no reference in it can be scored (for tags and "
            "species, some label needs clips with it and clips without it)"
        )
    return tuple(score for score in scores if np.isfinite(score.value))


@dataclass(frozen=True)
class _Scored:
    value: float
    resampled: Float64[np.ndarray, "resample"]
    by_clip: Float64[np.ndarray, "2 clip"] | None = None  # values and weights


def _score(
    metric: Metric, references: Sequence[object], estimates: Sequence[object], counts: Counts, workers: int
) -> _Scored:
    if isinstance(metric, ClipMetric):
        scored = score_clips(metric.score, references, estimates, workers)
        weighted = np.array([each if isinstance(each, tuple) else (each, 1.0) for each in scored], dtype=np.float64)
        values, weights = weighted.T
        is_mean = metric.aggregate == "mean"
        if is_mean and not weights.sum() > 0:  # nothing in these references can be compared
            return _Scored(float("nan"), np.full(len(counts), np.nan))
        value = float(values @ weights / weights.sum()) if is_mean else float(values.sum())
        return _Scored(value, _resample_clips(values, weights, counts, is_mean), weighted.T)
    value = float(metric.score(references, estimates))
    return _Scored(value, (metric.resample or partial(_resample_set, metric))(references, estimates, counts))


def _interval(resampled: Float64[np.ndarray, "resample"]) -> tuple[float, float]:
    tail = 50 * (1 - COVERAGE)
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])  # a resample can lack every clip of a label
    return float(low), float(high)


def _resample_clips(
    values: Float64[np.ndarray, "clip"], weights: Float64[np.ndarray, "clip"], counts: Counts, is_mean: bool
) -> Float64[np.ndarray, "resample"]:
    if not is_mean:
        return np.asarray(counts @ values)
    with np.errstate(invalid="ignore"):  # a resample can hold nothing but clips without weight
        return np.asarray((counts @ (values * weights)) / (counts @ weights))


def _resample_set(
    metric: SetMetric, references: Sequence[object], estimates: Sequence[object], counts: Counts
) -> Float64[np.ndarray, "resample"]:
    draws = [np.repeat(np.arange(len(references)), count).tolist() for count in counts]
    return np.array([metric.score([references[i] for i in draw], [estimates[i] for i in draw]) for draw in draws])


def _group_counts(groups: Int64[np.ndarray, "clip"], seed: int) -> Int64[np.ndarray, "resample group"]:
    """Draw how often each group is in each resample; the same for every encoder, so that differences pair up."""
    n_groups = int(groups.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=N_RESAMPLES)
    return drawn.astype(np.int64)


def keys_of(encoder: Encoder, clips: Sequence[Clip], readout: str) -> list[FeatureKey]:
    """Name the features of clips."""
    return [Region.of(clip).key(encoder, readout) for clip in clips]


def examples_of(
    task: Task, clips: Sequence[Clip], keys: Sequence[FeatureKey], layer: int, store: FeatureStore
) -> Examples:
    """Give a probe the rows of clips, and what they are to be told apart by."""
    parts, targets = [], []
    for clip, key in zip(clips, keys, strict=True):
        values, times = store.read(key, layer)
        parts.append(values if task.scope == "frame" else values[None])
        target = task.target(clip.reference, times)
        targets.append(target if task.scope == "frame" else target[None])
    return Examples(parts, np.concatenate(targets))


def answer_of(encoder: Encoder, task: Task, choice: Choice, clip: Clip, store: FeatureStore) -> Answer:
    """Ask a probe about a clip."""
    values, times = store.read(Region.of(clip).key(encoder, choice.readout), choice.layer)
    return Answer(clip.reference, choice.probe.logits(values), times, clip_duration(clip))


def clip_duration(clip: Clip) -> float:
    """The duration of a clip in seconds, looked up in its file where the data set does not say."""
    return clip.duration if clip.duration is not None else audio.info(clip.path).duration - clip.start
