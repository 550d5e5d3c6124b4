"""ViT-1D: a contrastive transformer with one token per frame, and its equivariant ablation."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mirbench import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Encoder
    from mirbench.specs import PretrainRequest

WEIGHTS = Path(__file__).parent / "weights"
DESCRIPTIONS = {
    "vit1d": "ViT-1D: contrastive, one token per mel frame, 31.25 frames/s; trained by mirbench, not by its authors",
    "vit1d-equivariant": "ablation: ViT-1D over constant-Q frames, trained on STONE's equivariant task alone",
}


def load(device: str, *, model: str) -> "Encoder":
    """Load one of the two with the weights that mirbench ships."""
    from mirbench_ssl.weights import shipped_weights

    return load_from(device, shipped_weights(WEIGHTS, model), model=model)


def load_from(device: str, weights: Path | None, *, model: str) -> "Encoder":
    """Load one of the two with other weights, or untrained."""
    from mirbench_vit1d.encoder import load

    return load(model, device, weights)


def pretrain(request: "PretrainRequest") -> None:
    """Train one of the two."""
    from mirbench_vit1d.pretraining import train

    train(request)


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer both."""
    from mirbench_ssl import SHARED_PIECES

    for model, description in DESCRIPTIONS.items():
        yield EncoderSpec(
            name=model,
            remark=SHARED_PIECES,
            load=partial(load, model=model),
            load_from=partial(load_from, model=model),
            pretrain=pretrain,
            description=description,
            n_parameters=1_829_440 if model == "vit1d" else 1_837_116,
            sample_rate=16000,
            frame_rate=31.25,
            n_dims=192,
            license="MIT",
            weights_license="MIT",
            citation="Kong et al., Emergent musical properties of a transformer under contrastive self-supervised "
            "learning, ISMIR 2025, arXiv:2506.23873",
        )
