"""Third-octave levels as privacy-preserving sensors measure them, and noise that has the same levels.

The analysis is that of the Cense sensors (nicolas-f/noisesensor, `acoustic_indicators.c`) in the Python of
modantailleur/paperSpectralTranscoder and modantailleur/fast-to-ears (`utils/bands_transform.py`): audio at 32 kHz,
frames of 4,096 samples every 4,000 (125 ms, "fast") or of 32,758 every 32,000 (1 s, "slow"), a Tukey window, and the
energy of the bins of each of 29 bands from 20 Hz to 12.5 kHz.

The levels keep no waveform. The way back to one, which encoders need, adds nothing to them: energy spread over the bins
of each band as evenly as the levels allow, with random phases.
"""

import math
from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np
from jaxtyping import Bool, Complex128, Float32, Float64
from scipy.signal import fftconvolve
from scipy.signal.windows import tukey
from threadpoolctl import ThreadpoolController

SAMPLE_RATE = 32000
N_BANDS = 29
REFERENCE_BAND = 17  # 1 kHz
TAPER = 0.2  # of the Tukey window
SENSITIVITY_DB = 26.0  # of the microphone: a full-scale sine reads 23 dB
SMALLEST_RMS = 1e-9  # stands for zero
N_EXPECTED, N_MEASURED = 100, 10  # rounds of correction: by the expected levels, and by those of the noise that is made
MAX_CORRECTION = 10.0  # of a bin's power, in one round by measured levels
TONAL = 3.0  # a bin with so many times the mean power of its band belongs to a tone

Levels = Float64[np.ndarray, "time 29"]
Audio = Float32[np.ndarray, "_samples"] | Float64[np.ndarray, "_samples"]


class ThirdOctaves:
    """The sensor's analysis at one time constant, and its inverse.

    Parameters
    ----------
    frame_length, hop_length
        Length of a frame and distance between frames, in samples at 32 kHz.
    """

    def __init__(self, frame_length: int, hop_length: int) -> None:
        self.frame_length, self.hop_length = frame_length, hop_length
        self.overlap = frame_length - hop_length
        self.window = tukey(frame_length, TAPER, sym=False)
        self.energy_correction = 1 / math.sqrt(np.mean(self.window**2))
        self.bands = np.zeros((N_BANDS, frame_length // 2 + 1))
        for band in range(N_BANDS):
            first, last = self.bin_range(band)
            self.bands[band, first : last + 1] = 1

    def bin_range(self, band: int) -> tuple[int, int]:
        """Return the first and the last FFT bin of a band; neighbours share one, as in the sensor's code."""
        centre = 1000 * 10 ** ((band - REFERENCE_BAND) / 10)
        bin_width = SAMPLE_RATE / self.frame_length
        return math.ceil(centre * 10**-0.05 / bin_width), math.ceil(centre * 10**0.05 / bin_width)

    def levels(self, audio: Audio) -> Levels:
        """Return the levels of audio at 32 kHz, one row a hop, in dB; the last frame is filled with zeros.

        Parameters
        ----------
        audio
            Mono samples; full scale is 1.
        """
        n_rows = 1 + max(0, math.ceil((len(audio) - self.frame_length) / self.hop_length))
        padded = np.zeros((n_rows - 1) * self.hop_length + self.frame_length)
        padded[: len(audio)] = audio
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.frame_length)[:: self.hop_length]
        power = np.abs(np.fft.rfft(frames * self.window, axis=1)) ** 2
        rms = np.sqrt(power @ self.bands.T / 2) / (self.frame_length / 2) * self.energy_correction
        return np.asarray(20 * np.log10(np.maximum(rms, SMALLEST_RMS)) + SENSITIVITY_DB)

    @cached_property
    def leakage(self) -> Float64[np.ndarray, "29 bin"]:
        """Power that the analysis finds in each band, for a power of 1 in each bin.

        Where bins have independent phases, each has the spectrum of the window around it.
        """
        response = np.abs(np.fft.fft(self.window)) ** 2 * (self.energy_correction / self.frame_length) ** 2
        around = np.concatenate([response[-self.bands.shape[1] + 1 :], response[: self.bands.shape[1]]])
        found = fftconvolve(self.bands, around[None], axes=1)[:, self.bands.shape[1] - 1 :][:, : self.bands.shape[1]]
        return np.asarray(np.maximum(found, response.min()))

    def noise(self, levels: Levels, seed: Sequence[int]) -> Float32[np.ndarray, "_samples"]:
        """Return noise at 32 kHz with these levels; one hop of samples a row.

        The powers of the bins minimise the divergence of Itakura and Saito between the wanted and the found powers of
        the bands, which counts relative errors: multiplicative updates, first by the levels to be expected with the
        leakage of the window, then by those of the noise. Powers stay positive. Beside a tone, the noise of a band
        would leak more than the tone did; the updates then move the band's power into few bins, whose phases
        continue from frame to frame.

        Parameters
        ----------
        levels
            In dB, as `levels` returns them.
        seed
            Seed of the phases.
        """
        with _pools().limit(limits=1):  # products are small; on a busy machine two threads were thirty times slower
            return self._noise(levels, np.random.default_rng(list(seed)))

    def _noise(self, levels: Levels, random: np.random.Generator) -> Float32[np.ndarray, "_samples"]:
        full_scale = (self.frame_length / 2) ** 2 * 2 / 10 ** (SENSITIVITY_DB / 10)
        wanted = full_scale * 10 ** (levels / 10)
        n_bins, n_bands = self.bands.sum(axis=1), np.maximum(self.bands.sum(axis=0), 1)
        powers = (wanted / n_bins) @ self.bands / n_bands
        for _ in range(N_EXPECTED):
            powers *= self._correction(wanted, powers @ self.leakage.T)
        of_bands = powers @ self.bands.T / n_bins
        highest = np.max(np.where(self.bands > 0, of_bands[:, :, None], 0), axis=1)
        is_tonal = powers > TONAL * highest
        phases = self._phases(is_tonal, random)
        for _ in range(N_MEASURED):
            found = full_scale * 10 ** (self.levels(self._added(np.sqrt(powers) * phases, is_tonal)) / 10)
            powers *= np.clip(self._correction(wanted, found), 1 / MAX_CORRECTION, MAX_CORRECTION)
        return self._added(np.sqrt(powers) * phases, is_tonal).astype(np.float32)

    def _correction(
        self, wanted: Float64[np.ndarray, "time 29"], found: Float64[np.ndarray, "time 29"]
    ) -> Float64[np.ndarray, "time bin"]:
        return np.asarray(((wanted / found**2) @ self.leakage) / ((1 / found) @ self.leakage))

    def _phases(
        self, is_tonal: Bool[np.ndarray, "time bin"], random: np.random.Generator
    ) -> Complex128[np.ndarray, "time bin"]:
        """Draw phases: anew in each frame, and for bins of tones such that they continue from frame to frame."""
        n_rows, n_bins = is_tonal.shape
        advance = 2 * np.pi * np.arange(n_bins) * self.hop_length / self.frame_length
        continued = random.uniform(0, 2 * np.pi, n_bins) + advance * np.arange(n_rows)[:, None]
        drawn = random.uniform(0, 2 * np.pi, (n_rows, n_bins))
        return np.asarray(np.exp(1j * np.where(is_tonal, continued, drawn)))

    def _added(
        self, spectra: Complex128[np.ndarray, "time bin"], is_tonal: Bool[np.ndarray, "time bin"]
    ) -> Float64[np.ndarray, "_samples"]:
        """Overlap frames: powers of noise add up to 1 where they fade, and so do amplitudes of tones."""
        place = (np.arange(self.overlap) + 0.5) / self.overlap
        total = np.zeros((len(spectra), self.hop_length))
        for fade, chosen in ((np.sin(np.pi / 2 * place), ~is_tonal), (place, is_tonal)):
            if not chosen.any():
                continue
            frames = np.fft.irfft(np.where(chosen, spectra, 0), self.frame_length, axis=1)
            frames[:, : self.overlap] *= fade
            frames[:, -self.overlap :] *= fade[::-1]
            total += frames[:, : self.hop_length]
            total[1:, : self.overlap] += frames[:-1, self.hop_length :]
        return np.asarray(total.ravel())


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


FAST = ThirdOctaves(4096, 4000)
SLOW = ThirdOctaves(32758, 32000)
ROWS_PER_SECOND = SAMPLE_RATE // FAST.hop_length


def broadband_levels(levels: Levels) -> Float64[np.ndarray, "time"]:
    """Return the level of all bands together, in dB.

    Parameters
    ----------
    levels
        Levels of the bands, in dB.
    """
    return np.asarray(10 * np.log10((10 ** (levels / 10)).sum(axis=1)))
