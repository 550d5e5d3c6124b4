"""Effects between the instruments and the file: a room, an equaliser, saturation, noise, a limited band.

All parameters are drawn for each clip; no two clips share a room. The ranges are those of recordings that people keep:
reverberation times from a dry studio to a hall, signal-to-noise ratios from an old cassette upwards.
"""

import numpy as np
from scipy.fft import next_fast_len
from scipy.signal import butter, fftconvolve, sosfilt, tf2sos

from mirbench_data_rendered.patches import SAMPLE_RATE, Wave

ROOM_SHARE, EQUALISER_SHARE, SATURATION_SHARE, NOISE_SHARE, BAND_SHARE = 0.8, 0.7, 0.3, 0.5, 0.15
REVERBERATION = (0.15, 1.5)  # seconds, T60
WET = (-26.0, -8.0)  # dB of the reverberation, relative to the direct sound
SNR = (15.0, 45.0)  # dB
GAIN = (-6.0, 6.0)  # dB of each band of the equaliser


def recorded(wave: Wave, random: np.random.Generator) -> Wave:
    """Return a mixture as a recording of it sounds.

    Parameters
    ----------
    wave
        The mixture at 22,050 Hz.
    random
        Source of randomness.
    """
    chances = random.random(5)
    if chances[0] < ROOM_SHARE:
        wave = in_room(wave, random.uniform(*REVERBERATION), random.uniform(*WET), random)
    if chances[1] < EQUALISER_SHARE:
        for _ in range(3):
            wave = peak_filter(wave, float(np.exp(random.uniform(np.log(80), np.log(8000)))), random.uniform(*GAIN))
    if chances[2] < SATURATION_SHARE:
        drive = random.uniform(1, 4) / max(1e-9, np.abs(wave).max())
        wave = np.tanh(drive * wave) / drive
    if chances[3] < NOISE_SHARE:
        wave = wave + noise(len(wave), random) * np.sqrt(np.mean(wave**2)) * 10 ** (-random.uniform(*SNR) / 20)
    if chances[4] < BAND_SHARE:
        cut = random.uniform(3500, 8000)
        wave = sosfilt(butter(4, cut, fs=SAMPLE_RATE, output="sos"), wave)
    return np.asarray(wave)


def in_room(wave: Wave, seconds: float, wet: float, random: np.random.Generator) -> Wave:
    """Add a reverberation: early reflections, and noise that decays by 60 dB in the given time, duller and duller.

    Parameters
    ----------
    wave
        Dry signal.
    seconds
        Reverberation time T60.
    wet
        Energy of the reverberation in dB, relative to that of the direct sound.
    random
        Source of randomness.
    """
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = random.normal(size=len(time)) * 10 ** (-3 * time / seconds)
    dull = sosfilt(butter(1, random.uniform(1500, 5000), fs=SAMPLE_RATE, output="sos"), tail)
    fades = np.minimum(1, time / seconds * 2)
    response = (1 - fades) * tail + fades * dull
    response[: round(0.005 * SAMPLE_RATE)] = 0
    for _ in range(6):
        response[int(random.uniform(0.003, 0.04) * SAMPLE_RATE)] += random.choice((-1, 1)) * random.uniform(0.5, 2)
    response *= 10 ** (wet / 20) / np.sqrt(np.sum(response**2))
    return np.asarray(wave + fftconvolve(wave, response)[: len(wave)])


def peak_filter(wave: Wave, centre: float, gain: float, quality: float = 0.9) -> Wave:
    """Raise or lower a band (peaking equaliser of Bristow-Johnson, Cookbook formulae for audio EQ biquad filters).

    Parameters
    ----------
    wave
        Signal.
    centre
        Centre of the band in Hz.
    gain
        At the centre, in dB.
    quality
        Q of the filter.
    """
    amplitude, omega = 10 ** (gain / 40), 2 * np.pi * centre / SAMPLE_RATE
    alpha, cosine = np.sin(omega) / (2 * quality), np.cos(omega)
    numerator = np.array([1 + alpha * amplitude, -2 * cosine, 1 - alpha * amplitude])
    denominator = np.array([1 + alpha / amplitude, -2 * cosine, 1 - alpha / amplitude])
    return np.asarray(sosfilt(tf2sos(numerator / denominator[0], denominator / denominator[0]), wave))


def noise(n_samples: int, random: np.random.Generator) -> Wave:
    """Return noise whose spectrum falls by 0 to 6 dB an octave, of unit power."""
    n_fast = next_fast_len(n_samples, real=True)
    spectrum = np.fft.rfft(random.normal(size=n_fast))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** random.uniform(0, 1)
    spectrum[0] = 0
    wave = np.fft.irfft(spectrum, n_fast)[:n_samples]
    return np.asarray(wave / np.sqrt(np.mean(wave**2)))
