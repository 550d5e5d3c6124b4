"""Published and private recordings of frogs and hospitals: AnuraSet, ESC-50's hospital-like classes, sensor files."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import DatasetRequest, DatasetSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Dataset

ANURASET_LICENSE = "CC BY 4.0 (Zenodo's field; the article says CC0)"
ANURASET_CITATION = (
    "Canas et al., A dataset for benchmarking Neotropical anuran calls identification in passive acoustic monitoring, "
    "Scientific Data 2023"
)


def load_anuraset(request: DatasetRequest) -> "Dataset":
    """Load all clips and 42 species."""
    from mirbench_data_sounds.anuraset import AnuraSet

    return AnuraSet(request)


def load_anuraset_36(request: DatasetRequest) -> "Dataset":
    """Load the clips that have one of 36 species."""
    from mirbench_data_sounds.anuraset import AnuraSet36

    return AnuraSet36(request)


def prepare_anuraset(request: DatasetRequest) -> None:
    """Download and unpack AnuraSet."""
    from mirbench_data_sounds.anuraset import prepare

    prepare(request)


def load_esc50_hospital(request: DatasetRequest) -> "Dataset":
    """Load the hospital-like classes of ESC-50."""
    from mirbench_data_sounds.esc50 import Esc50Hospital

    return Esc50Hospital(request)


def prepare_esc50_hospital(request: DatasetRequest) -> None:
    """Download, unpack and validate ESC-50."""
    from mirbench_data_sounds.esc50 import prepare

    prepare(request)


def load_third_octave(request: DatasetRequest) -> "Dataset":
    """Load noise with the levels of your sensor files."""
    from mirbench_data_sounds.sensors import ThirdOctave

    return ThirdOctave(request)


def prepare_third_octave(request: DatasetRequest) -> None:
    """Turn your sensor files into noise with the same levels."""
    from mirbench_data_sounds.sensors import prepare

    prepare(request)


@hookimpl
def mirbench_datasets() -> Iterator[DatasetSpec]:
    """Offer the data sets."""
    yield DatasetSpec(
        name="anuraset",
        load=load_anuraset,
        prepare=prepare_anuraset,
        tasks=("anuran",),
        description="93,378 windows of 3 s of field recordings at 4 Brazilian sites, 42 frogs (11.4 GB download)",
        license=ANURASET_LICENSE,
        citation=ANURASET_CITATION,
    )
    yield DatasetSpec(
        name="anuraset-36",
        load=load_anuraset_36,
        prepare=prepare_anuraset,
        tasks=("anuran",),
        description="AnuraSet without the 6 frogs that train and test do not share and without clips that have no frog",
        license=ANURASET_LICENSE,
        citation=f"{ANURASET_CITATION}; the subset: Moummad et al., Mixture of mixups, EUSIPCO 2024",
    )
    yield DatasetSpec(
        name="esc50-hospital",
        load=load_esc50_hospital,
        prepare=prepare_esc50_hospital,
        tasks=("hospital",),
        description="16 classes of ESC-50 that hospitals have too, 640 clips of 5 s; labels are weak (0.6 GB download)",
        license="CC BY-NC 3.0",
        citation="Piczak, ESC: Dataset for environmental sound classification, ACM Multimedia 2015",
    )
    yield DatasetSpec(
        name="third-octave",
        load=load_third_octave,
        prepare=prepare_third_octave,
        tasks=("hospital",),
        description="your own third-octave sensor files and events, heard as noise with the same levels",
        license="yours",
        citation=(
            "Tailleur, Lagrange, Aumond and Tourre, Spectral transcoder: using pretrained urban sound classifiers on "
            "undersampled spectral representations, DCASE 2023"
        ),
    )
