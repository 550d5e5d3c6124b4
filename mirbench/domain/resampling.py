"""Bootstrap over groups of related clips: which groups each resample draws.

The draws follow from the number of groups and a seed, so they are equal for all encoders: results can be compared in
pairs, and resampled means need not be stored.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float64, Int64, UInt16

N_RESAMPLES = 10_000
MAX_GROUPS = 2**16 - 1
AT_ONCE = 1000  # resamples; bounds memory
CELLS_AT_ONCE = 2**23  # resamples times clips; bounds memory


@dataclass(frozen=True, eq=False)
class Draws:
    """Number of draws of each group in each resample; of few groups, many resamples are equal.

    Attributes
    ----------
    counts
        How often each group is drawn, for each distinct resample.
    first
        Number of the first resample that is equal to each distinct one.
    places
        Number of the distinct resample to which each resample is equal.
    """

    counts: UInt16[np.ndarray, "draw group"]
    first: Int64[np.ndarray, "draw"]
    places: Int64[np.ndarray, "resample"]

    @cached_property
    def digest(self) -> str:
        """Hash of the draws: another version of numpy may draw others from the same seed."""
        return hashlib.sha256(self.counts.tobytes() + self.places.tobytes()).hexdigest()[:16]

    def of_clips(self, groups: Int64[np.ndarray, "clip"]) -> Iterator[Int64[np.ndarray, "_draw clip"]]:
        """Yield how often each clip is drawn in each distinct resample, some resamples at a time.

        Parameters
        ----------
        groups
            Number of the group of each clip.
        """
        step = max(1, min(AT_ONCE, CELLS_AT_ONCE // max(1, len(groups))))
        for start in range(0, len(self.counts), step):
            yield self.counts[start : start + step][:, groups].astype(np.int64)

    def sums(self, of_groups: Float64[np.ndarray, "group"]) -> Float64[np.ndarray, "draw"]:
        """Return the sum of a value over the groups of each distinct resample.

        Parameters
        ----------
        of_groups
            Value of each group.
        """
        starts = range(0, len(self.counts), AT_ONCE)
        parts = [self.counts[start : start + AT_ONCE].astype(np.float64) @ of_groups for start in starts]
        return np.concatenate(parts)


@lru_cache(maxsize=4)
def draw(n_groups: int, seed: int, n_resamples: int = N_RESAMPLES) -> Draws:
    """Draw as many groups as there are, with replacement, for each resample.

    Parameters
    ----------
    n_groups
        Number of groups in the test split.
    seed
        Seed of the bootstrap.
    n_resamples
        Number of resamples. The first ones are the same whatever their number.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    if not 1 <= n_groups <= MAX_GROUPS or not 1 <= n_resamples <= N_RESAMPLES:
        raise ValueError(
            f"{n_resamples} resamples of {n_groups} groups; expected 1 to {N_RESAMPLES} of 1 to {MAX_GROUPS}"
        )
    random, shares = np.random.default_rng(seed), np.full(n_groups, 1 / n_groups)
    sizes = [min(AT_ONCE, n_resamples - start) for start in range(0, n_resamples, AT_ONCE)]
    drawn = np.concatenate([random.multinomial(n_groups, shares, size=size).astype(np.uint16) for size in sizes])
    counts, first, places = np.unique(drawn, axis=0, return_index=True, return_inverse=True)
    return Draws(counts, first.astype(np.int64), places.reshape(-1).astype(np.int64))


def resampled_aggregate(
    values: Float64[np.ndarray, "clip"],
    weights: Float64[np.ndarray, "clip"],
    groups: Int64[np.ndarray, "clip"],
    draws: Draws,
    aggregate: str,
) -> Float64[np.ndarray, "draw"]:
    """Return the weighted mean, or the sum, of the clips in each distinct resample; nan where none has a weight.

    Parameters
    ----------
    values, weights
        Score of each clip, and its weight in the mean.
    groups
        Number of the group of each clip.
    draws
        How often each group is drawn.
    aggregate
        "mean" or "sum".
    """
    n_groups = draws.counts.shape[1]
    if aggregate == "sum":
        return draws.sums(np.bincount(groups, values, n_groups))
    of_groups = (np.bincount(groups, each, n_groups) for each in (values * weights, weights))
    total, mass = (draws.sums(each) for each in of_groups)
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample can hold nothing but clips without weight
        return np.asarray(total / mass)
