"""The encoders of ViT-1D and of its equivariant ablation."""

from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Float32

from mirbench_ssl.frontends import MelLevels, VqtLevels, crop, mel_input, vqt_input
from mirbench_ssl.token_encoder import TokenEncoder, load_encoder
from mirbench_ssl.weights import Header
from mirbench_vit1d.network import Vit1d

SHIPPED = Path(__file__).parent / "weights"


class Vit1dEncoder(TokenEncoder):
    """ViT-1D: frames and a class token."""

    tokens = ("class",)

    def __init__(self, network: Vit1d, header: Header, device: str = "cpu") -> None:
        super().__init__(network, header, device)
        self.vit = network
        self.mel = MelLevels().to(device)

    def embedded(self, windows: Float32[torch.Tensor, "batch samples"]) -> Float[torch.Tensor, "batch token dim"]:
        """Make the transformer's input."""
        return self.vit.tokens(mel_input(self.mel(windows)))


class EquivariantEncoder(TokenEncoder):
    """The same over constant-Q frames, trained to move with transposition alone."""

    tokens = ("class",)

    def __init__(self, network: Vit1d, header: Header, device: str = "cpu") -> None:
        super().__init__(network, header, device)
        self.vit = network
        self.vqt = VqtLevels(self.sample_rate).to(device)

    def embedded(self, windows: Float32[torch.Tensor, "batch samples"]) -> Float[torch.Tensor, "batch token dim"]:
        """Make the transformer's input, from the lowest 84 bins."""
        return self.vit.tokens(crop(vqt_input(self.vqt(windows))))


def load(model: str, device: str, weights: Path | None) -> TokenEncoder:
    """Load one of the two."""
    if model == "vit1d":
        return load_encoder(Vit1dEncoder, partial(Vit1d, 128), model, device, weights, SHIPPED)
    return load_encoder(EquivariantEncoder, partial(Vit1d, 84, n_outputs=84), model, device, weights, SHIPPED)
