"""STONE, S-KEY and Semi-TONE: ChromaNet, trained on tonality without labels; and `mirbench key`."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mirbench import EncoderSpec, hookimpl
from mirbench.specs import nothing_missing

if TYPE_CHECKING:
    import click

    from mirbench import Encoder
    from mirbench.specs import PretrainRequest

WEIGHTS = Path(__file__).parent / "weights"
STONE = "Kong et al., STONE: Self-supervised Tonality Estimator, ISMIR 2024, arXiv:2407.07408"
SKEY = "Kong et al., S-KEY: Self-supervised Learning of Major and Minor Keys from Audio, ICASSP 2025, arXiv:2501.12907"


def load(device: str, *, model: str) -> "Encoder":
    """Load one of the three with the weights that mirbench ships."""
    from mirbench_ssl.weights import shipped_weights

    return load_from(device, shipped_weights(WEIGHTS, model), model=model)


def load_from(device: str, weights: Path | None, *, model: str) -> "Encoder":
    """Load one of the three with other weights, or untrained."""
    from mirbench_stone.encoder import load

    return load(model, device, weights)


def pretrain(request: "PretrainRequest") -> None:
    """Train one of the three."""
    from mirbench_stone.pretraining import train

    train(request)


def semitone_is_missing() -> str:
    """Return how to provide weights of Semi-TONE, of which none ship."""
    return "no weights of it ship; give some: --encoder semitone@FILE"


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer the three."""
    from mirbench_ssl import SHARED_PIECES

    remarks = {"stone": SHARED_PIECES, "skey": f"its circle of fifths was held to the chroma; {SHARED_PIECES}"}
    for model, description, citation in (
        ("stone", "STONE: 12 key signatures, without labels; trained by mirbench, not by its authors", STONE),
        ("skey", "S-KEY: 24 keys, without labels; trained by mirbench, not by its authors", SKEY),
        (
            "semitone",
            "Semi-TONE: STONE with some labelled keys; no weights ship: train it, or give a --checkpoint",
            STONE,
        ),
    ):
        yield EncoderSpec(
            name=model,
            remark=remarks.get(model, ""),
            load=partial(load, model=model),
            load_from=partial(load_from, model=model),
            missing=nothing_missing if model != "semitone" else semitone_is_missing,
            pretrain=pretrain,
            labelled_by="key" if model == "semitone" else "",
            description=description,
            n_parameters=89_952 if model == "stone" else 47_284,
            sample_rate=22050,
            frame_rate=22050 / 512 / 8,
            n_dims=480,
            license="MIT",
            weights_license="MIT" if model != "semitone" else "",
            citation=citation,
        )


@hookimpl
def mirbench_commands() -> "Iterator[click.Command]":
    """Offer `mirbench key`."""
    from mirbench_stone.command import key_command

    yield key_command
