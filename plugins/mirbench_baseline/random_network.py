"""A transformer that has never been trained: the representation of an architecture alone."""

import torch
from jaxtyping import Float32
from torch import nn

from mirbench import WindowedEncoder, WindowFeatures, fingerprint
from mirbench_spectra.spectrograms import MelSpectrogram

SEED = 0
N_LAYERS, N_DIMS, N_HEADS, N_MELS = 4, 192, 3, 64


class RandomNetwork(WindowedEncoder):
    """Log mel frames, a linear map, four transformer layers; 4 s windows, 25 frames a second."""

    sample_rate = 16000
    window_length = 64000
    hop_length = 640
    n_frames = 100
    offset = 0.0

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            self.network = _Network().eval().to(device)
        self.fingerprint = fingerprint("random", self.network)
        self.n_parameters = sum(parameter.numel() for parameter in self.network.parameters())

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Return the input of the first layer and the output of every layer."""
        return WindowFeatures(frames=self.network(windows))


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mel = MelSpectrogram(RandomNetwork.sample_rate, 1024, RandomNetwork.hop_length, N_MELS)
        self.project = nn.Linear(N_MELS, N_DIMS)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(N_DIMS, N_HEADS, 4 * N_DIMS, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(N_LAYERS)
        )

    def forward(self, audio: Float32[torch.Tensor, "batch samples"]) -> Float32[torch.Tensor, "batch layer time dim"]:
        frames = self.mel(audio).clamp(min=1e-10).log10().transpose(1, 2)
        outputs = [self.project(frames)]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        return torch.stack(outputs, dim=1)
