"""MTG-Jamendo: which of the top 50 tags did artists give to a track? (Bogdanov et al. 2019)

The layout is that of the repository MTG/mtg-jamendo-dataset, and the audio beside it::

    data/splits/split-0/autotagging_top50tags-{train,validation,test}.tsv
        TRACK_ID, ARTIST_ID, ALBUM_ID, PATH, DURATION, TAGS (one more cell for each more tag)
    audio/<last two digits of the track>/<track>.low.mp3    or <track>.mp3 in full quality

Clips are whole tracks, several minutes long. Split 0 is published; no artist is in two splits, and artists are the
groups. Some tracks were uploaded more than once, bit for bit (issue 52 of the repository counts 465). They stay, as
published, also where they cross splits: of the 117 groups of identical files in the mood subset, four do. The check
`check_audio_does_not_cross_splits` therefore fails.
One quality is used throughout: the full one where any of its files is there. The version says which.
"""

import csv
from pathlib import Path

import click

from mirbench.data.download import fetch, unpack
from mirbench.data.required_files import few, missing_files, require_files
from mirbench.domain import Clip, Dataset, Split
from mirbench.errors import DatasetError
from mirbench.files import content_hash
from mirbench.specs import DatasetRequest
from mirbench_data_tags.tagged import TaggedClips, vector

NAME = "mtg_jamendo"
REPOSITORY = "https://raw.githubusercontent.com/MTG/mtg-jamendo-dataset"
TABLES_URL = f"{REPOSITORY}/fdf486820888bf73cf36c7f9eb7fb527199d9f28"  # commits: they cannot change
CHECKSUMS_URL = f"{REPOSITORY}/d6252e4a3b378ba045b0159401b805b3a0cfe9de/data/download"
CHECKSUMS = "raw_30s_audio-low_sha256_tars.txt"
AUDIO_URL = "https://cdn.freesound.org/mtg-jamendo/raw_30s/audio-low"
TABLES: dict[Split, str] = {
    "train": "data/splits/split-0/autotagging_top50tags-train.tsv",
    "valid": "data/splits/split-0/autotagging_top50tags-validation.tsv",
    "test": "data/splits/split-0/autotagging_top50tags-test.tsv",
}
HEADER = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
LOW, FULL = ".low.mp3", ".mp3"
SELECTION = 1  # raise whenever the same tables would give other clips
# data/tags/top50.txt of the repository
GENRES = """alternative ambient atmospheric chillout classical dance downtempo easylistening electronic experimental
    folk funk hiphop house indie instrumentalpop jazz lounge metal newage orchestral pop popfolk poprock reggae rock
    soundtrack techno trance triphop world"""
INSTRUMENTS = """acousticguitar bass computer drummachine drums electricguitar electricpiano guitar keyboard piano
    strings synthesizer violin voice"""
MOODS = "emotional energetic film happy relaxing"
TAGS = tuple(
    f"{category}---{tag}"
    for category, tags in (("genre", GENRES), ("instrument", INSTRUMENTS), ("mood/theme", MOODS))
    for tag in tags.split()
)


def load(request: DatasetRequest) -> Dataset:
    """Load the tracks.

    Raises
    ------
    MissingDataError
        If the tables, or all audio, are not there.
    DatasetError
        If some of it is missing, or a table is not as published.
    """
    folder = request.home / "data" / NAME
    tables = [folder / name for name in TABLES.values()]
    require_files(NAME, folder, tables)
    suffix = find_suffix(folder)
    clips = read_clips(folder, suffix)
    if request.needs_audio:
        require_files(NAME, folder, [clip.path for clip in clips])
    tables_hash = "".join(content_hash(table)[:4] for table in tables)
    quality = "low" if suffix == LOW else "full"
    return TaggedClips(NAME, f"{SELECTION}-{tables_hash}-{quality}", TAGS, clips)


def prepare(request: DatasetRequest) -> None:
    """Download the tables and the audio in low quality, one of its 100 archives at a time.

    What is there in full quality is not completed: MTG-Jamendo's own scripts/download/download.py does that.
    """
    folder = request.home / "data" / NAME
    for name in TABLES.values():
        fetch(f"{TABLES_URL}/{name}", folder / name, title=f"downloading {Path(name).name}")
    if find_suffix(folder) == LOW:
        _prepare_audio(folder)
    load(request)


def _prepare_audio(folder: Path) -> None:
    missing = {path.parent.name for path in missing_files([clip.path for clip in read_clips(folder, LOW)])}
    if not missing:
        return
    click.echo(f"{NAME}: {len(missing)} archives of 1.6 GB to download; they go to {folder / 'audio'}", err=True)
    fetch(f"{CHECKSUMS_URL}/{CHECKSUMS}", folder / CHECKSUMS, title=f"downloading {CHECKSUMS}")
    for line in (folder / CHECKSUMS).read_text().splitlines():
        sha256, name = line.split()
        if name.removesuffix(".tar").rpartition("-")[2] in missing:
            archive = folder / name
            fetch(f"{AUDIO_URL}/{name}", archive, sha256=sha256, title=f"downloading {name}")
            unpack(archive, folder / "audio")
            archive.unlink()


def find_suffix(folder: Path) -> str:
    """Return the suffix of the audio files: full quality if any file has it, else low."""
    return FULL if any(not path.name.endswith(LOW) for path in (folder / "audio").glob("*/*.mp3")) else LOW


def read_clips(folder: Path, suffix: str) -> list[Clip]:
    """Read the tracks of all three tables."""
    return [clip for split, name in TABLES.items() for clip in _read_table(folder, folder / name, split, suffix)]


def _read_table(folder: Path, table: Path, split: Split, suffix: str) -> list[Clip]:
    clips = []
    with table.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(file, delimiter="\t")
        if next(rows, []) != HEADER:
            raise DatasetError(f"{table}:1: other columns than {', '.join(HEADER)}; is this the published file?")
        for row in rows:
            tags = row[len(HEADER) - 1 :]
            if not tags or not set(tags) <= set(TAGS):
                odd = few(sorted(set(tags) - set(TAGS))) or "none"
                raise DatasetError(f"{table}:{rows.line_num}: tags {odd}; expected some of the top 50")
            track, artist, _, path = row[:4]
            audio = folder / "audio" / f"{path.removesuffix(FULL)}{suffix}"
            clips.append(Clip(track, audio, split, artist, vector(TAGS, tags)))
    return clips
