"""Read the CSV files of data sets, and say in one message what is wrong."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from mirbench.data.required_files import few
from mirbench.errors import DatasetError

MAX_SHOWN = 10
Row = tuple[int, Mapping[str, str]]  # line and cells


def read_table(path: Path, columns: Sequence[str]) -> list[Row]:
    """Read a CSV file that has exactly these columns, in any order.

    Raises
    ------
    DatasetError
        If it is not UTF-8 text, its columns differ, or a row has more or fewer cells.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    reader = csv.DictReader(text.splitlines(keepends=True), restkey="", restval=None)
    found = list(reader.fieldnames or [])
    missing = [column for column in columns if column not in found]
    odd = [column or "(unnamed)" for column in found if column not in columns]
    if missing or odd:
        raise DatasetError(
            f"{path}:1: other columns than expected: {few(missing) or 'none'} missing, {few(odd) or 'none'} too many"
        )
    rows: list[Row] = [(reader.line_num, row) for row in reader]
    uneven = [f"{path}:{line}: not {len(columns)} cells" for line, row in rows if "" in row or None in row.values()]
    refuse(uneven)
    return rows


def refuse(problems: Sequence[str]) -> None:
    """Raise a `DatasetError` with the first problems, if there are any."""
    if problems:
        more = f"\n... and {len(problems) - MAX_SHOWN} more" if len(problems) > MAX_SHOWN else ""
        raise DatasetError("\n".join(problems[:MAX_SHOWN]) + more)
