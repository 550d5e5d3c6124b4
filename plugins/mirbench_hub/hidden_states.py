"""Networks that take the waveform, and whose hidden states are the layers: HuBERT and its kin."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from mirbench import EncoderError, WindowedEncoder, WindowFeatures, fingerprint
from mirbench.domain import Audio

VERSION = 1  # raise whenever the numbers change
VARIANCE_FLOOR = 1e-7  # of Wav2Vec2FeatureExtractor


class HiddenStatesEncoder(WindowedEncoder):
    """Input of the first block and output of each block: one layer more than there are blocks.

    Windows do not overlap and are all of one length; a clip shorter than a window is encoded at its own length, alone,
    so that nothing is padded. (Networks of the "group" kind normalise over time: padding would change every frame.)
    Frame times are the centres of what a frame sees of the waveform.

    Parameters
    ----------
    network
        Called with `[batch, samples]`; returns an output with `hidden_states`.
    kernels, strides
        Of the convolutions over the waveform.
    normalises
        Whether each clip is brought to mean 0 and variance 1.
    seconds
        Of a window.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        *,
        sample_rate: int,
        kernels: Sequence[int],
        strides: Sequence[int],
        normalises: bool,
        seconds: float,
        device: str,
    ) -> None:
        self.network = network.eval().to(device)
        self.device = device
        self.sample_rate = sample_rate
        self.normalises = normalises
        self.hop_length, receptive = _grid(kernels, strides)
        self.shortest = receptive
        self.offset = receptive / 2
        self.window_length = round(seconds * sample_rate)
        self.n_frames = (self.window_length - receptive) // self.hop_length + 1
        self.fingerprint = fingerprint(
            "HiddenStatesEncoder", VERSION, sample_rate, int(normalises), self.window_length, self.network
        )
        self.n_parameters = sum(parameter.numel() for parameter in self.network.parameters())

    def prepared(self, audio: Audio) -> Audio:
        """Normalise a clip, if the network was trained so."""
        if not self.normalises:
            return audio
        normalised: Audio = ((audio - audio.mean()) / np.sqrt(audio.var() + VARIANCE_FLOOR)).astype(np.float32)
        return normalised

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network."""
        states: Any = self.network(windows, output_hidden_states=True).hidden_states
        if states is None:
            raise EncoderError(f"{type(self.network).__name__} returned no hidden states, though asked for them")
        return WindowFeatures(frames=torch.stack(states, dim=1))


def _grid(kernels: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """Return the distance of frames, and how much a frame sees; both in samples.

    Examples
    --------
    >>> _grid((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))
    (320, 400)
    """
    steps = list(itertools.accumulate(strides, lambda all_before, stride: all_before * stride, initial=1))
    return steps[-1], 1 + sum((kernel - 1) * step for kernel, step in zip(kernels, steps, strict=False))
