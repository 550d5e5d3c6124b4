"""Encoders that are a transformer over frames of 4 s, with class tokens in front."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float, Float32
from torch import nn

from mirbench import Encoder, WindowedEncoder, WindowFeatures, fingerprint
from mirbench.errors import WeightsError
from mirbench_ssl.frontends import FLOOR, HOP_LENGTH, MT2_FRONT_END
from mirbench_ssl.transformer import Transformer
from mirbench_ssl.weights import REMEDY, Header, load_weights, read_header, untrained

VERSION = 1  # raise whenever the numbers change
MAX_DEPTH = 100  # blocks: a damaged header must not fill the memory
E = TypeVar("E", bound="TokenEncoder")
BuildNetwork = Callable[[int], nn.Module]


class TokenEncoder(WindowedEncoder):
    """Windows of 4 s, 126 frames each: the input of the transformer and what every block puts out are the layers.

    A subclass sets `tokens` and implements `embedded`. Loudness changes nothing: each window is normalised to a peak of
    1, as each track is in training, and each frame by the network.
    """

    sample_rate = MT2_FRONT_END.sample_rate
    window_length = 4 * sample_rate
    hop_length = HOP_LENGTH
    n_frames = 1 + window_length // HOP_LENGTH
    overlap = 1  # the last frame is centred on the window's end, where the next begins
    offset = 0.0

    def __init__(self, network: nn.Module, header: Header, device: str = "cpu") -> None:
        self.network = network.eval().to(device)
        self.device = device
        self.fingerprint = fingerprint(type(self).__name__, VERSION, self.network)
        self.n_parameters = sum(parameter.numel() for parameter in self.network.parameters())
        self.about = header.about()

    @abstractmethod
    def embedded(self, windows: Float32[torch.Tensor, "batch samples"]) -> Float[torch.Tensor, "batch token dim"]:
        """Make the transformer's input, class tokens first."""

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network."""
        layers = torch.stack(self.transformer.layers(self.tokens_of(windows)), dim=1)
        return WindowFeatures(
            frames=layers[:, :, len(self.tokens) :],
            tokens={name: layers[:, :, place] for place, name in enumerate(self.tokens)},
        )

    def tokens_of(self, windows: Float32[torch.Tensor, "batch samples"]) -> Float[torch.Tensor, "batch token dim"]:
        """Normalise windows, and make the transformer's input."""
        return self.embedded(windows / windows.abs().amax(dim=1, keepdim=True).clamp(min=FLOOR))

    @property
    def transformer(self) -> Transformer:
        """The part of the network that attends."""
        transformer = self.network.transformer
        assert isinstance(transformer, Transformer)
        return transformer

    def attention(self) -> Encoder:
        return Attention(self)


class Attention(WindowedEncoder):
    """Attention that each frame receives, in every block and head."""

    def __init__(self, encoder: TokenEncoder) -> None:
        for name in ("sample_rate", "window_length", "hop_length", "n_frames", "overlap", "offset", "device"):
            setattr(self, name, getattr(encoder, name))
        self.fingerprint = fingerprint("attention", encoder.fingerprint)
        self._encoder = encoder

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network."""
        received = self._encoder.transformer.attention(self._encoder.tokens_of(windows))
        return WindowFeatures(frames=received[..., len(self._encoder.tokens) :].transpose(2, 3))


def load_encoder(
    encoder: type[E], build: BuildNetwork, model: str, device: str, weights: Path | None, shipped: Path
) -> E:
    """Build the network as its weights say, and fill it.

    Parameters
    ----------
    build
        Makes the network of a depth.
    weights
        None for an untrained network.
    shipped
        Folder of the weights that ship. An untrained network has as many blocks as theirs, so that it is their floor;
        12, as published, where none ship.
    """
    if weights is None:
        path = shipped / f"{model}.safetensors"
        depth = _depth(path, read_header(path).configuration) if path.is_file() else 12
        with untrained() as header:
            return encoder(build(depth), header, device)
    network = build(_depth(weights, read_header(weights).configuration))
    return encoder(network, load_weights(weights, model, network), device)


def _depth(path: Path, configuration: Mapping[str, object]) -> int:
    depth = str(configuration.get("depth", 12))
    if not depth.isdecimal() or not 1 <= int(depth) <= MAX_DEPTH:
        raise WeightsError(f"{path}: depth {depth!r} in its header; expected blocks from 1 to {MAX_DEPTH}; {REMEDY}")
    return int(depth)
