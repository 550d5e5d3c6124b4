"""Hybrid filterbanks: fixed auditory kernels, each convolved with a short filter that is learned.

References
----------
D. Haider, F. Perfler, V. Lostanlen, M. Ehler and P. Balazs, "Hold me tight: stable encoder-decoder design for speech
enhancement", arXiv 2408.17358 (filters of 11 to 23 taps). The released code learns two real filters for the real and
the imaginary parts; here, as in the paper's equations, one complex filter.
"""

import math

import torch
from jaxtyping import Complex, Float, Inexact

Kernels = Inexact[torch.Tensor, "channel tap"]
# Residual hybrid filterbanks (SSP 2025). The relative variance of a real channel's energy is then at most 0.51, not 2.
RESIDUAL_MEAN = 2.5


def compose(
    auditory: Kernels, learned: Inexact[torch.Tensor, "channel short"]
) -> Inexact[torch.Tensor, "channel long"]:
    """Convolve each auditory kernel with its learned filter: `tap + short - 1` taps. Differentiable in both.

    Parameters
    ----------
    auditory
        Real or complex.
    learned
        Real or complex, of one precision with the auditory kernels.
    """
    n_taps = auditory.shape[-1] + learned.shape[-1] - 1
    composed = torch.fft.ifft(torch.fft.fft(auditory, n_taps) * torch.fft.fft(learned, n_taps))
    return composed if auditory.is_complex() or learned.is_complex() else composed.real


def initial_filters(
    n_channels: int,
    n_taps: int,
    initialisation: str = "residual",
    *,
    mean: float = RESIDUAL_MEAN,
    generator: torch.Generator | None = None,
) -> Complex[torch.Tensor, "channel short"]:
    """Draw complex filters whose energy is 1 in expectation, so that a tight bank keeps its A in expectation.

    `gaussian` and `uniform` draw the real and imaginary parts of all taps; `residual` adds an impulse to
    Gaussian taps, so that a channel begins near its auditory kernel; `impulse` is that kernel alone.

    Parameters
    ----------
    n_channels
        One filter each.
    n_taps
        11 to 23 in the paper.
    initialisation
        gaussian, uniform, residual or impulse.
    mean
        Of the tap in the middle for `residual`, over the root of the energy of all random taps: mu / (sigma sqrt(T)).
    generator
        Of the random numbers; None for the global one.

    Raises
    ------
    ValueError
        For another initialisation.
    """
    middle = torch.zeros(n_taps)
    middle[n_taps // 2] = 1
    parts = torch.zeros(2, n_channels, n_taps)
    sigma = 1 / math.sqrt(2 * n_taps)  # half of the energy from either part
    if initialisation in ("gaussian", "residual"):
        parts = sigma * torch.randn(2, n_channels, n_taps, generator=generator)
    elif initialisation == "uniform":
        parts = sigma * math.sqrt(3) * (2 * torch.rand(2, n_channels, n_taps, generator=generator) - 1)
    elif initialisation != "impulse":
        raise ValueError(f"unknown initialisation {initialisation!r}; expected gaussian, uniform, residual or impulse")
    shift = {"residual": mean, "impulse": 1.0}.get(initialisation, 0.0)
    energy = shift**2 + (initialisation != "impulse")
    return (torch.complex(*parts) + shift * middle) / math.sqrt(energy)


def learned_kappa(
    learned: Inexact[torch.Tensor, "channel short"], n_bins: int | None = None
) -> Float[torch.Tensor, ""]:
    """Return kappa of learned filters alone, which "Hold me tight" penalises: without stride and auditory kernels.

    The largest over the smallest sum of power responses. Differentiable. It bounds nothing of the hybrid bank, whose
    kappa is `bounds.frame_bounds` of the composed kernels.

    Parameters
    ----------
    learned
        Real or complex.
    n_bins
        Of the Fourier transform. None for four times the taps: at as many bins as taps, as in the authors' code, the
        response can be flat at all bins and not between them.
    """
    power = torch.fft.fft(learned, n_bins or 4 * learned.shape[-1]).abs().square().sum(0)
    return power.max() / power.min()
