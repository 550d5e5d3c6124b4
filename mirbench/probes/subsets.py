"""Parts of a training split for few-shot curves: nested, stratified, of whole groups."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

N_LOOKED_AT = 64  # groups among which the next one is sought


def subset(
    masses: Float64[np.ndarray, "clip label"], groups: Sequence[str], fraction: float, seed: int
) -> Int64[np.ndarray, "chosen"]:
    """Choose clips.

    A smaller fraction's clips are all among a larger one's. Groups are whole, so that a part holds at least the
    asked share of the clips, and one group more at most.

    Parameters
    ----------
    masses
        How much of each label a clip has.
    seed
        Of the order in which groups are looked at.
    """
    names, members = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(members)
    own = np.zeros((len(names), masses.shape[1]))
    np.add.at(own, members, masses)
    share = own.sum(axis=0) / max(own.sum(), 1e-12)
    wanted = max(1, math.ceil(fraction * len(groups) - 1e-9))
    waiting, total = list(order), np.zeros(masses.shape[1])
    chosen: list[int] = []
    while sum(sizes[chosen]) < wanted:
        looked_at = waiting[:N_LOOKED_AT]
        after = total + own[looked_at]
        distance = np.abs(after / np.maximum(after.sum(axis=1, keepdims=True), 1e-12) - share).sum(axis=1)
        nearest = looked_at[int(distance.argmin())]
        waiting.remove(nearest)
        chosen.append(nearest)
        total += own[nearest]
    return np.flatnonzero(np.isin(members, chosen))
