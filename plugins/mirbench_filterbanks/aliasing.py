"""Alias terms of strided convolutions, and frame bounds from them.

In the Fourier domain, the frame operator of a convolution with stride d is a sum of d products: bin k of S x is the sum
over n of conj(G_n[k]) times bin k - n L / d of x. G_0 is the power response over d, and a G_n with n >= 1 weighs the
n-th alias. A bank is tight where G_0 is constant and the others are 0. Theorems are those of arXiv 2507.06152.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Inexact

from mirbench_filterbanks.bounds import frame_blocks, shortest_signal

Kernels = Inexact[torch.Tensor, "channel tap"]
AliasTerms = Complex[torch.Tensor, "alias frequency"]


def alias_terms(kernels: Kernels, hop_length: int, n_samples: int) -> AliasTerms:
    """Compute G_n[k] = 1 / d times the sum over channels of W[k] conj(W[k - n L / d]). Differentiable.

    Parameters
    ----------
    kernels
        Real or complex, for real signals; computed in double precision.
    hop_length
        The stride in samples.
    n_samples
        Of the circular signal.
    """
    blocks = frame_blocks(kernels, hop_length, n_samples).conj()  # entry (a, b) is now W_a conj(W_b)
    row = torch.arange(hop_length, device=blocks.device)
    terms = blocks[:, row, (row - row[:, None]) % hop_length]  # [block, n, a]
    return terms.permute(1, 2, 0).flatten(1)


def alias_bounds(terms: AliasTerms) -> tuple[float, float]:
    """Return a number that A cannot be below and one that B cannot be above (theorem 3.3).

    The first can be negative, and then says nothing. Both hold for the length of signal that the terms were computed
    at, and not for longer ones.

    Parameters
    ----------
    terms
        From `alias_terms`.
    """
    others = terms[1:].abs().sum(0)
    return float((terms[0].real - others).min()), float((terms[0].real + others).max())


@dataclass(frozen=True)
class UniversalBounds:
    """Bounds for signals of every length.

    Attributes
    ----------
    lower
        What A cannot be below; None where the theorem says nothing, as for all banks far from tight.
    upper
        What B cannot be above.
    """

    lower: float | None
    upper: float


def universal_bounds(kernels: Kernels, hop_length: int) -> UniversalBounds:
    """Bound A and B for signals of any length from the Fourier coefficients of the alias terms (theorem 3.5).

    With coefficients over L: over the root of L, as printed, the lower bound is negative even for tight banks.

    Parameters
    ----------
    kernels
        Real or complex, for real signals.
    hop_length
        The stride in samples.
    """
    coefficients = alias_coefficients(kernels, hop_length)
    upper = float(coefficients.abs().sum())
    lower = 2 * float(coefficients[0, 0].real) - upper
    return UniversalBounds(lower if lower > 0 else None, upper)


def alias_coefficients(kernels: Kernels, hop_length: int) -> Complex[torch.Tensor, "alias lag"]:
    """Return the Fourier coefficients of the alias terms; the same for signals of any length, but for zeros.

    Parameters
    ----------
    kernels
        Real or complex, for real signals.
    hop_length
        The stride in samples.
    """
    n_samples = shortest_signal(kernels.shape[-1], hop_length)
    return torch.fft.fft(alias_terms(kernels, hop_length, n_samples)) / n_samples


def parseval_error(terms: AliasTerms) -> Float[torch.Tensor, ""]:
    """Return what the norm of S - I cannot be above: the largest |G_0 - 1|, plus the largest of each other term.

    Parameters
    ----------
    terms
        From `alias_terms`.
    """
    return (terms[0] - 1).abs().max() + terms[1:].abs().amax(1).sum()


def alias_ratio(terms: AliasTerms) -> float:
    """Return the energy of the alias terms over that of G_0.

    Parameters
    ----------
    terms
        From `alias_terms`.
    """
    return float(terms[1:].abs().square().sum() / terms[0].abs().square().sum())


def power_spread_db(terms: AliasTerms) -> float:
    """Return the largest over the smallest G_0 in dB: the condition number of the bank without stride.

    Parameters
    ----------
    terms
        From `alias_terms`.
    """
    power = terms[0].real
    return float(10 * (power.max() / power.min()).log10())
