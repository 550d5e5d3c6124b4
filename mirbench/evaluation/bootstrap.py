"""Score estimates with every metric of a task, with intervals by bootstrap over groups of related clips."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from jaxtyping import Float64, Int64

from mirbench.domain import Clip, ClipMetric, ClipScores, Counts, Metric, SetMetric, Task
from mirbench.domain.resampling import Draws, draw, resampled_aggregate
from mirbench.errors import MirbenchError
from mirbench.evaluation.scoring import score_clips

COVERAGE = 0.95


@dataclass(frozen=True)
class Score:
    """A metric's value on the test split and its interval; means over the probe's seeds, and their deviation."""

    metric: Metric
    value: float
    low: float
    high: float
    deviation: float = 0.0
    scores: ClipScores | None = field(default=None, compare=False)


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
    groups = groups.reshape(-1).astype(np.int64)
    draws = draw(int(groups.max()) + 1, seed)
    names = hashlib.sha256(json.dumps([[clip.id, clip.group] for clip in clips]).encode()).hexdigest()[:16]
    scores = []
    for metrics in zip(*(task.metrics for task in tasks), strict=True):
        metric = metrics[0]
        found = [
            _score(each, references, own, groups, draws, workers) for each, own in zip(metrics, estimates, strict=True)
        ]
        numbers = [each.value for each in found]
        value = float(np.mean(numbers))
        resampled = np.mean([each.resampled for each in found], axis=0)[draws.places]
        low, high = _interval(resampled) if np.isfinite(value) else (value, value)
        by_clip = [each.by_clip for each in found if each.by_clip is not None]
        values, weights = np.mean(by_clip, axis=0) if by_clip else (None, None)
        kept = ClipScores(names, resampled, values, weights, groups, seed, metric.aggregate)
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
    resampled: Float64[np.ndarray, "draw"]  # in each distinct resample
    by_clip: Float64[np.ndarray, "2 clip"] | None = None  # values and weights


def _score(
    metric: Metric,
    references: Sequence[object],
    estimates: Sequence[object],
    groups: Int64[np.ndarray, "clip"],
    draws: Draws,
    workers: int,
) -> _Scored:
    if isinstance(metric, ClipMetric):
        scored = score_clips(metric.score, references, estimates, workers)
        weighted = np.array([each if isinstance(each, tuple) else (each, 1.0) for each in scored], dtype=np.float64)
        values, weights = weighted.T
        is_mean = metric.aggregate == "mean"
        if is_mean and not weights.sum() > 0:  # nothing in these references can be compared
            return _Scored(float("nan"), np.full(len(draws.counts), np.nan))
        value = float(values @ weights / weights.sum()) if is_mean else float(values.sum())
        return _Scored(value, resampled_aggregate(values, weights, groups, draws, metric.aggregate), weighted.T)
    value = float(metric.score(references, estimates))
    resample = metric.resample or partial(_resample_set, metric)
    return _Scored(value, np.concatenate([resample(references, estimates, each) for each in draws.of_clips(groups)]))


def _interval(resampled: Float64[np.ndarray, "resample"]) -> tuple[float, float]:
    tail = 50 * (1 - COVERAGE)
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])  # a resample can lack every clip of a label
    return float(low), float(high)


def _resample_set(
    metric: SetMetric, references: Sequence[object], estimates: Sequence[object], counts: Counts
) -> Float64[np.ndarray, "resample"]:
    draws = [np.repeat(np.arange(len(references)), count).tolist() for count in counts]
    return np.array([metric.score([references[i] for i in draw], [estimates[i] for i in draw]) for draw in draws])
