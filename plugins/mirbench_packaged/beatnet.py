"""BeatNet (Heydari et al., ISMIR 2021), from the weights of its package; its front end is that of madmom.

The front end follows the descriptions of madmom 0.16 (Bock et al., ACM MM 2016) and of BeatNet's `log_spect.py`:
magnitudes of Hann windows of 64 ms, 24 triangular filters an octave, the logarithm, and what of it is new.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import nn
from torch.nn import functional

from mirbench import Encoder, Features, fingerprint
from mirbench.domain import Audio
from mirbench_packaged.packages import PACKAGES
from mirbench_packaged.runtimes import fill

PACKAGE = PACKAGES["beatnet"]
VERSION = 1  # raise whenever the numbers change
SAMPLE_RATE, HOP_LENGTH, WINDOW = 22050, 441, 1411
BANDS_PER_OCTAVE, LOWEST_HZ, HIGHEST_HZ, REFERENCE_HZ = 24, 30.0, 17000.0, 440.0
N_FEATURES, N_HIDDEN = 272, 150


class BeatNet(nn.Module):
    """A convolution over the bands, a matrix, two LSTM layers: 402,325 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 2, 10)
        self.linear0 = nn.Linear(2 * ((N_FEATURES - 9) // 2), N_HIDDEN)
        self.lstm = nn.LSTM(N_HIDDEN, N_HIDDEN, num_layers=2, batch_first=True)
        self.linear = nn.Linear(N_HIDDEN, 3)

    def hidden(self, features: Float[torch.Tensor, "time 272"]) -> Float[torch.Tensor, "time 150"]:
        """Return the state of the upper LSTM at every frame; it does not depend on later frames."""
        convolved = functional.max_pool1d(functional.relu(self.conv1(features[:, None])), 2)
        states: Any = self.lstm(self.linear0(convolved.flatten(1))[None])
        return states[0][0]

    def activations(self, features: Float[torch.Tensor, "time 272"]) -> Float[torch.Tensor, "time 3"]:
        """Return the probabilities of beat, downbeat and neither."""
        return self.linear(self.hidden(features)).softmax(dim=1)


class BeatNetEncoder(Encoder):
    """150 features 50 times a second: what the recurrent layers remember."""

    sample_rate = SAMPLE_RATE

    def __init__(self, network: BeatNet, device: str) -> None:
        self.network, self.device = network.eval().to(device), device
        self._filters = torch.from_numpy(filters()).to(device)
        self.n_parameters = sum(parameter.numel() for parameter in network.parameters())
        self.fingerprint = fingerprint("BeatNetEncoder", VERSION, network)

    def encode(self, audio: Audio) -> Features:
        """Turn one clip into features."""
        with torch.inference_mode():
            frames = self.network.hidden(self.features(torch.from_numpy(audio).to(self.device))).cpu().numpy()
        return Features(frames[None], times=np.arange(len(frames)) * HOP_LENGTH / SAMPLE_RATE)

    def features(self, audio: Float32[torch.Tensor, "samples"]) -> Float32[torch.Tensor, "time 272"]:
        """Compute 136 bands, and beside them by how much each has risen."""
        n_frames = -(-len(audio) // HOP_LENGTH)
        before = WINDOW // 2
        padded = functional.pad(audio, (before, n_frames * HOP_LENGTH + WINDOW - before - len(audio)))
        framed = padded.unfold(0, WINDOW, HOP_LENGTH)[:n_frames]
        window = torch.hann_window(WINDOW, periodic=False, device=audio.device)
        magnitudes = torch.fft.rfft(framed * window)[:, : WINDOW // 2].abs()
        bands = torch.log10(1 + magnitudes @ self._filters)
        rise = functional.pad(bands[1:] - bands[:-1], (0, 0, 1, 0)).clamp(min=0)
        return torch.cat([bands, rise], dim=1)


def filters() -> Float32[np.ndarray, "frequency 136"]:
    """Make triangles between neighbours of a logarithmic grid, each of unit sum.

    Grid points that fall into one bin of the Fourier transform count once, so that low bands are further apart.
    """
    n_bins = WINDOW // 2
    bins = (
        np.arange(n_bins) * SAMPLE_RATE / (2 * n_bins)
    )  # as madmom places them, though the window has one sample more
    first, last = (np.log2(hz / REFERENCE_HZ) * BANDS_PER_OCTAVE for hz in (LOWEST_HZ, HIGHEST_HZ))
    grid = REFERENCE_HZ * 2 ** (np.arange(np.floor(first), np.ceil(last)) / BANDS_PER_OCTAVE)
    grid = grid[(grid >= LOWEST_HZ) & (grid <= HIGHEST_HZ)]
    after = np.clip(np.searchsorted(bins, grid), 1, len(bins) - 1)
    corners = np.unique(after - (grid - bins[after - 1] < bins[after] - grid))
    made = []
    for start, centre, stop in zip(corners, corners[1:], corners[2:], strict=False):
        if stop - start < 2:
            centre, stop = start, start + 1
        triangle = np.zeros(len(bins), dtype=np.float32)
        triangle[start:centre] = np.linspace(0, 1, centre - start, endpoint=False)
        triangle[centre:stop] = np.linspace(1, 0, stop - centre, endpoint=False)
        made.append(triangle / triangle.sum())
    return np.stack(made, axis=1)


def load(device: str) -> BeatNetEncoder:
    """Load the first of its three networks, trained on all but GTZAN.

    Raises
    ------
    WeightsError
        If the package is not installed, or its weights are another network's.
    """
    network = BeatNet()
    fill(network, PACKAGE.file("BeatNet/models/model_1_weights.pt"))
    return BeatNetEncoder(network, device)
