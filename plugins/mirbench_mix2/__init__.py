"""Mix2: a convolutional network trained on mixtures of clips, for rare species."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mirbench import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Encoder
    from mirbench.specs import PretrainRequest

WEIGHTS = Path(__file__).parent / "weights"


def load(device: str) -> "Encoder":
    """Load the encoder with the weights that mirbench ships."""
    from mirbench_ssl.weights import shipped_weights

    return load_from(device, shipped_weights(WEIGHTS, "mix2"))


def load_from(device: str, weights: Path | None) -> "Encoder":
    """Load the encoder with other weights, or untrained."""
    from mirbench_mix2.encoder import load

    return load(device, weights)


def missing() -> str | None:
    """Return how to provide weights, as long as none ship."""
    if (WEIGHTS / "mix2.safetensors").is_file():
        return None
    return "no weights of it ship; train it: mirbench pretrain mix2 --dataset anuran-synth, then --encoder mix2@FILE"


def pretrain(request: "PretrainRequest") -> None:
    """Train the network."""
    from mirbench_mix2.pretraining import train

    train(request)


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer the encoder."""
    yield EncoderSpec(
        name="mix2",
        load=load,
        load_from=load_from,
        missing=missing,
        pretrain=pretrain,
        labelled_by="anuran",
        description="Mix2: MobileNetV3-Large trained on species in mixtures of clips; no weights ship: train it",
        n_parameters=2_971_664,
        sample_rate=16000,
        frame_rate=16000 / (32 * 128),
        n_dims=960,
        license="MIT",
        citation="Moummad, Farrugia, Serizel, Froidevaux and Lostanlen, Mixture of mixups for multi-label "
        "classification of rare anuran sounds, EUSIPCO 2024, arXiv:2403.09598",
    )
