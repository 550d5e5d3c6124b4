"""Fit a probe, decode, score: from stored features to numbers with intervals."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mirbench import audio
from mirbench.domain import (
    SPLITS,
    Answer,
    Clip,
    ClipMetric,
    Counts,
    Dataset,
    Encoder,
    Metric,
    SetMetric,
    Split,
    Target,
    Task,
)
from mirbench.errors import DatasetError, MirbenchError
from mirbench.extract import Region
from mirbench.probes import PROTOCOL, Probe, cross_entropy, fit_path
from mirbench.store import FeatureKey, FeatureStore

N_RESAMPLES = 1000
PATIENCE = 2  # strengths in a row that are worse on validation, after which no weaker regularisation is tried
COVERAGE = 0.95


@dataclass(frozen=True)
class Score:
    """A metric's value on the test split and its interval."""

    metric: Metric
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """What validation chose, and from what.

    Attributes
    ----------
    curve
        Cross-entropy on validation for every readout, layer and strength, in the order in which they were tried.
    """

    probe: Probe
    readout: str
    layer: int
    strength: float
    curve: tuple[tuple[str, int, float, float], ...]


@dataclass(frozen=True)
class Evaluation:
    """Everything that became of one encoder, task and data set; the first score is the headline."""

    scores: tuple[Score, ...]
    choice: Choice
    decoder: Mapping[str, Any]
    protocol: str
    n_clips: dict[Split, int]
    n_groups: int
    seconds: dict[str, float]


def evaluate(encoder: Encoder, task: Task, dataset: Dataset, store: FeatureStore, seed: int = 0) -> Evaluation:
    """Choose a probe on train and valid, then meet the test split once.

    Parameters
    ----------
    seed
        Of the bootstrap.

    Raises
    ------
    DatasetError
        If a split has no clips.
    """
    clips = {split: dataset.clips(split) for split in SPLITS}
    for split, members in clips.items():
        if not members:
            raise DatasetError(f"data set {dataset.name!r} has no clips in its {split} split")
    task = task.with_labels_of(dataset)
    if not task.labels:
        raise DatasetError(f"data set {dataset.name!r} has no labels: none of its references names one")
    started = time.perf_counter()
    choice = choose(encoder, task, clips["train"], clips["valid"], store)
    tuned = task.tuned([_answer(encoder, task, choice, clip, store) for clip in clips["valid"]])
    fitted = time.perf_counter()
    answers = [_answer(encoder, task, choice, clip, store) for clip in clips["test"]]
    estimates = [tuned.decode(answer.logits, answer.times, answer.duration) for answer in answers]
    scores = score(tuned, clips["test"], estimates, seed)
    return Evaluation(
        scores=scores,
        choice=choice,
        decoder=tuned.decoder,
        protocol=PROTOCOL,
        n_clips={split: len(members) for split, members in clips.items()},
        n_groups=len({clip.group for clip in clips["test"]}),
        seconds={"probe": fitted - started, "score": time.perf_counter() - fitted},
    )


def choose(encoder: Encoder, task: Task, train: Sequence[Clip], valid: Sequence[Clip], store: FeatureStore) -> Choice:
    """Fit every readout and layer on train; keep the probe with the lowest cross-entropy on valid.

    The strengths of a readout and layer are tried from the strongest regularisation to the weakest, until two in a row
    are worse than the best before them.
    """
    curve: list[tuple[str, int, float, float]] = []
    best: tuple[float, Probe, str, int, float] | None = None
    for readout in encoder.readouts(task.scope):
        train_keys, valid_keys = _keys(encoder, train, readout), _keys(encoder, valid, readout)
        for layer in range(store.n_layers(train_keys[0])):
            features, target = _examples(task, train, train_keys, layer, store)
            valid_features, valid_target = _examples(task, valid, valid_keys, layer, store)
            lowest, n_worse = math.inf, 0
            for strength, probe in fit_path(features, target, task.objective, len(task.labels)):
                loss = cross_entropy(probe.logits(valid_features), valid_target, task.objective)
                curve.append((readout, layer, strength, loss))
                if best is None or loss < best[0]:
                    best = loss, probe, readout, layer, strength
                lowest, n_worse = min(lowest, loss), n_worse + 1 if loss > lowest else 0
                if n_worse == PATIENCE:
                    break  # weaker regularisation costs most and fits the training clips alone
    assert best is not None, "an encoder has at least one readout and one layer"
    return Choice(*best[1:], curve=tuple(curve))


def score(task: Task, clips: Sequence[Clip], estimates: Sequence[object], seed: int) -> tuple[Score, ...]:
    """Score estimates with every metric of a task, with bootstrap intervals over groups.

    A metric that is not defined on these clips (about a label that none of them has) is left out.

    Raises
    ------
    MirbenchError
        If that is the headline.
    """
    _, groups = np.unique([clip.group for clip in clips], return_inverse=True)
    references = [clip.reference for clip in clips]
    counts = _group_counts(groups, seed)[:, groups]
    scores = [_score(metric, references, estimates, counts) for metric in task.metrics]
    if not np.isfinite(scores[0].value):
        raise MirbenchError(
            f"{scores[0].metric.name} is not defined: no label has clips with and clips without it in the test split"
        )
    return tuple(score for score in scores if np.isfinite(score.value))


def _score(metric: Metric, references: Sequence[object], estimates: Sequence[object], counts: Counts) -> Score:
    if isinstance(metric, ClipMetric):
        scored = [metric.score(*pair) for pair in zip(references, estimates, strict=True)]
        weighted = np.array([each if isinstance(each, tuple) else (each, 1.0) for each in scored], dtype=np.float64)
        values, weights = weighted.T
        is_mean = metric.aggregate == "mean"
        value = float(values @ weights / weights.sum()) if is_mean else float(values.sum())
        resampled = _resample_clips(values, weights, counts, is_mean)
    else:
        value = float(metric.score(references, estimates))
        resampled = (metric.resample or partial(_resample_set, metric))(references, estimates, counts)
    if not np.isfinite(value):
        return Score(metric, value, value, value)
    tail = 50 * (1 - COVERAGE)
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])  # a resample can lack every clip of a label
    return Score(metric, value, float(low), float(high))


def _resample_clips(
    values: Float64[np.ndarray, "clip"], weights: Float64[np.ndarray, "clip"], counts: Counts, is_mean: bool
) -> Float64[np.ndarray, "resample"]:
    if not is_mean:
        return np.asarray(counts @ values)
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


def _keys(encoder: Encoder, clips: Sequence[Clip], readout: str) -> list[FeatureKey]:
    return [Region.of(clip).key(encoder, readout) for clip in clips]


def _examples(
    task: Task, clips: Sequence[Clip], keys: Sequence[FeatureKey], layer: int, store: FeatureStore
) -> tuple[Float32[np.ndarray, "row dim"], Target]:
    features, targets = [], []
    for clip, key in zip(clips, keys, strict=True):
        values, times = store.read(key, layer)
        features.append(values if task.scope == "frame" else values[None])
        target = task.target(clip.reference, times)
        targets.append(target if task.scope == "frame" else target[None])
    return np.concatenate(features), np.concatenate(targets)


def _answer(encoder: Encoder, task: Task, choice: Choice, clip: Clip, store: FeatureStore) -> Answer:
    values, times = store.read(Region.of(clip).key(encoder, choice.readout), choice.layer)
    return Answer(clip.reference, choice.probe.logits(values), times, clip_duration(clip))


def clip_duration(clip: Clip) -> float:
    """The duration of a clip in seconds, looked up in its file where the data set does not say."""
    return clip.duration if clip.duration is not None else audio.info(clip.path).duration - clip.start
