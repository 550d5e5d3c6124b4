"""Rows of features for a probe: standardised, in chunks, within a bound on memory."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64

CHUNK = 2048  # rows; fixed, so that sums do not depend on how much memory there is
SMALLEST_DEVIATION = 1e-8
Chunk = Float32[torch.Tensor, "row dim"]


class Rows:
    """Standardised rows with a last column of ones; kept in memory if they fit, else made anew in every pass.

    Parameters
    ----------
    parts
        Features, clip by clip; may be memory-mapped.
    used
        Which rows of all parts together to take; None for all.
    memory
        In bytes; what the rows may take.
    """

    def __init__(
        self,
        parts: Sequence[Float32[np.ndarray, "_row dim"]],
        used: Bool[np.ndarray, "row"] | None = None,
        *,
        memory: float,
        device: str = "cpu",
    ) -> None:
        self._parts, self._used, self.device = parts, used, device
        n_rows = sum(len(part) for part in parts)
        self.n_rows = n_rows if used is None else int(used.sum())
        self.n_dims = parts[0].shape[1]
        self.mean, self.scale = self._statistics()
        fits = 4 * self.n_rows * (self.n_dims + 1) <= memory
        self._kept = self._together().split(CHUNK) if fits else None

    def _statistics(self) -> tuple[Float64[np.ndarray, "dim"], Float64[np.ndarray, "dim"]]:
        """Compute means, and the inverse of deviations; 0 where a feature is constant."""
        mean = sum(chunk.sum(axis=0, dtype=np.float64) for chunk in in_chunks(self._parts, self._used)) / self.n_rows
        squares = sum(np.square(chunk - mean).sum(axis=0) for chunk in in_chunks(self._parts, self._used))
        deviation = np.sqrt(squares / self.n_rows)
        varies = deviation > SMALLEST_DEVIATION * np.maximum(1, np.abs(mean))
        return mean, np.where(varies, 1 / np.where(varies, deviation, 1), 0)

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


def in_chunks(
    parts: Sequence[Float32[np.ndarray, "_row dim"]], used: Bool[np.ndarray, "row"] | None
) -> Iterator[Float32[np.ndarray, "row dim"]]:
    """Fill chunks from the used rows of the parts."""
    waiting: list[np.ndarray] = []
    n_waiting = position = 0
    for part in parts:
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
