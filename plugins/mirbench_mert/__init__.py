"""MERT: music understanding by masked prediction of acoustic and musical teachers; weights from the hub or a folder."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mirbench import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Encoder

MODELS = {"mert-95m": "MERT-v1-95M", "mert-330m": "MERT-v1-330M"}
N_PARAMETERS = {"mert-95m": 94_371_712, "mert-330m": 315_428_992}


def missing(*, model: str) -> str | None:
    """Return what to do where the weights are not in the hub's cache."""
    from mirbench_hub.source import is_cached

    repository = f"m-a-p/{MODELS[model]}"
    if is_cached(repository):
        return None
    return (
        f"not on this machine; name it, and it is downloaded (--encoder {model}), or run 'hf download {repository} "
        f"--local-dir FOLDER' elsewhere and give --encoder {model}@FOLDER"
    )


def load(device: str, *, model: str) -> "Encoder":
    """Load one of the two with its published weights, from the hub or its cache."""
    from mirbench_mert.encoder import load_published

    return load_published(model, f"m-a-p/{MODELS[model]}", device)


def load_from(device: str, weights: Path | None, *, model: str) -> "Encoder":
    """Load one of the two from a folder as published, or untrained."""
    from mirbench_mert.encoder import load_folder, load_untrained

    return load_folder(weights, device) if weights else load_untrained(model, device)


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer both."""
    for model, name in MODELS.items():
        yield EncoderSpec(
            name=model,
            load=partial(load, model=model),
            load_from=partial(load_from, model=model),
            description=f"{name}: masked prediction of an acoustic and a constant-Q teacher, 75 frames/s, "
            f"{13 if model == 'mert-95m' else 25} layers",
            missing=partial(missing, model=model),
            n_parameters=N_PARAMETERS[model],
            sample_rate=24000,
            frame_rate=75.0,
            n_dims=768 if model == "mert-95m" else 1024,
            license="MIT",
            weights_license="CC-BY-NC-4.0",
            citation="Li et al., MERT: acoustic music understanding model with large-scale self-supervised training, "
            "ICLR 2024, arXiv:2306.00107",
        )
