"""Auditory kernels of finite length: ISAC and audlets.

Kernels are complex and cover positive frequencies: with real signals, a filter and its mirror image at negative
frequencies say the same. Every kernel is centred on the
middle tap, number `n // 2` of n, or half a tap before it.

References
----------
D. Haider, F. Perfler, P. Balazs, C. Hollomey and N. Holighaus, "ISAC: an invertible and stable auditory filter bank
with customizable kernels for ML integration", arXiv 2505.07709.
T. Necciari, N. Holighaus, P. Balazs, Z. Průša, P. Majdak and O. Derrien, "Audlet filter banks", Applied Sciences 8(1),
2018.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex128, Float64, Inexact, Int64

from mirbench_filterbanks.scales import Scale, scale_named

# Half the noise bandwidth of a Hann window, times its duration; measured by hybra on a symmetric window of 1000 taps.
HANN_HALF_BANDWIDTH = 0.75 * 1000 / 999
# Bandwidth of a kernel over that of the scale's filters: hybra's, chosen for a low condition number at 40 channels.
ISAC_WIDENING = {"erb": 0.608, "mel": 111.33, "log10": 0.2}
HANN_DURATION = 4.0  # from zero to zero of the main lobe of a filter with a Hann response, times its bandwidth


@dataclass(frozen=True)
class Bank:
    """Auditory kernels.

    Attributes
    ----------
    kernels
        Complex impulse responses.
    frequencies
        Centre of each channel in Hz, rising from 0 to half the sample rate.
    lengths
        How many taps of each kernel are used; the others are 0.
    """

    kernels: Complex128[torch.Tensor, "channel tap"]
    frequencies: Float64[np.ndarray, "channel"]
    lengths: Int64[np.ndarray, "channel"]


def isac(
    sample_rate: int,
    n_channels: int,
    kernel_length: int,
    scale: str = "mel",
    *,
    hop_length: int = 1,
    widening: float = 1.0,
) -> Bank:
    """Make Hann windows of auditory duration, modulated to frequencies equidistant on an auditory scale (ISAC).

    A window lasts as its channel's bandwidth asks, at most `kernel_length` taps. Where that cuts it, below a
    transition frequency, all windows are equally long, and the scale goes on as a straight line: the frequencies of
    these channels are equidistant in Hz. So the spacing matches the bandwidth everywhere, and the bank is nearly tight.

    Parameters
    ----------
    sample_rate
        In Hz.
    n_channels
        From 0 to half the sample rate, both included.
    kernel_length
        Most taps of a kernel. Where the widest window is shorter, kernels are only as long as that.
    scale
        The auditory scale: erb, mel or log10.
    hop_length
        Of the convolution, in samples: kernels are multiplied by its root, so that the frame bounds are of one order
        at every hop. Up to a quarter of the shortest kernel keeps the condition number low.
    widening
        Factor on all bandwidths (the paper's gamma): for few channels, which would leave gaps.

    Raises
    ------
    ValueError
        For fewer than three channels or taps, and where sample rate, hop or widening are not positive.
    """
    _check(sample_rate=sample_rate, n_channels=n_channels, kernel_length=kernel_length, hop_length=hop_length)
    if widening <= 0:
        raise ValueError(f"widening {widening}; expected a positive factor")
    ruler = scale_named(scale)
    seconds_times_bandwidth = HANN_HALF_BANDWIDTH / ISAC_WIDENING[scale] / widening
    transition = max(0.0, ruler.frequency_of(seconds_times_bandwidth / kernel_length * sample_rate))
    frequencies = _equidistant(ruler, transition, sample_rate / 2, n_channels)
    bandwidths = ruler.bandwidth(np.maximum(frequencies, transition))
    lengths = np.maximum(np.rint(seconds_times_bandwidth / bandwidths * sample_rate), 3).astype(np.int64)
    lengths = np.minimum(lengths, kernel_length)
    weights = np.full(n_channels, math.sqrt(hop_length))
    weights[[0, -1]] /= math.sqrt(2)  # these are their own mirror images
    n_taps = int(lengths.max())
    times = (np.arange(n_taps) - n_taps // 2) / sample_rate
    windows = np.stack([_hann(length, n_taps) for length in lengths.tolist()])
    kernels = weights[:, None] * windows * np.exp(2j * np.pi * frequencies[:, None] * times)
    return Bank(torch.from_numpy(kernels), frequencies, lengths)


def audlet(
    sample_rate: int,
    n_channels: int,
    kernel_length: int,
    scale: str = "mel",
    *,
    hop_length: int = 1,
    lowest_hz: float = 0.0,
) -> Bank:
    """Make filters with Hann-shaped frequency responses, equidistant on an auditory scale, cut to finite length.

    The responses are symmetric in Hz, two steps of the scale to each side of the centre. Kernels of this length cannot
    be narrower than four times the inverse of their duration, and where the scale asks for less, this is what they get.
    Below `lowest_hz` the first channel is a low-pass filter, and the last one is a high-pass filter. The whole is
    divided by the root of the summed power, which makes it tight without stride; then every impulse response is cut to
    `kernel_length` taps, which leaves it nearly tight. `tightening.tighten_canonically` brings it closer again.

    Parameters
    ----------
    sample_rate
        In Hz.
    n_channels
        From `lowest_hz` to half the sample rate, both included.
    kernel_length
        Taps of each kernel.
    scale
        The auditory scale: erb, mel or log10.
    hop_length
        Of the convolution, in samples; the bank's frame bounds are near 1 where this hop makes no aliasing.
    lowest_hz
        Centre of the second channel in Hz where it is not 0; the first then covers what is below. The scale log10
        needs it.

    Raises
    ------
    ValueError
        For fewer than three channels or taps, a lowest frequency that is not below half the sample rate, and log10
        without one.
    """
    _check(sample_rate=sample_rate, n_channels=n_channels, kernel_length=kernel_length, hop_length=hop_length)
    if not 0 <= lowest_hz < sample_rate / 2 or (scale == "log10" and lowest_hz == 0):
        raise ValueError(
            f"lowest_hz {lowest_hz} at a sample rate of {sample_rate} Hz on the scale {scale}; expected a frequency"
            " below half the sample rate, and above 0 for log10"
        )
    ruler = scale_named(scale)
    narrowest = HANN_DURATION * sample_rate / kernel_length
    n_spaced = n_channels - (lowest_hz > 0)
    first, last = ruler.from_hz(np.array([lowest_hz, sample_rate / 2]))
    positions = np.linspace(first, last, n_spaced)
    step = positions[1] - positions[0]
    centres = ruler.to_hz(positions)
    widths = np.maximum(4 * step * (ruler.corner + centres) / ruler.rate, narrowest)
    n_bins = 2 ** math.ceil(math.log2(16 * kernel_length))
    grid = np.arange(n_bins) * sample_rate / n_bins
    responses = _bumps(grid, centres, widths, sample_rate)
    if lowest_hz > 0:
        below = np.where(np.minimum(grid, sample_rate - grid) < lowest_hz, 1.0, 0.0)
        responses = np.concatenate([np.maximum(below, _bumps(grid, centres[:1], widths[:1], sample_rate)), responses])
        centres = np.concatenate([[0.0], centres])
    power = np.square(responses).sum(0)
    # Re S of real signals: the mean of the power at a frequency and at its mirror image, 1 at the end.
    responses = responses * np.sqrt(hop_length * 2 / (power + np.roll(power[::-1], 1)))
    impulses = np.roll(np.fft.ifft(responses), kernel_length // 2, axis=-1)[:, :kernel_length]
    return Bank(torch.from_numpy(impulses), centres, np.full(n_channels, kernel_length, dtype=np.int64))


def as_real(kernels: Inexact[torch.Tensor, "channel ..."]) -> Inexact[torch.Tensor, "real_channel ..."]:
    """Return the real parts of kernels and then the imaginary ones, as twice as many channels.

    For real signals, the squares of the two make the square of the modulus: this bank has the energies and the frame
    operator of the complex one. Real kernels are returned as they are.

    Parameters
    ----------
    kernels
        Real or complex; further axes are kept.
    """
    return torch.cat([kernels.real, kernels.imag]) if kernels.is_complex() else kernels


def _check(*, sample_rate: int, n_channels: int, kernel_length: int, hop_length: int) -> None:
    if sample_rate < 1 or hop_length < 1:
        raise ValueError(f"sample rate {sample_rate} and hop length {hop_length}; expected positive numbers")
    if n_channels < 3 or kernel_length < 3:
        raise ValueError(f"{n_channels} channels of {kernel_length} taps; expected three or more of both")


def _equidistant(ruler: Scale, transition: float, highest: float, n_channels: int) -> Float64[np.ndarray, "channel"]:
    """Space frequencies on a scale that goes on as its tangent below a transition frequency, from 0 Hz."""
    if transition >= highest:
        return np.linspace(0, highest, n_channels)
    slope = ruler.rate / (ruler.corner + transition) if transition else 1.0
    bend, end = ruler.from_hz(np.array([transition, highest]))
    positions = np.linspace(bend - slope * transition, end, n_channels)
    curved = ruler.to_hz(np.maximum(positions, bend))
    frequencies = np.where(positions < bend, transition + (positions - bend) / slope, curved)
    frequencies[[0, -1]] = 0, highest
    return frequencies


def _hann(length: int, n_taps: int) -> Float64[np.ndarray, "tap"]:
    """Make a Hann window of unit sum in the middle of zeros."""
    window = np.hanning(length)
    before = n_taps // 2 - length // 2
    return np.pad(window / window.sum(), (before, n_taps - length - before))


def _bumps(
    grid: Float64[np.ndarray, "bin"],
    centres: Float64[np.ndarray, "channel"],
    widths: Float64[np.ndarray, "channel"],
    sample_rate: int,
) -> Float64[np.ndarray, "channel bin"]:
    """Evaluate Hann-shaped responses of unit height on the circle of frequencies."""
    distance = (grid - centres[:, None] + sample_rate / 2) % sample_rate - sample_rate / 2
    return np.where(np.abs(distance) < widths[:, None] / 2, np.cos(np.pi * distance / widths[:, None]) ** 2, 0.0)
