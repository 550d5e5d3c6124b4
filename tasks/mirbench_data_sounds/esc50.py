"""esc50-hospital: the classes of ESC-50 that are heard in hospitals too (Piczak, ACM Multimedia 2015).

ESC-50 is not recorded in hospitals: these are 16 of its 50 classes of clips from Freesound, 40 clips of 5 s each. The
layout is that of the repository karolpiczak/ESC-50 (and of soundata's `esc50`, which moves its folders up)::

    ESC-50-master/meta/esc50.csv     filename, fold, target, category, esc10, src_file, take
    ESC-50-master/audio/*.wav        44.1 kHz, mono, 5 s

**Its labels are weak**: one class a clip, without onset or offset. ESC-50 fills clips that are shorter than 5 s with
digital silence, so the event is taken to last wherever the clip is not exactly zero: from the first sample that is not
to the last, split by runs of zeros that are longer than 0.1 s. A pause in which a room is heard counts as the event,
and so do other sounds of the recording.

Splits: the published folds, 1 to 3 for training, 4 for validation, 5 for the test. Fragments of one Freesound file
(`src_file`, the group) lie in one fold.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from mirbench.data import audio
from mirbench.data.required_files import missing_files, refuse_missing, require_files
from mirbench.domain import Clip, Dataset, LabelledIntervals, Split
from mirbench.errors import DatasetError
from mirbench.files import content_hash
from mirbench.specs import DatasetRequest
from mirbench_data_sounds.tables import Row, read_table, refuse

NAME = "esc50-hospital"
LABELLING = 1  # raise whenever the same files would give other references
MIN_PAUSE = 0.1  # seconds of digital silence that end an event
COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
SPLITS: Mapping[str, Split] = {"1": "train", "2": "train", "3": "train", "4": "valid", "5": "test"}
LABELS = (
    "breathing",
    "clock_alarm",
    "coughing",
    "crying_baby",
    "door_wood_creaks",
    "door_wood_knock",
    "footsteps",
    "keyboard_typing",
    "laughing",
    "mouse_click",
    "pouring_water",
    "siren",
    "sneezing",
    "vacuum_cleaner",
    "washing_machine",
    "water_drops",
)


class Esc50Hospital(Dataset):
    """Clips with the intervals in which they sound.

    Raises
    ------
    MissingDataError
        If ESC-50 is not there.
    DatasetError
        If files are missing, or the CSV file is not as published.
    """

    name = NAME
    labels = LABELS

    def __init__(self, request: DatasetRequest) -> None:
        root = find_root(request)
        if root is None:
            refuse_missing(NAME, request.home / "data" / NAME, "no meta/esc50.csv")
        rows = read_rows(root)
        require_files(NAME, root, _paths(root, rows))  # references follow from the audio
        self.version = f"{LABELLING}-{content_hash(root / 'meta' / 'esc50.csv')[:10]}"
        self._clips = [_clip(root, cells) for _, cells in rows]

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split in the order of the CSV file."""
        return [clip for clip in self._clips if clip.split == split]


def prepare(request: DatasetRequest) -> None:
    """Download ESC-50 from where soundata says, unpack it, and check every file against soundata's index."""
    root = find_root(request)
    if root is not None and not missing_files(_paths(root, read_rows(root))):
        return
    try:
        import soundata
    except ImportError as error:
        raise DatasetError(f"{NAME} is downloaded with soundata; run pip install 'mirbench-audio[data]'") from error
    from mirbench.data.download import fetch, unpack

    folder = request.home / "data" / NAME
    remote = soundata.initialize("esc50", data_home=str(folder)).remotes["all"]
    archive = folder / remote.filename
    # GitHub packs the archive anew at times: its files are checked, not itself.
    fetch(remote.url, archive, title="downloading ESC-50")
    unpack(archive, folder)
    validate(folder / "ESC-50-master")
    archive.unlink()


def validate(root: Path) -> None:
    """Compare the files with soundata's index of ESC-50, which is downloaded.

    Raises
    ------
    DatasetError
        If files are missing or differ, or the index cannot be had.
    """
    import urllib.request  # noqa: F401  soundata uses it without importing it

    import soundata

    published = soundata.initialize("esc50", data_home=str(root))
    try:
        published.download(partial_download=["index"])
        missing, different = published.validate(verbose=False)
    except OSError as error:
        raise DatasetError(f"{NAME}: soundata's index of checksums cannot be had: {error}") from error
    n_missing, n_different = len(missing["clips"]), len(different["clips"])
    if n_missing or n_different:
        raise DatasetError(
            f"{NAME}: by soundata's index {n_missing} clips are missing in {root} and {n_different} are not as "
            f"published; remove the folder and run 'mirbench data prepare {NAME}'"
        )


def find_root(request: DatasetRequest) -> Path | None:
    """Find the folder that holds meta and audio."""
    folder = request.home / "data" / NAME
    roots = (folder / "ESC-50-master", folder)
    return next((root for root in roots if (root / "meta" / "esc50.csv").is_file()), None)


def read_rows(root: Path) -> list[Row]:
    """Read the rows of the hospital-like classes."""
    path = root / "meta" / "esc50.csv"
    rows = [(line, cells) for line, cells in read_table(path, COLUMNS) if cells["category"] in LABELS]
    refuse(
        [
            f"{path}:{line}: fold {cells['fold']!r}; expected 1 to 5"
            for line, cells in rows
            if cells["fold"] not in SPLITS
        ]
    )
    return rows


def sounding_parts(samples: Float32[np.ndarray, "_samples"], sample_rate: int) -> Float64[np.ndarray, "part 2"]:
    """Find the parts of a clip that are not digital silence, as starts and ends in seconds."""
    sounding = np.flatnonzero(samples)
    if not len(sounding):
        return np.zeros((0, 2))
    last_before_pause = np.flatnonzero(np.diff(sounding) - 1 > MIN_PAUSE * sample_rate)
    starts = sounding[np.concatenate([[0], last_before_pause + 1])]
    ends = sounding[np.concatenate([last_before_pause, [-1]])] + 1
    return np.stack([starts, ends], axis=1) / sample_rate


def _clip(root: Path, cells: Mapping[str, str]) -> Clip:
    path = root / "audio" / cells["filename"]
    sample_rate = audio.info(path).sample_rate
    parts = sounding_parts(audio.load(path, sample_rate), sample_rate)
    return Clip(
        id=path.stem,
        path=path,
        split=SPLITS[cells["fold"]],
        group=cells["src_file"],
        reference=LabelledIntervals(parts, (cells["category"],) * len(parts)),
    )


def _paths(root: Path, rows: Sequence[Row]) -> list[Path]:
    return [root / "audio" / cells["filename"] for _, cells in rows]
