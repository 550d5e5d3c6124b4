"""musicnn (Pons and Serra, 2019), from the TensorFlow checkpoints of its package, computed by torch.

The description is that of the paper and of the package's `models.py`. Windows have 188 frames instead of 187, so that
frames pair up: the network averages over them anyway.
"""

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Float32
from torch import nn
from torch.nn import functional

from mirbench import WindowedEncoder, WindowFeatures, fingerprint
from mirbench.domain import POOLED
from mirbench_packaged.packages import PACKAGES
from mirbench_packaged.runtimes import fill_linear, fill_norm
from mirbench_packaged.tensorflow_checkpoint import read_checkpoint
from mirbench_spectra.spectrograms import MelSpectrogram

PACKAGE = PACKAGES["musicnn"]
VERSION = 1  # raise whenever the numbers change
SAMPLE_RATE, HOP_LENGTH, N_FFT, N_MELS = 16000, 256, 512, 96
N_FRAMES = 188
BATCH_NORM_EPSILON = 1e-3  # TensorFlow's default
TIMBRAL, TEMPORAL = ((7, 38), (7, 67)), (128, 64, 32)  # mel frames x bands; mel frames
N_TIMBRAL, N_TEMPORAL, N_MIDDLE, N_PENULTIMATE, N_TAGS = 204, 51, 64, 200, 50
N_FRONT = len(TIMBRAL) * N_TIMBRAL + len(TEMPORAL) * N_TEMPORAL
N_DENSE = N_FRONT + 3 * N_MIDDLE
MTT = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
    "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
    "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
    "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
    "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip


class Layer(nn.Module):
    """A convolution (or matrix), ReLU, and normalisation, in this order."""

    def __init__(self, linear: nn.Conv2d | nn.Linear, n_outputs: int) -> None:
        super().__init__()
        self.linear = linear
        self.norm = nn.BatchNorm1d(n_outputs, eps=BATCH_NORM_EPSILON)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Transform; of a map the frequencies that are left are pooled by their maximum."""
        linear: torch.Tensor = functional.relu(self.linear(values))
        if linear.ndim == 2:
            return self.norm(linear)
        return self.norm(linear.flatten(2)).view(linear.shape).amax(dim=3)


class Musicnn(nn.Module):
    """The network: 792,079 parameters with the statistics of its normalisations left out."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, eps=BATCH_NORM_EPSILON)
        self.timbral = nn.ModuleList(Layer(nn.Conv2d(1, N_TIMBRAL, size), N_TIMBRAL) for size in TIMBRAL)
        self.temporal = nn.ModuleList(Layer(nn.Conv2d(1, N_TEMPORAL, (size, 1)), N_TEMPORAL) for size in TEMPORAL)
        self.middle = nn.ModuleList(
            Layer(nn.Conv2d(1, N_MIDDLE, (7, width)), N_MIDDLE) for width in (N_FRONT, N_MIDDLE, N_MIDDLE)
        )
        self.pool_norm = nn.BatchNorm1d(2 * N_DENSE, eps=BATCH_NORM_EPSILON)
        self.penultimate = Layer(nn.Linear(2 * N_DENSE, N_PENULTIMATE), N_PENULTIMATE)
        self.tags = nn.Linear(N_PENULTIMATE, N_TAGS)

    def frames(self, mel: Float[torch.Tensor, "batch time 96"]) -> Float[torch.Tensor, "batch time 753"]:
        """Compute front end and middle, side by side: 408 timbral, 153 temporal, three times 64 features."""
        normalised = self.norm(mel[:, None])
        padded = functional.pad(normalised, (0, 0, 3, 3))
        outputs = [layer(padded) for layer in self.timbral]
        for layer, size in zip(self.temporal, TEMPORAL, strict=True):
            outputs.append(layer(functional.pad(normalised, (0, 0, (size - 1) // 2, size // 2))))
        front = torch.cat(outputs, dim=1).transpose(1, 2)
        parts, last = [front], front
        for number, layer in enumerate(self.middle):
            new = layer(functional.pad(last[:, None], (0, 0, 3, 3))).transpose(1, 2)
            last = new + last if number else new
            parts.append(last)
        return torch.cat(parts, dim=2)

    def back(
        self, frames: Float[torch.Tensor, "batch time 753"]
    ) -> tuple[Float[torch.Tensor, "batch 200"], Float[torch.Tensor, "batch 50"]]:
        """Pool over time; give the layer before the last, and the tags' logits."""
        pooled = torch.stack([frames.amax(dim=1), frames.mean(dim=1)], dim=2).flatten(1)
        penultimate = self.penultimate(self.pool_norm(pooled))
        return penultimate, self.tags(penultimate)


class MusicnnEncoder(WindowedEncoder):
    """Windows of 3 s: 753 features, averaged over pairs of frames; the layer before the last, and 50 tags."""

    sample_rate = SAMPLE_RATE
    window_length = N_FRAMES * HOP_LENGTH
    hop_length = 2 * HOP_LENGTH
    n_frames = N_FRAMES // 2
    offset = HOP_LENGTH / 2
    tokens = ("penultimate", "tags")
    clip_readouts = (*POOLED, *tokens)

    def __init__(self, network: Musicnn, device: str) -> None:
        self.network, self.device = network.eval().to(device), device
        self.mel = MelSpectrogram(SAMPLE_RATE, N_FFT, HOP_LENGTH, N_MELS).to(device)
        self.n_parameters = sum(parameter.numel() for parameter in network.parameters())
        self.fingerprint = fingerprint("MusicnnEncoder", VERSION, network)

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network."""
        mel = torch.log10(1 + 10000 * self.mel(windows)).transpose(1, 2)
        frames = self.network.frames(mel)
        penultimate, tags = self.network.back(frames)
        paired = frames.unflatten(1, (-1, 2)).mean(dim=2)
        return WindowFeatures(
            frames=paired[:, None],
            tokens={"penultimate": penultimate[:, None], "tags": tags.sigmoid()[:, None]},
        )


def load(device: str, corpus: Literal["MTT", "MSD"]) -> MusicnnEncoder:
    """Load the network trained on MagnaTagATune (MTT) or on the Million Song Dataset (MSD).

    Raises
    ------
    WeightsError
        If the package is not installed.
    """
    tensors = read_checkpoint(PACKAGE.file(f"musicnn/{corpus}_musicnn/.index"))

    def tensor(layer: str, name: str) -> torch.Tensor:
        return torch.from_numpy(tensors[f"{layer}/{name}"])

    network = Musicnn()
    layers = [*network.timbral, *network.temporal, *network.middle]
    linears = {_numbered("conv2d", number): layer.linear for number, layer in enumerate(layers)}
    linears |= {"dense": network.penultimate.linear, "dense_1": network.tags}
    for name, linear in linears.items():
        fill_linear(linear, tensor(name, "kernel"), tensor(name, "bias"))
    norms = [network.norm, *(layer.norm for layer in layers), network.pool_norm, network.penultimate.norm]
    for number, norm in enumerate(norms):
        fill_norm(norm, partial(tensor, _numbered("batch_normalization", number)))
    return MusicnnEncoder(network, device)


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name
