"""Auditory frequency scales: ERB, mel and log10.

All three are logarithms: a frequency f lies at `rate * log(corner + f)` plus a constant that no filterbank depends on,
and the bandwidth of a filter at f is proportional to `corner + f`, the inverse of the scale's slope.

References
----------
B. R. Glasberg and B. C. J. Moore, "Derivation of auditory filter shapes from notched-noise data", Hearing Research 47,
1990 (ERB). D. O'Shaughnessy, *Speech Communication*, 1987 (mel). Bandwidths are those of D. Haider et al., "ISAC",
arXiv 2505.07709, and of its package hybra 2026.2.1.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Frequencies = Float64[np.ndarray, "*point"]


@dataclass(frozen=True)
class Scale:
    """A logarithmic scale of frequencies.

    Attributes
    ----------
    rate
        Units of the scale per factor e in `corner + f`.
    corner
        In Hz: the scale is linear far below it, logarithmic far above.
    relative_bandwidth
        Bandwidth at f, over `corner + f`; in Hz per Hz.
    """

    rate: float
    corner: float
    relative_bandwidth: float

    def from_hz(self, frequencies: Frequencies) -> Frequencies:
        """Return positions on the scale.

        Parameters
        ----------
        frequencies
            In Hz, above minus `corner`.
        """
        return np.asarray(self.rate * np.log(self.corner + frequencies))

    def to_hz(self, positions: Frequencies) -> Frequencies:
        """Return the frequencies in Hz at positions on the scale; the inverse of `from_hz`.

        Parameters
        ----------
        positions
            In units of the scale.
        """
        return np.asarray(np.exp(positions / self.rate) - self.corner)

    def bandwidth(self, frequencies: Frequencies) -> Frequencies:
        """Return bandwidths of auditory filters in units of the scale's definition: Hz for ERB.

        Parameters
        ----------
        frequencies
            In Hz.
        """
        return self.relative_bandwidth * (self.corner + frequencies)

    def frequency_of(self, bandwidth: float) -> float:
        """Return the frequency in Hz whose filter has a bandwidth; negative where no filter is that narrow.

        Parameters
        ----------
        bandwidth
            In the units of `bandwidth`.
        """
        return bandwidth / self.relative_bandwidth - self.corner


SCALES: dict[str, Scale] = {
    # 9.265 * log(1 + f / 228.8455), with bandwidths of 24.7 + f / 9.265 Hz
    "erb": Scale(rate=9.265, corner=24.7 * 9.265, relative_bandwidth=1 / 9.265),
    # 1000 at 1000 Hz; bandwidths as in hybra
    "mel": Scale(rate=1000 / math.log(17 / 7), corner=700.0, relative_bandwidth=math.log10(17 / 7) / 1000),
    "log10": Scale(rate=1 / math.log(10), corner=0.0, relative_bandwidth=1.0),
}


def scale_named(name: str) -> Scale:
    """Return a scale.

    Parameters
    ----------
    name
        One of erb, mel and log10.

    Raises
    ------
    ValueError
        For other names.
    """
    if name not in SCALES:
        raise ValueError(f"unknown scale {name!r}; expected one of {', '.join(SCALES)}")
    return SCALES[name]
