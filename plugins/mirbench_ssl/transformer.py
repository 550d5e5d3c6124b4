"""The pre-norm vision transformer of ViT-1D and MT2: ViT-Tiny, one token per frame."""

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

DIM, DEPTH, HEADS, MLP_RATIO = 192, 12, 3, 4  # ViT-Tiny; arXiv 2608.30974 (embedding 192, depth 12, 3 heads)
INITIAL_DEVIATION = 0.02
INITIAL_GAIN = 6.0  # of an equivariant head: class scores begin with a deviation of about 1 (measured on music)


class Transformer(nn.Module):
    """Blocks of attention and perceptron, each normalised at its input; a normalisation at the end.

    Parameters
    ----------
    depth
        Blocks; 12 as published has 5,338,752 parameters.
    """

    def __init__(self, depth: int = DEPTH, dim: int = DIM, heads: int = HEADS) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: Float[torch.Tensor, "batch token dim"]) -> Float[torch.Tensor, "batch token dim"]:
        """Return the normalised output of the last block."""
        for block in self.blocks:
            tokens = block(tokens)
        normalised: torch.Tensor = self.norm(tokens)
        return normalised

    def attention(
        self, tokens: Float[torch.Tensor, "batch token dim"]
    ) -> Float[torch.Tensor, "batch block head token"]:
        """Measure the attention that each token receives, on average over those that attend; 1 is even."""
        received = []
        for block in self.blocks:
            assert isinstance(block, Block)
            weights, _ = block.attention(tokens)
            received.append(weights.mean(dim=2) * tokens.shape[1])
            tokens = block(tokens)
        return torch.stack(received, dim=1)

    def layers(self, tokens: Float[torch.Tensor, "batch token dim"]) -> list[Float[torch.Tensor, "batch token dim"]]:
        """Return the input, every block's output, and in place of the last block's its normalised one."""
        outputs = [tokens]
        for block in self.blocks:
            outputs.append(block(outputs[-1]))
        outputs[-1] = self.norm(outputs[-1])
        return outputs


class Block(nn.Module):
    """Attention, then a perceptron with GELU; each adds to its input, and begins by adding nothing."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.norm_2 = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, MLP_RATIO * dim)
        self.contract = nn.Linear(MLP_RATIO * dim, dim)
        self.apply(_initialise)
        for last in (self.project, self.contract):
            nn.init.zeros_(last.weight)

    def forward(self, tokens: Float[torch.Tensor, "batch token dim"]) -> Float[torch.Tensor, "batch token dim"]:
        """Transform a batch of sequences."""
        # Written out: on a processor, in half precision and over some 128 tokens, this is 2.5 to 3 times as fast as
        # torch's fused attention, forth and back (measured).
        weights, value = self.attention(tokens)
        attended = weights @ value
        tokens = tokens + self.project(attended.transpose(1, 2).flatten(2))
        return tokens + self.contract(functional.gelu(self.expand(self.norm_2(tokens))))

    def attention(
        self, tokens: Float[torch.Tensor, "batch token dim"]
    ) -> tuple[Float[torch.Tensor, "batch head token token"], Float[torch.Tensor, "batch head token part"]]:
        """Compute attention (rows add up to 1) and values."""
        query, key, value = self.qkv(self.norm_1(tokens)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(dim=-1), value


class Branch(nn.Module):
    """Turn frames of a spectrogram into tokens: normalise each frame, map, GELU (MT2's input branches)."""

    def __init__(self, n_bins: int, dim: int = DIM) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_bins)
        self.linear = nn.Linear(n_bins, dim)
        self.apply(_initialise)

    def forward(self, spectrogram: Float[torch.Tensor, "batch bin time"]) -> Float[torch.Tensor, "batch time dim"]:
        """Make one token a frame."""
        return functional.gelu(self.linear(self.norm(spectrogram.transpose(1, 2))))


def learnable(*shape: int) -> nn.Parameter:
    """Make a class token or positions to be learned."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=INITIAL_DEVIATION))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=INITIAL_DEVIATION)
        nn.init.zeros_(module.bias)


def thinned(
    tokens: Float[torch.Tensor, "batch token dim"], n_classes: int, n_kept: int
) -> Float[torch.Tensor, "batch kept dim"]:
    """Keep the class tokens and, drawn anew for each example, `n_kept` of the frames, so that batches can be larger.

    As images are thinned in FLIP (arXiv 2212.00794). For training only; the network is used with all frames.
    """
    n_frames = tokens.shape[1] - n_classes
    if n_kept >= n_frames:
        return tokens
    kept = torch.rand(len(tokens), n_frames, device=tokens.device).argsort(dim=1)[:, :n_kept, None]
    frames = tokens[:, n_classes:].gather(1, kept.expand(-1, -1, tokens.shape[2]))
    return torch.cat([tokens[:, :n_classes], frames], dim=1)


def begin_equivariant(branch: Branch, head: nn.Linear) -> None:
    """Let a branch and an equivariant head begin as the inverse of each other: training begins with the chroma.

    Each bin has two units, which see it and its negative; the head subtracts them, and GELU(x) - GELU(-x) = x. Begun at
    random, a transformer was not seen to find equivariance within some hundred steps. Ours.
    """
    n_bins = head.out_features
    identity = torch.eye(n_bins)
    with torch.no_grad():
        branch.linear.weight[: 2 * n_bins] = torch.cat([identity, -identity])
        head.weight.zero_()
        head.weight[:, : 2 * n_bins] = INITIAL_GAIN * torch.cat([identity, -identity], dim=1)


def class_scores(outputs: Float[torch.Tensor, "batch 84"]) -> Float[torch.Tensor, "batch 12"]:
    """Average the octaves of an equivariant head: 12 class scores."""
    return outputs.unflatten(1, (-1, 12)).mean(dim=1)
