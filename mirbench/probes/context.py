"""Context for frames: a frame beside the means of what lies before and after it.

A frame of 23 ms cannot hold a burst of an alarm or the rise of an onset, and encoders differ in how much a frame
represents of its surroundings. Probes of frame tasks may therefore use, beside the frame itself, the means over four
windows of 0.125 s that reach from 0.25 s before it to 0.25 s after it. A window in which no frame lies, at the frame
rate of the encoder, is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64

WINDOW = 0.125  # seconds
WINDOWS = ((-2, -1), (-1, 0), (0, 1), (1, 2))  # borders in windows, from the frame's centre
MAX_DIMS = 2048  # of a frame with its context; a frame of more dimensions is projected first
ROUNDING = 1e-6  # of frame times, relative to the distance of frames
Offsets = tuple[tuple[int, int], ...]  # first and last frame of each window, relative to the frame


def offsets_of(times: Float64[np.ndarray, "time"]) -> Offsets:
    """Return the windows that hold frames, as first and last frame relative to the frame itself.

    Parameters
    ----------
    times
        Evenly spaced centres of frames in seconds.
    """
    if len(times) < 2:
        return ()
    per_second = (len(times) - 1) / float(times[-1] - times[0])
    found = []
    for low, high in WINDOWS:
        if high <= 0:  # borders belong to the window that is farther from the frame
            first = np.ceil(low * WINDOW * per_second - ROUNDING)
            last = -1 if high == 0 else np.ceil(high * WINDOW * per_second - ROUNDING) - 1
        else:
            first = 1 if low == 0 else np.floor(low * WINDOW * per_second + ROUNDING) + 1
            last = np.floor(high * WINDOW * per_second + ROUNDING)
        if first <= last:
            found.append((int(first), int(last)))
    return tuple(found)


def in_context(values: Float32[np.ndarray, "time dim"], offsets: Offsets) -> Float32[np.ndarray, "time wide"]:
    """Return frames beside the means of their windows.

    Parameters
    ----------
    values
        Frames of one clip.
    offsets
        Windows, see `offsets_of`. At the borders of a clip a window is what lies inside; if nothing does, the frame
        that is nearest.
    """
    n_frames, n_dims = values.shape
    sums = np.zeros((n_frames + 1, n_dims))
    np.cumsum(values, axis=0, dtype=np.float64, out=sums[1:])
    found = np.empty((n_frames, (1 + len(offsets)) * n_dims), dtype=np.float32)
    found[:, :n_dims] = values
    places = np.arange(n_frames)
    for number, (first, last) in enumerate(offsets, 1):
        start = np.clip(places + first, 0, n_frames - 1)
        stop = np.clip(places + last, 0, n_frames - 1) + 1
        found[:, number * n_dims : (number + 1) * n_dims] = (sums[stop] - sums[start]) / (stop - start)[:, None]
    return found


@dataclass(frozen=True)
class Projection:
    """The first principal components of standardised frames.

    Attributes
    ----------
    mean
        Mean of each dimension over the training frames.
    components
        Maps centred frames to components; standardisation is folded into it.
    """

    mean: Float64[np.ndarray, "dim"]
    components: Float64[np.ndarray, "dim rank"]

    @property
    def rank(self) -> int:
        """Number of components."""
        return int(self.components.shape[1])

    @classmethod
    def fitted(cls, parts: Sequence[Float[np.ndarray, "_time dim"]], rank: int) -> "Projection":
        """Return the components of highest variance in training frames.

        Parameters
        ----------
        parts
            Frames, clip by clip.
        rank
            Number of components.
        """
        n_dims = parts[0].shape[1]
        n_rows, total, products = 0, np.zeros(n_dims), np.zeros((n_dims, n_dims))
        for part in parts:
            rows = np.asarray(part, dtype=np.float64)
            n_rows, total, products = n_rows + len(rows), total + rows.sum(axis=0), products + rows.T @ rows
        mean = total / n_rows
        covariance = products / n_rows - np.outer(mean, mean)
        deviation = np.sqrt(np.maximum(np.diag(covariance), 0))
        scale = np.where(deviation > 1e-6 * deviation.max(), 1 / np.maximum(deviation, 1e-300), 0.0)
        _, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
        return cls(mean, scale[:, None] * vectors[:, ::-1][:, :rank])

    def __call__(self, values: Float[np.ndarray, "time dim"]) -> Float32[np.ndarray, "time rank"]:
        """Return the components of frames."""
        return np.asarray((values - self.mean) @ self.components, dtype=np.float32)


class ContextRows:
    """Frames in context, made when they are read: an array of float32 to `np.asarray`.

    Parameters
    ----------
    values
        Frames of one clip; may be memory-mapped.
    offsets
        Windows, see `offsets_of`.
    projection
        Applied to the frames first; None for none.
    """

    ndim = 2

    def __init__(self, values: Float[np.ndarray, "time dim"], offsets: Offsets, projection: Projection | None) -> None:
        self._values, self._offsets, self._projection = values, offsets, projection
        n_dims = values.shape[1] if projection is None else projection.rank
        self.shape = (len(values), (1 + len(offsets)) * n_dims)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self._values if self._projection is None else self._projection(self._values)
        return in_context(np.asarray(values, dtype=np.float32), self._offsets)
