"""Shared parts of the data sets: clips with tags, and tables."""

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mirbench.data.required_files import few
from mirbench.domain import Clip, Dataset, Split
from mirbench.errors import DatasetError


class TaggedClips(Dataset):
    """Clips whose references are vectors of 0 and 1 in the order of the labels."""

    def __init__(self, name: str, version: str, labels: tuple[str, ...], clips: Sequence[Clip]) -> None:
        self.name = name
        self.version = version
        self.labels = labels
        self._clips = clips

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split in the order of the published table."""
        return [clip for clip in self._clips if clip.split == split]


def vector(labels: Sequence[str], present: Collection[str]) -> Float32[np.ndarray, "label"]:
    """Mark the labels that hold."""
    return np.array([label in present for label in labels], dtype=np.float32)


def read_table(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Read the line number and some columns, in the order asked for, of every row of a CSV file.

    Raises
    ------
    DatasetError
        If a column is missing or a row is shorter than the header.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.reader(file, delimiter=delimiter)
        header = next(rows, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise DatasetError(f"{path}:1: no column {few(missing)}; is this the published file?")
        places = [header.index(column) for column in columns]
        for row in rows:
            if len(row) != len(header):
                raise DatasetError(f"{path}:{rows.line_num}: {len(row)} cells; expected {len(header)}")
            yield rows.line_num, [row[place] for place in places]
