"""PESTO (Riou et al., ISMIR 2023), by its own package, which is LGPL: imported, not copied."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import nn

from mirbench import WindowedEncoder, WindowFeatures, fingerprint
from mirbench_packaged.packages import PACKAGES

PACKAGE = PACKAGES["pesto"]
VERSION = 1  # raise whenever the numbers change
MODEL = "mir-1k_g7"
SAMPLE_RATE, HOP_LENGTH = 22050, 882


class PestoEncoder(WindowedEncoder):
    """384 pitches, three a semitone, 25 times a second."""

    sample_rate = SAMPLE_RATE
    hop_length = HOP_LENGTH
    n_frames = 125
    window_length = HOP_LENGTH * n_frames
    offset = 0.0

    def __init__(self, network: nn.Module, device: str) -> None:
        self.network, self.device = network.eval().to(device), device
        encoder = network.encoder
        assert isinstance(encoder, nn.Module)
        self.n_parameters = sum(parameter.numel() for parameter in encoder.parameters())
        self.fingerprint = fingerprint("PestoEncoder", VERSION, HOP_LENGTH, encoder)

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network."""
        *_, activations = self._predicted(windows)
        return WindowFeatures(frames=activations[:, None, : self.n_frames])

    def pitch(self, windows: Float32[torch.Tensor, "batch samples"]) -> Float[torch.Tensor, "batch time"]:
        """Return the pitch of each frame, in Hz."""
        with torch.inference_mode():
            pitches: torch.Tensor = self._predicted(windows)[0]
        return pitches

    def _predicted(self, windows: torch.Tensor) -> Any:
        return self.network(windows, sr=SAMPLE_RATE, convert_to_freq=True, return_activations=True)


def load(device: str) -> PestoEncoder:
    """Load it.

    Raises
    ------
    WeightsError
        If the package is not installed.
    """
    path = PACKAGE.file(f"pesto/weights/{MODEL}.ckpt")
    network = _imported().load_model(str(path), step_size=1000 * HOP_LENGTH / SAMPLE_RATE, sampling_rate=SAMPLE_RATE)
    return PestoEncoder(network, device)


def _imported() -> Any:
    """Import the package; it imports torchaudio, which only its own command needs and which may not be there."""
    try:
        return import_module("pesto")
    except ImportError:
        stand_in = ModuleType("torchaudio")
        sys.modules["torchaudio"] = stand_in
        try:
            return import_module("pesto")
        finally:
            if sys.modules.get("torchaudio") is stand_in:
                del sys.modules["torchaudio"]
