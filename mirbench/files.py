"""Write files that are either whole or not there, and name them by their content."""

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
    """Write a file so that a reader, or a machine that loses power, sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        _write(path, content)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the operating system name this file: a write to a full disk names none."""
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
    """Remove what killed writers have left behind, an hour after it was last touched.

    A time of change in the future says nothing, since the clock was wrong then or is now: such a file is dated now, and
    goes an hour later.

    Parameters
    ----------
    deep
        If false, leave the folders in this one alone.
    """
    for path in (folder.rglob if deep else folder.glob)(TEMPORARY_NAME):
        with suppress(OSError):  # another process swept it, or nothing can be removed here
            age = time.time() - path.stat().st_mtime
            if age > SECONDS_BEFORE_SWEEPING:
                path.unlink()
            elif age < -SECONDS_BEFORE_SWEEPING:
                os.utime(path)


def content_hash(path: Path) -> str:
    """Hash a file's bytes (SHA-256); remembered in this process while size and time of change stay the same."""
    status = path.stat()
    return _hash_file(path, status.st_size, status.st_mtime_ns)


@cache
def _hash_file(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_home(given: Path | None = None) -> Path:
    """Return the folder of data and features: the given one, else MIRBENCH_HOME, else one in the user's cache."""
    if given is not None:
        return given
    if os.environ.get("MIRBENCH_HOME"):
        return Path(os.environ["MIRBENCH_HOME"])
    from platformdirs import user_cache_path

    return user_cache_path("mirbench")
