"""Any audio model of transformers, by its name on the Hugging Face hub or by a folder: `hf:ORG/NAME`, `hf:FOLDER`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import EncoderSpec, hookimpl
from mirbench.errors import UsageError

if TYPE_CHECKING:
    from mirbench import Encoder


def load(device: str) -> "Encoder":
    """Refuse: the family itself is no encoder."""
    raise UsageError("hf is a family of encoders; write hf:ORG/NAME or hf:FOLDER")


def missing() -> str:
    """Return the message for a name without a model."""
    return "name a model: --encoder hf:ORG/NAME or hf:FOLDER"


def load_named(device: str, reference: str, trust_remote_code: bool) -> "Encoder":
    """Load a model."""
    from mirbench_hf.encoder import load

    return load(device, reference, trust_remote_code)


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer the family."""
    yield EncoderSpec(
        name="hf",
        load=load,
        load_named=load_named,
        missing=missing,
        description="hf:ORG/NAME[@REVISION] or hf:FOLDER: models of transformers (HuBERT, wav2vec2, WavLM, data2vec, "
        "AST, CLAP, Whisper, EnCodec, DAC, ...)",
        license="MIT",
        weights_license="their publisher's",
        citation="Wolf et al., Transformers: state-of-the-art natural language processing, EMNLP 2020 (demonstrations)",
    )
