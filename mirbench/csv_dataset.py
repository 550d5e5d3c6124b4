"""Your own recordings: a folder of audio and a CSV file.

One row a clip. Columns: `path` (relative to the CSV file's folder, or absolute), `split` (train, valid or test),
`group` (what must not be shared between splits: recording, artist, site), the task's label column, and, where a
clip is part of a file, `start` and `end` in seconds (empty: the file's beginning and end).
"""

import csv
import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mirbench import audio
from mirbench.domain import SPLITS, Clip, Dataset, Split, Task
from mirbench.errors import AudioError, DatasetError

REQUIRED = ("path", "split", "group")
MAX_SHOWN = 10


class CsvDataset(Dataset):
    """The clips that a CSV file lists.

    Raises
    ------
    DatasetError
        Naming every line (the first ten) that cannot be used, and why.
    """

    def __init__(self, path: Path, task: Task) -> None:
        self.name = path.stem
        try:
            content = path.read_bytes()
            rows = _rows(path, content.decode("utf-8-sig"), task.label_column)
        except OSError as error:
            raise DatasetError(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
        self.version = hashlib.sha256(content).hexdigest()[:12]
        problems: list[str] = []
        self._clips: list[Clip] = []
        self.labels = _vocabulary(rows, path.parent, task)
        task = task.with_labels_of(self)
        clips: list[tuple[int, Clip]] = []
        for line, row in rows:
            try:
                clips.append((line, _clip(line, row, path.parent, task)))
            except (ValueError, AudioError) as error:
                problems.append(f"{path}:{line}: {error}")
        problems += [f"{path}:{line}: {problem}" for line, problem in _leaks(clips)]
        if problems:
            more = f"\n... and {len(problems) - MAX_SHOWN} more" if len(problems) > MAX_SHOWN else ""
            raise DatasetError("\n".join(problems[:MAX_SHOWN]) + more)
        self._clips = [clip for _, clip in clips]
        absent = [split for split in SPLITS if not self.clips(split)]
        if absent:
            raise DatasetError(f"{path}: no rows with split {' or '.join(absent)}; every split needs some")

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split in the order of the file."""
        return [clip for clip in self._clips if clip.split == split]


def _rows(path: Path, text: str, label_column: str) -> list[tuple[int, Mapping[str, str]]]:
    reader = csv.DictReader(text.splitlines(keepends=True), skipinitialspace=True)
    columns = reader.fieldnames or []
    missing = [column for column in (*REQUIRED, label_column) if column not in columns]
    if missing:
        found = ", ".join(columns) or "nothing"
        raise DatasetError(f"{path}:1: no column {', '.join(missing)} (found: {found}; separate columns by commas)")
    return [(reader.line_num, row) for row in reader]


def _vocabulary(rows: Sequence[tuple[int, Mapping[str, str]]], folder: Path, task: Task) -> tuple[str, ...]:
    found: set[str] = set()
    for _, row in rows:
        with suppress(ValueError):  # it will be reported with its line when it is read as a reference
            found.update(task.labels_in((row[task.label_column] or "").strip(), folder))
    return tuple(sorted(found))


def _clip(line: int, row: Mapping[str, str | None], folder: Path, task: Task) -> Clip:
    cells = {column: (text or "").strip() for column, text in row.items() if column is not None}
    if None in row:
        raise ValueError("more cells than columns; put a text that holds a comma between quotes")
    path = folder / cells["path"]
    split: Split | None = next((split for split in SPLITS if split == cells["split"]), None)
    if split is None:
        raise ValueError(f"split {cells['split']!r}; expected train, valid or test")
    if not cells["group"]:
        raise ValueError("the group is empty; name the recording, artist or site")
    length = audio.info(path).duration
    start = _seconds(cells, "start", 0.0)
    end = _seconds(cells, "end", length)
    if not 0 <= start < end <= length + 0.01:
        raise ValueError(f"start {start:g} and end {end:g} do not lie in the {length:.2f} s of {path}")
    is_whole = not cells.get("start") and not cells.get("end")
    return Clip(
        id=f"line {line}",
        path=path,
        split=split,
        group=cells["group"],
        reference=task.read_reference(cells[task.label_column], folder),
        start=start,
        duration=None if is_whole else end - start,
    )


def _seconds(cells: Mapping[str, str], column: str, default: float) -> float:
    text = cells.get(column, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{column} {text!r}; expected a number of seconds")
    return value


def _leaks(clips: Sequence[tuple[int, Clip]]) -> list[tuple[int, str]]:
    """Find groups, and stretches of audio, that lie in more than one split."""
    problems: list[tuple[int, str]] = []
    first: dict[str, tuple[int, Clip]] = {}
    in_file: dict[Path, list[tuple[int, Clip]]] = defaultdict(list)
    for line, clip in clips:
        other_line, other = first.setdefault(clip.group, (line, clip))
        if other.split != clip.split:
            problems.append(
                (line, f"group {clip.group!r} is in {clip.split} here and in {other.split} on line {other_line}")
            )
        for other_line, other in in_file[clip.path.resolve()]:
            if other.split != clip.split and _overlap(clip, other):
                problems.append((line, f"the same audio is in {other.split} on line {other_line}"))
        in_file[clip.path.resolve()].append((line, clip))
    return problems


def _overlap(one: Clip, other: Clip) -> bool:
    first, second = sorted((one, other), key=lambda clip: clip.start)
    return first.duration is None or first.start + first.duration > second.start
