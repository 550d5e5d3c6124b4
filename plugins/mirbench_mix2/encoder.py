"""The encoder of Mix2: the network before its classifier."""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float32

from mirbench import WindowedEncoder, WindowFeatures, fingerprint
from mirbench.errors import WeightsError
from mirbench_mix2.frontend import SAMPLE_RATE, MelFrontEnd
from mirbench_mix2.network import SUBSAMPLING, MobileNet, pooled
from mirbench_ssl.weights import REMEDY, Header, load_weights, read_header, untrained

VERSION = 1  # raise whenever the numbers change
SECONDS = 3.0  # of a window, at least; length of the clips of AnuraSet
PUBLISHED = {"bands": "128", "hop": "128"}
MAX_SIZE = 4096  # of both: a damaged header must not fill the memory


class Mix2Encoder(WindowedEncoder):
    """Windows of about 3 s: a frame for every 32 frames of the spectrogram, and the embedding that is classified."""

    sample_rate = SAMPLE_RATE
    offset = 0.0
    tokens = ("embedding",)

    def __init__(self, network: MobileNet, header: Header, front_end: MelFrontEnd, device: str = "cpu") -> None:
        self.network = network.eval().to(device)
        self.front_end = front_end
        self.device = device
        self.hop_length = SUBSAMPLING * front_end.hop_length
        self.n_frames = -(-round(SECONDS * SAMPLE_RATE) // self.hop_length)
        self.window_length = self.n_frames * self.hop_length
        self.shortest = self.hop_length
        self.fingerprint = fingerprint(type(self).__name__, VERSION, front_end.fingerprint, self.network)
        self.n_parameters = sum(parameter.numel() for parameter in self.network.parameters())
        self.about = header.about()

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network."""
        frames = self.network(self.front_end.input(windows))
        return WindowFeatures(frames=frames.transpose(1, 2)[:, None], tokens={"embedding": pooled(frames)[:, None]})


def load(device: str, weights: Path | None) -> Mix2Encoder:
    """Load the encoder.

    Parameters
    ----------
    device
        "cpu" or "cuda".
    weights
        File of weights; None for an untrained network, with the input size of the weights that ship.
    """
    if weights is None:
        shipped = Path(__file__).parent / "weights" / "mix2.safetensors"
        configuration = read_header(shipped).configuration if shipped.is_file() else {}
        with untrained() as header:
            return Mix2Encoder(MobileNet(), header, _front_end(shipped, configuration), device)
    network = MobileNet()
    front_end = _front_end(weights, read_header(weights).configuration)
    return Mix2Encoder(network, load_weights(weights, "mix2", network), front_end, device)


def _front_end(path: Path, configuration: Mapping[str, object]) -> MelFrontEnd:
    sizes = {name: str(configuration.get(name, default)) for name, default in PUBLISHED.items()}
    for name, size in sizes.items():
        if not size.isdecimal() or not 1 <= int(size) <= MAX_SIZE:
            raise WeightsError(f"{path}: {name} {size!r} in its header; expected 1 to {MAX_SIZE}; {REMEDY}")
    return MelFrontEnd(int(sizes["bands"]), int(sizes["hop"]))
