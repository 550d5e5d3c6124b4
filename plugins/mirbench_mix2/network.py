"""MobileNetV3-Large over spectrograms of one channel, as Mix2 takes it.

Blocks: Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv 1905.02244, table 1, without its classifier. Batch
normalisation has a momentum of 0.01 and adds 1e-3 to variances, as there (section 6.1.1).
"""

import torch
from jaxtyping import Float
from torch import nn

SUBSAMPLING = 32  # of mel bands and frames
N_DIMS = 960
# Kernel, expanded channels, channels, squeeze-and-excitation, hard swish (else ReLU), stride.
BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)


class MobileNet(nn.Module):
    """Spectrograms to a map of 960 channels, 32 times smaller in both directions; 2,971,664 parameters."""

    def __init__(self) -> None:
        super().__init__()
        layers = [*_convolution(1, 16, 3, stride=2), nn.Hardswish()]
        n_channels = 16
        for kernel, n_expanded, n_out, is_excited, is_swish, stride in BLOCKS:
            sizes = n_channels, kernel, n_expanded, n_out, stride
            layers.append(Block(*sizes, is_excited=is_excited, is_swish=is_swish))
            n_channels = n_out
        self.features = nn.Sequential(*layers, *_convolution(n_channels, N_DIMS, 1), nn.Hardswish())

    def forward(self, spectrograms: Float[torch.Tensor, "batch mel time"]) -> Float[torch.Tensor, "batch 960 part"]:
        """Compute one vector for every 32 frames: the mean over the mel axis."""
        return torch.as_tensor(self.features(spectrograms[:, None]).mean(dim=2))


def pooled(frames: Float[torch.Tensor, "batch dim part"]) -> Float[torch.Tensor, "batch dim"]:
    """Return the embedding of clips: the sum of maximum and mean over time, as Mix2 has it."""
    return frames.amax(dim=-1) + frames.mean(dim=-1)


class Block(nn.Module):
    """An inverted residual: expand, filter each channel, excite, project."""

    def __init__(
        self, n_in: int, kernel: int, n_expanded: int, n_out: int, stride: int, *, is_excited: bool, is_swish: bool
    ) -> None:
        super().__init__()
        activation = nn.Hardswish if is_swish else nn.ReLU
        layers: list[nn.Module] = []
        if n_expanded != n_in:
            layers += [*_convolution(n_in, n_expanded, 1), activation()]
        layers += [*_convolution(n_expanded, n_expanded, kernel, stride=stride, groups=n_expanded), activation()]
        if is_excited:
            layers.append(SqueezeExcitation(n_expanded))
        self.layers = nn.Sequential(*layers, *_convolution(n_expanded, n_out, 1))
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, maps: Float[torch.Tensor, "batch channel mel time"]) -> torch.Tensor:
        """Apply the block; add its input where the shape is the same."""
        found: torch.Tensor = self.layers(maps)
        return maps + found if self.is_residual else found


class SqueezeExcitation(nn.Module):
    """Scale each channel by a function of the means of all channels."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_squeezed = _rounded(n_channels / 4)
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(n_channels, n_squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(n_squeezed, n_channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, maps: Float[torch.Tensor, "batch channel mel time"]) -> torch.Tensor:
        """Scale the channels."""
        return torch.as_tensor(maps * self.scale(maps))


def _convolution(n_in: int, n_out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(n_in, n_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.01),
    ]


def _rounded(n_channels: float) -> int:
    """Round to a multiple of 8 that is not more than a tenth smaller."""
    rounded = max(8, int(n_channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * n_channels else rounded
