"""Elements of all sounds: noise in bands, ringing modes, trains of impulses."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float32, Float64
from scipy import fft

SAMPLE_RATE = 32000  # Hz: the rate of the third-octave sensors that listen in such rooms
Signal = Float32[np.ndarray, "_samples"]
Curve = Float64[np.ndarray, "_samples"]
Triple = tuple[float, float, float]


class Sound(Protocol):
    """Something that sounds for a known time.

    Attributes
    ----------
    duration
        From the first to the last moment at which the dry sound is less than 40 dB below its loudest.
    """

    @property
    def duration(self) -> float: ...

    def render(self, random: np.random.Generator) -> Signal:
        """Make the dry sound, at any level; it lasts exactly `duration`."""


def n_samples(seconds: float) -> int:
    """Count the samples in a time."""
    return round(seconds * SAMPLE_RATE)


def unit(signal: Signal) -> Signal:
    """Scale to a root mean square of 1."""
    return np.asarray(signal / np.sqrt(np.mean(np.square(signal, dtype=np.float64)) + 1e-20), dtype=np.float32)


def shaped_noise(random: np.random.Generator, length: int, gain: Callable[[Curve], Curve]) -> Signal:
    """Make Gaussian noise with a spectrum, of root mean square 1.

    Parameters
    ----------
    gain
        Amplitude at frequencies in Hz (none of them 0).
    """
    padded = fft.next_fast_len(length, real=True)
    spectrum = fft.rfft(random.standard_normal(padded, dtype=np.float32))
    frequencies = np.maximum(np.arange(len(spectrum)) * SAMPLE_RATE / padded, 1.0)
    return unit(fft.irfft(spectrum * gain(frequencies).astype(np.float32), padded)[:length])


def band(low: float, high: float, slope_db: float = 12.0, tilt_db: float = 0.0) -> Callable[[Curve], Curve]:
    """Return the gain of a band between two frequencies.

    Parameters
    ----------
    slope_db
        Of the skirts, per octave.
    tilt_db
        Of the whole spectrum, per octave.
    """
    order = slope_db / 6.02
    tilt = tilt_db / 6.02

    def gain(frequencies: Curve) -> Curve:
        skirts = 1 / np.sqrt((1 + (low / frequencies) ** (2 * order)) * (1 + (frequencies / high) ** (2 * order)))
        return np.asarray(skirts * (frequencies / low) ** tilt if tilt else skirts)

    return gain


def band_noise(random: np.random.Generator, length: int, low: float, high: float, tilt_db: float = 0.0) -> Signal:
    """Make noise of root mean square 1 in a band with skirts of 12 dB per octave."""
    return shaped_noise(random, length, band(low, high, tilt_db=tilt_db))


def ringing(
    frequencies: Sequence[float], decays: Sequence[float], levels_db: Sequence[float], seconds: float
) -> Signal:
    """Let modes ring: sines that start at 0 and decay.

    Parameters
    ----------
    decays
        Times in which the modes lose 60 dB.
    """
    time = np.arange(n_samples(seconds)) / SAMPLE_RATE
    total = np.zeros(len(time))
    for frequency, decay, level in zip(frequencies, decays, levels_db, strict=True):
        total += 10 ** (level / 20) * np.sin(2 * np.pi * frequency * time) * np.exp(-np.log(1000) * time / decay)
    return total.astype(np.float32)


def decaying(decay: float) -> Signal:
    """Return an envelope that loses 60 dB in a time."""
    return np.asarray(np.exp(-np.log(1000) * np.arange(n_samples(decay)) / n_samples(decay)), dtype=np.float32)


def convolved(one: Signal, other: Signal) -> Signal:
    """Convolve two sounds."""
    from scipy.signal import oaconvolve  # a second to import, and there is nothing to make most of the time

    return np.asarray(oaconvolve(one, other), dtype=np.float32)


def repeated(response: Signal, times: Sequence[float], levels: Sequence[float], length: int) -> Signal:
    """Let the same response sound at several times, each at its own amplitude; what lies outside is cut off."""
    train = np.zeros(length, dtype=np.float32)
    for time, level in zip(times, levels, strict=True):
        if 0 <= n_samples(time) < length:
            train[n_samples(time)] += level
    return convolved(train, response)[:length]


def wandering(random: np.random.Generator, length: int, rate: float) -> Signal:
    """Return a curve that moves smoothly between independent normal values, so many a second."""
    n_points = int(length / SAMPLE_RATE * rate) + 3
    places = np.arange(length) * (rate / SAMPLE_RATE)
    return np.asarray(np.interp(places, np.arange(n_points), random.standard_normal(n_points)), dtype=np.float32)


def faded(signal: Signal, seconds: float) -> Signal:
    """Fade in and out by raised cosines."""
    length = min(n_samples(seconds), len(signal) // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 1) / (length + 1))).astype(np.float32)
    result = signal.copy()
    result[:length] *= ramp
    result[len(result) - length :] *= ramp[::-1]
    return result


def triple(values: Float64[np.ndarray, "3"]) -> Triple:
    """Turn three numbers into what a plan can hold."""
    first, second, third = values.tolist()
    return (first, second, third)
