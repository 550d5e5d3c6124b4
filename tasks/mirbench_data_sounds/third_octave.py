"""Third-octave levels as privacy-preserving sensors measure them, and noise that has the same levels.

The analysis is that of the Cense sensors (nicolas-f/noisesensor, `acoustic_indicators.c`) in the Python of
modantailleur/paperSpectralTranscoder and modantailleur/fast-to-ears (`utils/bands_transform.py`): audio at 32 kHz,
frames of 4,096 samples every 4,000 (125 ms), a Tukey window, and the energy of the bins of each of 29 bands from 20 Hz
to 12.5 kHz.

29 numbers every 125 ms do not keep what is said. The way back to a waveform, which encoders need, adds nothing to them:
random phases, the energy of each band spread over its bins.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64
from scipy.signal.windows import tukey

SAMPLE_RATE = 32000
FRAME_LENGTH = 4096
HOP_LENGTH = 4000  # 125 ms, "fast"
ROWS_PER_SECOND = SAMPLE_RATE // HOP_LENGTH
N_BANDS = 29
REFERENCE_BAND = 17  # 1 kHz
TAPER = 0.2  # of the Tukey window
SENSITIVITY_DB = 26.0  # of the microphone: a full-scale sine reads 23 dB
SMALLEST_RMS = 1e-9  # stands for zero
OVERLAP = FRAME_LENGTH - HOP_LENGTH
N_ROUNDS = 10  # of correction; the median error above 100 Hz is then 0.01 dB on recordings (95 % of it below 0.4 dB)
MAX_CORRECTION = 10.0  # of a bin's power, in one round

WINDOW = tukey(FRAME_LENGTH, TAPER, sym=False)
ENERGY_CORRECTION = 1 / math.sqrt(np.mean(WINDOW**2))

Levels = Float64[np.ndarray, "time 29"]


def bin_range(band: int) -> tuple[int, int]:
    """Name the first and the last FFT bin of a band; neighbours share one, as in the sensor's code."""
    centre = 1000 * 10 ** ((band - REFERENCE_BAND) / 10)
    bin_width = SAMPLE_RATE / FRAME_LENGTH
    return math.ceil(centre * 10**-0.05 / bin_width), math.ceil(centre * 10**0.05 / bin_width)


def _bands() -> Float64[np.ndarray, "band bin"]:
    bands = np.zeros((N_BANDS, FRAME_LENGTH // 2 + 1))
    for band in range(N_BANDS):
        first, last = bin_range(band)
        bands[band, first : last + 1] = 1
    return bands


BANDS = _bands()


def third_octave_levels(audio: Float32[np.ndarray, "_samples"] | Float64[np.ndarray, "_samples"]) -> Levels:
    """Measure audio at 32 kHz as the sensor does: one row every 125 ms, in dB; the last frame is filled with zeros."""
    n_rows = 1 + max(0, math.ceil((len(audio) - FRAME_LENGTH) / HOP_LENGTH))
    padded = np.zeros((n_rows - 1) * HOP_LENGTH + FRAME_LENGTH)
    padded[: len(audio)] = audio
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_LENGTH)[::HOP_LENGTH]
    power = np.abs(np.fft.rfft(frames * WINDOW, axis=1)) ** 2
    rms = np.sqrt(power @ BANDS.T / 2) / (FRAME_LENGTH / 2) * ENERGY_CORRECTION
    return np.asarray(20 * np.log10(np.maximum(rms, SMALLEST_RMS)) + SENSITIVITY_DB)


def broadband_levels(levels: Levels) -> Float64[np.ndarray, "time"]:
    """Sum the energy of the bands."""
    return np.asarray(10 * np.log10((10 ** (levels / 10)).sum(axis=1)))


def resynthesise(levels: Levels, seed: Sequence[int]) -> Float32[np.ndarray, "_samples"]:
    """Make noise at 32 kHz whose third-octave levels are these; 4,000 samples a row.

    Frames have random phases and overlap by the 96 samples that two of the sensor's frames share. Bands share bins,
    windows leak and phases interfere, so the powers of the bins are corrected by what the analysis finds, in a fixed
    number of rounds. What stays wrong is beside a pure tone: noise that fills a band leaks more than the tone did, and
    a neighbour that lies 30 dB or more below can come out several dB too loud.
    """
    wanted = 10 ** (levels / 10)
    phases = np.random.default_rng(list(seed)).uniform(0, 2 * np.pi, (len(levels), BANDS.shape[1]))
    rotations = np.exp(1j * phases)
    n_bins, n_bands = BANDS.sum(axis=1), np.maximum(BANDS.sum(axis=0), 1)
    full_scale = (FRAME_LENGTH / 2) ** 2 * 2 / 10 ** (SENSITIVITY_DB / 10)
    powers = full_scale * (wanted / n_bins) @ BANDS / n_bands
    for _ in range(N_ROUNDS):
        found = 10 ** (third_octave_levels(_overlap_add(np.sqrt(powers) * rotations)) / 10)
        ratios = np.clip(wanted / found, 1 / MAX_CORRECTION, MAX_CORRECTION)
        powers *= ratios @ BANDS / n_bands
    return _overlap_add(np.sqrt(powers) * rotations).astype(np.float32)


def _overlap_add(spectra: np.ndarray) -> Float64[np.ndarray, "_samples"]:
    frames = np.fft.irfft(spectra, FRAME_LENGTH, axis=1)
    fade = np.sin(np.pi / 2 * (np.arange(OVERLAP) + 0.5) / OVERLAP)  # powers of fade-in and fade-out sum to 1
    frames[:, :OVERLAP] *= fade
    frames[:, -OVERLAP:] *= fade[::-1]
    rows = frames[:, :HOP_LENGTH].copy()
    rows[1:, :OVERLAP] += frames[:-1, HOP_LENGTH:]
    return rows.ravel()
