"""MagnaTagATune: which of 50 tags did players of a game give to 29 s of a Magnatune album? (Law et al., ISMIR 2009)

The layout is that of mirg.city.ac.uk/codeapps/the-magnatagatune-dataset::

    annotations_final.csv     tab-separated: clip_id, 188 tags of 0 and 1, mp3_path
    mp3/0/ ... mp3/f/         <artist>-<album>-<track>-<title>-<start>-<end>.mp3, 16 kHz, mono

The folders 0 to f may also lie beside the table.

Split: folders 0 to b train, c validates, d to f test (12:1:3), as in jordipons/musicnn-training and elsewhere. Clips
that have none of the 50 tags are left out, as in the lists of Lee et al. 2017 (jongpillee/music_dataset_split); 15,244,
1,529 and 4,332 clips remain. With untagged clips there are 18,706, 1,825 and 5,329: their paper says that Won et al.
2020 kept them, but the lists that they published do not hold them, and their table, as its first author remembers, was
made without (minzwon/sota-music-tagging-models, issue 25).

Groups are albums. The script that made the data set (cut_clips.py) chose the folder by a hash of the album, so that an
album, and with it a track, is never in two splits. Artists are: that is a weakness of the published split.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from mirbench.data.download import fetch, unpack
from mirbench.data.required_files import missing_files, require_files
from mirbench.domain import Clip, Dataset, Split
from mirbench.errors import DatasetError
from mirbench.files import content_hash
from mirbench.specs import DatasetRequest
from mirbench_data_tags.tagged import TaggedClips, read_table, vector

NAME = "magnatagatune"
URL = "https://mirg.city.ac.uk/datasets/magnatagatune"
TABLE = "annotations_final.csv"
PARTS = ("mp3.zip.001", "mp3.zip.002", "mp3.zip.003")
SELECTION = 1  # raise whenever the same table would give other clips or splits
# The 50 most frequent tags, by frequency: split/mtat/top50_tags.txt of minzwon/sota-music-tagging-models, beside the
# lists of Lee et al.; spelled as in the table.
TAGS = tuple(
    """guitar, classical, slow, techno, strings, drums, electronic, rock, fast, piano, ambient, beat, violin, vocal,
    synth, female, indian, opera, male, singing, vocals, no vocals, harpsichord, loud, quiet, flute, woman, male vocal,
    no vocal, pop, soft, sitar, solo, man, classic, choir, voice, new age, dance, male voice, female vocal, beats, harp,
    cello, no voice, weird, country, female voice, metal, choral""".replace("\n    ", " ").split(", ")
)
BROKEN = (  # empty files in the published archive: aux/mtt/partition_gt.py of jordipons/musicnn-training
    "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
    "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
    "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
)


def load(request: DatasetRequest) -> Dataset:
    """Load the tagged clips.

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
    clips = read_clips(table, audio_folder(folder))
    if request.needs_audio:
        require_files(NAME, folder, [clip.path for clip in clips])
    return TaggedClips(NAME, f"{SELECTION}-{content_hash(table)[:10]}", TAGS, clips)


def prepare(request: DatasetRequest) -> None:
    """Download the table and the three parts of the archive, join and unpack them.

    Their checksums are not published: what is verified is the length that the server states, and the checksum of each
    sound inside the archive.
    """
    folder = request.home / "data" / NAME
    audio = audio_folder(folder)
    fetch(f"{URL}/{TABLE}", folder / TABLE, title=f"downloading {TABLE}")
    if missing_files([clip.path for clip in read_clips(folder / TABLE, audio)]):
        parts = [folder / name for name in PARTS]
        for part in parts:
            fetch(f"{URL}/{part.name}", part, title=f"downloading {part.name}")
        archive = folder / "mp3.zip"
        join(parts, archive)
        unpack(archive, audio)
        for path in (*parts, archive):
            path.unlink()
    load(request)


def join(parts: Sequence[Path], archive: Path) -> None:
    """Write the parts of a file one after the other."""
    with archive.open("wb") as file:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, file)


def audio_folder(folder: Path) -> Path:
    """Find the folder that holds the folders 0 to f."""
    return folder if (folder / "0").is_dir() else folder / "mp3"


def read_clips(table: Path, audio: Path) -> list[Clip]:
    """Read the clips that have a tag and a sound."""
    clips = []
    for line, (clip_id, path, *cells) in read_table(table, ("clip_id", "mp3_path", *TAGS), delimiter="\t"):
        if not set(cells) <= {"0", "1"}:
            raise DatasetError(f"{table}:{line}: tags {sorted(set(cells))}; expected 0 and 1")
        present = {tag for tag, cell in zip(TAGS, cells, strict=True) if cell == "1"}
        if present and path not in BROKEN:
            split, group = _place(table, line, path)
            clips.append(Clip(clip_id, audio / path, split, group, vector(TAGS, present)))
    return clips


def _place(table: Path, line: int, path: str) -> tuple[Split, str]:
    """Name the split and the album of a sound."""
    folder, _, name = path.partition("/")
    shard = "0123456789abcdef".find(folder) if len(folder) == 1 else -1
    if shard < 0 or name.count("-") < 2:
        raise DatasetError(f"{table}:{line}: mp3_path {path!r}; expected 0 to f, a slash, artist-album-track-...")
    split: Split = "train" if shard < 12 else "valid" if shard == 12 else "test"
    return split, "-".join(name.split("-")[:2])
