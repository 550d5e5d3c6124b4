"""Spectrograms in torch: mel, and constant Q in the frequency domain.

Frame `m` is centred on sample `m * hop_length`; a clip of `n` samples has `1 + (n - 1) // hop_length` frames, so that
every centre lies inside the clip. Beyond its ends the clip counts as silence.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex64, Float, Float32, Float64

# Slaney, Auditory Toolbox (1998): linear below 1 kHz, 27 logarithmic steps a factor of 6.4 above.
MEL_LINEAR_HZ = 200 / 3
MEL_BREAK_HZ = 1000.0
MEL_LOG_STEP = np.log(6.4) / 27


def n_frames(n_samples: int, hop_length: int) -> int:
    """Count the frames of a clip."""
    return 1 + (n_samples - 1) // hop_length


def mel_filters(
    sample_rate: int, n_fft: int, n_mels: int, highest: float | None = None, *, unit_area: bool = True
) -> Float32[np.ndarray, "mel frequency"]:
    """Make triangular filters on Slaney's mel scale, of unit area or of unit height.

    Parameters
    ----------
    highest
        Where the last filter ends, in Hz; None for half the sample rate. Filters above that are empty.
    """
    frequencies = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    corners = _mel_to_hz(np.linspace(0, _hz_to_mel(highest or sample_rate / 2), n_mels + 2))
    rise = (frequencies - corners[:-2, None]) / np.diff(corners)[:-1, None]
    fall = (corners[2:, None] - frequencies) / np.diff(corners)[1:, None]
    filters = np.maximum(0, np.minimum(rise, fall))
    if unit_area:
        filters *= (2 / (corners[2:] - corners[:-2]))[:, None]
    return np.asarray(filters, dtype=np.float32)


def _hz_to_mel(hz: float) -> float:
    if hz < MEL_BREAK_HZ:
        return hz / MEL_LINEAR_HZ
    return float(MEL_BREAK_HZ / MEL_LINEAR_HZ + np.log(hz / MEL_BREAK_HZ) / MEL_LOG_STEP)


def _mel_to_hz(mel: Float64[np.ndarray, "corner"]) -> Float64[np.ndarray, "corner"]:
    from_break = mel - MEL_BREAK_HZ / MEL_LINEAR_HZ
    return np.where(from_break < 0, mel * MEL_LINEAR_HZ, MEL_BREAK_HZ * np.exp(from_break * MEL_LOG_STEP))


class MelSpectrogram(torch.nn.Module):
    """Power mel spectrogram, as `librosa.feature.melspectrogram` computes it."""

    def __init__(self, sample_rate: int, n_fft: int, hop_length: int, n_mels: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.register_buffer("window", torch.hann_window(n_fft))
        self.register_buffer("filters", torch.from_numpy(mel_filters(sample_rate, n_fft, n_mels)))

    def forward(self, audio: Float[torch.Tensor, "batch samples"]) -> Float[torch.Tensor, "batch mel time"]:
        """Compute the spectrogram."""
        spectrum = torch.stft(
            audio,
            self.n_fft,
            self.hop_length,
            window=self.get_buffer("window"),
            pad_mode="constant",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()  # a quarter of the time of abs().square()
        power = power[..., : n_frames(audio.shape[-1], self.hop_length)]
        return torch.matmul(self.get_buffer("filters"), power)


class ConstantQ:
    """Magnitudes of a constant-Q transform: one Fourier transform of the whole clip, each bin cut out of it.

    A bin is the clip filtered with a Hann window of `Q / frequency` seconds, modulated to its frequency and normalised
    to unit sum; a sinusoid of amplitude 1 at a bin's frequency has magnitude 0.5. The filter's spectrum is cut where
    its side lobes are below 1e-4. Filtering and taking every `hop_length`-th sample are one step: the band folds onto a
    spectrum of the frame rate (exactly, as sampling in time is folding in frequency).

    Parameters
    ----------
    lowest
        Frequency of the first bin in Hz.
    """

    HALF_WIDTH = 16.0  # of a band, in units of frequency / Q; Hann's side lobes there are 1 / (pi * 16 ** 3) = 8e-5
    QUANTUM = 1 << 16  # transforms are as long as a multiple of this, so that filters serve many clips

    def __init__(self, sample_rate: int, hop_length: int, lowest: float, n_bins: int, bins_per_octave: int) -> None:
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.frequencies = lowest * 2 ** (np.arange(n_bins) / bins_per_octave)
        self.q = 1 / (2 ** (1 / bins_per_octave) - 1)
        if self.frequencies[-1] * (1 + self.HALF_WIDTH / self.q) > sample_rate / 2:
            raise ValueError(f"the highest bin, {self.frequencies[-1]:.0f} Hz, is too close to half the sample rate")
        if self.q < self.HALF_WIDTH:
            raise ValueError(f"{bins_per_octave} bins an octave are too few; expected 12 or more")
        self._bands = lru_cache(maxsize=8)(self._make_bands)

    def __call__(self, audio: Float32[torch.Tensor, "batch samples"]) -> Float32[torch.Tensor, "batch bin time"]:
        """Compute the magnitudes."""
        n_samples = audio.shape[-1]
        longest = int(self.q * self.sample_rate / self.frequencies[0])
        multiple = max(self.QUANTUM // self.hop_length, 1) * self.hop_length
        n_fft = -(-(n_samples + longest) // multiple) * multiple
        spectrum = torch.fft.rfft(audio, n_fft)
        n_folded = n_fft // self.hop_length
        folded = torch.stack(
            [_fold(spectrum, first, band.to(audio.device), n_folded) for first, band in self._bands(n_fft)], 1
        )
        frames = torch.fft.ifft(folded) / self.hop_length
        return torch.abs(frames[..., : n_frames(n_samples, self.hop_length)])

    def _make_bands(self, n_fft: int) -> Sequence[tuple[int, Float32[torch.Tensor, "band"]]]:
        bands = []
        for frequency in self.frequencies:
            width = self.HALF_WIDTH * frequency / self.q
            first = int(np.ceil((frequency - width) * n_fft / self.sample_rate))
            last = int((frequency + width) * n_fft / self.sample_rate)
            offset = (np.arange(first, last + 1) * self.sample_rate / n_fft - frequency) * self.q / frequency
            bands.append((first, torch.from_numpy(_hann_spectrum(offset).astype(np.float32))))
        return bands


def _hann_spectrum(offset: Float64[np.ndarray, "band"]) -> Float64[np.ndarray, "band"]:
    """Fourier transform of a Hann window of unit length and unit sum: sinc(x) + sinc(x - 1) / 2 + sinc(x + 1) / 2."""
    beside_one = np.abs(offset**2 - 1) < 1e-6  # where the quotient is 0 / 0
    quotient = np.sinc(offset) / np.where(beside_one, 1, 1 - offset**2)
    return np.asarray(np.where(beside_one, 0.5, quotient))


def _fold(
    spectrum: Complex64[torch.Tensor, "batch frequency"], first: int, band: Float32[torch.Tensor, "band"], length: int
) -> Complex64[torch.Tensor, "batch folded"]:
    """Cut a band out of a spectrum and wrap it around a shorter one."""
    cut = spectrum[:, first : first + len(band)] * band
    before = first % length
    after = -(before + len(band)) % length
    padded = torch.nn.functional.pad(cut, (before, after))
    return padded.reshape(len(spectrum), -1, length).sum(1)
