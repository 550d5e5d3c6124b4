"""Annotation files of Isophonics and RWC (.lab): start, end and label of one segment a line.

They are read here and not by mirdata, whose validation (1.0.0) refuses labels of the published files: the chord `sus2`
and the key `modal`. What a label means is decided by `mirbench_data_music.chords` and `mirbench_data_music.keys`.
"""

from pathlib import Path

import numpy as np

from mirbench.domain import LabelledIntervals
from mirbench.errors import DatasetError
from mirbench_data_music.chords import chord_sequence
from mirbench_data_music.keys import only_key


def read_chords(path: Path) -> LabelledIntervals | None:
    """Read the chords of a file whose columns are start, end and chord.

    Raises
    ------
    DatasetError
        If a line is not of this form.
    """
    rows = _read_rows(path, "start, end and chord")
    intervals = np.array([(start, end) for start, end, _ in rows], dtype=np.float64).reshape(-1, 2)
    return chord_sequence(intervals, [labels[0] for _, _, labels in rows])


def read_key(path: Path) -> str | None:
    """Read the only key of a file whose columns are start, end, the word "Key" and the key.

    Lines with another word ("Silence") have no key.

    Raises
    ------
    DatasetError
        If a line is not of this form.
    """
    rows = _read_rows(path, "start, end, Key and key")
    return only_key([labels[-1] for _, _, labels in rows if labels[0] == "Key"])


def _read_rows(path: Path, columns: str) -> list[tuple[float, float, list[str]]]:
    """Read start, end and the other columns, separated by white space, of all lines that are not empty."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        cells = line.split()
        try:
            if cells:
                rows.append((float(cells[0]), float(cells[1]), [cells[2], *cells[3:]]))
        except (ValueError, IndexError) as error:
            raise DatasetError(
                f"{path}:{number}: {line!r}; expected {columns}, separated by white space; is this the published file?"
            ) from error
    return rows
