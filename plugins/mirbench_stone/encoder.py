"""ChromaNet as an encoder: what its deeper stages hold for each pitch class, and the classes' probabilities."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32

from mirbench import Encoder, Features, fingerprint
from mirbench.domain import Audio
from mirbench_ssl.frontends import HOP_LENGTH, STONE_FRONT_END, VqtLevels, crop, vqt_input
from mirbench_ssl.weights import Header, load_weights, untrained
from mirbench_stone.network import CHANNELS, MIN_FRAMES, N_CLASSES, OUTPUTS, ChromaNet, octave_pooled
from mirbench_stone.published import load_published

VERSION = 1  # raise whenever the numbers change
FIRST_STAGE = 2  # counted from 0: the third, whose 40 channels are the first wide ones
WIDTH = max(CHANNELS) * N_CLASSES


class ChromaEncoder(Encoder):
    """A clip in one pass, as the published code hears it: 5 layers of 5.4 frames a second.

    The layers are what stages three to seven put out, averaged over octaves: channels x 12 pitch classes, the last of
    them the map from which the classes are read. Zeros fill the narrower ones up to 480; a linear probe does not see
    them. Deeper stages have fewer frames, which are repeated on the third one's grid. The token "posteriors" holds the
    probabilities of the 12 or 24 classes.

    A clip below 3 s is repeated until it is as long: the network needs 128 frames.
    """

    sample_rate = STONE_FRONT_END.sample_rate
    tokens = ("posteriors",)

    def __init__(self, network: ChromaNet, header: Header, device: str = "cpu") -> None:
        self.network = network.eval().to(device)
        self.header = header
        self.device = device
        self.fingerprint = fingerprint("ChromaEncoder", VERSION, self.network)
        self.n_parameters = sum(parameter.numel() for parameter in network.parameters())
        self.about = header.about()
        self._levels = VqtLevels(self.sample_rate).to(device)

    def encode(self, audio: Audio) -> Features:
        """Turn one clip into features."""
        with torch.inference_mode():
            stages = self._stages(audio)
            layers = [octave_pooled(stage)[0].flatten(1) for stage in stages[FIRST_STAGE:]]
            posteriors = self._posteriors(stages[-1])
        n_frames = len(layers[0])
        frames = np.zeros((len(layers), n_frames, WIDTH), dtype=np.float32)
        for number, layer in enumerate(layers):
            places = np.minimum(np.arange(n_frames) >> number, len(layer) - 1)
            frames[number, :, : layer.shape[1]] = layer.float().cpu().numpy()[places]
        n_joined = 1 << (FIRST_STAGE + 1)
        times = (np.arange(n_frames) * n_joined + (n_joined - 1) / 2) * HOP_LENGTH / self.sample_rate
        inside = times <= max(len(audio) / self.sample_rate, times[0])
        return Features(frames=frames[:, inside], times=times[inside], tokens={"posteriors": posteriors})

    def posteriors(self, audio: Audio) -> Float32[np.ndarray, "output"]:
        """Return the probabilities of the classes alone."""
        with torch.inference_mode():
            return self._posteriors(self._stages(audio)[-1])[0]

    def _stages(self, audio: Audio) -> list[Float[torch.Tensor, "1 _time 84 _channel"]]:
        peak = float(np.abs(audio).max())
        needed = (MIN_FRAMES - 1) * HOP_LENGTH
        repeated = np.tile(audio, -(-needed // len(audio))) if len(audio) < needed else audio
        samples = torch.from_numpy(repeated / peak if peak else repeated)[None].to(self.device)
        return self.network.activations(crop(vqt_input(self._levels(samples))))

    def _posteriors(self, last: Float[torch.Tensor, "1 time 84 3"]) -> Float32[np.ndarray, "1 output"]:
        scores = self.network.scores(octave_pooled(last))
        posteriors: Float32[np.ndarray, "1 output"] = scores.float().softmax(dim=-1).cpu().numpy()
        return posteriors


def load(model: str, device: str, weights: Path | None) -> ChromaEncoder:
    """Load STONE, S-KEY or Semi-TONE.

    Parameters
    ----------
    weights
        As `mirbench pretrain` writes them, or a checkpoint of the published code (.pt); None for an untrained network.
    """
    if weights is None:
        with untrained() as header:
            return ChromaEncoder(ChromaNet(OUTPUTS[model]), header, device)
    network = ChromaNet(OUTPUTS[model])
    if weights.suffix != ".pt":
        return ChromaEncoder(network, load_weights(weights, model, network), device)
    return ChromaEncoder(network, load_published(weights, model, network), device)
