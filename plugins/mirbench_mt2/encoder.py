"""The encoder of MT2."""

from pathlib import Path

import torch
from jaxtyping import Float, Float32

from mirbench_mt2.network import Mt2
from mirbench_ssl.frontends import MelLevels, VqtLevels, crop, mel_input, vqt_input
from mirbench_ssl.token_encoder import TokenEncoder, load_encoder
from mirbench_ssl.weights import Header


class Mt2Encoder(TokenEncoder):
    """Frames, and two class tokens."""

    tokens = ("equivariant", "contrastive")

    def __init__(self, network: Mt2, header: Header, device: str = "cpu") -> None:
        super().__init__(network, header, device)
        self.mt2 = network
        self.vqt, self.mel = VqtLevels(self.sample_rate).to(device), MelLevels().to(device)

    def embedded(self, windows: Float32[torch.Tensor, "batch samples"]) -> Float[torch.Tensor, "batch token dim"]:
        """Make the transformer's input; of the constant-Q bins the lowest 84."""
        return self.mt2.tokens(crop(vqt_input(self.vqt(windows))), mel_input(self.mel(windows)))


def load(device: str, weights: Path | None) -> Mt2Encoder:
    """Load MT2."""
    return load_encoder(Mt2Encoder, Mt2, "mt2", device, weights, Path(__file__).parent / "weights")
