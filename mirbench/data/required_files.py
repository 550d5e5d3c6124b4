"""Report the missing files of downloaded data sets, in the same words for all of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mirbench.errors import DatasetError, MissingDataError

MAX_SHOWN = 5


def missing_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that do not exist.

    Parameters
    ----------
    paths
        Files to look for.
    """
    return [path for path in paths if not path.is_file()]


def require_files(name: str, folder: Path, paths: Sequence[Path]) -> None:
    """Raise an error unless all files of a data set exist.

    Parameters
    ----------
    name
        Name of the data set.
    folder
        Folder of the data set.
    paths
        Files that it needs.

    Raises
    ------
    MissingDataError
        If none of them exists.
    DatasetError
        If some are missing; the message counts and lists them.
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
    """Raise the error of a data set of which no file exists.

    Parameters
    ----------
    name
        Name of the data set.
    folder
        Folder in which it was expected.
    why
        What is missing.

    Raises
    ------
    MissingDataError
        Always; the message states the command that prepares the data set.
    """
    raise MissingDataError(f"{name} is not in {folder} ({why}); run 'mirbench data prepare {name}'")


def few(names: Sequence[str]) -> str:
    """Return the first names, and the number of the others, as text.

    Parameters
    ----------
    names
        Names to list.
    """
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more


def named(folder: Path, paths: Sequence[Path]) -> str:
    """Return the paths of files relative to a folder, as `few` lists them.

    Parameters
    ----------
    folder
        Folder of the data set.
    paths
        Files to list.
    """
    return few([str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in paths])
