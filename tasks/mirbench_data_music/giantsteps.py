"""GiantSteps key and GiantSteps-MTG key: excerpts of 2 min of electronic dance music from Beatport.

The layouts are those of the repositories GiantSteps/giantsteps-key-dataset (604 excerpts) and
GiantSteps/giantsteps-mtg-key-dataset (1,486), each cloned or unpacked into the folder of its name::

    giantsteps-key-dataset/annotations/key/<id>.LOFI.key     such as "Bb major"
    giantsteps-mtg-key-dataset/annotations/annotations.txt   ID, MANUAL KEY, C (confidence), between tabs
    <either>/md5/<id>.LOFI.md5                               of the recording
    <either>/audio/<id>.LOFI.mp3                             downloaded one by one, as by the repositories' audio_dl.sh

mirdata's `giantsteps_key` is another data set: GiantSteps+, 600 of the excerpts with keys revised and sometimes several
of them. Published results are about the 604, and so is this one.

Of the MTG set, those count whose annotator was sure (confidence 2) of one single key: 1,159, as in Hendrik Schreiber's
MIREX submission of 2017. Rows such as "C minor / F# minor", "A/E major" or "-" are left out. Artists are not named,
so that each recording is its own group; the MTG set has nine recordings twice, bit for bit, so that its groups are the
MD5 of the recordings: 1,029 to train, 130 to validate. No MD5 is shared with the 604 excerpts.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from mirbench.data.download import fetch, unpack
from mirbench.errors import DatasetError
from mirbench_data_music.collection import Place, Recording, Source, refuse_missing, require_files
from mirbench_data_music.keys import spell_key

KEY, KEY_COMMIT = "giantsteps-key-dataset", "6bcd492c825ac9b8597bc650a5f6fd18b6c43d2b"
MTG, MTG_COMMIT = "giantsteps-mtg-key-dataset", "fd7b8c584f7bd6d720d170c325a6d42c9bf75a6b"
KEY_AUDIO = "https://www.cp.jku.at/datasets/giantsteps/backup"
MTG_AUDIO = "https://www.cp.jku.at/datasets/giantsteps/mtg_key_backup"
COLUMNS = ["ID", "MANUAL KEY", "C"]
SURE = "2"


def read_key(place: Place, task: str) -> list[Recording]:
    """List the excerpts of GiantSteps key."""
    root = place.folder / KEY
    paths = sorted((root / "annotations" / "key").glob("*.key"))
    if not paths:
        refuse_missing(place, f"no {KEY}/annotations/key/*.key")
    return [
        _recording(root, path.stem, _name(path.stem), spell_key(path.read_text(encoding="utf-8"))) for path in paths
    ]


def read_mtg(place: Place, task: str) -> list[Recording]:
    """List the excerpts of GiantSteps-MTG key."""
    root = place.folder / MTG
    table = root / "annotations" / "annotations.txt"
    require_files(place, [table])
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file, delimiter="\t")
        if next(rows, []) != COLUMNS:
            raise DatasetError(f"{table}:1: expected the columns {', '.join(COLUMNS)} between tabs")
        keys = {}
        for row in rows:
            if len(row) != len(COLUMNS):
                raise DatasetError(f"{table}:{rows.line_num}: {len(row)} cells; expected {len(COLUMNS)}")
            keys[f"{row[0]}.LOFI"] = spell_key(row[1]) if row[2].strip() == SURE else None
    require_files(place, [_checksum_file(root, stem) for stem in keys])
    return [_recording(root, stem, _checksum(root, stem), key) for stem, key in keys.items()]


def prepare_key(place: Place) -> None:
    """Download GiantSteps key (0.9 GB)."""
    fetch_repository(place, f"GiantSteps/{KEY}", KEY_COMMIT)
    _fetch_audio(place.folder / KEY, KEY_AUDIO, read_key(place, "key"))


def prepare_mtg(place: Place) -> None:
    """Download what counts of GiantSteps-MTG key (about 1.7 GB)."""
    fetch_repository(place, f"GiantSteps/{MTG}", MTG_COMMIT)
    _fetch_audio(place.folder / MTG, MTG_AUDIO, read_mtg(place, "key"))


def fetch_repository(place: Place, repository: str, commit: str) -> None:
    """Download a commit of a GitHub repository into the folder of its name, unless that is there."""
    name = repository.partition("/")[2]
    if (place.folder / name).is_dir():
        return
    archive = place.folder / f"{name}.zip"
    fetch(f"https://github.com/{repository}/archive/{commit}.zip", archive, title=f"downloading {name}")
    unpack(archive, place.folder)
    (place.folder / f"{name}-{commit}").rename(place.folder / name)
    archive.unlink()


def _recording(root: Path, stem: str, group: str, key: str | None) -> Recording:
    return Recording(_name(stem), root / "audio" / f"{stem}.mp3", group, key)


def _name(stem: str) -> str:
    return stem.removesuffix(".LOFI")


def _checksum_file(root: Path, stem: str) -> Path:
    return root / "md5" / f"{stem}.md5"


def _checksum(root: Path, stem: str) -> str:
    """Read the published MD5 of a recording."""
    path = _checksum_file(root, stem)
    checksum = path.read_text(encoding="utf-8").split()
    if not checksum:
        raise DatasetError(f"{path}: an empty file; expected the MD5 of {stem}.mp3")
    return checksum[0]


def _fetch_audio(root: Path, address: str, recordings: Sequence[Recording]) -> None:
    """Download the recordings that have a key, each verified."""
    for recording in recordings:
        if recording.reference is not None:
            stem = recording.path.stem
            if not _checksum_file(root, stem).is_file():
                raise DatasetError(f"{_checksum_file(root, stem)}: no such file; is {root} the whole repository?")
            fetch(f"{address}/{recording.path.name}", recording.path, md5=_checksum(root, stem))


GIANTSTEPS = Source("giantsteps_key", ("key",), read_key, prepare_key)
GIANTSTEPS_MTG = Source("giantsteps_key", ("key",), read_mtg, prepare_mtg)
