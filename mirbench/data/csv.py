"""Your own recordings: a folder of audio and a CSV file.

One row a clip. Columns: `path` (relative to the CSV file's folder, or absolute), `split` (train, valid or test) or
`fold` (of a cross-validation: each is tested in turn, see `mirbench.data.folds`), `group` (what must not be shared
between splits: recording, artist, site), the task's label column, and, where a clip is part of a file, `start` and
`end` in seconds (empty: the file's beginning and end).

Times in annotation files count from the beginning of the audio file: of the annotation of a whole recording, each clip
gets its part, with times from the clip's beginning. Where a row's column `times` says `clip` (default: `file`), the
times of its annotation file count from the beginning of the clip instead.
"""

import csv
import hashlib
import io
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mirbench.data import audio
from mirbench.data.annotations import OVERHANG, has_times, last_time, line_beyond
from mirbench.data.folds import Fold, cross_validation
from mirbench.data.reference_hash import as_bytes
from mirbench.domain import SPLITS, Clip, Dataset, Split, Task
from mirbench.errors import AudioError, DatasetError
from mirbench.files import content_hash

REQUIRED = ("path", "group")
MAX_SHOWN = 10


class CsvDataset(Dataset):
    """Data set of the clips that a CSV file lists.

    Parameters
    ----------
    path
        CSV file; paths in it are relative to its folder.
    task
        Task whose label column is read.

    Raises
    ------
    DatasetError
        If rows cannot be used; the message names each line (the first ten) and the reason.
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
        problems: list[str] = []
        self._clips: list[Clip] = []
        self._folds: tuple[Fold, ...] = ()
        self.labels = _vocabulary(rows, path.parent, task)
        has_folds = bool(rows) and "fold" in rows[0][1]
        task = task.with_labels_of(self)
        clips: list[tuple[int, Clip]] = []
        for line, row in rows:
            try:
                clips.append((line, _clip(line, row, path.parent, task)))
            except (ValueError, TypeError, AudioError) as error:
                problems.append(f"{path}:{line}: {error}")
        parts = {line: f"fold {_part(row)}" if has_folds else _part(row) for line, row in rows}
        problems += [f"{path}:{line}: {problem}" for line, problem in _leaks(clips, parts)]
        if problems:
            more = f"\n... and {len(problems) - MAX_SHOWN} more" if len(problems) > MAX_SHOWN else ""
            raise DatasetError("\n".join(problems[:MAX_SHOWN]) + more)
        self._clips = [clip for _, clip in clips]
        references = [as_bytes([clip.id, clip.reference]) for clip in self._clips]
        self.version = hashlib.sha256(b"".join([content, *references])).hexdigest()[:12]
        if has_folds:
            folds = {clip.id: _part(row) for (_, clip), (_, row) in zip(clips, rows, strict=True)}
            self._folds = cross_validation(self, self._clips, folds)
            self._clips = [clip for split in SPLITS for clip in self._folds[0].clips(split)]
        absent = [split for split in SPLITS if not self.clips(split)]
        if absent:
            raise DatasetError(f"{path}: no rows with split {' or '.join(absent)}; every split needs some")

    def clips(self, split: Split) -> Sequence[Clip]:
        return [clip for clip in self._clips if clip.split == split]

    @property
    def folds(self) -> Sequence[Dataset]:
        return self._folds


def _rows(path: Path, text: str, label_column: str) -> list[tuple[int, Mapping[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        columns = list(reader.fieldnames or [])
        missing = [column for column in (*REQUIRED, label_column) if column not in columns]
        if "split" in columns and "fold" in columns:
            raise DatasetError(
                f"{path}:1: columns split and fold; remove fold for one fixed split, or split for a cross-validation"
            )
        if "split" not in columns and "fold" not in columns:
            missing.insert(0, "split")
        if missing:
            found = ", ".join(columns) or "nothing"
            other = "; a column fold may stand for split" if "split" in missing else ""
            raise DatasetError(
                f"{path}:1: no column {', '.join(missing)} (found: {found}; separate columns by commas{other})"
            )
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            raise DatasetError(f"{path}:1: two columns are called {', '.join(twice)}; rename or remove one")
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DatasetError(f"{path}:{reader.line_num + 1}: not a line of a CSV file ({error})") from error


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
    split: Split | None = next((split for split in SPLITS if split == cells.get("split", SPLITS[0])), None)
    if split is None:
        raise ValueError(f"split {cells['split']!r}; expected train, valid or test")
    if cells.get("fold") == "":
        raise ValueError("the fold is empty; name the part of the data in which the clip is tested, such as 1")
    if not cells["group"]:
        raise ValueError("the group is empty; name the recording, artist or site")
    length = audio.info(path).duration
    start = _seconds(cells, "start", 0.0)
    end = _seconds(cells, "end", length)
    if not 0 <= start < end <= length + 0.01:
        raise ValueError(f"start {start:g} and end {end:g} do not lie in the {length:.2f} s of {path}")
    is_whole = not cells.get("start") and not cells.get("end")
    times = cells.get("times", "") or "file"
    if times not in ("file", "clip"):
        raise ValueError(f"times {times!r}; expected file (from the file's beginning) or clip (from the clip's)")
    region = (start, end, length) if times == "file" else (0.0, end - start, end - start)
    reference = _reference(cells[task.label_column], folder, task, *region)
    return Clip(
        id=f"line {line}",
        path=path,
        split=split,
        group=cells["group"],
        reference=reference,
        start=start,
        duration=None if is_whole else end - start,
    )


def _reference(text: str, folder: Path, task: Task, start: float, end: float, length: float) -> Any:
    """Read an annotation and take the part of it that lies in a clip.

    Parameters
    ----------
    start, end
        Borders of the clip, on the time line of the annotation.
    length
        Duration of what is annotated; times may reach a little beyond it (`OVERHANG`).
    """
    reference = task.read_reference(text, folder)
    if task.scope == "clip" or not has_times(reference):
        return reference if start == 0 and end == length else task.cut(reference, start, end)
    latest = last_time(reference)
    if latest > length + OVERHANG:
        line = line_beyond(folder / text, length + OVERHANG)
        where = f"{folder / text}{f':{line}' if line else ''}"
        raise ValueError(
            f"{where}: a time of {latest:g} s, in audio of {length:.2f} s; expected seconds from the beginning of the "
            "file (of the clip, where the column times says clip)"
        )
    return task.cut(reference, start, end)


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


def _part(row: Mapping[str, str | None]) -> str:
    """Return the split or the fold of a row."""
    return (row.get("fold") or row.get("split") or "").strip()


def _leaks(clips: list[tuple[int, Clip]], parts: Mapping[int, str]) -> list[tuple[int, str]]:
    """Find groups in more than one split or fold, and stretches of audio that are there more than once."""
    problems: list[tuple[int, str]] = []
    first: dict[str, tuple[int, Clip]] = {}
    for line, clip in clips:
        other_line, other = first.setdefault(clip.group, (line, clip))
        if parts[other_line] != parts[line]:
            problems.append(
                (line, f"group {clip.group!r} is in {parts[line]} here and in {parts[other_line]} on line {other_line}")
            )
    for same in _by_content(clips):
        same.sort(key=lambda pair: (pair[1].start, pair[0]))
        for place, (line, clip) in enumerate(same):
            for other_line, other in same[place + 1 :]:
                if _end(clip) <= other.start:
                    break
                pair = sorted(((line, clip), (other_line, other)), key=lambda each: each[0], reverse=True)
                problem = _repeated(pair[0][1], pair[1][1], [parts[line] for line, _ in pair])
                if problem:
                    problems.append((max(line, other_line), f"{problem} on line {min(line, other_line)}"))
    return sorted(problems)


def _repeated(clip: Clip, earlier: Clip, parts: Sequence[str]) -> str | None:
    """Return what is wrong with two overlapping stretches of the same audio; windows of one group may overlap."""
    copy = "" if clip.path == earlier.path else f" (a copy of {earlier.path.name})"
    if parts[0] != parts[1]:
        return f"the same audio{copy} is in {parts[1]}"
    if clip.group != earlier.group:
        return f"the same audio{copy} is in group {earlier.group!r}"
    if (clip.start, clip.duration) == (earlier.start, earlier.duration):
        return f"the same clip{copy} is there already"
    return None


def _by_content(clips: list[tuple[int, Clip]]) -> list[list[tuple[int, Clip]]]:
    """Return clips grouped by the content of their files; files are read only where their sizes are equal."""
    sizes: dict[int, set[Path]] = defaultdict(set)
    paths = {clip.path: clip.path.resolve() for _, clip in clips}
    for path in paths.values():
        sizes[path.stat().st_size].add(path)
    names = {path: content_hash(path) if len(alike) > 1 else str(path) for alike in sizes.values() for path in alike}
    found: dict[str, list[tuple[int, Clip]]] = defaultdict(list)
    for line, clip in clips:
        found[names[paths[clip.path]]].append((line, clip))
    return list(found.values())


def _end(clip: Clip) -> float:
    return math.inf if clip.duration is None else clip.start + clip.duration
