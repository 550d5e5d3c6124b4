"""Any module with HEAR's API: `hear:MODULE` or `hear:MODULE:WEIGHTS`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import EncoderSpec, hookimpl
from mirbench.errors import UsageError

if TYPE_CHECKING:
    from mirbench import Encoder


def load(device: str) -> "Encoder":
    """Refuse: the family itself is no encoder."""
    raise UsageError("hear is a family of encoders; write hear:MODULE or hear:MODULE:WEIGHTS")


def missing() -> str:
    """Return the message for a name without a model."""
    return "name a module: --encoder hear:MODULE or hear:MODULE:WEIGHTS"


def load_named(device: str, reference: str, trust_remote_code: bool) -> "Encoder":
    """Load a module; to name one that is installed is to trust it."""
    from mirbench_hear.encoder import HearEncoder

    return HearEncoder(reference, device)


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer the family."""
    yield EncoderSpec(
        name="hear",
        load=load,
        load_named=load_named,
        missing=missing,
        description="hear:MODULE[:WEIGHTS]: a module with the API of the HEAR benchmark (load_model, "
        "get_timestamp_embeddings, get_scene_embeddings)",
        license="MIT",
        weights_license="their publisher's",
        citation="Turian et al., HEAR: Holistic Evaluation of Audio Representations, PMLR 176, 2022, arXiv:2203.03022",
    )
