"""Rows of features for a probe: standardised, in chunks, within a bound on memory."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64

CHUNK = 2048  # rows; fixed, so that sums do not depend on how much memory there is
# Floor of a feature's deviation, relative to the root mean square of all deviations. Without one, a feature that is
# zero but for rounding in the training rows reaches 4e11 deviations in others (PESTO's activations). Features in units
# of their own (a centroid in Hz beside a rate of zero crossings) differ by four or five decades and must stay equal, so
# the floor is no higher: PESTO's chord score is .463 with 1e-5, .464 with 1e-4 and 1e-3, .091 without.
SMALLEST_DEVIATION = 1e-5
CONSTANT = 1e-12  # share of the same root mean square below which a feature is left out
# Bounds: the training range, widened by this share of it on either side. No feature of chroma, logmel or mt2 reaches
# them on the validation splits of the embedded data; at 0, .1 to .6 % of the values would.
MARGIN = 0.5
NEGLIGIBLE = 1e-12  # eigenvalue of a Gram matrix, relative to the largest, that is rounding
Chunk = Float32[torch.Tensor, "row dim"]


@runtime_checkable
class Part(Protocol):
    """Rows of one clip: an array of floats, or what `np.asarray` makes into one when the rows are needed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, and of dimensions."""

    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    def __array__(self) -> Callable[..., Any]:
        """Function that `np.asarray` calls for the rows."""


class Rows:
    """Standardised rows with a last column of ones; kept in memory if they fit, else made anew in every pass.

    Parameters
    ----------
    parts
        Features, clip by clip; may be memory-mapped.
    used
        Which rows of all parts together to take; None for all.
    measured
        Parts from whose rows the statistics are computed; None for those that are taken.
    memory
        In bytes; what the rows may take.

    Attributes
    ----------
    mean, scale
        Mean of each feature, and the inverse of its deviation (see `inverse_deviations`).
    low, high
        Bounds of each feature: the range of the training rows and `MARGIN` more on either side.
    basis
        Directions that span the standardised rows, one a column, if these are their coordinates (see `reduced`).
    """

    basis: Float64[np.ndarray, "dim kept"] | None = None

    def __init__(
        self,
        parts: Sequence[Part],
        used: Bool[np.ndarray, "row"] | None = None,
        *,
        measured: Sequence[Part] | None = None,
        memory: float,
        device: str = "cpu",
    ) -> None:
        self._parts, self._used, self.device = parts, used, device
        self.n_rows = _n_rows(parts, used)
        self.n_dims = parts[0].shape[1]
        statistics = self._statistics(parts, used) if measured is None else self._statistics(measured, None)
        self.mean, self.scale, self.low, self.high = statistics
        fits = 4 * self.n_rows * (self.n_dims + 1) <= memory
        self._kept = self._together().split(CHUNK) if fits else None

    def reduced(self) -> "Rows":
        """Return the coordinates of these rows in a basis of the space that they span.

        Where there are fewer rows than features, the optimum of a probe lies in this space, and the squared length of
        its weights is that of their coordinates: the same problem in the smaller dimension.
        """
        rows = self._together()[:, :-1].double()
        squared, left = torch.linalg.eigh(rows @ rows.T)
        kept = squared > NEGLIGIBLE * squared[-1]
        lengths = squared[kept].sqrt()
        coordinates = torch.ones(self.n_rows, int(kept.sum()) + 1, device=self.device)
        coordinates[:, :-1] = (left[:, kept] * lengths).float()
        found = copy.copy(self)
        found.n_dims = coordinates.shape[1] - 1
        found.basis = (rows.T @ (left[:, kept] / lengths)).cpu().numpy()
        found._kept = coordinates.split(CHUNK)
        return found

    def _statistics(
        self, parts: Sequence[Part], used: Bool[np.ndarray, "row"] | None
    ) -> tuple[Float64[np.ndarray, "dim"], ...]:
        """Compute means, inverse deviations and bounds."""
        n_rows = _n_rows(parts, used)
        mean = sum(chunk.sum(axis=0, dtype=np.float64) for chunk in in_chunks(parts, used)) / n_rows
        squares, low, high = np.zeros(self.n_dims), np.full(self.n_dims, np.inf), np.full(self.n_dims, -np.inf)
        for chunk in in_chunks(parts, used):
            squares = squares + np.square(chunk - mean).sum(axis=0)
            low, high = np.minimum(low, chunk.min(axis=0)), np.maximum(high, chunk.max(axis=0))
        margin = MARGIN * (high - low)
        return mean, inverse_deviations(np.sqrt(squares / n_rows), mean), low - margin, high + margin

    def _together(self) -> Float32[torch.Tensor, "all dim"]:
        rows = torch.empty(self.n_rows, self.n_dims + 1, device=self.device)
        start = 0
        for chunk in self._made():
            rows[start : start + len(chunk)] = chunk
            start += len(chunk)
        return rows

    def chunks(self) -> Iterator[tuple[slice, Chunk]]:
        """Go through all rows."""
        start = 0
        for chunk in self._made() if self._kept is None else self._kept:
            yield slice(start, start + len(chunk)), chunk
            start += len(chunk)

    def sample(self, n_rows: int) -> tuple[Chunk, Float32[torch.Tensor, "row"]]:
        """Take rows in proportion to their squared length (one half) and all alike (the other half).

        Few long rows may make up most of a Gram matrix, as where features are zero nearly everywhere.

        Returns
        -------
        rows, weights
            So weighted, sums over these stand for sums over all rows. All rows, at weight 1, if so many are wanted.
        """
        if n_rows >= self.n_rows:
            rows = torch.cat([chunk for _, chunk in self.chunks()])
            return rows, torch.ones(len(rows), device=self.device)
        lengths = torch.cat([chunk.square().sum(dim=1, dtype=torch.float64) for _, chunk in self.chunks()])
        share = (1 / self.n_rows + lengths / lengths.sum()) / 2
        steps = (torch.arange(n_rows, device=self.device, dtype=torch.float64) + 0.5) / n_rows
        chosen = torch.searchsorted(share.cumsum(0), steps).clamp(max=self.n_rows - 1)
        taken = [chunk[chosen[(chosen >= at.start) & (chosen < at.stop)] - at.start] for at, chunk in self.chunks()]
        return torch.cat(taken), (1 / (self.n_rows * share[chosen])).float()

    def _made(self) -> Iterator[Chunk]:
        for raw in in_chunks(self._parts, self._used):
            standardised = np.ones((len(raw), self.n_dims + 1), dtype=np.float32)
            standardised[:, :-1] = (raw - self.mean) * self.scale
            yield torch.from_numpy(standardised).to(self.device)


def _n_rows(parts: Sequence[Part], used: Bool[np.ndarray, "row"] | None) -> int:
    return sum(len(part) for part in parts) if used is None else int(used.sum())


def inverse_deviations(
    deviation: Float64[np.ndarray, "dim"], mean: Float64[np.ndarray, "dim"]
) -> Float64[np.ndarray, "dim"]:
    """Return what standardised features are multiplied by.

    The inverse of each feature's deviation, which is taken to be `SMALLEST_DEVIATION` of the root mean square over all
    features at least; 0 where it is below `CONSTANT` of that, or within rounding of the mean.
    """
    typical = float(np.sqrt(np.mean(np.square(deviation))))
    varies = deviation > np.maximum(CONSTANT * typical, 1e-8 * np.abs(mean))
    floored = np.maximum(deviation, SMALLEST_DEVIATION * typical)
    return np.where(varies, 1 / np.where(varies, floored, 1), 0)


def in_chunks(parts: Sequence[Part], used: Bool[np.ndarray, "row"] | None) -> Iterator[Float32[np.ndarray, "row dim"]]:
    """Fill chunks from the used rows of the parts."""
    waiting: list[np.ndarray] = []
    n_waiting = position = 0
    for lazy in parts:
        part = np.asarray(lazy, dtype=np.float32)
        chosen = part if used is None else part[used[position : position + len(part)]]
        position += len(part)
        while n_waiting + len(chosen) >= CHUNK:
            missing = CHUNK - n_waiting
            yield np.concatenate([*waiting, chosen[:missing]])
            waiting, n_waiting, chosen = [], 0, chosen[missing:]
        if len(chosen):
            waiting.append(chosen)
            n_waiting += len(chosen)
    if waiting:
        yield np.concatenate(waiting)
