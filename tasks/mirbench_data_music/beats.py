"""Beats: times that rise."""

import numpy as np
from jaxtyping import Float64


def rising(times: Float64[np.ndarray, "_beat"]) -> Float64[np.ndarray, "_beat"] | None:
    """Sort beats and drop those that are given twice, or lie before the beginning; None if there are none."""
    known = times[np.isfinite(times) & (times >= 0)]
    beats: Float64[np.ndarray, "_beat"] = np.unique(known).astype(np.float64)
    return beats if len(beats) else None
