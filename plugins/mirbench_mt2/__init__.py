"""MT2: one transformer with an equivariant and a contrastive class token."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mirbench import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Encoder
    from mirbench.specs import PretrainRequest

WEIGHTS = Path(__file__).parent / "weights"


def load(device: str) -> "Encoder":
    """Load MT2 with the weights that mirbench ships."""
    from mirbench_ssl.weights import shipped_weights

    return load_from(device, shipped_weights(WEIGHTS, "mt2"))


def load_from(device: str, weights: Path | None) -> "Encoder":
    """Load MT2 with other weights, or untrained."""
    from mirbench_mt2.encoder import load

    return load(device, weights)


def pretrain(request: "PretrainRequest") -> None:
    """Train MT2."""
    from mirbench_mt2.pretraining import train

    train(request)


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer MT2."""
    from mirbench_ssl import SHARED_PIECES

    yield EncoderSpec(
        name="mt2",
        remark=SHARED_PIECES,
        load=load,
        load_from=load_from,
        pretrain=pretrain,
        description="MT2: an equivariant and a contrastive class token, 31.25 frames/s; trained by mirbench, not by "
        "its authors",
        n_parameters=1_862_524,
        sample_rate=16000,
        frame_rate=31.25,
        n_dims=192,
        license="MIT",
        weights_license="MIT",
        citation="Kong et al., Multi-Class-Token Transformer for Multitask Self-supervised Music Information "
        "Retrieval, WASPAA 2025, arXiv:2507.12996",
    )
