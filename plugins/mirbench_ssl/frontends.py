"""Input of the networks of this school: levels in decibels of a constant-Q and of a mel spectrogram.

Levels are computed once for a whole track and cut into segments later: but for the frames at a segment's ends, this is
the same as computing them segment by segment.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32

from mirbench import fingerprint
from mirbench_spectra.spectrograms import mel_filters
from mirbench_ssl.vqt import N_BINS, Vqt

HOP_LENGTH = 512
N_MELS = 128
N_FFT = 1024
HIGHEST_MEL_HZ = 11025.0  # above half the sample rate: 11 of the 128 filters are empty, as published
FLOOR = 1e-10
VQT_RANGE, MEL_RANGE = 80.0, 100.0  # decibels below the loudest; torchaudio's AmplitudeToDB(top_db=...) there
VERSION = 1  # raise whenever the numbers change


class MelLevels(torch.nn.Module):
    """The mel front end of ViT-1D and MT2: 128 bands at 16 kHz, power in decibels.

    That of github.com/deezer/multi-view-ssl-benchmark @f1ab1f7: 1,024-sample Hann windows of unit energy, mirrored at
    the ends; triangles of unit height on Slaney's scale up to 11,025 Hz.
    """

    sample_rate = 16000

    def __init__(self) -> None:
        super().__init__()
        window = torch.hann_window(N_FFT)
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)
        filters = mel_filters(self.sample_rate, N_FFT, N_MELS, HIGHEST_MEL_HZ, unit_area=False)
        self.register_buffer("filters", torch.from_numpy(filters), persistent=False)

    def forward(self, audio: Float32[torch.Tensor, "batch samples"]) -> Float32[torch.Tensor, "batch 128 time"]:
        """Compute `1 + samples // 512` frames."""
        window = self.get_buffer("window")
        mode = "reflect" if audio.shape[-1] > N_FFT // 2 else "constant"
        spectrum = torch.stft(audio, N_FFT, HOP_LENGTH, window=window, pad_mode=mode, return_complex=True)
        return decibels(torch.matmul(self.get_buffer("filters"), spectrum.abs().square()))


class VqtLevels(torch.nn.Module):
    """The constant-Q front end of STONE, S-KEY and MT2: 99 bins, magnitudes in "decibels" (ten times the logarithm).

    STONE takes 10 log10 of magnitudes, not of power: 80 of these are 160 dB. The released code does so, and a network
    must get what it was trained on.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.vqt = Vqt(sample_rate, HOP_LENGTH)

    def forward(self, audio: Float32[torch.Tensor, "batch samples"]) -> Float32[torch.Tensor, "batch 99 time"]:
        """Compute `1 + samples // 512` frames."""
        return decibels(self.vqt(audio))


class FrontEnd:
    """Front end of a family of models: one array of levels a track.

    Parameters
    ----------
    has_mel
        Whether 128 mel bands follow the 99 bins.
    """

    def __init__(self, name: str, sample_rate: int, *, has_mel: bool) -> None:
        self.name, self.sample_rate, self.has_mel = name, sample_rate, has_mel
        self.fingerprint = fingerprint(name, sample_rate, int(has_mel), VERSION)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / HOP_LENGTH

    def levels(self, audio: Float32[np.ndarray, "samples"]) -> Float32[np.ndarray, "time level"]:
        """Compute the levels of a track, normalised to a peak of 1; the last column is the frame's own level."""
        samples = torch.from_numpy(audio / max(float(np.abs(audio).max()), FLOOR))[None]
        parts = [VqtLevels(self.sample_rate)(samples)]
        if self.has_mel:
            parts.append(MelLevels()(samples))
        n_frames = parts[0].shape[-1]
        padded = torch.nn.functional.pad(samples.square(), (0, n_frames * HOP_LENGTH - samples.shape[-1]))
        parts.append(decibels(padded.unflatten(-1, (n_frames, HOP_LENGTH)).mean(dim=-1))[:, None])
        levels: Float32[np.ndarray, "time level"] = torch.cat(parts, dim=1)[0].T.numpy()
        return levels


STONE_FRONT_END = FrontEnd("vqt-22050", 22050, has_mel=False)
MT2_FRONT_END = FrontEnd("vqt-mel-16000", 16000, has_mel=True)


def decibels(values: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
    """Ten times the logarithm."""
    return 10 * torch.log10(values.clamp(min=FLOOR))


def vqt_input(levels: Float[torch.Tensor, "batch 99 time"]) -> Float[torch.Tensor, "batch 99 time"]:
    """Put constant-Q levels on the scale of the networks."""
    return _scaled(levels, VQT_RANGE)


def mel_input(levels: Float[torch.Tensor, "batch 128 time"]) -> Float[torch.Tensor, "batch 128 time"]:
    """Put mel levels on the scale of the networks."""
    return _scaled(levels, MEL_RANGE)


def _scaled(levels: Float[torch.Tensor, "batch bin time"], top_db: float) -> Float[torch.Tensor, "batch bin time"]:
    """Cut what lies further below the loudest of each spectrogram, and divide: the full scale is 1."""
    loudest = levels.amax(dim=(-2, -1), keepdim=True)
    return torch.maximum(levels, loudest - top_db) / top_db + 1


def magnitude(spectrogram: Float[torch.Tensor, "batch bin time"]) -> Float[torch.Tensor, "batch bin time"]:
    """Turn constant-Q bins on the scale of the networks back into magnitudes."""
    return 10 ** ((spectrogram - 1) * VQT_RANGE / 10)


def crop(
    spectrogram: Float[torch.Tensor, "*batch bin time"], start: int = 0, n_bins: int = 84
) -> Float[torch.Tensor, "*batch kept time"]:
    """Keep `n_bins` from `start`: a start higher by k moves the sound k semitones down."""
    if not 0 <= start <= spectrogram.shape[-2] - n_bins:
        raise ValueError(f"{n_bins} bins from {start} on, of {spectrogram.shape[-2]}")
    return spectrogram[..., start : start + n_bins, :]


def crops(
    spectrograms: Float[torch.Tensor, "batch bin time"], starts: torch.Tensor, n_bins: int = 84
) -> Float[torch.Tensor, "batch kept time"]:
    """Crop every spectrogram at a place of its own."""
    return torch.stack([crop(one, int(start), n_bins) for one, start in zip(spectrograms, starts, strict=True)])


def mel_of(levels: Float[torch.Tensor, "batch level time"]) -> Float[torch.Tensor, "batch 128 time"]:
    """Pick the mel bands out of the levels of a track."""
    return mel_input(levels[:, N_BINS : N_BINS + N_MELS])


def vqt_of(levels: Float[torch.Tensor, "batch level time"]) -> Float[torch.Tensor, "batch 99 time"]:
    """Pick the constant-Q bins out of the levels of a track."""
    return vqt_input(levels[:, :N_BINS])
