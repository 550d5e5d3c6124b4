"""What random filters are expected to be: means and variances in closed form.

Taps are independent, of mean 0 and deviation sigma. Gaussian taps have no excess kurtosis; uniform ones, as torch draws
the weights of its convolutions, have -6/5, which lowers all variances.

References
----------
Alias terms: arXiv 2507.06152, theorem 4.1 (Gaussian; the term with the kurtosis is ours). Energies: D. Haider et al.,
"Instabilities in convnets for raw audio", IEEE Signal Processing Letters 31, 2024; residual filters: SSP 2025.
"""

import math
from typing import Literal

import torch
from jaxtyping import Complex128, Float, Float64

Distribution = Literal["gaussian", "uniform"]
EXCESS_KURTOSIS = {"gaussian": 0.0, "uniform": -1.2}


def parseval_deviation(n_channels: int, kernel_length: int, hop_length: int) -> float:
    """Return the deviation of taps with which the frame operator is the identity in expectation.

    Parameters
    ----------
    n_channels, kernel_length, hop_length
        Of the layer: M, K and d.
    """
    return math.sqrt(hop_length / (n_channels * kernel_length))


def expected_alias_terms(
    n_channels: int, kernel_length: int, hop_length: int, sigma: float
) -> Complex128[torch.Tensor, "alias"]:
    """Return the mean of G_n, which is the same at all frequencies: with d dividing K, 0 for n >= 1.

    Parameters
    ----------
    n_channels, kernel_length, hop_length
        Of the layer: M, K and d.
    sigma
        Deviation of a tap.
    """
    angles = -2 * math.pi / hop_length * torch.outer(torch.arange(hop_length), torch.arange(kernel_length))
    return sigma**2 * n_channels / hop_length * torch.polar(torch.ones_like(angles).double(), angles.double()).sum(1)


def alias_term_variance(
    n_channels: int,
    kernel_length: int,
    hop_length: int,
    n_samples: int,
    sigma: float,
    distribution: Distribution = "gaussian",
) -> Float64[torch.Tensor, "alias frequency"]:
    """Return the variance of G_n[k]: sigma^4 M / d^2 times (sin^2(pi K t) / sin^2(pi t) + K^2), t = 2 k / L - n / d.

    Uniform taps take 6/5 K off the bracket.

    Parameters
    ----------
    n_channels, kernel_length, hop_length
        Of the layer: M, K and d.
    n_samples
        Of the circular signal.
    sigma
        Deviation of a tap.
    distribution
        Of the taps.
    """
    frequency = 2 * torch.arange(n_samples, dtype=torch.float64) / n_samples
    t = frequency - torch.arange(hop_length)[:, None] / hop_length
    peak = (torch.sin(math.pi * kernel_length * t) / torch.sin(math.pi * t)).square()
    peak = torch.where((t - t.round()).abs() < 1e-9, float(kernel_length**2), peak)
    bracket = peak + kernel_length**2 + EXCESS_KURTOSIS[distribution] * kernel_length
    return sigma**4 * n_channels / hop_length**2 * bracket


def expected_alias_ratio(
    n_channels: int,
    kernel_length: int,
    hop_length: int,
    n_samples: int,
    distribution: Distribution = "gaussian",
) -> float:
    """Return the expected energy of the alias terms over that of G_0: `aliasing.alias_ratio` of a random layer.

    Parameters
    ----------
    n_channels, kernel_length, hop_length
        Of the layer: M, K and d.
    n_samples
        Of the circular signal.
    distribution
        Of the taps.
    """
    variance = alias_term_variance(n_channels, kernel_length, hop_length, n_samples, 1.0, distribution)
    means = expected_alias_terms(n_channels, kernel_length, hop_length, 1.0)
    energy = variance.mean(1) + means.abs().square()
    return float(energy[1:].sum() / energy[0])


def energy_moments(
    signal: Float[torch.Tensor, "sample"],
    n_channels: int,
    kernel_length: int,
    sigma: float,
    *,
    mean: float = 0.0,
    position: int = 0,
    distribution: Distribution = "gaussian",
) -> tuple[float, float]:
    """Return the mean and the variance of |Phi x|^2 over random real filters, without stride.

    Parameters
    ----------
    signal
        Circular, at least as long as the filters.
    n_channels, kernel_length
        Of the bank: J and T.
    sigma
        Deviation of a tap.
    mean
        Of the tap at `position`: mu of residual filters. All others have mean 0.
    position
        Which tap that is.
    distribution
        Of the taps around their means.
    """
    spectrum = torch.fft.fft(signal.double())
    autocorrelation = torch.fft.ifft(spectrum.abs().square()).real
    lags = torch.arange(kernel_length)
    toeplitz = autocorrelation[(lags - lags[:, None]) % len(signal)]  # |w * x|^2 = w^T toeplitz w
    energy = float(toeplitz[0, 0])
    expectation = n_channels * (mean**2 + sigma**2 * kernel_length) * energy
    spread = 2 * toeplitz.square().sum() + EXCESS_KURTOSIS[distribution] * kernel_length * energy**2
    across = 4 * mean**2 * sigma**2 * toeplitz[position].square().sum()
    return expectation, float(n_channels * (sigma**4 * spread + across))
