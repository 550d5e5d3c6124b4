"""Read the CSV files of data sets, and say in one message what is wrong or missing."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from mirbench.errors import DatasetError, MissingDataError

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
            f"{path}:1: other columns than expected: {_few(missing) or 'none'} missing, {_few(odd) or 'none'} too many"
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


def refuse_missing(name: str, folder: Path) -> NoReturn:
    """Raise the `MissingDataError` of a data set that is not there at all."""
    raise MissingDataError(f"{name} is not in {folder}; run 'mirbench data prepare {name}'")


def missing_files(paths: Sequence[Path]) -> list[Path]:
    """List the files that are not there."""
    return [path for path in paths if not path.is_file()]


def require_files(name: str, folder: Path, paths: Sequence[Path]) -> None:
    """Raise a `DatasetError` that counts and names the files that are missing, if any."""
    missing = missing_files(paths)
    if missing:
        named = _few([str(path.relative_to(folder)) for path in missing])
        raise DatasetError(
            f"{name}: {len(missing)} of {len(paths)} files are missing in {folder}: {named}; "
            f"run 'mirbench data prepare {name}'"
        )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more
