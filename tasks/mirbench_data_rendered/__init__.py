"""rendered-scores: chorales, tunes and generated songs, synthetic instruments, exact labels."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import DatasetRequest, DatasetSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Dataset


def load(request: DatasetRequest) -> "Dataset":
    """Load what `prepare` rendered."""
    from mirbench_data_rendered.dataset import RenderedScores

    return RenderedScores(request)


def prepare(request: DatasetRequest) -> None:
    """Render what is missing."""
    from mirbench_data_rendered.dataset import prepare

    prepare(request)


@hookimpl
def mirbench_datasets() -> Iterator[DatasetSpec]:
    """Offer the data set."""
    yield DatasetSpec(
        name="rendered-scores",
        load=load,
        prepare=prepare,
        tasks=("beat", "chord", "key", "tagging"),
        sizes=("default", "small"),
        is_embedded=True,
        description="960 clips (3.7 h) of chorales, accompanied tunes and generated songs, rendered on this machine",
        license=(
            "scores: distributed inside music21 with permission of their encoders, some for non-commercial use only; "
            "SoundFonts: TimGM6mb GPL-2, Merlin GPL-3; rendered audio stays on this machine"
        ),
        citation="Cuthbert and Ariza, music21: A toolkit for computer-aided musicology, ISMIR 2010",
    )
