"""Order encoders over tasks: the mean win rate over the other encoders, and the rank with its interval.

In each bootstrap resample of a task's test split, an encoder wins against those that score lower and half wins against
those that score the same; all meet the same resamples. The win rate is the share of wins, averaged over the other
encoders, tasks and resamples: each task counts the same, whatever the scale of its metric and however poor the worst
score. Win rates average 1/2 over the encoders; an encoder that is best everywhere has 1.

A task that an encoder lacks is lost against every encoder that has it, and drawn with those that lack it too: no result
could lower its win rate. The rank's interval is that of the ranks by win rate in each resample (2.5th to 97.5th
percentile), of each encoder by itself: it is not corrected for the number of encoders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from mirbench.domain import ClipScores, Result
from mirbench.results.records import identity

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Standing:
    """The place of an encoder among the others.

    Attributes
    ----------
    win_rate
        Mean win rate over the other encoders, from 0 to 1.
    rank
        Place by win rate, from 1; encoders with equal win rates share it.
    low, high
        Bounds of the rank's 95 % interval; None where resamples of some result are not kept.
    """

    win_rate: float
    rank: int
    low: int | None
    high: int | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return ordinal(self.rank)
        return ordinal(self.low) if self.low == self.high else f"{ordinal(self.low)} to {ordinal(self.high)}"


def standings_of(
    columns: Sequence[Mapping[str, Result]], scores: Mapping[str, ClipScores], encoders: Sequence[str]
) -> dict[str, Standing]:
    """Return the place of each encoder; empty where there is only one, or nothing to win.

    Parameters
    ----------
    columns
        Results of a headline on one data set, by encoder.
    scores
        Scores of clips, by identifier of the record. Where one is not there, the value stands for its resamples, and
        there are no intervals.
    encoders
        Names of all encoders.
    """
    if len(encoders) < 2 or not columns:
        return {}
    kept = [[scores.get(identity(result)) for result in column.values()] for column in columns]
    lengths = [len(each.resampled) for column in kept for each in column if each is not None]
    n_resamples = min(lengths, default=1)  # the first draws are equal, whatever their number
    has_intervals = all(each is not None for column in kept for each in column)
    wins = np.zeros((len(encoders), n_resamples))
    for column in columns:
        values = np.full((len(encoders), n_resamples), -np.inf)
        for place, encoder in enumerate(encoders):
            if encoder in column:
                values[place] = _resamples(column[encoder], scores, n_resamples)
        wins += _wins(values)
    total = wins.sum(axis=1)
    ranks = _ranks(wins)
    points = _ranks(total[:, None])[:, 0]
    scale = len(columns) * (len(encoders) - 1)
    low = np.percentile(ranks, PERCENTILES[0], axis=1, method="lower")
    high = np.percentile(ranks, PERCENTILES[1], axis=1, method="higher")
    return {
        encoder: Standing(
            win_rate=float(total[place] / (n_resamples * scale)),
            rank=int(points[place]),
            low=int(min(low[place], points[place])) if has_intervals else None,
            high=int(max(high[place], points[place])) if has_intervals else None,
        )
        for place, encoder in enumerate(encoders)
    }


def _resamples(result: Result, scores: Mapping[str, ClipScores], n_resamples: int) -> Float64[np.ndarray, "resample"]:
    """Return the value of a metric in each resample, larger is better; what is not defined comes last."""
    kept = scores.get(identity(result))
    values = np.full(n_resamples, result.value) if kept is None else kept.resampled[:n_resamples]
    values = values if result.higher_is_better else -values
    return np.asarray(np.where(np.isnan(values), -np.inf, values))


def _wins(values: Float64[np.ndarray, "encoder resample"]) -> Float64[np.ndarray, "encoder resample"]:
    """Count the encoders that each one beats, those with the same value half."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, axis=0) - 1)


def _ranks(wins: Float64[np.ndarray, "encoder resample"]) -> Float64[np.ndarray, "encoder resample"]:
    """Return ranks from 1, the most wins first; equal ones share the better rank."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(-wins, method="min", axis=0), dtype=np.float64)


def ordinal(number: int) -> str:
    """Return a number as an ordinal, such as "1st".

    Parameters
    ----------
    number
        A number from 1.
    """
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
