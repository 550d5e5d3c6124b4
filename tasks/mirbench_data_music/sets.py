"""Which sources make which data set, and how they are split.

Where the field has no split, `collection.split_groups` shares groups out 8:1:1: albums (Ballroom) or songs (RWC,
FMAKv2). Where there are only 6 to 24 groups, the test split gets more of them, since its interval is drawn over groups:
4:1:1 of albums (Beatles) and songs (Queen, Winterreise), 3:1:2 of the six players (GuitarSet; they all play the same
lead sheets). Layouts of what mirdata reads are those of its indices, by version.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirbench.domain import LabelledIntervals, Split
from mirbench.specs import DatasetRequest
from mirbench_data_music.beats import rising
from mirbench_data_music.chords import chord_sequence
from mirbench_data_music.collection import Part, Recordings, Source, by_group
from mirbench_data_music.fmakv2 import FMAKV2
from mirbench_data_music.giantsteps import GIANTSTEPS, GIANTSTEPS_MTG
from mirbench_data_music.gtzan import GTZAN_KEY, GTZAN_RHYTHM, fault_filtered
from mirbench_data_music.indexed import Annotation, Indexed
from mirbench_data_music.lab import read_chords, read_key
from mirbench_data_music.winterreise import WINTERREISE

THREE: Mapping[Split, int] = {"train": 8, "valid": 1, "test": 1}
FEW: Mapping[Split, int] = {"train": 4, "valid": 1, "test": 1}
SIX: Mapping[Split, int] = {"train": 3, "valid": 1, "test": 2}
TRAINING: Mapping[Split, int] = {"train": 8, "valid": 1}
TEST: Mapping[Split, int] = {"test": 1}


def _key(track: Any) -> str | None:
    return read_key(Path(track.get_path("keys")))


def _chords(track: Any) -> LabelledIntervals | None:
    return read_chords(Path(track.get_path("chords")))


def _beats(track: Any) -> Any:
    return rising(track.beats.times) if track.beats is not None else None


def _instructed_chords(track: Any) -> LabelledIntervals | None:
    """Read the chords of the lead sheet; not by the track's property, which warns 180 times that solos share them."""
    from mirdata.datasets import guitarset

    chords = guitarset.load_chords(track.jams_path, True)
    return chord_sequence(chords.intervals, chords.labels)


def _beatles_album(track: Any) -> str:
    """Name the album; the two CDs of The Beatles (10CD1, 10CD2) are one."""
    folder = Path(track.audio_path).parent.name
    return folder.replace("CD1", "").replace("CD2", "")


def _ballroom_album(track: Any) -> str:
    """Name the album where the file does; ``Media-...`` names none."""
    name = str(track.track_id)
    return name.rpartition("-")[0] if name.startswith("Albums-") else name


def _rwc_release(track_id: str) -> tuple[str, ...]:
    """Name a recording (RM-P001) as the release of 2026 does; times of chords were compared for P024 only."""
    name = track_id.replace("RM-P", "RWC_P")
    return f"audio/{name}.wav", f"audio/RWC-P/{name}.wav"


# The later of each pair of copies, from the README of CPJKU/BallroomAnnotations (found by Bob Sturm, 2014): four files
# and nine recordings are there twice, some of them as two dances.
BALLROOM_COPIES = frozenset(
    {
        *("Albums-Chrisanne2-12", "Albums-Fire-09", "Albums-Latin_Jam2-13", "Media-104705"),  # the same file
        *("Albums-AnaBelen_Veneo-15", "Albums-Ballroom_Magic-18", "Albums-Latin_Jam-13", "Albums-Latin_Jam-14"),
        *("Albums-Latin_Jam-15", "Albums-Latin_Jam2-14", "Albums-Latin_Jam2-15", "Media-103414", "Media-103415"),
    }
)
BEATLES = Indexed(
    module="beatles",
    version="1.2",
    annotations={
        "key": Annotation("keys", _key),
        "chord": Annotation("chords", _chords),
        "beat": Annotation("beat", _beats),
    },
    group=_beatles_album,
    downloads={"annotations": ("keys", "chords", "beat")},
    steps="beatles: the recordings are not free. Copy the 13 CDs (remastered 1987, as annotated) to {folder}/audio.",
)
QUEEN = Indexed(  # each song its own group: all chords are on two compilations, which do not make three splits
    module="queen",
    version="1.0",
    annotations={"key": Annotation("keys", _key), "chord": Annotation("chords", _chords)},
    downloads={"annotations": ("keys", "chords")},
    steps="queen: the recordings are not free. Copy the CDs Greatest Hits I and II to {folder}/audio.",
)
RWC_POPULAR = Indexed(
    module="rwc_popular",
    version="1.0",
    annotations={"chord": Annotation("chords", _chords), "beat": Annotation("beats", _beats)},
    downloads={"annotations_chords": ("chords",), "annotations_beat": ("beats",)},
    steps=(
        "rwc_popular: the recordings are published for non-commercial use (Zenodo's record 18656623, RWC-P.zip).\n"
        "Unpack them to {folder}/audio: RWC_P001.wav to RWC_P100.wav, there or in its folder RWC-P.\n"
        "The seven CDs are found too: rwc-p-m01/1.wav and so on, 16 songs on each of the first five, 10 on the others."
    ),
    renamed=_rwc_release,
)
GUITARSET = Indexed(
    module="guitarset",
    version="1.1.0",
    annotations={"chord": Annotation("jams", _instructed_chords)},
    group=lambda track: str(track.player_id),
    downloads={"annotations": ("jams",), "audio_mic": ("audio_mic",)},
    audio="audio_mic",
)
BALLROOM = Indexed(
    module="ballroom",
    version="1.0",
    annotations={"beat": Annotation("beats", _beats)},
    group=_ballroom_album,
    downloads={"beats": ("beats",), "audio": ("audio",)},
    left_out=BALLROOM_COPIES,
)


def _indexed(name: str, indexed: Indexed) -> Source:
    return Source(name, tuple(sorted(indexed.annotations)), indexed.read, indexed.prepare)


_BALLROOM = _indexed("ballroom", BALLROOM)
SETS: Mapping[str, tuple[Part, ...]] = {
    "giantsteps_key": (Part(GIANTSTEPS_MTG, by_group(TRAINING)), Part(GIANTSTEPS, by_group(TEST))),
    "gtzan_key": (Part(GTZAN_KEY, fault_filtered),),
    "fmakv2": (Part(FMAKV2, by_group(THREE)),),
    "fmakv2-giantsteps_key": (Part(FMAKV2, by_group(TRAINING)), Part(GIANTSTEPS, by_group(TEST))),
    "beatles": (Part(_indexed("beatles", BEATLES), by_group(FEW)),),
    "queen": (Part(_indexed("queen", QUEEN), by_group(FEW)),),
    "rwc_popular": (Part(_indexed("rwc_popular", RWC_POPULAR), by_group(THREE)),),
    "schubert_winterreise": (Part(WINTERREISE, by_group(FEW)),),
    "guitarset": (Part(_indexed("guitarset", GUITARSET), by_group(SIX)),),
    "ballroom": (Part(_BALLROOM, by_group(THREE)),),
    "gtzan_rhythm": (Part(GTZAN_RHYTHM, fault_filtered),),
    "ballroom-gtzan": (Part(_BALLROOM, by_group(TRAINING)), Part(GTZAN_RHYTHM, by_group(TEST))),
}


def load(name: str, request: DatasetRequest) -> Recordings:
    """Load a data set.

    Raises
    ------
    MissingDataError
        If its files are not there.
    DatasetError
        If some of them are missing, or are not as published.
    """
    return Recordings(name, [clip for part in SETS[name] for clip in part.clips(name, request)])


def prepare(name: str, request: DatasetRequest) -> None:
    """Download what may be downloaded; say how to get the rest, and end with an error if it is not there."""
    for part in SETS[name]:
        part.source.prepare(part.source.place(name, request.home))
    load(name, request)
