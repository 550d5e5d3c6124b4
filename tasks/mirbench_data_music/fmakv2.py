"""FMAKv2: the keys of 5,489 songs of the Free Music Archive, by one annotator with perfect pitch.

``fmakv2.csv`` (Zenodo's record 12759100) has an unnamed index and the columns `key_and_mode` ("C Major", "G# minor"),
`track_id` (of FMA) and `spotify_uri`. The recordings lie in FMA's layout, in one of these folders::

    000/000010.mp3              whole songs, as in the record of FMAK (Zenodo's 10719860; mirdata's `fma_keys`)
    fma_full/000/000010.mp3     whole songs, from FMA
    fma_large/000/000010.mp3    30 s of each, from FMA

Audio of one folder is used throughout; the ids of clips say which. Tracks with the same `spotify_uri` are one song and
one group: 141 addresses belong to two or three tracks. 232 tracks have none ("nan") and are their own groups. Artists
are not named: songs of one artist can be in two splits.
"""

import csv
from pathlib import Path

import click

from mirbench.data.download import fetch
from mirbench.errors import DatasetError
from mirbench_data_music.collection import Place, Recording, Source, require_files
from mirbench_data_music.indexed import Indexed, refuse_changed
from mirbench_data_music.keys import spell_key

TABLE = "fmakv2.csv"
URL = f"https://zenodo.org/records/12759100/files/{TABLE}?download=1"
MD5 = "3b2d16784ffbda850c8ddf0519478bfd"
COLUMNS = ("track_id", "key_and_mode", "spotify_uri")
NO_URI = "nan"
FOLDERS = ("fma_full", "fma_large")
N_DIGITS = 6
FOLDERS_OF_DOWNLOADS = (  # mirdata's fma_keys, the first and the last folder in each
    *(("000", "019"), ("020", "039"), ("040", "049"), ("050", "059"), ("060", "069")),
    *(("070", "079"), ("080", "089"), ("090", "099"), ("100", "109"), ("110", "124")),
)
RECORD = Indexed(module="fma_keys", version="1.0")
HINT = "fmakv2: recordings of FMA itself (fma_full or fma_large, see github.com/mdeff/fma) can lie in {folder} instead."


def read(place: Place, task: str) -> list[Recording]:
    """List all songs."""
    table = place.folder / TABLE
    require_files(place, [table])
    root = audio_root(place.folder)
    prefix = "" if root == place.folder else f"{root.name}/"
    recordings = []
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not set(COLUMNS) <= set(rows.fieldnames or ()):
            raise DatasetError(f"{table}:1: no columns {', '.join(COLUMNS)}; is this the file of FMAKv2?")
        for row in rows:
            number = row["track_id"] or ""
            if not number.isdecimal():
                raise DatasetError(f"{table}:{rows.line_num}: track_id {number!r}; expected a number")
            name = number.zfill(N_DIGITS)
            path = root / name[:3] / f"{name}.mp3"
            song = row["spotify_uri"] or NO_URI
            group = name if song == NO_URI else song
            recordings.append(Recording(f"{prefix}{name}", path, group, spell_key(row["key_and_mode"] or "")))
    return recordings


def audio_root(folder: Path) -> Path:
    """Find the folder that holds the folders 000, 001, ..."""
    return next((folder / name for name in FOLDERS if (folder / name).is_dir()), folder)


def prepare(place: Place) -> None:
    """Download the table and, unless FMA's recordings are there, those of FMAK (340 h of MP3)."""
    fetch(URL, place.folder / TABLE, md5=MD5, title=f"downloading {TABLE}")
    if audio_root(place.folder) != place.folder:
        return
    click.echo(HINT.format(folder=place.folder), err=True)
    RECORD.fetch_index(place)
    published = RECORD.checksums(place, {"audio"})
    for first, last in FOLDERS_OF_DOWNLOADS:
        if any(first <= path.parent.name <= last and not path.is_file() for path in published):
            RECORD.download(place, f"tracks-{first}-{last}")
    refuse_changed(place, published)


FMAKV2 = Source("fmakv2", ("key",), read, prepare)
