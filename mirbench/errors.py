"""What can go wrong and can be mended by the user; everything else is a bug and keeps its traceback."""

from pathlib import Path


class MirbenchError(Exception):
    """The root of all errors that the command line prints as one line, without a traceback."""


def first_line(error: BaseException) -> str:
    """Give what an error of another library says in its first line, or what it is called."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class UsageError(MirbenchError):
    """The command asks for something that does not exist or does not go together."""


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
    """Stored features are not what was written; they can be computed again.

    Attributes
    ----------
    path
        The file that holds them.
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
