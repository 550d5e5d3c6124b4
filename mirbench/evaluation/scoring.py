"""Score clips one by one, in several processes where that takes long."""

import pickle
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float64

from mirbench.domain import ClipMetric, Metric
from mirbench.processes import process_pool

SECONDS_ALONE = 10.0  # for which starting processes does not pay
SECONDS_MEASURED = 0.5
N_PIECES = 8  # for each process, so that none waits long for the others

Score = float | tuple[float, float]
ScoreFunction = Callable[[Any, Any], Score]


def score_clips(score: ScoreFunction, references: Sequence[Any], estimates: Sequence[Any], workers: int) -> list[Score]:
    """Score every clip; the same numbers, in the same order, whatever the number of processes.

    A function that cannot be sent to another process (a lambda, say) is called in this one.
    """
    pairs = list(zip(references, estimates, strict=True))
    found: list[Score] = []
    started = time.perf_counter()
    while len(found) < len(pairs) and time.perf_counter() - started < SECONDS_MEASURED:
        found.append(score(*pairs[len(found)]))
    rest = pairs[len(found) :]
    seconds = (time.perf_counter() - started) / max(1, len(found)) * len(rest)
    if workers < 2 or seconds < SECONDS_ALONE or not _can_be_sent(score, rest):
        return found + [score(*pair) for pair in rest]
    size = -(-len(rest) // (workers * N_PIECES))
    pieces = [rest[start : start + size] for start in range(0, len(rest), size)]
    with process_pool(workers) as pool:
        return found + list(chain.from_iterable(pool.map(_score_piece, [score] * len(pieces), pieces)))


def value_of(metric: Metric, references: Sequence[Any], estimates: Sequence[Any], workers: int = 1) -> float:
    """Return the value of a metric on a test split, without an interval; nan where nothing can be compared."""
    if not isinstance(metric, ClipMetric):
        return float(metric.score(references, estimates))
    return aggregated(metric, weighted_scores(metric, references, estimates, workers))


def weighted_scores(
    metric: ClipMetric, references: Sequence[Any], estimates: Sequence[Any], workers: int
) -> Float64[np.ndarray, "2 clip"]:
    """Return the score of each clip, and its weight in the average (1 where the metric has no weights)."""
    scored = score_clips(metric.score, references, estimates, workers)
    return np.array([each if isinstance(each, tuple) else (each, 1.0) for each in scored], dtype=np.float64).T


def aggregated(metric: ClipMetric, weighted: Float64[np.ndarray, "2 clip"]) -> float:
    """Return the sum or the weighted mean of the scores of clips; nan for the mean of clips without weight."""
    values, weights = weighted
    if metric.aggregate == "sum":
        return float(values.sum())
    return float(values @ weights / weights.sum()) if weights.sum() > 0 else float("nan")


def _can_be_sent(score: ScoreFunction, pairs: Sequence[tuple[Any, Any]]) -> bool:
    try:
        pickle.loads(pickle.dumps((score, pairs[:1])))
    except Exception:  # whatever a plugin's objects raise
        return False
    return True


def _score_piece(score: ScoreFunction, pairs: Sequence[tuple[Any, Any]]) -> list[Score]:
    return [score(*pair) for pair in pairs]
