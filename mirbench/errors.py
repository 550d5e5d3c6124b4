"""Errors that the user can mend; every other exception is a bug and keeps its traceback."""

import errno
from pathlib import Path

ADVICE = {
    errno.ENOSPC: "free some space, or choose another place with --home or --out",
    errno.EDQUOT: "free some space, or choose another place with --home or --out",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "choose a place that can be written with --home or --out",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.ENOENT: "create it, or correct the path",
    errno.ENOTDIR: "expected a folder, found a file; choose another place",
    errno.EEXIST: "expected a folder, found a file; choose another place",
    errno.EISDIR: "expected a file, found a folder; remove it or choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs: the system has too many open files",
    errno.EIO: "check the disk or the network share",
    errno.EPIPE: "the program that read it has ended",
}  # what the user can do, by the system's error number


class MirbenchError(Exception):
    """Root of all errors that the command line prints as one line, without a traceback."""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its class name.

    Parameters
    ----------
    error
        Exception of another library.
    """
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def of_system(error: OSError, place: str = "") -> str:
    """Return one line about an error of the operating system: the path, what happened, and what to do.

    Parameters
    ----------
    error
        The error.
    place
        Path to name where the error names none.
    """
    named = error.filename.decode() if isinstance(error.filename, bytes) else error.filename
    where = f"{named if named is not None else place}: " if named is not None or place else ""
    advice = f"; {ADVICE[error.errno]}" if error.errno in ADVICE else ""
    return f"{where}{(error.strerror or str(error)).lower()}{advice}"


class UsageError(MirbenchError):
    """The command names something that does not exist, or arguments that exclude each other."""


class PluginError(MirbenchError):
    """A plugin cannot be used."""


class AudioError(MirbenchError):
    """A file cannot be read as the audio that it claims to be."""


class DatasetError(MirbenchError):
    """A data set is missing, incomplete or contradicts itself."""


class MissingDataError(DatasetError):
    """A data set is not on this machine; the message says what to run or to do."""


class EncoderError(MirbenchError):
    """An encoder returned something that cannot be features of its input."""


class DamagedFeaturesError(MirbenchError):
    """Stored features differ from what was written; they can be computed again.

    Attributes
    ----------
    path
        File that holds them.

    Parameters
    ----------
    path
        File that holds them.
    problem
        What is wrong with it.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"stored features {path} are damaged: {problem}; 'mirbench store gc' removes them")
        self.path = path


class RecordError(MirbenchError):
    """Records of earlier runs cannot be read or written."""


class WeightsError(MirbenchError):
    """The weights of a network are missing, or are not what they should be."""


class TrainingError(MirbenchError):
    """A network cannot be trained as asked."""
