"""GTZAN genre: which of 10 genres is this excerpt of 30 s? (Tzanetakis and Cook 2002)

The layout is that of the archive genres.tar.gz (mirdata's `gtzan_genre` reads the same), and beside it the lists of
jordipons/sklearn-audio-transfer-learning (data/index/GTZAN)::

    genres/<genre>/<genre>.<number>.wav    or .au
    train_filtered.txt, valid_filtered.txt, test_filtered.txt    one <genre>/<genre>.<number>.au a line

Split: the fault-filtered one of Kereliuk et al. 2015, without repeated and distorted files and with no artist in two
splits: 443, 197 and 290 excerpts. jazz.00054.wav is damaged in the copies that circulate and is left out, which makes
442 for training. The lists do not name artists, so that each excerpt is its own group.
"""

import re
from pathlib import Path

import click

from mirbench.data.download import fetch
from mirbench.data.required_files import require_files
from mirbench.domain import Clip, Dataset, Split
from mirbench.errors import DatasetError
from mirbench.files import content_hash
from mirbench.specs import DatasetRequest
from mirbench_data_tags.tagged import TaggedClips, vector

NAME = "gtzan_genre"
REPOSITORY = "https://raw.githubusercontent.com/jordipons/sklearn-audio-transfer-learning"
URL = f"{REPOSITORY}/066fc6a292bd5f8f4b494d6a17271276ea1e173b/data/index/GTZAN"  # a commit: it cannot change
LISTS: dict[Split, str] = {"train": "train_filtered.txt", "valid": "valid_filtered.txt", "test": "test_filtered.txt"}
SELECTION = 1  # raise whenever the same lists would give other clips
GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
BROKEN = ("jazz.00054",)
SUFFIXES = (".wav", ".au")
LINE = re.compile(rf"({'|'.join(GENRES)})/(\1\.\d{{5}})(\.\w+)?")
STEPS = """\
gtzan_genre: its site (opihi.cs.uvic.ca) no longer answers and no licence is known, so the audio is not downloaded.
1. Find genres.tar.gz, 1.2 GB, for instance at https://huggingface.co/datasets/marsyas/gtzan
   (the original file has the MD5 5b3d6dddb579ab49814ab86dba69e7c7, says mirdata).
2. Unpack it, so that there is {folder}/genres/blues/blues.00000.wav (or .au)."""


def load(request: DatasetRequest) -> Dataset:
    """Load the excerpts of the lists.

    Raises
    ------
    MissingDataError
        If the lists, or all audio, are not there.
    DatasetError
        If some of it is missing, or a list is not as published.
    """
    folder = request.home / "data" / NAME
    lists = [folder / name for name in LISTS.values()]
    require_files(NAME, folder, lists)
    clips = [clip for split, path in zip(LISTS, lists, strict=True) for clip in read_clips(folder, path, split)]
    if request.needs_audio:
        require_files(NAME, folder, [clip.path for clip in clips])
    version = "".join(content_hash(path)[:4] for path in lists)
    return TaggedClips(NAME, f"{SELECTION}-{version}", GENRES, clips)


def prepare(request: DatasetRequest) -> None:
    """Download the lists; say where to put the audio, unless it is there."""
    folder = request.home / "data" / NAME
    for name in LISTS.values():
        fetch(f"{URL}/{name}", folder / name, title=f"downloading {name}")
    try:
        load(request)
    except DatasetError:
        click.echo(STEPS.format(folder=folder))
        raise


def read_clips(folder: Path, path: Path, split: Split) -> list[Clip]:
    """Read the excerpts of one list."""
    clips = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split(), start=1):
        found = LINE.fullmatch(line)
        if found is None:
            raise DatasetError(f"{path}:{number}: {line!r}; expected such as blues/blues.00029.au")
        genre, stem = found[1], found[2]
        if stem not in BROKEN:
            audio = _audio(folder / "genres" / genre, stem)
            clips.append(Clip(stem, audio, split, stem, vector(GENRES, {genre})))
    return clips


def _audio(folder: Path, stem: str) -> Path:
    candidates = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])
