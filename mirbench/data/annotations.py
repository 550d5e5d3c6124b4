"""Read annotation files: times and labelled intervals, each line checked, errors with file and line.

Conventions
-----------
Text in UTF-8, one time or one interval a line, in seconds. Lines that begin with `#` are comments, as in mir_eval;
empty lines and Audacity's frequency ranges (lines that begin with a backslash) are passed over. Cells are separated by
tabs where the line has one, else by commas where one follows the first cell, else by blanks.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from mirbench.domain import LabelledIntervals

OVERHANG = 1.0  # seconds that an annotation may reach beyond its recording: players round, and music fades
FIRST_COMMA = re.compile(r"\s*[^,\s]+\s*,")


def read_lines(path: Path, expected: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of an annotation file that are no comments, with their numbers from 1.

    Parameters
    ----------
    path
        Annotation file.
    expected
        Description of the file, for error messages.

    Yields
    ------
    number
        Number of the line.
    line
        Text of the line.

    Raises
    ------
    ValueError
        If the file cannot be read, or is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; expected {expected}") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); expected {expected}"
        ) from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith(("#", "\\")):
            yield number, line.strip("\r")


def cells_of(line: str, n_cells: int) -> list[str]:
    """Return the cells of a line.

    Parameters
    ----------
    line
        Line of an annotation file.
    n_cells
        Largest number of cells; the last one is the rest of the line.
    """
    if "\t" in line.strip():
        cells = line.strip().split("\t", n_cells - 1)
    elif FIRST_COMMA.match(line):
        cells = line.split(",", n_cells - 1)
    else:
        cells = line.split(maxsplit=n_cells - 1)
    return [cell.strip() for cell in cells]


def read_times(path: Path, expected: str) -> Float64[np.ndarray, "_event"]:
    """Return the times at the beginning of each line, in seconds.

    Parameters
    ----------
    path
        Annotation file.
    expected
        Description of the file, for error messages.

    Raises
    ------
    ValueError
        With file and line, if a time is not finite, negative, or not later than the one before.
    """
    times: list[float] = []
    before = 0
    for number, line in read_lines(path, expected):
        time = _seconds(path, number, line, cells_of(line, 2)[0], expected)
        if times and time <= times[-1]:
            raise ValueError(
                f"{path}:{number}: {time:g} s does not follow {times[-1]:g} s of line {before}; times rise"
            )
        times.append(time)
        before = number
    return np.array(times, dtype=np.float64)


def read_intervals(path: Path, expected: str) -> tuple[LabelledIntervals, list[int]]:
    """Read start, end and label of each line, sorted by start.

    Parameters
    ----------
    path
        Annotation file.
    expected
        Description of the file, for error messages.

    Returns
    -------
    intervals
        Intervals in seconds, which may overlap.
    lines
        Line number of each interval.

    Raises
    ------
    ValueError
        With file and line, if a time is not finite or negative, or an interval has no duration or no label.
    """
    rows: list[tuple[float, float, int, str]] = []
    for number, line in read_lines(path, expected):
        cells = cells_of(line, 3)
        if len(cells) < 3 or not cells[2]:
            raise ValueError(f"{path}:{number}: {line!r}; expected {expected}")
        start, end = (_seconds(path, number, line, cell, expected) for cell in cells[:2])
        if end <= start:
            raise ValueError(f"{path}:{number}: ends at {end:g} s, starts at {start:g} s; the end follows the start")
        rows.append((start, end, number, cells[2]))
    rows.sort(key=lambda row: (row[0], row[2]))
    intervals = np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2)
    return LabelledIntervals(intervals, tuple(row[3] for row in rows)), [row[2] for row in rows]


def _seconds(path: Path, number: int, line: str, cell: str, expected: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"{path}:{number}: {line!r}; expected {expected}") from None
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{path}:{number}: a time of {cell} s; expected a finite number from 0")
    return value


def refuse_overlap(path: Path, intervals: LabelledIntervals, lines: list[int]) -> None:
    """Raise an error if two intervals overlap by more than a millisecond (rounding).

    Parameters
    ----------
    path
        File of the intervals, for the error message.
    intervals
        Intervals sorted by start.
    lines
        Line number of each interval.

    Raises
    ------
    ValueError
        With file and line, if two intervals overlap.
    """
    for place in range(1, len(lines)):
        before, own = intervals.intervals[place - 1], intervals.intervals[place]
        if own[0] < before[1] - 0.001:
            raise ValueError(
                f"{path}:{lines[place]}: starts at {own[0]:g} s, before the end of line {lines[place - 1]} at "
                f"{before[1]:g} s; intervals of this task do not overlap"
            )


def has_times(reference: object) -> bool:
    """Return whether a reference is an array of times or labelled intervals.

    Parameters
    ----------
    reference
        Annotation of any type.
    """
    is_array = isinstance(reference, np.ndarray) and reference.ndim == 1 and reference.dtype == np.float64
    return is_array or isinstance(reference, LabelledIntervals)


def last_time(reference: LabelledIntervals | Float64[np.ndarray, "_event"]) -> float:
    """Return the latest time in a reference, in seconds; 0 where it holds none.

    Parameters
    ----------
    reference
        Labelled intervals, or an array of times.
    """
    times = reference.intervals if isinstance(reference, LabelledIntervals) else reference
    return float(times.max()) if times.size else 0.0


def line_beyond(path: Path, seconds: float) -> int | None:
    """Return the number of the first line that holds a time beyond a limit, or None if there is none.

    Parameters
    ----------
    path
        Annotation file.
    seconds
        The limit.
    """
    if not path.is_file():
        return None
    for number, line in read_lines(path, ""):
        for cell in cells_of(line, 3)[:2]:
            try:
                if float(cell) > seconds:
                    return number
            except ValueError:
                continue
    return None
