"""What is minimised to make a bank tight, all differentiable in its kernels.

L_G and its length-independent form are those of arXiv 2507.06152, section 4. Neither is smooth at its minimum, and none
but the spectral one asks for A = 1: a tight bank is made Parseval by a factor, `tightening.normalised`.
"""

import torch
from jaxtyping import Float, Inexact

from mirbench_filterbanks.aliasing import alias_coefficients, alias_terms
from mirbench_filterbanks.bounds import frame_blocks, shortest_signal

Kernels = Inexact[torch.Tensor, "channel tap"]
Scalar = Float[torch.Tensor, ""]


def alias_objective(kernels: Kernels, hop_length: int, n_samples: int | None = None) -> Scalar:
    """Return L_G: the largest over the smallest G_0, minus 1, plus the norms of the other alias terms.

    Parameters
    ----------
    kernels
        Real or complex, for real signals.
    hop_length
        The stride in samples.
    n_samples
        Of the circular signal; None for `bounds.shortest_signal`, which fixes the terms at all lengths.
    """
    terms = _terms(kernels, hop_length, n_samples)
    power = terms[0].real
    return power.max() / power.min() - 1 + torch.linalg.vector_norm(terms[1:], dim=1).sum()


def coefficient_objective(kernels: Kernels, hop_length: int) -> Scalar:
    """Return the objective on Fourier coefficients: the sum of their moduli, less the mean of G_0. Half of B - A.

    B and A are those of theorem 3.5, so this one holds for signals of all lengths.

    Parameters
    ----------
    kernels
        Real or complex, for real signals.
    hop_length
        The stride in samples.
    """
    coefficients = alias_coefficients(kernels, hop_length)
    return coefficients.abs().sum() - coefficients[0, 0].real


def smooth_objective(kernels: Kernels, hop_length: int, n_samples: int | None = None) -> Scalar:
    """Return the mean squared distance of the frame operator from its mean bound, relative to that. Ours.

    The mean of (G_0 / m - 1)^2 and of the squares of the other terms over m^2, m being the mean of G_0: smooth, and 0
    only for tight banks.

    Parameters
    ----------
    kernels
        Real or complex, for real signals.
    hop_length
        The stride in samples.
    n_samples
        Of the circular signal; None for `bounds.shortest_signal`.
    """
    terms = _terms(kernels, hop_length, n_samples)
    relative = terms / terms[0].real.mean()
    return (relative[0].real - 1).square().mean() + relative[1:].abs().square().sum() / terms.shape[1]


def kappa_penalty(kernels: Kernels, hop_length: int, n_samples: int | None = None) -> Scalar:
    """Return the exact condition number minus 1, the stride included.

    Parameters
    ----------
    kernels
        Real or complex, for real signals.
    hop_length
        The stride in samples.
    n_samples
        Of the circular signal; None for `bounds.shortest_signal`.
    """
    eigenvalues = _eigenvalues(kernels, hop_length, n_samples)
    return eigenvalues.max() / eigenvalues.min() - 1


def spectral_objective(kernels: Kernels, hop_length: int, n_samples: int | None = None) -> Scalar:
    """Return the spectral norm of S - I: the baseline of the paper, which computes it from a dense matrix.

    Parameters
    ----------
    kernels
        Real or complex, for real signals.
    hop_length
        The stride in samples.
    n_samples
        Of the circular signal; None for `bounds.shortest_signal`.
    """
    return (_eigenvalues(kernels, hop_length, n_samples) - 1).abs().max()


def _terms(kernels: Kernels, hop_length: int, n_samples: int | None) -> torch.Tensor:
    return alias_terms(kernels, hop_length, n_samples or shortest_signal(kernels.shape[-1], hop_length))


def _eigenvalues(kernels: Kernels, hop_length: int, n_samples: int | None) -> torch.Tensor:
    n_samples = n_samples or shortest_signal(kernels.shape[-1], hop_length)
    return torch.linalg.eigvalsh(frame_blocks(kernels, hop_length, n_samples))
