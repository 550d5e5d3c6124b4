"""third-octave: your own recordings of privacy-preserving sensors, which keep levels and no waveform.

`LAYOUT` describes the folder. A sensor file holds rows of 29 third-octave levels (see
`mirbench_sensors.third_octave`), 8 rows a second, under the name that the Cense sensors and fast-to-ears
use, `fast_125ms`. Three shapes are published and read: [time, 29]; [chunk, frame, 29] (README of fast-to-ears), chunks
one after another; and the sensors' own table, whose field `epoch` (milliseconds) is followed by the 29 bands and then
by totals, which are left out (as modantailleur's readers of Cense files do).

Encoders take waveforms: `prepare` makes noise with the same levels. All recordings are moved by one offset in dB, so
that the loudest row of all lies `HEADROOM_DB` below full scale, whatever the levels were referred to; fast-to-ears has
one offset for a whole data set as well. Long recordings are cut into clips of equal length, a minute at most; an event
that crosses a cut is an event in both clips.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from math import ceil, isfinite
from pathlib import Path

import numpy as np

from mirbench.data.embedded import RenderedClip, StoredClip, generate, read_manifest
from mirbench.data.required_files import refuse_missing, require_files
from mirbench.domain import SPLITS, Clip, Dataset, LabelledIntervals, Split
from mirbench.errors import DatasetError, MissingDataError
from mirbench.files import content_hash
from mirbench.specs import DatasetRequest
from mirbench_data_sounds.tables import read_table, refuse
from mirbench_sensors.third_octave import (
    FAST,
    N_BANDS,
    ROWS_PER_SECOND,
    SAMPLE_RATE,
    SENSITIVITY_DB,
    Levels,
    broadband_levels,
)

NAME = "third-octave"
RESYNTHESIS = 2  # raise whenever the same levels would give other audio
MAX_CLIP_ROWS = 60 * ROWS_PER_SECOND
HEADROOM_DB = 14.0  # root mean square of the loudest row below full scale: noise peaks some 12 dB above it
PLAUSIBLE_DB = (-200.0, 150.0)
MAX_STEP = 1000.0  # milliseconds between two rows of a sensor's table; more is a gap
LAYOUT = """\
recordings.csv   path,split,group          one row a sensor file; split: train, valid or test;
                                           group: the sensor, room or patient, never in two splits
events.csv       path,onset,offset,label   one row an event, in seconds from the beginning of its sensor file
*.h5, *.npy      third-octave levels in dB, [time, 29], 20 Hz to 12.5 kHz, 8 rows a second;
                 in HDF5 the data set 'fast_125ms'"""


@dataclass(frozen=True)
class Recording:
    """A sensor file; its content names it in what is made of it."""

    name: str
    path: Path
    split: Split
    group: str
    sha256: str


@dataclass(frozen=True)
class Event:
    """A sound event, in seconds of its sensor file."""

    onset: float
    offset: float
    label: str


@dataclass(frozen=True)
class Piece:
    """Rows of a sensor file that become a clip, and what is added to their levels."""

    recording: Recording
    first: int
    last: int
    offset_db: float


class ThirdOctave(Dataset):
    """Clips of noise with the levels of the sensor files.

    Raises
    ------
    MissingDataError
        If there are no sensor files, or they have not been made into noise.
    DatasetError
        If files are missing, or the CSV files contradict themselves or them.
    """

    name = NAME

    def __init__(self, request: DatasetRequest) -> None:
        folder = request.home / "data" / NAME
        if not is_there(folder):
            refuse_missing(NAME, folder, "no recordings.csv and events.csv")
        recordings = read_recordings(folder)
        events = read_events(folder, recordings)
        manifest = manifest_path(request, recordings)
        clips = list(read_manifest(manifest, NAME).values())
        _refuse_late_events(folder, recordings, events, clips)
        tables = [content_hash(folder / table)[:6] for table in ("recordings.csv", "events.csv")]
        self.version = "-".join([manifest.parent.name, *tables])
        self.labels = tuple(sorted({event.label for found in events.values() for event in found}))
        by_content = {recording.sha256: recording for recording in recordings}
        self._clips = [_clip(by_content[clip.labels["recording"]], clip, events) for clip in clips]

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split, in the order of recordings.csv when they were made."""
        return [clip for clip in self._clips if clip.split == split]


def prepare(request: DatasetRequest) -> None:
    """Make noise of the sensor files; say what to put where if there are none."""
    folder = request.home / "data" / NAME
    if not is_there(folder):
        print(f"{NAME} is yours to put into {folder}:\n{LAYOUT}")
        raise MissingDataError(f"{NAME} is not in {folder}: recordings.csv and events.csv are expected there")
    recordings = read_recordings(folder)
    read_events(folder, recordings)
    levels = [read_levels(recording.path) for recording in recordings]
    loudest = max(float(broadband_levels(rows).max()) for rows in levels)
    offset_db = SENSITIVITY_DB - HEADROOM_DB - loudest
    generate(
        manifest_path(request, recordings),
        {
            f"{recording.sha256[:16]}-{first:07d}": Piece(recording, first, last, offset_db)
            for recording, rows in zip(recordings, levels, strict=True)
            for first, last in cuts(len(rows))
        },
        make,
        title=f"making {NAME} audible",
        workers=request.workers,
        verify=request.verify,
        about={"offset_db": offset_db},
    )


def make(piece: Piece) -> RenderedClip:
    """Make one clip."""
    recording = piece.recording
    levels = read_levels(recording.path)[piece.first : piece.last] + piece.offset_db
    samples = FAST.noise(levels, [int(recording.sha256[:16], 16), piece.first])
    return RenderedClip(samples, SAMPLE_RATE, {"recording": recording.sha256, "start": piece.first / ROWS_PER_SECOND})


def cuts(n_rows: int) -> list[tuple[int, int]]:
    """Cut rows into stretches of equal length, a minute at most."""
    edges = np.linspace(0, n_rows, ceil(n_rows / MAX_CLIP_ROWS) + 1).round().astype(int).tolist()
    return list(pairwise(edges))


def manifest_path(request: DatasetRequest, recordings: Sequence[Recording]) -> Path:
    """Return where the manifest lies; the folder's name covers the content of all sensor files."""
    contents = sha256(" ".join(recording.sha256 for recording in recordings).encode()).hexdigest()[:10]
    return request.home / "data" / f"{NAME}-resynthesised" / f"{RESYNTHESIS}-{contents}" / "manifest.json"


def is_there(folder: Path) -> bool:
    """Return whether the two CSV files are there."""
    return (folder / "recordings.csv").is_file() and (folder / "events.csv").is_file()


def read_recordings(folder: Path) -> list[Recording]:
    """Read recordings.csv.

    Raises
    ------
    DatasetError
        Naming the files that are missing, or every line (the first ten) that cannot be used.
    """
    table = folder / "recordings.csv"
    rows = read_table(table, ("path", "split", "group"))
    require_files(NAME, folder, [folder / cells["path"] for _, cells in rows])
    problems, recordings = [], []
    first_line: dict[str, int] = {}
    split_of_group: dict[str, str] = {}
    for line, cells in rows:
        split: Split | None = next((split for split in SPLITS if split == cells["split"]), None)
        path = folder / cells["path"]
        content = content_hash(path)
        if split is None:
            problems.append(f"{table}:{line}: split {cells['split']!r}; expected train, valid or test")
        elif not cells["group"] or split_of_group.setdefault(cells["group"], split) != split:
            problems.append(f"{table}:{line}: group {cells['group']!r} is empty or in two splits")
        elif first_line.setdefault(content, line) != line:
            problems.append(f"{table}:{line}: {path.name} has the content of the file on line {first_line[content]}")
        else:
            recordings.append(Recording(cells["path"], path, split, cells["group"], content))
    refuse(problems or ([] if recordings else [f"{table}: no recordings"]))
    return recordings


def read_events(folder: Path, recordings: Sequence[Recording]) -> dict[str, list[Event]]:
    """Read events.csv, by the path of the recording.

    Raises
    ------
    DatasetError
        Naming every line (the first ten) that cannot be used.
    """
    table = folder / "events.csv"
    problems = []
    events: dict[str, list[Event]] = {recording.name: [] for recording in recordings}
    for line, cells in read_table(table, ("path", "onset", "offset", "label")):
        onset, offset = _seconds(cells["onset"]), _seconds(cells["offset"])
        if cells["path"] not in events:
            problems.append(f"{table}:{line}: {cells['path']!r} is not in recordings.csv")
        elif not 0 <= onset < offset or not cells["label"]:
            problems.append(
                f"{table}:{line}: from {cells['onset']!r} to {cells['offset']!r}: {cells['label']!r}; "
                "expected seconds, the offset after the onset, and a label"
            )
        else:
            events[cells["path"]].append(Event(onset, offset, cells["label"]))
    refuse(problems)
    return events


def read_levels(path: Path) -> Levels:
    """Read a sensor file.

    Raises
    ------
    DatasetError
        If it cannot be read, has another shape, gaps, or values that are no levels in dB.
    """
    table = _read_npy(path) if path.suffix == ".npy" else _read_hdf5(path)
    if table.dtype.names is not None:
        levels = _bands_of_sensor_table(path, table)
    elif table.ndim in (2, 3) and table.shape[-1] == N_BANDS:
        levels = table.reshape(-1, N_BANDS).astype(np.float64)
    else:
        raise DatasetError(f"{path}: shape {table.shape}; expected [time, {N_BANDS}] or [chunk, frame, {N_BANDS}]")
    low, high = PLAUSIBLE_DB
    plausible = (levels >= low) & (levels <= high)  # false for NaN
    if not len(levels) or not plausible.all():
        where = f"row {int((~plausible.all(axis=1)).argmax())}" if len(levels) else "no row at all"
        raise DatasetError(f"{path}: {where}; expected levels between {low:g} and {high:g} dB in every row")
    return levels


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not an array that numpy can read ({error})") from error


def _read_hdf5(path: Path) -> np.ndarray:
    try:
        import h5py
    except ImportError as error:
        raise DatasetError(f"{path}: HDF5 is read with h5py; run pip install 'mirbench-audio[sensor]'") from error
    try:
        with h5py.File(path) as file:
            if not isinstance(file.get("fast_125ms"), h5py.Dataset):
                raise DatasetError(f"{path}: no data set 'fast_125ms' (found: {', '.join(file) or 'nothing'})")
            return np.asarray(file["fast_125ms"][()])
    except OSError as error:
        raise DatasetError(f"{path}: not an HDF5 file ({error})") from error


def _bands_of_sensor_table(path: Path, table: np.ndarray) -> Levels:
    names = table.dtype.names or ()
    if table.ndim != 1 or len(names) <= N_BANDS or names[0] != "epoch":
        raise DatasetError(f"{path}: a table of {', '.join(names)}; expected epoch and {N_BANDS} bands")
    steps = np.diff(table["epoch"].astype(np.float64))
    gaps = np.flatnonzero((steps <= 0) | (steps > MAX_STEP))
    if len(gaps):
        raise DatasetError(
            f"{path}: {steps[gaps[0]]:g} ms between rows {gaps[0]} and {gaps[0] + 1}; expected 125: "
            "cut the file at its gaps"
        )
    return np.stack([table[name] for name in names[1 : N_BANDS + 1]], axis=1).astype(np.float64)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return -1.0
    return value if isfinite(value) else -1.0


def _refuse_late_events(
    folder: Path, recordings: Sequence[Recording], events: Mapping[str, Sequence[Event]], clips: Sequence[StoredClip]
) -> None:
    seconds: defaultdict[str, float] = defaultdict(float)
    for clip in clips:
        seconds[clip.labels["recording"]] += clip.duration
    refuse(
        [
            f"{folder / 'events.csv'}: {event.label} ends at {event.offset:g} s, {recording.name} at {length:g} s"
            for recording in recordings
            for length in (seconds[recording.sha256],)
            for event in events[recording.name]
            if event.offset > length + 1 / ROWS_PER_SECOND
        ]
    )


def _clip(recording: Recording, stored: StoredClip, events: Mapping[str, Sequence[Event]]) -> Clip:
    start, end = stored.labels["start"], stored.labels["start"] + stored.duration
    heard = sorted(
        (max(event.onset, start) - start, min(event.offset, end) - start, event.label)
        for event in events[recording.name]
        if event.onset < end and event.offset > start
    )
    return Clip(
        id=f"{recording.name} at {start:g} s",
        path=stored.path,
        split=recording.split,
        group=recording.group,
        reference=LabelledIntervals(
            np.array([(onset, offset) for onset, offset, _ in heard], dtype=np.float64).reshape(-1, 2),
            tuple(label for _, _, label in heard),
        ),
        duration=stored.duration,
        sha256=stored.sha256,
    )
