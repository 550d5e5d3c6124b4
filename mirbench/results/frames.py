"""Turn rows into pandas data frames, where pandas is installed."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mirbench.errors import UsageError

if TYPE_CHECKING:
    import pandas


def frame_of(rows: Iterable[Mapping[str, Any]]) -> "pandas.DataFrame":
    """Return rows as a pandas data frame.

    Parameters
    ----------
    rows
        Values by column.

    Raises
    ------
    UsageError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise UsageError("to_frame needs pandas: pip install 'mirbench-audio[pandas]'") from error
    return pandas.DataFrame(list(rows))
