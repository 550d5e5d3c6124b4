"""The input of Mix2's network: a mel spectrogram in decibels, between 0 and 1."""

import numpy as np
import torch
from jaxtyping import Float, Float32

from mirbench import fingerprint
from mirbench_spectra.spectrograms import MelSpectrogram
from mirbench_ssl.frontends import FLOOR, FrontEnd, decibels

SAMPLE_RATE = 16000
N_FFT = 512
RANGE = 80.0  # decibels below the loudest
VERSION = 1  # raise whenever the numbers change


class MelFrontEnd(FrontEnd):
    """Mel levels of a clip, as training reads them from disk.

    Parameters
    ----------
    n_mels
        Number of mel bands from 0 to 8 kHz; published: 128.
    hop_length
        Distance between frames in samples at 16 kHz; published: 128.
    """

    def __init__(self, n_mels: int, hop_length: int) -> None:
        super().__init__(f"mel-{n_mels}-{hop_length}", SAMPLE_RATE, has_mel=True)
        self.hop_length = hop_length
        self.fingerprint = fingerprint(self.name, N_FFT, VERSION)
        self._spectrogram = MelSpectrogram(SAMPLE_RATE, N_FFT, hop_length, n_mels)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length

    def levels(self, audio: Float32[np.ndarray, "samples"]) -> Float32[np.ndarray, "time level"]:
        """Compute the mel levels of a clip, normalised to a peak of 1; the last column is the frame's own level."""
        samples = torch.from_numpy(audio / max(float(np.abs(audio).max()), FLOOR))[None]
        power = self._spectrogram(samples)
        levels = torch.cat([decibels(power), decibels(power.mean(dim=1, keepdim=True))], dim=1)
        return np.asarray(levels[0].T.numpy(), dtype=np.float32)

    def input(self, windows: Float32[torch.Tensor, "batch samples"]) -> Float[torch.Tensor, "batch mel time"]:
        """Compute the network's input of windows.

        Parameters
        ----------
        windows
            Mono samples at 16 kHz.
        """
        peak = windows.abs().amax(dim=1, keepdim=True).clamp(min=FLOOR)
        return scaled(decibels(self._spectrogram.to(windows.device)(windows / peak)))


def scaled(levels: Float[torch.Tensor, "batch mel time"]) -> Float[torch.Tensor, "batch mel time"]:
    """Put levels on a scale from 0 to 1: 80 dB below the loudest of each clip, and the loudest.

    Mix2 scales each batch from its softest to its loudest value, so that a clip depends on its neighbours in the batch.
    """
    loudest = levels.amax(dim=(1, 2), keepdim=True)
    return ((levels - loudest) / RANGE + 1).clamp(min=0)
