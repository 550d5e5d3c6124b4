"""Published data sets: say which of their files are not there, in words that loaders share."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mirbench.errors import DatasetError, MissingDataError

MAX_SHOWN = 5


def missing_files(paths: Sequence[Path]) -> list[Path]:
    """List the files that are not there."""
    return [path for path in paths if not path.is_file()]


def require_files(name: str, folder: Path, paths: Sequence[Path]) -> None:
    """See that all files of a data set are there.

    Raises
    ------
    MissingDataError
        If none is.
    DatasetError
        If some are missing, counting and naming them.
    """
    missing = missing_files(paths)
    if missing and len(missing) == len(paths):
        refuse_missing(name, folder, f"no {named(folder, missing)}")
    if missing:
        raise DatasetError(
            f"{name}: {len(missing)} of {len(paths)} files are missing in {folder}: {named(folder, missing)}; "
            f"run 'mirbench data prepare {name}'"
        )


def refuse_missing(name: str, folder: Path, why: str = "no such folder") -> NoReturn:
    """Raise the `MissingDataError` of a data set that is not there at all."""
    raise MissingDataError(f"{name} is not in {folder} ({why}); run 'mirbench data prepare {name}'")


def few(names: Sequence[str]) -> str:
    """Name the first ones and count the others."""
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more


def named(folder: Path, paths: Sequence[Path]) -> str:
    """Name files as they lie in a folder: the first ones, and the number of the others."""
    return few([str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in paths])
