"""GTZAN: 1,000 excerpts of 30 s, with keys by Alexander Lerch and beats of GTZAN-Rhythm.

The recordings lie where the data set `gtzan_genre` has them, ``data/gtzan_genre/genres/<genre>/<genre>.<number>.wav``
(or .au), so that they are needed once. The annotations::

    data/gtzan_key/gtzan_key/gtzan_key/genres/blues/blues.00000.lerch.txt   the repository alexanderlerch/gtzan_key:
                                                                            a number, see KeyEnumeration.txt
    data/gtzan_rhythm/gtzan_tempo_beat-main/beats/gtzan_blues_00000.beats   mirdata's `gtzan_genre`

jazz.00054 is damaged in the copies that circulate and reggae.00086 has no beats: both are left out. A number of -1 says
that a key modulates or is not known.

Alone, the data sets are split as Kereliuk et al. (2015) do: without repeated and distorted files, and with no artist in
two splits; the lists (of jordipons/sklearn-audio-transfer-learning) lie beside the recordings. The protocol
`ballroom-gtzan` tests on all of them, as the field does. The lists do not name artists: each excerpt is its own group.
"""

import re
from collections.abc import Mapping, Sequence

import click

from mirbench.data.download import fetch
from mirbench.domain import Split
from mirbench.errors import DatasetError
from mirbench_data_music.beats import rising
from mirbench_data_music.collection import Place, Recording, Source, find_audio, refuse_missing, require_files
from mirbench_data_music.giantsteps import fetch_repository
from mirbench_data_music.indexed import Annotation, Indexed, steps
from mirbench_data_music.keys import numbered_key

KEYS_COMMIT = "9ef1591f81ee2f7821c7ce41e774ea7ac7f94cbe"
LISTS_URL = (  # a commit: it cannot change
    "https://raw.githubusercontent.com/jordipons/sklearn-audio-transfer-learning/"
    "066fc6a292bd5f8f4b494d6a17271276ea1e173b/data/index/GTZAN"
)
LISTS: dict[Split, str] = {"train": "train_filtered.txt", "valid": "valid_filtered.txt", "test": "test_filtered.txt"}
LINE = re.compile(r"[a-z]+/([a-z]+\.\d{5})(\.\w+)?")
AUDIO = "gtzan_genre"  # the folder that holds genres
BROKEN = frozenset({"jazz.00054"})
STEPS = """\
GTZAN: its site (opihi.cs.uvic.ca) no longer answers and no licence is known, so the recordings are not downloaded.
1. Find genres.tar.gz, 1.2 GB, for instance at https://huggingface.co/datasets/marsyas/gtzan
   (the original file has the MD5 5b3d6dddb579ab49814ab86dba69e7c7, says mirdata).
2. Unpack it, so that there is {folder}/gtzan_genre/genres/blues/blues.00000.wav (or .au)."""
RHYTHM = Indexed(
    module="gtzan_genre",
    version="1.0",
    annotations={"beat": Annotation("beats", lambda track: rising(track.beats.times))},
    downloads={"tempo_beat_annotations": ("beats",)},
    audio_beside=True,
    steps=STEPS,
    left_out=BROKEN,
)


def read_keys(place: Place, task: str) -> list[Recording]:
    """List the excerpts with a file of Lerch's."""
    root = place.folder / "gtzan_key" / "gtzan_key" / "genres"
    paths = sorted(root.glob("*/*.lerch.txt"))
    if not paths:
        refuse_missing(place, "no gtzan_key/gtzan_key/genres/*/*.lerch.txt")
    recordings = []
    for path in paths:
        name = path.name.removesuffix(".lerch.txt")
        try:
            key = numbered_key(int(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise DatasetError(f"{path}: {error}; expected one number") from error
        audio = find_audio(place.folder.parent / AUDIO / "genres" / path.parent.name / f"{name}.wav")
        if name not in BROKEN:
            recordings.append(Recording(name, audio, name, key))
    return recordings


def prepare_keys(place: Place) -> None:
    """Download annotations and lists; say where to put the recordings, unless they are there."""
    fetch_repository(place, "alexanderlerch/gtzan_key", KEYS_COMMIT)
    _fetch_lists(place)
    missing = [one.path for one in read_keys(place, "key") if not one.path.is_file()]
    if missing:
        click.echo(steps(STEPS, place.folder.parent, place, missing))


def prepare_rhythm(place: Place) -> None:
    """Download annotations and lists; say where to put the recordings, unless they are there."""
    _fetch_lists(place)
    RHYTHM.prepare(place)


def fault_filtered(recordings: Sequence[Recording], place: Place) -> Mapping[str, Split]:
    """Read the split of each excerpt from the published lists."""
    lists = {split: place.folder.parent / AUDIO / name for split, name in LISTS.items()}
    require_files(place, list(lists.values()))
    splits: dict[str, Split] = {}
    for split, path in lists.items():
        for number, line in enumerate(path.read_text(encoding="utf-8").split(), start=1):
            found = LINE.fullmatch(line)
            if found is None:
                raise DatasetError(f"{path}:{number}: {line!r}; expected such as blues/blues.00029.au")
            splits[found[1]] = split
    return {one.id: splits[one.id] for one in recordings if one.id in splits}


def _fetch_lists(place: Place) -> None:
    for name in LISTS.values():
        fetch(f"{LISTS_URL}/{name}", place.folder.parent / AUDIO / name, title=f"downloading {name}")


GTZAN_KEY = Source("gtzan_key", ("key",), read_keys, prepare_keys)
GTZAN_RHYTHM = Source("gtzan_rhythm", ("beat",), RHYTHM.read, prepare_rhythm)
