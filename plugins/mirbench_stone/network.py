"""ChromaNet, the network of STONE (arXiv 2407.07408) and S-KEY (arXiv 2501.12907).

Seven stages, each a halving of the time axis and a ConvNeXt block on the whole frequency axis, map 84 bins of a
constant-Q spectrogram to 84 bins of three channels; octaves and time are averaged, and a 1 x 1 convolution gives 12
classes, or two channels of 12. All of it but the crop is equivariant to shifts along the frequency axis, except near
its ends. Numbers are those of the published code (github.com/deezer/stone @9179423, github.com/deezer/skey @918b83d).
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

N_BINS, N_CLASSES = 84, 12
OUTPUTS: dict[str, Literal[12, 24]] = {"stone": 12, "skey": 24, "semitone": 24}
CHANNELS = (2, 3, 40, 40, 30, 10, 3)
KERNELS = (7, 7, 7, 7, 7, 5, 5)
MIN_FRAMES = 128
DROP_PATH = 0.1
LAYER_SCALE = 0.1


class ChromaNet(nn.Module):
    """The network up to its class scores.

    Parameters
    ----------
    n_outputs
        12: STONE, 89,952 parameters, normalised for each frame with learned scales. 24: S-KEY and the 24-way STONEs,
        47,284 parameters, normalised over channels, bins and time without any.
    """

    def __init__(self, n_outputs: Literal[12, 24]) -> None:
        super().__init__()
        is_affine = n_outputs == N_CLASSES
        inputs = (1, *CHANNELS[:-1])
        self.stages = nn.ModuleList(
            Stage(n_in, n_out, kernel, is_affine) for n_in, n_out, kernel in zip(inputs, CHANNELS, KERNELS, strict=True)
        )
        self.head = nn.Linear(CHANNELS[-1], n_outputs // N_CLASSES)
        self.norm = nn.Identity() if is_affine else nn.BatchNorm1d(2, affine=False)

    def forward(self, spectrogram: Float[torch.Tensor, "batch 84 time"]) -> Float[torch.Tensor, "batch output"]:
        """Return the class scores, before the softmax."""
        return self.scores(octave_pooled(self.activations(spectrogram)[-1]))

    def activations(
        self, spectrogram: Float[torch.Tensor, "batch 84 time"]
    ) -> list[Float[torch.Tensor, "batch _time 84 _channel"]]:
        """Return what every stage puts out.

        Raises
        ------
        ValueError
            If there are fewer than 128 frames: nothing is left after seven halvings.
        """
        if spectrogram.shape[-1] < MIN_FRAMES:
            raise ValueError(f"{spectrogram.shape[-1]} frames; expected {MIN_FRAMES} or more")
        outputs = [spectrogram.transpose(1, 2)[..., None].contiguous()]
        for stage in self.stages:
            outputs.append(stage(outputs[-1]))
        return outputs[1:]

    def scores(self, pooled: Float[torch.Tensor, "batch time 12 3"]) -> Float[torch.Tensor, "batch output"]:
        """Turn the octave-pooled map into class scores."""
        scores: torch.Tensor = self.norm(self.head(pooled.mean(dim=1)).transpose(1, 2))
        return scores.flatten(1)


def octave_pooled(
    activations: Float[torch.Tensor, "batch time 84 channel"],
) -> Float[torch.Tensor, "batch time 12 channel"]:
    """Average the seven octaves."""
    return activations.unflatten(2, (-1, N_CLASSES)).mean(dim=2)


class Stage(nn.Module):
    """Halve the time axis, then a ConvNeXt block: depthwise convolution, perceptron over channels, scaled, added.

    Channels come last, which a processor computes three times as fast as the usual layout (measured).
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, is_affine: bool) -> None:
        super().__init__()
        self.norm_in = Norm(n_in, is_affine)
        self.halve = nn.Linear(2 * n_in, n_out)
        self.depthwise = nn.Conv2d(n_out, n_out, kernel, groups=n_out)
        self.norm = Norm(n_out, is_affine)
        self.expand = nn.Linear(n_out, 4 * n_out)
        self.contract = nn.Linear(4 * n_out, n_out)
        self.scale = nn.Parameter(LAYER_SCALE * torch.ones(n_out))

    def forward(self, features: Float[torch.Tensor, "batch time 84 in"]) -> Float[torch.Tensor, "batch halved 84 out"]:
        """Transform a batch of maps."""
        normalised = self.norm_in(features)
        n_pairs = features.shape[1] // 2
        pairs = normalised[:, : 2 * n_pairs].unflatten(1, (n_pairs, 2)).transpose(2, 3).flatten(3)
        halved = functional.gelu(self.halve(pairs))
        branch = self.norm(self._convolved(halved))
        branch = self.scale * self.contract(functional.gelu(self.expand(branch)))
        if self.training:
            branch = _drop_path(branch)
        return halved + branch

    def _convolved(
        self, features: Float[torch.Tensor, "batch time 84 channel"]
    ) -> Float[torch.Tensor, "batch time 84 channel"]:
        """Convolve every channel by itself; beyond the edges counts what lies at the edge."""
        margin = self.depthwise.kernel_size[0] // 2
        images = features.permute(0, 3, 1, 2)
        padded = functional.pad(images, (margin, margin, margin, margin), mode="replicate")
        convolved: torch.Tensor = self.depthwise(padded.contiguous(memory_format=torch.channels_last))
        return convolved.permute(0, 2, 3, 1)


class Norm(nn.Module):
    """Normalise over channels, bins and time; or, affine, over channels and bins with learned scales."""

    def __init__(self, n_channels: int, is_affine: bool) -> None:
        super().__init__()
        self.affine = nn.LayerNorm([N_BINS, n_channels]) if is_affine else None

    def forward(
        self, features: Float[torch.Tensor, "batch time 84 channel"]
    ) -> Float[torch.Tensor, "batch time 84 channel"]:
        """Normalise a batch of maps, each by itself."""
        if self.affine is None:
            return functional.layer_norm(features, features.shape[1:])
        normalised: torch.Tensor = self.affine(features)
        return normalised


def _drop_path(branch: Float[torch.Tensor, "batch time 84 channel"]) -> Float[torch.Tensor, "batch time 84 channel"]:
    """Leave the branch out for a tenth of the examples, and scale the others up."""
    kept = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= DROP_PATH
    return branch * (kept / (1 - DROP_PATH)).to(branch.dtype)
