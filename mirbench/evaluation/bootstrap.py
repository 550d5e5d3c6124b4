"""Score estimates with every metric of a task, with intervals by bootstrap over groups of related clips."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from jaxtyping import Float64, Int64

from mirbench.domain import Clip, ClipMetric, ClipScores, Counts, Metric, SetMetric, Task
from mirbench.domain.resampling import Draws, draw, resampled_aggregate
from mirbench.errors import MirbenchError
from mirbench.evaluation.scoring import aggregated, weighted_scores

COVERAGE = 0.95


@dataclass(frozen=True)
class Tested:
    """The test clips of a fold, and what was estimated for them.

    Attributes
    ----------
    clips
        Test clips.
    tasks, estimates
        For every seed of the probe: the task as it was tuned, and the estimates of all clips.
    fold
        Name of the fold; empty where there is one split.
    """

    clips: Sequence[Clip]
    tasks: Sequence[Task]
    estimates: Sequence[Sequence[object]]
    fold: str = ""


@dataclass(frozen=True)
class Score:
    """A metric's value on the test split and its interval; means over folds and the probe's seeds.

    Attributes
    ----------
    deviation
        Standard deviation over the probe's seeds.
    n, n_groups
        Number of test clips and of their groups.
    of_folds
        Value of each fold, by its name; empty where there is one split.
    """

    metric: Metric
    value: float
    low: float
    high: float
    n: int
    n_groups: int
    deviation: float = 0.0
    scores: ClipScores | None = field(default=None, compare=False)
    of_folds: Mapping[str, float] = field(default_factory=dict)


def score(
    tasks: Sequence[Task], clips: Sequence[Clip], estimates: Sequence[Sequence[object]], seed: int, workers: int = 1
) -> tuple[Score, ...]:
    """Score estimates on one test split, see `score_folds`.

    Parameters
    ----------
    tasks, estimates
        For every seed of the probe: the task as it was tuned, and the estimates of all clips; values are averaged.
    """
    return score_folds([Tested(clips, tasks, estimates)], seed, workers)


def score_folds(folds: Sequence[Tested], seed: int, workers: int = 1) -> tuple[Score, ...]:
    """Score estimates with every metric of a task, with bootstrap intervals over the groups of all folds.

    A value is the mean over folds (the sum, of a count), without those in which it is not defined. In a resample, each
    fold counts as often as its groups are drawn. A metric that is defined in no fold (about a label that no clip has)
    is left out. Where the clips have parts (`Clip.part`), the headline is also computed for each part,
    which is then its label.

    Parameters
    ----------
    folds
        Test clips and estimates of each fold; one, where there is one split.

    Raises
    ------
    MirbenchError
        If that is the headline.
    """
    metrics = folds[0].tasks[0].metrics
    scores = [_score_metric(folds, place, metric, seed, workers) for place, metric in enumerate(metrics)]
    if not np.isfinite(scores[0].value):
        raise MirbenchError(
            f"{scores[0].metric.name} is not defined on the test split: no reference in it can be scored (for tags and "
            "species, some label needs clips with it and clips without it)"
        )
    parts = sorted({clip.part for fold in folds for clip in fold.clips if clip.part})
    for part in parts if len(parts) > 1 else ():
        own = [tested for tested in (_part_of(fold, part) for fold in folds) if tested.clips]
        scores.append(_score_metric(own, 0, replace(metrics[0], label=part), seed, workers))
    return tuple(score for score in scores if np.isfinite(score.value))


def _part_of(fold: Tested, part: str) -> Tested:
    """Return the clips of one part of the data set."""
    places = [place for place, clip in enumerate(fold.clips) if clip.part == part]
    return replace(
        fold,
        clips=[fold.clips[place] for place in places],
        estimates=[[of_seed[place] for place in places] for of_seed in fold.estimates],
    )


def _score_metric(folds: Sequence[Tested], place: int, metric: Metric, seed: int, workers: int) -> Score:
    """Score estimates with one of the metrics, which has this name and label in results."""
    clips = [clip for fold in folds for clip in fold.clips]
    _, groups = np.unique([clip.group for clip in clips], return_inverse=True)
    groups = groups.reshape(-1).astype(np.int64)
    n_groups = int(groups.max()) + 1
    draws = draw(n_groups, seed)
    of_folds = np.split(groups, np.cumsum([len(fold.clips) for fold in folds])[:-1])
    found = [_score_fold(fold, place, own, draws, workers) for fold, own in zip(folds, of_folds, strict=True)]
    by_seed = _over_folds(np.stack([each.by_seed for each in found]), np.ones((len(folds), 1)), metric)
    masses = np.stack([_mass(own, draws) for own in of_folds])
    resampled = _over_folds(np.stack([each.resampled for each in found]), masses, metric)[draws.places]
    value = float(np.mean(by_seed))
    low, high = _interval(resampled, value, metric) if np.isfinite(value) else (value, value)
    return Score(
        metric=metric,
        value=value,
        low=low,
        high=high,
        n=len(clips),
        n_groups=n_groups,
        deviation=float(np.std(by_seed)),
        scores=None if metric.label else _clip_scores(clips, groups, resampled, found, seed, metric),
        of_folds={
            fold.fold: float(np.mean(each.by_seed)) for fold, each in zip(folds, found, strict=True) if fold.fold
        },
    )


def _clip_scores(
    clips: Sequence[Clip],
    groups: Int64[np.ndarray, "clip"],
    resampled: Float64[np.ndarray, "resample"],
    found: "Sequence[_ScoredFold]",
    seed: int,
    metric: Metric,
) -> ClipScores:
    names = hashlib.sha256(json.dumps([[clip.id, clip.group] for clip in clips]).encode()).hexdigest()[:16]
    by_clip = [each.by_clip for each in found if each.by_clip is not None]
    values, weights = np.concatenate(by_clip, axis=1) if len(by_clip) == len(found) else (None, None)
    return ClipScores(names, resampled, values, weights, groups, seed, metric.aggregate)


@dataclass(frozen=True)
class _ScoredFold:
    by_seed: Float64[np.ndarray, "seed"]
    resampled: Float64[np.ndarray, "draw"]  # in each distinct resample
    by_clip: Float64[np.ndarray, "2 clip"] | None  # values and weights


def _score_fold(fold: Tested, place: int, groups: Int64[np.ndarray, "clip"], draws: Draws, workers: int) -> _ScoredFold:
    """Score a fold with one of the metrics; all but the values of the seeds are averaged over seeds."""
    references = [clip.reference for clip in fold.clips]
    found = [
        _score(task.metrics[place], references, own, groups, draws, workers)
        for task, own in zip(fold.tasks, fold.estimates, strict=True)
    ]
    by_clip = [each.by_clip for each in found if each.by_clip is not None]
    return _ScoredFold(
        by_seed=np.array([each.value for each in found]),
        resampled=np.asarray(np.mean([each.resampled for each in found], axis=0)),
        by_clip=np.asarray(np.mean(by_clip, axis=0)) if by_clip else None,
    )


def _mass(groups: Int64[np.ndarray, "clip"], draws: Draws) -> Float64[np.ndarray, "draw"]:
    """Return the number of draws of the groups of a fold in each distinct resample, divided by its expectation."""
    is_own = np.zeros(draws.counts.shape[1])
    is_own[np.unique(groups)] = 1
    return np.asarray(draws.sums(is_own) / is_own.sum())


def _over_folds(
    values: Float64[np.ndarray, "fold value"], masses: Float64[np.ndarray, "fold _value"], metric: Metric
) -> Float64[np.ndarray, "value"]:
    """Average values over the folds in which they are defined; counts are added up."""
    masses = np.where(np.isfinite(values), masses, 0.0)
    if metric.aggregate == "sum":
        return np.asarray(np.nansum(values, axis=0))  # a resample counts what it draws
    with np.errstate(invalid="ignore"):
        return np.asarray((np.where(masses > 0, values, 0.0) * masses).sum(axis=0) / masses.sum(axis=0))


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
        weighted = weighted_scores(metric, references, estimates, workers)
        value, (values, weights) = aggregated(metric, weighted), weighted
        if metric.aggregate == "mean" and not weights.sum() > 0:  # nothing in these references can be compared
            return _Scored(value, np.full(len(draws.counts), np.nan))
        return _Scored(value, resampled_aggregate(values, weights, groups, draws, metric.aggregate), weighted)
    value = float(metric.score(references, estimates))
    resample = metric.resample or partial(_resample_set, metric)
    return _Scored(value, np.concatenate([resample(references, estimates, each) for each in draws.of_clips(groups)]))


def _interval(resampled: Float64[np.ndarray, "resample"], value: float, metric: Metric) -> tuple[float, float]:
    """Return percentiles of the resamples, moved so that their mean is the value.

    Means of clips need no move. Average precision is larger in resamples than in the split, which have fewer distinct
    groups and positive clips: unmoved, intervals over six sites lay too high and covered 79 instead of 95 %.
    """
    tail = 50 * (1 - COVERAGE)
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])  # a resample can lack every clip of a label
    if metric.aggregate != "set":
        return float(low), float(high)
    bias = float(np.nanmean(resampled)) - value
    lowest, highest = sorted((metric.worst, metric.best))
    return float(np.clip(low - bias, lowest, highest)), float(np.clip(high - bias, lowest, highest))


def _resample_set(
    metric: SetMetric, references: Sequence[object], estimates: Sequence[object], counts: Counts
) -> Float64[np.ndarray, "resample"]:
    def value(count: Int64[np.ndarray, "clip"]) -> float:
        drawn = np.repeat(np.arange(len(references)), count).tolist()
        if not drawn:  # none of the groups of a fold
            return float("nan")
        return metric.score([references[i] for i in drawn], [estimates[i] for i in drawn])

    return np.array([value(count) for count in counts], dtype=np.float64)
