"""Published recordings of music with keys, chords or beats."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from mirbench import DatasetRequest, DatasetSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Dataset

GIANTSTEPS = (
    "Knees, Faraldo, Herrera, Vogl, Boeck, Hoerschlaeger and Le Goff, Two data sets for tempo estimation and key "
    "detection in electronic dance music annotated from user corrections, ISMIR 2015"
)
GIANTSTEPS_MTG = (
    "Faraldo, Tonality estimation in electronic dance music: a computational and musically informed examination, PhD "
    "thesis, Universitat Pompeu Fabra 2017"
)
GIANTSTEPS_LICENSE = "keys: CC BY-SA 4.0 (MTG: none is stated); recordings: previews of Beatport"
FMAK = (
    "Wong and Hernandez, FMAK: a dataset of key and mode annotations for the Free Music Archive, ISMIR late-breaking "
    "demo 2023; version 2: Kong et al., STONE: self-supervised tonality estimator, ISMIR 2024; 10.5281/zenodo.12759100"
)
FMAK_LICENSE = "keys: CC BY 4.0; recordings: Creative Commons, each its own"
GTZAN = "Tzanetakis and Cook, Musical genre classification of audio signals, IEEE TSAP 2002"
FILTERED = (
    "the split: Kereliuk, Sturm and Larsen, Deep learning and music adversaries, IEEE Transactions on Multimedia 2015"
)
ISOPHONICS = (
    "Mauch, Cannam, Davies, Dixon, Harte, Kolozali, Tidhar and Sandler, OMRAS2 metadata project 2009, ISMIR 2009"
)
RHYTHM = (
    "Marchand, Fresnel and Peeters, GTZAN-Rhythm: extending the GTZAN test-set with beat, downbeat and swing "
    "annotations, ISMIR late-breaking demo 2015"
)
BALLROOM = (
    "Gouyon et al., An experimental comparison of audio tempo induction algorithms, IEEE TASLP 2006; beats: Krebs, "
    "Boeck and Widmer, Rhythmic pattern modeling for beat and downbeat tracking in musical audio, ISMIR 2013"
)
BALLROOM_LICENSE = "CC BY-NC-SA 4.0, says mirdata"
NONE_STATED = "none is stated by its authors"
OWN_CDS = "annotations: none is stated; recordings: not free, bring your own"


def load(name: str, request: DatasetRequest) -> "Dataset":
    """Load what is there."""
    from mirbench_data_music import sets

    return sets.load(name, request)


def prepare(name: str, request: DatasetRequest) -> None:
    """Download what its source allows, and say how to get the rest."""
    from mirbench_data_music import sets

    sets.prepare(name, request)


def _spec(name: str, tasks: str, description: str, license: str, *citations: str) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        load=partial(load, name),
        prepare=partial(prepare, name),
        tasks=tuple(tasks.split()),
        description=description,
        license=license,
        citation="; ".join(citations),
    )


@hookimpl
def mirbench_datasets() -> Iterator[DatasetSpec]:
    """Offer the data sets."""
    yield _spec(
        "giantsteps_key",
        "key",
        "dance music: 604 excerpts of 2 min to test on, 1,159 of GiantSteps-MTG to train on (2.5 GB download)",
        GIANTSTEPS_LICENSE,
        GIANTSTEPS,
        GIANTSTEPS_MTG,
    )
    yield _spec(
        "gtzan_key",
        "key",
        "excerpts of 30 s with one key, fault-filtered split of GTZAN (place the audio yourself: 1.2 GB)",
        f"keys: MIT; recordings: {NONE_STATED}",
        GTZAN,
        "keys: Lerch, github.com/alexanderlerch/gtzan_key",
        FILTERED,
    )
    yield _spec(
        "fmakv2", "key", "5,489 songs of 17 genres, 340 h (download of all, or FMA's audio)", FMAK_LICENSE, FMAK
    )
    yield _spec(
        "fmakv2-giantsteps_key",
        "key",
        "a protocol: train on FMAKv2, test on the 604 excerpts of GiantSteps",
        f"{FMAK_LICENSE}; GiantSteps: {GIANTSTEPS_LICENSE}",
        FMAK,
        GIANTSTEPS,
    )
    yield _spec(
        "beatles", "beat chord key", "180 songs of 12 albums, split by album (bring the CDs)", OWN_CDS, ISOPHONICS
    )
    yield _spec("queen", "chord key", "20 songs of two compilations (bring the CDs)", OWN_CDS, ISOPHONICS)
    yield _spec(
        "rwc_popular",
        "beat chord",
        "100 Japanese and American pop songs composed for research (place the audio yourself)",
        "AIST annotations: for research; recordings: CC BY-NC 4.0 as of their release of 2026",
        "Goto, Hashiguchi, Nishimura and Oka, RWC music database: popular, classical and jazz music "
        "databases, ISMIR 2002",
        "chords: Cho and Bello, A feature smoothing method for chord recognition using recurrence plots, ISMIR 2011",
    )
    yield _spec(
        "schubert_winterreise",
        "chord key",
        "24 songs for voice and piano in two free recordings (and seven more if you have them), split by song",
        "CC BY 3.0; the recordings of SC06 must not be passed on modified",
        "Weiss, Zalkow, Arifi-Mueller, Mueller, Koops, Volk and Grohganz, Schubert Winterreise dataset: a multimodal "
        "scenario for music analysis, ACM JOCCH 2021; 10.5281/zenodo.10839767",
    )
    yield _spec(
        "guitarset",
        "chord",
        "360 excerpts of 30 s of solo guitar by 6 players, instructed chords, split by player (0.7 GB download)",
        "MIT, says mirdata",
        "Xi, Bittner, Ye, Pauwels and Bello, GuitarSet: a dataset for guitar transcription, ISMIR 2018; "
        "10.5281/zenodo.3371780",
    )
    yield _spec(
        "ballroom",
        "beat",
        "685 excerpts of 30 s of ballroom dances, without 13 copies, split by album (1.5 GB download)",
        BALLROOM_LICENSE,
        BALLROOM,
    )
    yield _spec(
        "gtzan_rhythm",
        "beat",
        "excerpts of 30 s of 10 genres, fault-filtered split of GTZAN (place the audio yourself: 1.2 GB)",
        NONE_STATED,
        GTZAN,
        RHYTHM,
        FILTERED,
    )
    yield _spec(
        "ballroom-gtzan",
        "beat",
        "a protocol: train on Ballroom, test on all 998 excerpts of GTZAN-Rhythm",
        f"Ballroom: {BALLROOM_LICENSE}; GTZAN: {NONE_STATED}",
        BALLROOM,
        GTZAN,
        RHYTHM,
    )
