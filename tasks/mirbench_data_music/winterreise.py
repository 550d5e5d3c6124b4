"""Schubert Winterreise Dataset: 24 songs, keys and chords of nine performances.

The layout is that of the data set's README (version 2.0, Zenodo's 3968389) and of its version 2.1 (10839767), in the
source's folder or in one inside it. CSV files have a header, semicolons and quoted texts::

    01_RawData/audio_wav/Schubert_D911-01_HU33.wav        song 1, performance HU33
    02_Annotations/ann_audio_globalkey.csv                WorkID; PerformanceID; key ("D:min")
    02_Annotations/ann_audio_chord/Schubert_D911-01_HU33.csv     start; end; shorthand; ...

Recordings of HU33 and SC06 are published with it; of the others you may have the CDs. A performance of which any
recording is there is part of the data set, and then all of its 24 must be.

The chords are those of `shorthand`, whose basses are named by their notes. Splits are by song: whoever has learned one
performance of a song knows the other's chords. (The field also splits by performance, which is easier.)
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mirbench.data.download import fetch, unpack
from mirbench.domain import LabelledIntervals
from mirbench.errors import DatasetError
from mirbench_data_music.chords import chord_sequence
from mirbench_data_music.collection import Place, Recording, Source, require_files
from mirbench_data_music.keys import spell_key

ARCHIVE = "Schubert_Winterreise_Dataset_v2-1.zip"
URL = f"https://zenodo.org/records/10839767/files/{ARCHIVE}?download=1"
MD5 = "591c377c6d3db522fd159b8b70180978"
PUBLISHED = ("HU33", "SC06")
KEYS = Path("02_Annotations", "ann_audio_globalkey.csv")


def read(place: Place, task: str) -> list[Recording]:
    """List the songs of all performances of which recordings are there, or published."""
    root = find_root(place.folder)
    require_files(place, [root / KEYS])
    rows = read_table(root / KEYS, ("WorkID", "PerformanceID", "key"))
    performances = {row[1] for row in rows if _audio(root, row).is_file()} | {*PUBLISHED}
    rows = [row for row in rows if row[1] in performances]
    if task == "key":
        return [_recording(root, row, spell_key(row[2])) for row in rows]
    tables = [root / "02_Annotations" / "ann_audio_chord" / f"{_stem(row)}.csv" for row in rows]
    require_files(place, tables)
    return [_recording(root, row, read_chords(table)) for row, table in zip(rows, tables, strict=True)]


def prepare(place: Place) -> None:
    """Download and unpack version 2.1."""
    if not (find_root(place.folder) / KEYS).is_file():
        archive = place.folder / ARCHIVE
        fetch(URL, archive, md5=MD5, title="downloading the Schubert Winterreise Dataset")
        unpack(archive, place.folder)
        archive.unlink()


def find_root(folder: Path) -> Path:
    """Find the folder that holds the three numbered ones."""
    inside = sorted(path.parent for path in folder.glob("Schubert_Winterreise_Dataset*/02_Annotations"))
    return inside[-1] if inside and not (folder / KEYS).is_file() else folder


def read_chords(table: Path) -> LabelledIntervals | None:
    """Read the chords of one performance of a song."""
    rows = read_table(table, ("start", "end", "shorthand"))
    try:
        intervals = np.array([[float(start), float(end)] for start, end, _ in rows], dtype=np.float64)
    except ValueError as error:
        raise DatasetError(f"{table}: {error}; expected seconds in start and end") from error
    return chord_sequence(intervals.reshape(-1, 2), [label for _, _, label in rows])


def read_table(table: Path, columns: Sequence[str]) -> list[list[str]]:
    """Read some columns of a CSV file.

    Raises
    ------
    DatasetError
        If one is missing.
    """
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, delimiter=";")
        missing = [column for column in columns if column not in (rows.fieldnames or ())]
        if missing:
            raise DatasetError(f"{table}:1: no column {', '.join(missing)} between semicolons")
        return [[(row[column] or "").strip() for column in columns] for row in rows]


def _stem(row: Sequence[str]) -> str:
    return f"{row[0]}_{row[1]}"


def _audio(root: Path, row: Sequence[str]) -> Path:
    return root / "01_RawData" / "audio_wav" / f"{_stem(row)}.wav"


def _recording(root: Path, row: Sequence[str], reference: str | LabelledIntervals | None) -> Recording:
    return Recording(_stem(row), _audio(root, row), row[0], reference)


WINTERREISE = Source("schubert_winterreise", ("chord", "key"), read, prepare)
