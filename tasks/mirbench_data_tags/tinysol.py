"""TinySOL: which of 14 instruments plays this note? (Cella et al. 2020)

The layout is that of Zenodo's record 3685367, version 6.0; addresses and checksums as in mirdata's `tinysol`::

    TinySOL_metadata.csv    Path, Fold (0 to 4), Family, Instrument (abbr.), ...
    TinySOL/<family>/<instrument>/ordinario/<instrument>-ord-<pitch>-<dynamics>-....wav

Split: the published five folds balance instruments, pitches and dynamics. 0 to 2 train, 3 validates, 4 tests; which
fold does what is this project's choice. Each note is its own group, as the folds have it: they share players and
instruments, and some notes are a semitone's retuning of a neighbour.
"""

from pathlib import Path

from mirbench.data.download import fetch, unpack
from mirbench.data.required_files import missing_files, require_files
from mirbench.domain import Clip, Dataset, Split
from mirbench.errors import DatasetError
from mirbench.files import content_hash
from mirbench.specs import DatasetRequest
from mirbench_data_tags.tagged import TaggedClips, read_table, vector

NAME = "tinysol"
URL = "https://zenodo.org/records/3685367/files"
TABLE, TABLE_MD5 = "TinySOL_metadata.csv", "a86c9bb115f69e61f2f25872e397fc4a"
ARCHIVE, ARCHIVE_MD5 = "TinySOL.tar.gz", "36030a7fe389da86c3419e5ee48e3b7f"
SELECTION = 1  # raise whenever the same table would give other clips or splits
FOLDS: dict[str, Split] = {"0": "train", "1": "train", "2": "train", "3": "valid", "4": "test"}
INSTRUMENTS = {
    "BTb": "Bass Tuba",
    "Hn": "French Horn",
    "Tbn": "Trombone",
    "TpC": "Trumpet in C",
    "Acc": "Accordion",
    "Cb": "Contrabass",
    "Vn": "Violin",
    "Va": "Viola",
    "Vc": "Violoncello",
    "Bn": "Bassoon",
    "ClBb": "Clarinet in B-flat",
    "Fl": "Flute",
    "Ob": "Oboe",
    "ASax": "Alto Saxophone",
}
LABELS = tuple(INSTRUMENTS.values())


def load(request: DatasetRequest) -> Dataset:
    """Load all notes.

    Raises
    ------
    MissingDataError
        If the table, or all audio, is not there.
    DatasetError
        If some audio is missing, or the table is not as published.
    """
    folder = request.home / "data" / NAME
    table = folder / TABLE
    require_files(NAME, folder, [table])
    clips = read_clips(table)
    if request.needs_audio:
        require_files(NAME, folder, [clip.path for clip in clips])
    return TaggedClips(NAME, f"{SELECTION}-{content_hash(table)[:10]}", LABELS, clips)


def prepare(request: DatasetRequest) -> None:
    """Download, verify and unpack what is missing."""
    folder = request.home / "data" / NAME
    fetch(f"{URL}/{TABLE}?download=1", folder / TABLE, md5=TABLE_MD5, title=f"downloading {TABLE}")
    if missing_files([clip.path for clip in read_clips(folder / TABLE)]):
        archive = folder / ARCHIVE
        fetch(f"{URL}/{ARCHIVE}?download=1", archive, md5=ARCHIVE_MD5, title=f"downloading {ARCHIVE}")
        unpack(archive, folder / "TinySOL")
        archive.unlink()
    load(request)


def read_clips(table: Path) -> list[Clip]:
    """Read the notes in the order of the table."""
    clips = []
    for line, (path, fold, abbreviation) in read_table(table, ("Path", "Fold", "Instrument (abbr.)")):
        if fold not in FOLDS or abbreviation not in INSTRUMENTS:
            raise DatasetError(
                f"{table}:{line}: fold {fold!r} and instrument {abbreviation!r}; expected 0 to 4 and one of "
                f"{', '.join(INSTRUMENTS)}"
            )
        reference = vector(LABELS, {INSTRUMENTS[abbreviation]})
        clips.append(Clip(path, table.parent / "TinySOL" / path, FOLDS[fold], path, reference))
    return clips
