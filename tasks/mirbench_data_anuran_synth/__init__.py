"""anuran-synth: frog choruses synthesised from published acoustics; no recordings."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import DatasetRequest, DatasetSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Dataset


def load(request: DatasetRequest) -> "Dataset":
    """Load what `prepare` synthesised."""
    from mirbench_data_anuran_synth.dataset import AnuranSynth

    return AnuranSynth(request)


def prepare(request: DatasetRequest) -> None:
    """Synthesise what is missing."""
    from mirbench_data_anuran_synth.dataset import prepare

    prepare(request)


@hookimpl
def mirbench_datasets() -> Iterator[DatasetSpec]:
    """Offer the data set."""
    yield DatasetSpec(
        name="anuran-synth",
        load=load,
        prepare=prepare,
        tasks=("anuran",),
        sizes=("default", "small"),
        is_embedded=True,
        description="2,224 clips of 3 s (111 min): synthetic choruses of 24 frog species of AnuraSet, made here",
        license="MIT: synthesised, no recordings",
        citation=(
            "species and their groups: Canas et al., A dataset for benchmarking Neotropical anuran calls "
            "identification in passive acoustic monitoring, Scientific Data 2023; calls: the sources in species.csv"
        ),
    )
