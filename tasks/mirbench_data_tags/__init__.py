"""Published data sets for tagging: MagnaTagATune, GTZAN genre, TinySOL, MTG-Jamendo."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from mirbench import DatasetRequest, DatasetSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Dataset


def load(name: str, request: DatasetRequest) -> "Dataset":
    """Load what is there; each data set is a module of its own."""
    from importlib import import_module

    dataset: Dataset = import_module(f"mirbench_data_tags.{name}").load(request)
    return dataset


def prepare(name: str, request: DatasetRequest) -> None:
    """Download what its source allows, and say how to get the rest."""
    from importlib import import_module

    import_module(f"mirbench_data_tags.{name}").prepare(request)


def _spec(name: str, description: str, license: str, citation: str) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        load=partial(load, name),
        prepare=partial(prepare, name),
        tasks=("tagging",),
        description=description,
        license=license,
        citation=citation,
    )


@hookimpl
def mirbench_datasets() -> Iterator[DatasetSpec]:
    """Offer the data sets."""
    yield _spec(
        name="magnatagatune",
        description="21,105 clips of 29 s with some of 50 tags, split by folder 12:1:3 (3 GB download)",
        license="CC BY-NC-SA 3.0; the recordings: CC BY-NC-SA 1.0, Magnatune",
        citation=(
            "Law, West, Mandel, Bay and Downie, Evaluation of algorithms using games: the case of music tagging, "
            "ISMIR 2009; the split without untagged clips: Lee, Park, Kim and Nam, Sample-level deep convolutional "
            "neural networks for music auto-tagging using raw waveforms, SMC 2017"
        ),
    )
    yield _spec(
        name="gtzan_genre",
        description="929 excerpts of 30 s in 10 genres, the fault-filtered split (place the audio yourself: 1.2 GB)",
        license="none is stated by its authors",
        citation=(
            "Tzanetakis and Cook, Musical genre classification of audio signals, IEEE TSAP 2002; the split: Kereliuk, "
            "Sturm and Larsen, Deep learning and music adversaries, IEEE Transactions on Multimedia 2015"
        ),
    )
    yield _spec(
        name="tinysol",
        description="2,913 single notes of 14 instruments, published folds 0-2, 3 and 4 (1 GB download)",
        license="CC BY 4.0",
        citation=(
            "Cella, Ghisi, Lostanlen, Levy, Fineberg and Maresz, OrchideaSOL: a dataset of extended instrumental "
            "techniques for computer-aided orchestration, ICMC 2020; 10.5281/zenodo.3685367"
        ),
    )
    yield _spec(
        name="mtg_jamendo",
        description=(
            "54,380 full tracks with some of the top 50 tags, split 0, by artist; a few identical files cross the "
            "published splits (156 GB download)"
        ),
        license="metadata: CC BY-NC-SA 4.0; recordings: Creative Commons, each its own (audio_licenses.txt)",
        citation=(
            "Bogdanov, Won, Tovstogan, Porter and Serra, The MTG-Jamendo dataset for automatic music tagging, Machine "
            "Learning for Music Discovery Workshop, ICML 2019"
        ),
    )
