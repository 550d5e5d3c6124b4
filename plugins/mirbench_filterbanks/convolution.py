"""Analysis by strided convolution with a bank of kernels, and synthesis by its transpose.

Coefficient n of channel j is the convolution of signal and kernel at sample `n * hop_length`, kernels being centred on
tap `kernel_length // 2`. For circular signals, analysis is a matrix Phi; a bank is a tight frame where the transpose of
Phi, times Phi, is A times the identity. The trace says which A: the energy of all taps over the hop.

Clips are not circular. They are continued by zeros or mirrored, far enough for every frame that is centred inside; the
continued clip is taken as circular. So `decode` returns the clip exactly where the bank is tight, its ends included.
"""

from typing import Literal

import torch
from jaxtyping import Float, Inexact
from torch.nn import functional

from mirbench_filterbanks.kernels import as_real

Padding = Literal["circular", "zeros", "reflect"]
Signal = Float[torch.Tensor, "batch sample"]
Coefficients = Inexact[torch.Tensor, "batch channel frame"]
Kernels = Inexact[torch.Tensor, "channel tap"]


def n_frames_before(kernel_length: int, hop_length: int, padding: Padding) -> int:
    """Return how many frames lie before the one that is centred on the clip's first sample.

    Parameters
    ----------
    kernel_length
        In taps.
    hop_length
        In samples.
    padding
        How clips are continued; circular ones are not, and have no such frames.
    """
    return 0 if padding == "circular" else -(-(kernel_length // 2) // hop_length)


def analyse(signal: Signal, kernels: Kernels, hop_length: int, padding: Padding = "circular") -> Coefficients:
    """Return the coefficients of a signal: complex for complex kernels. Differentiable in both.

    Parameters
    ----------
    signal
        Real.
    kernels
        In the precision of the signal.
    hop_length
        In samples.
    padding
        What lies beyond the clip's ends. With "zeros" and "reflect" there are also frames centred there:
        `n_frames_before` the first sample, and as many or one more after the last.

    Raises
    ------
    ValueError
        Where a circular signal is no multiple of the hop, or a signal is shorter than the kernels or than what is to
        be mirrored.
    """
    n_taps = kernels.shape[-1]
    if padding != "circular":
        signal = _continued(signal, n_taps, hop_length, padding)
    _check_circular(signal.shape[-1], n_taps, hop_length)
    left, right = _reach(n_taps)
    wrapped = functional.pad(signal[:, None], (left, right), mode="circular")
    coefficients = functional.conv1d(wrapped, as_real(kernels).flip(-1)[:, None], stride=hop_length)
    return torch.complex(*coefficients.chunk(2, dim=1)) if kernels.is_complex() else coefficients


def transpose(
    coefficients: Coefficients, kernels: Kernels, hop_length: int, n_samples: int, padding: Padding = "circular"
) -> Signal:
    """Return the transpose of `analyse` for circular signals, cut to the clip. Differentiable in both.

    Parameters
    ----------
    coefficients
        Complex where the kernels are; what they become is real.
    kernels
        Those of the analysis.
    hop_length
        In samples.
    n_samples
        Of the clip.
    padding
        That of the analysis.

    Raises
    ------
    ValueError
        Where the number of frames is not that of such a clip.
    """
    n_taps = kernels.shape[-1]
    before = n_frames_before(n_taps, hop_length, padding)
    n_frames = 2 * before + -(-n_samples // hop_length)
    if coefficients.shape[-1] != n_frames:
        raise ValueError(
            f"{coefficients.shape[-1]} frames; expected {n_frames} for {n_samples} samples at a hop of {hop_length}"
            f" with padding {padding!r}"
        )
    total = n_frames * hop_length
    _check_circular(total, n_taps, hop_length)
    left, _ = _reach(n_taps)
    parts = torch.cat([coefficients.real, coefficients.imag], dim=1) if coefficients.is_complex() else coefficients
    taps = as_real(kernels).flip(-1)[:, None]
    wrapped = functional.conv_transpose1d(parts, taps, stride=hop_length, output_padding=hop_length - 1)[:, 0]
    signal = wrapped[:, left : left + total].clone()
    signal[:, total - left :] += wrapped[:, :left]
    signal[:, : wrapped.shape[-1] - left - total] += wrapped[:, left + total :]
    return signal[:, before * hop_length : before * hop_length + n_samples]


def decode(
    coefficients: Coefficients, kernels: Kernels, hop_length: int, n_samples: int, padding: Padding = "circular"
) -> Signal:
    """Return the signal that has these coefficients, if the bank is tight: the transpose over A.

    Where it is not, what is taken for A lies between the frame bounds, and the error of a circular clip is at most
    kappa - 1 times its norm.

    Parameters
    ----------
    coefficients
        From `analyse`, or changed since.
    kernels
        Those of the analysis.
    hop_length
        In samples.
    n_samples
        Of the clip.
    padding
        That of the analysis.
    """
    return transpose(coefficients, kernels, hop_length, n_samples, padding) / mean_bound(kernels, hop_length)


def mean_bound(kernels: Inexact[torch.Tensor, "channel *inputs tap"], hop_length: int) -> Float[torch.Tensor, ""]:
    """Return the mean eigenvalue of the frame operator: A and B of a tight frame, between them for others.

    The mean of the diagonal. With several input channels, each has its own sum of taps, and this is their mean.

    Parameters
    ----------
    kernels
        Real or complex.
    hop_length
        In samples.
    """
    n_inputs = kernels.shape[1:-1].numel()
    return kernels.abs().square().sum() / (hop_length * n_inputs)


def _reach(n_taps: int) -> tuple[int, int]:
    """Count the samples that a kernel needs before and after its centre."""
    return n_taps - 1 - n_taps // 2, n_taps // 2


def _continued(
    signal: Signal, n_taps: int, hop_length: int, padding: Padding
) -> Float[torch.Tensor, "batch continued"]:
    before = hop_length * n_frames_before(n_taps, hop_length, padding)
    n_samples = signal.shape[-1]
    after = before + -n_samples % hop_length
    if padding == "zeros":
        return functional.pad(signal, (before, after))
    if after >= n_samples:
        raise ValueError(f"{n_samples} samples cannot be mirrored for {after}; expected a longer clip, or use 'zeros'")
    return functional.pad(signal[:, None], (before, after), mode="reflect")[:, 0]


def _check_circular(n_samples: int, n_taps: int, hop_length: int) -> None:
    if n_samples % hop_length:
        raise ValueError(
            f"a circular signal of {n_samples} samples and a hop of {hop_length}; expected a multiple, or use 'zeros'"
        )
    if n_samples < n_taps:
        raise ValueError(f"a circular signal of {n_samples} samples and kernels of {n_taps} taps; expected longer ones")
