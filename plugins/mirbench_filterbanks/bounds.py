"""Exact frame bounds of strided convolutions over circular signals.

A and B are the largest and smallest numbers with A |x|^2 <= |Phi x|^2 <= B |x|^2 for all real signals x. A stride of d
maps a frequency and its d - 1 aliases onto each other and onto nothing else: in the Fourier domain the frame operator
falls into n_samples / d Hermitian blocks of size d, and A and B are the least and greatest of their eigenvalues.

References
----------
D. Haider et al., "Aliasing in convnets: a frame-theoretic perspective", arXiv 2507.06152: section 3 and, for several
input channels and dilation, section 5.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Inexact

from mirbench_filterbanks.kernels import as_real

# Of one input channel, or of several: then [channel, input, tap].
Kernels = Inexact[torch.Tensor, "channel *inputs tap"]
Blocks = Complex[torch.Tensor, "block alias alias"]


@dataclass(frozen=True)
class FrameBounds:
    """The bounds of |Phi x|^2 over |x|^2.

    Attributes
    ----------
    lower
        A; 0 where some signal has no coefficients, as always with fewer channels than stride times input channels.
    upper
        B.
    lower_in_range
        The least over signals that the filters can represent, where channels are fewer than stride times input
        channels; otherwise A.
    """

    lower: float
    upper: float
    lower_in_range: float

    @property
    def kappa(self) -> float:
        """The condition number B / A; infinite where the bank is no frame."""
        return self.upper / self.lower if self.lower > 0 else math.inf

    @property
    def kappa_db(self) -> float:
        """The condition number as a level in dB: bounds are energies, so 10 times the logarithm."""
        return 10 * math.log10(self.kappa)


def shortest_signal(kernel_length: int, hop_length: int) -> int:
    """Return the length from which on a circular signal has the alias terms' Fourier coefficients of any longer one.

    Parameters
    ----------
    kernel_length
        In taps, gaps of a dilation included.
    hop_length
        In samples; the length is a multiple of it.
    """
    return hop_length * -(-(2 * kernel_length - 1) // hop_length)


def frame_bounds(kernels: Kernels, hop_length: int, n_samples: int, dilation: int = 1) -> FrameBounds:
    """Compute the exact bounds.

    Parameters
    ----------
    kernels
        Real or complex; computed in double precision.
    hop_length
        The stride in samples.
    n_samples
        Of the circular signal, in each input channel: bounds of a short one do not hold for a longer one.
    dilation
        Distance of taps in samples.

    Raises
    ------
    ValueError
        Where the signal is no multiple of the hop, or is shorter than the kernels.
    """
    spectra = _polyphase(kernels.detach(), hop_length, n_samples, dilation)
    spectra = spectra[: len(spectra) // 2 + 1]  # the others are conjugates
    _, n_channels, n_aliases = spectra.shape
    is_short = n_channels < n_aliases
    gram = spectra @ spectra.mH if is_short else spectra.mH @ spectra
    eigenvalues = torch.linalg.eigvalsh(gram / n_aliases)
    upper = float(eigenvalues.max())
    least = max(0.0, float(eigenvalues.min()))
    least = 0.0 if least < _rounding(upper, n_aliases) else least
    return FrameBounds(0.0 if is_short else least, upper, least)


def frame_blocks(kernels: Kernels, hop_length: int, n_samples: int, dilation: int = 1) -> Blocks:
    """Return the blocks of the frame operator. Differentiable.

    Entry (a, b) of block k maps frequency k + b L / d to k + a L / d, L samples and a stride of d. With several input
    channels, C, it is that of signals whose samples are interlaced: C n_samples of them, and a stride of C d.

    Parameters
    ----------
    kernels
        Real or complex; computed in double precision.
    hop_length
        The stride in samples.
    n_samples
        Of the circular signal, in each input channel.
    dilation
        Distance of taps in samples.

    Raises
    ------
    ValueError
        Where the signal is no multiple of the hop, or is shorter than the kernels.
    """
    spectra = _polyphase(kernels, hop_length, n_samples, dilation)
    return spectra.mH @ spectra / spectra.shape[-1]


def _polyphase(
    kernels: Kernels, hop_length: int, n_samples: int, dilation: int
) -> Complex[torch.Tensor, "block real_channel alias"]:
    """Return the responses of all channels at a frequency and its aliases.

    For real signals, complex kernels are twice as many real ones, so that the blocks hold for complex signals as well.
    """
    kernels = as_real(kernels).double()
    if dilation > 1:
        spread = kernels.new_zeros(*kernels.shape[:-1], (kernels.shape[-1] - 1) * dilation + 1)
        spread[..., ::dilation] = kernels
        kernels = spread
    if n_samples % hop_length or n_samples < kernels.shape[-1]:
        raise ValueError(
            f"a signal of {n_samples} samples, a hop of {hop_length} and kernels of {kernels.shape[-1]} taps; expected"
            " a multiple of the hop that is at least as long as the kernels"
        )
    n_inputs = kernels.shape[1:-1].numel()
    interlaced = kernels.reshape(len(kernels), n_inputs, -1).transpose(1, 2).flatten(1)  # lemma 5.1
    spectra = torch.fft.fft(interlaced, n_inputs * n_samples)
    return spectra.unflatten(-1, (n_inputs * hop_length, -1)).permute(2, 0, 1)


def _rounding(upper: float, size: int) -> float:
    """Bound what an eigenvalue of 0 can come out as."""
    return upper * size * float(torch.finfo(torch.float64).eps)
