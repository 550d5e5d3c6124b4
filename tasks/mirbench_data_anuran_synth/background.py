"""Background of frogs: recorder, wind, stream, rain, insects, and occasionally a bird.

Levels are root mean squares in dB against full scale. All of it is stylised: bands and rates are of the usual order
(crickets and katydids 3 to 8 kHz with some tens of pulses a second, cicadas a continuous band, wind below 500 Hz), none
is a model of a species.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Float32

from mirbench_data_anuran_synth.calls import SAMPLE_RATE

Signal = Float32[np.ndarray, "samples"]

DROP_KINDS = 3  # resonances of rain drops in one clip
WHISTLE_SHARE = 0.15  # of clips with a bird-like whistle, which has no label


@dataclass(frozen=True)
class Insect:
    """A stridulating insect: a carrier in pulses, the pulses in chirps."""

    frequency: float
    pulse_rate: float
    chirp_rate: float
    chirp_share: float
    level_db: float


@dataclass(frozen=True)
class Cicada:
    """A continuous band, slightly rough."""

    frequency: float
    width: float
    level_db: float


@dataclass(frozen=True)
class Ambience:
    """Background sounds of a recording; None for those that are absent.

    Attributes
    ----------
    floor_slope
        dB per octave of the recorder's noise.
    """

    floor_db: float
    floor_slope: float
    wind_db: float
    stream_db: float | None
    rain_db: float | None
    cicada: Cicada | None
    insects: tuple[Insect, ...]


def render_background(ambience: Ambience, n_samples: int, seed: list[int]) -> Signal:
    """Render one clip's background."""
    random = np.random.default_rng(seed)
    frequencies = _frequencies(n_samples)
    sound = _at_level(_noise(random, n_samples, _slope(frequencies, ambience.floor_slope)), ambience.floor_db)
    sound += _at_level(_wind(random, n_samples), ambience.wind_db)
    if ambience.stream_db is not None:
        sound += _at_level(_noise(random, n_samples, _band(frequencies, 900.0, 1.6)), ambience.stream_db)
    if ambience.rain_db is not None:
        sound += _at_level(_rain(random, n_samples), ambience.rain_db)
    if ambience.cicada is not None:
        sound += _at_level(_cicada(random, n_samples, ambience.cicada), ambience.cicada.level_db)
    for insect in ambience.insects:
        sound += _at_level(_insect(random, n_samples, insect), insect.level_db)
    if random.random() < WHISTLE_SHARE:
        sound += _at_level(_whistles(random, n_samples), ambience.floor_db + float(random.uniform(8, 22)))
    return sound


def _at_level(sound: Signal, level_db: float) -> Signal:
    power = float(np.mean(np.square(sound)))
    return np.asarray(sound * np.float32(10 ** (level_db / 20) / np.sqrt(power + 1e-20)), dtype=np.float32)


def _frequencies(n_samples: int) -> Float32[np.ndarray, "bins"]:
    return np.asarray(scipy.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE), dtype=np.float32)


def _noise(random: np.random.Generator, n_samples: int, shape: Float32[np.ndarray, "bins"]) -> Signal:
    white = random.standard_normal(n_samples, dtype=np.float32)
    return np.asarray(scipy.fft.irfft(scipy.fft.rfft(white) * shape, n_samples), dtype=np.float32)


def _slope(frequencies: Float32[np.ndarray, "bins"], db_per_octave: float) -> Float32[np.ndarray, "bins"]:
    octaves = np.log2(np.maximum(frequencies, 50) / 1000)
    return np.asarray(10 ** (db_per_octave * octaves / 20), dtype=np.float32)


def _band(frequencies: Float32[np.ndarray, "bins"], centre: float, octaves: float) -> Float32[np.ndarray, "bins"]:
    """Shape a band as a Gaussian over octaves."""
    distance = np.log2(np.maximum(frequencies, 20) / centre) / octaves
    return np.asarray(np.exp(-(distance**2)), dtype=np.float32)


def _smooth(random: np.random.Generator, n_samples: int, rate: float) -> Signal:
    """Draw a positive modulation that changes about `rate` times a second."""
    n_points = max(4, int(rate * n_samples / SAMPLE_RATE) + 3)
    points = np.exp(0.6 * random.standard_normal(n_points))
    smooth = np.interp(np.linspace(0, n_points - 1, n_samples), np.arange(n_points), points)
    return np.asarray(smooth, dtype=np.float32)


def _wind(random: np.random.Generator, n_samples: int) -> Signal:
    frequencies = _frequencies(n_samples)
    noise = _noise(random, n_samples, 1 / (1 + (frequencies / 120) ** 2))
    return np.asarray(noise * _smooth(random, n_samples, 1.5), dtype=np.float32)


def _rain(random: np.random.Generator, n_samples: int) -> Signal:
    """Drops as a Poisson process of short damped resonances, over a hiss."""
    frequencies = _frequencies(n_samples)
    spectrum = scipy.fft.rfft(random.standard_normal(n_samples, dtype=np.float32)) * (
        0.3 * _band(frequencies, 4000.0, 2.0)
    )
    per_kind = random.uniform(10, 70) * n_samples / SAMPLE_RATE
    time = np.arange(round(0.03 * SAMPLE_RATE)) / SAMPLE_RATE
    for _ in range(DROP_KINDS):
        drops = np.zeros(n_samples, np.float32)
        n_drops = int(random.poisson(per_kind))
        drops[random.integers(0, n_samples, n_drops)] = 12 * random.exponential(1, n_drops)
        ring = np.sin(2 * np.pi * random.uniform(400, 6000) * time) * np.exp(-time / random.uniform(0.001, 0.005))
        spectrum = spectrum + scipy.fft.rfft(drops) * scipy.fft.rfft(ring.astype(np.float32), n_samples)
    return np.asarray(scipy.fft.irfft(spectrum, n_samples), dtype=np.float32)


def _cicada(random: np.random.Generator, n_samples: int, cicada: Cicada) -> Signal:
    frequencies = _frequencies(n_samples)
    noise = _noise(random, n_samples, _band(frequencies, cicada.frequency, cicada.width))
    return np.asarray(noise * _smooth(random, n_samples, 40), dtype=np.float32)


def _insect(random: np.random.Generator, n_samples: int, insect: Insect) -> Signal:
    time = np.arange(n_samples, dtype=np.float32) / SAMPLE_RATE + np.float32(random.uniform(0, 1))
    pulses = np.maximum(0, np.sin(np.float32(2 * np.pi * insect.pulse_rate) * time))
    chirps = (time * np.float32(insect.chirp_rate)) % 1 < insect.chirp_share
    drift = np.float32(insect.frequency * random.uniform(0.99, 1.01) * 2 * np.pi)
    return np.asarray(np.sin(drift * time) * pulses * chirps, dtype=np.float32)


def _whistles(random: np.random.Generator, n_samples: int) -> Signal:
    """One to four bird-like whistles of the same pitch."""
    sound = np.zeros(n_samples, np.float32)
    frequency, bend = random.uniform(1500, 5000), random.uniform(-0.3, 0.3)
    length = round(random.uniform(0.1, 0.35) * SAMPLE_RATE)
    share = np.arange(length) / length
    angle = 2 * np.pi * frequency * length / SAMPLE_RATE * (share + bend * share**2 / 2)
    whistle = (np.sin(angle) * np.sin(np.pi * share) ** 2).astype(np.float32)
    for start in random.integers(0, n_samples - length, random.integers(1, 5)):
        sound[start : start + length] += whistle
    return sound
