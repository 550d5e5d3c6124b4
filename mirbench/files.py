"""Write files atomically and identify them by their content."""

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

SECONDS_BEFORE_SWEEPING = 3600.0
TEMPORARY_PREFIX = ".part-"
TEMPORARY_NAME = f"{TEMPORARY_PREFIX}{8 * '?'}"  # as tempfile names them


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing, even after a loss of power.

    Parameters
    ----------
    path
        File to write; folders that are missing are created.
    content
        Bytes of the file.

    Raises
    ------
    OSError
        If the file cannot be written; its `filename` is `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        _write(path, content)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name a file in errors of the operating system, which leave it out where a disk is full.

    Parameters
    ----------
    path
        File to name.

    Yields
    ------
    None
        Control of the block that writes the file.

    Raises
    ------
    OSError
        As raised in the block, with `path` as its `filename`.
    """
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sweep(folder: Path, *, deep: bool = True) -> None:
    """Remove temporary files of killed processes, one hour after they were last modified.

    A modification time in the future is meaningless, since the clock is wrong now or was wrong then. Such a file is
    dated now, and removed an hour later.

    Parameters
    ----------
    folder
        Folder to search.
    deep
        If false, leave out the folders in it.
    """
    for path in (folder.rglob if deep else folder.glob)(TEMPORARY_NAME):
        with suppress(OSError):  # another process swept it, or nothing can be removed here
            age = time.time() - path.stat().st_mtime
            if age > SECONDS_BEFORE_SWEEPING:
                path.unlink()
            elif age < -SECONDS_BEFORE_SWEEPING:
                os.utime(path)


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, cached in this process while size and modification time stay the same.

    Parameters
    ----------
    path
        File to hash.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    status = path.stat()
    return _hash_file(path, status.st_size, status.st_mtime_ns)


@cache
def _hash_file(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_home(given: Path | None = None) -> Path:
    """Return the folder of data and features: the given one, else MIRBENCH_HOME, else one in the user's cache.

    Parameters
    ----------
    given
        Folder that the user named, if any.
    """
    if given is not None:
        return given
    if os.environ.get("MIRBENCH_HOME"):
        return Path(os.environ["MIRBENCH_HOME"])
    from platformdirs import user_cache_path

    return user_cache_path("mirbench")
