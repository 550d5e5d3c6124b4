"""CREMA's chord network (McFee and Bello, ISMIR 2017), from the Keras weights of its package, computed by torch.

Nothing in the package's pickles is loaded: what they say of the front end is written here.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import nn
from torch.nn import functional

from mirbench import Encoder, Features, fingerprint
from mirbench.domain import Audio
from mirbench_packaged.packages import PACKAGES
from mirbench_packaged.runtimes import fill_linear, fill_norm

PACKAGE = PACKAGES["crema"]
VERSION = 1  # raise whenever the numbers change
SAMPLE_RATE, HOP_LENGTH = 44100, 4096
N_BINS, BINS_PER_OCTAVE, HARMONICS = 216, 36, (1, 2)
LOWEST_HZ = 32.70319566257483  # C1
BATCH_NORM_EPSILON = 1e-3  # Keras's default
N_FILTERS, N_STATES = 72, 128
HEADS = {"chord_pitch": 12, "chord_root": 13, "chord_bass": 13}  # pitch classes from C; the thirteenth is "none"
N_FEATURES = 2 * N_STATES + sum(HEADS.values())
MIN_SAMPLES = 1 << 17  # below some 3 s librosa cannot filter the lowest octave without complaint


class Gru(nn.Module):
    """Keras's GRU as it was before version 2.3: the reset gate acts before the matrix, gates are piecewise linear."""

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(n_inputs, 3 * N_STATES))
        self.recurrent = nn.Parameter(torch.zeros(N_STATES, 3 * N_STATES))
        self.bias = nn.Parameter(torch.zeros(3 * N_STATES))

    def forward(self, values: Float[torch.Tensor, "time input"]) -> Float[torch.Tensor, "time 128"]:
        """Run forward in time."""
        state, states = torch.zeros(N_STATES, device=values.device), []
        of_gates, of_new = self.recurrent[:, : 2 * N_STATES], self.recurrent[:, 2 * N_STATES :]
        for weighted in values @ self.kernel + self.bias:
            update, reset = _hard_sigmoid(weighted[: 2 * N_STATES] + state @ of_gates).chunk(2)
            new = torch.tanh(weighted[2 * N_STATES :] + (reset * state) @ of_new)
            state = update * state + (1 - update) * new
            states.append(state)
        return torch.stack(states)


def _hard_sigmoid(values: torch.Tensor) -> torch.Tensor:
    return (0.2 * values + 0.5).clamp(0, 1)


class BothWays(nn.Module):
    """One GRU forward in time and one backward, side by side."""

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.forward_gru, self.backward_gru = Gru(n_inputs), Gru(n_inputs)

    def forward(self, values: Float[torch.Tensor, "time input"]) -> Float[torch.Tensor, "time 256"]:
        """Run both."""
        return torch.cat([self.forward_gru(values), self.backward_gru(values.flip(0)).flip(0)], dim=1)


class Crema(nn.Module):
    """The network up to the chords: two convolutions, two GRUs both ways, heads for pitches, root and bass."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(width, eps=BATCH_NORM_EPSILON) for width in (2, 1, N_FILTERS, 2 * N_STATES)
        )
        self.narrow = nn.Conv2d(2, 1, 5, padding=2)
        self.wide = nn.Conv2d(1, N_FILTERS, (1, N_BINS))
        self.grus = nn.ModuleList([BothWays(N_FILTERS), BothWays(2 * N_STATES)])
        self.heads = nn.ModuleDict({name: nn.Linear(2 * N_STATES, width) for name, width in HEADS.items()})

    def forward(self, spectrogram: Float[torch.Tensor, "2 time 216"]) -> Float[torch.Tensor, "time 294"]:
        """Return the states of the second GRUs, and the probabilities of pitch classes, root and bass."""
        normalised = self.norms[0](spectrogram.flatten(1).T).T.view(spectrogram.shape)
        narrow = functional.relu(self.narrow(normalised[None]))
        narrow = self.norms[1](narrow.view(1, 1, -1)).view(narrow.shape)
        wide = functional.relu(self.wide(narrow))[0, :, :, 0].T
        states = self.grus[1](self.norms[3](self.grus[0](self.norms[2](wide))))
        pitch, root, bass = (self.heads[name](states) for name in HEADS)
        return torch.cat([states, pitch.sigmoid(), root.softmax(dim=1), bass.softmax(dim=1)], dim=1)


class CremaEncoder(Encoder):
    """294 features 10.8 times a second: 256 states, then 12 pitch classes, 13 roots and 13 basses."""

    sample_rate = SAMPLE_RATE

    def __init__(self, network: Crema, device: str) -> None:
        self.network, self.device = network.eval().to(device), device
        self.n_parameters = sum(parameter.numel() for parameter in network.parameters())
        self.fingerprint = fingerprint("CremaEncoder", VERSION, network)

    def encode(self, audio: Audio) -> Features:
        """Turn one clip into features; a clip below 3 s is followed by silence, of which no frames are kept."""
        n_frames = max(1, len(audio) // HOP_LENGTH)
        with torch.inference_mode():
            levels = torch.from_numpy(spectrogram(audio)).to(self.device)
            frames = self.network(levels)[:n_frames].cpu().numpy()
        return Features(frames[None], times=np.arange(len(frames)) * HOP_LENGTH / SAMPLE_RATE)


def spectrogram(audio: Audio) -> Float32[np.ndarray, "2 time 216"]:
    """Compute constant-Q levels from C1 and from C2, each in decibels below its loudest."""
    import librosa

    padded = np.pad(audio, (0, max(0, MIN_SAMPLES - len(audio))))
    levels = []
    for harmonic in HARMONICS:
        transform = librosa.cqt(
            padded,
            sr=SAMPLE_RATE,
            hop_length=HOP_LENGTH,
            fmin=LOWEST_HZ * harmonic,
            n_bins=N_BINS,
            bins_per_octave=BINS_PER_OCTAVE,
        )
        # A frame more or less comes out, depending on how often librosa has halved the rate on the way.
        whole = librosa.util.fix_length(np.abs(transform), size=len(padded) // HOP_LENGTH)
        levels.append(librosa.amplitude_to_db(whole, ref=np.max).T)
    return np.stack(levels).astype(np.float32)


def load(device: str) -> CremaEncoder:
    """Load it.

    Raises
    ------
    WeightsError
        If the package is not installed.
    """
    network = Crema()
    _fill(network, PACKAGE.file("crema/models/chord/model.h5"))
    return CremaEncoder(network, device)


def _fill(network: Crema, path: Path) -> None:
    import h5py

    with h5py.File(path) as file:
        weights: Any = file["model_weights"]

        def tensor(layer: str, name: str) -> torch.Tensor:
            return torch.from_numpy(np.array(weights[layer][layer][f"{name}:0"], dtype=np.float32))

        for number, norm in enumerate(network.norms, 1):
            fill_norm(norm, partial(tensor, f"batch_normalization_{number}"))
        for name, linear in {"conv2d_1": network.narrow, "conv2d_2": network.wide, **network.heads}.items():
            fill_linear(linear, tensor(name, "kernel"), tensor(name, "bias"))
        for number, both in enumerate(network.grus, 1):
            for way in ("forward", "backward"):
                places = {"kernel": "kernel", "recurrent": "recurrent_kernel", "bias": "bias"}
                state = {
                    ours: tensor(f"bidirectional_{number}", f"{way}_gru_{number}/{theirs}")
                    for ours, theirs in places.items()
                }
                both.get_submodule(f"{way}_gru").load_state_dict(state)
