"""Encoders without learned weights. None of them looks at more than the clip: no normalisation by a data set."""

from abc import abstractmethod
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from scipy.fft import dct

from mirbench import Encoder, Features, fingerprint
from mirbench.domain import Audio
from mirbench_spectra.spectrograms import ConstantQ, MelSpectrogram

VERSION = 1  # raise whenever the numbers change
POWER_FLOOR = 1e-10  # -100 dB


class SpectralEncoder(Encoder):
    """One layer of frames, made by signal processing."""

    sample_rate = 22050
    hop_length = 512
    is_parallel = True

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.fingerprint = fingerprint(type(self).__name__, VERSION)

    @abstractmethod
    def frames(self, audio: Float[torch.Tensor, "1 samples"]) -> Float[torch.Tensor, "1 time dim"]:
        """Compute the frames of one clip."""

    def encode(self, audio: Audio) -> Features:
        """Turn one clip into features."""
        with torch.inference_mode():
            frames = self.frames(torch.from_numpy(audio)[None].to(self.device)).float().cpu().numpy()
        return Features(frames=frames, times=np.arange(frames.shape[1]) * self.hop_length / self.sample_rate)


class Chroma(SpectralEncoder):
    """Seven octaves from C1, three bins a semitone, folded to 12 pitch classes; the loudest of a frame is 1."""

    hop_length = 1024

    @cached_property
    def _transform(self) -> ConstantQ:
        # The first bin lies a third of a semitone below C1 (32.703 Hz), so that C is the middle of its three.
        lowest = 440 * 2 ** (-45 / 12) * 2 ** (-1 / 36)
        return ConstantQ(self.sample_rate, self.hop_length, lowest, n_bins=7 * 36, bins_per_octave=36)

    def frames(self, audio: Float[torch.Tensor, "1 samples"]) -> Float[torch.Tensor, "1 time dim"]:
        """Compute the frames of one clip."""
        magnitudes = self._transform(audio)
        chroma = magnitudes.reshape(1, 7, 12, 3, -1).sum(dim=(1, 3))
        loudest = chroma.amax(dim=1, keepdim=True)
        return (chroma / loudest.clamp(min=1e-6)).transpose(1, 2)


class LogMel(SpectralEncoder):
    """128 mel bands of a 93 ms Hann window, in bel above -10 (10 log10 would be decibel)."""

    @cached_property
    def _transform(self) -> MelSpectrogram:
        return MelSpectrogram(self.sample_rate, n_fft=2048, hop_length=self.hop_length, n_mels=128).to(self.device)

    def frames(self, audio: Float[torch.Tensor, "1 samples"]) -> Float[torch.Tensor, "1 time dim"]:
        """Compute the frames of one clip."""
        power: torch.Tensor = self._transform(audio)
        return power.clamp(min=POWER_FLOOR).log10().transpose(1, 2)


class Mfcc(LogMel):
    """The first 20 coefficients of the orthonormal DCT-II of the log mel spectrum."""

    N_COEFFICIENTS = 20

    @cached_property
    def _basis(self) -> torch.Tensor:
        basis = dct(np.eye(128), type=2, norm="ortho", axis=0)[: self.N_COEFFICIENTS]
        return torch.from_numpy(basis.astype(np.float32)).to(self.device)

    def frames(self, audio: Float[torch.Tensor, "1 samples"]) -> Float[torch.Tensor, "1 time dim"]:
        """Compute the frames of one clip."""
        return super().frames(audio) @ self._basis.T
