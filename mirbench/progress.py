"""Show progress: a bar on a terminal, an occasional line in a log."""

import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30.0
R = TypeVar("R", bound="_Report")


class _Report(ABC):
    def __init__(self, title: str, n_done: int = 0, *, quiet: bool = False, **bar: Any) -> None:
        self._quiet = quiet
        self._title = title
        self._n_done = n_done
        self._started = self._last_line = time.monotonic()
        self._bar = tqdm(
            desc=title, initial=n_done, disable=quiet or not sys.stderr.isatty(), dynamic_ncols=True, **bar
        )

    @abstractmethod
    def _line(self) -> str:
        """Return the state of progress, for a log."""

    def _add(self, n: int) -> None:
        self._n_done += n
        self._bar.update(n)
        if self._bar.disable and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._print_line()

    def __enter__(self: R) -> R:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._bar.disable and self._n_done:
            self._print_line()

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        if not self._quiet:
            with suppress(OSError):  # a full or closed log stops no work
                print(f"{self._title}: {self._line()}", file=sys.stderr, flush=True)


class Progress(_Report):
    """Progress in clips and in seconds of audio.

    Parameters
    ----------
    title
        Name of the work.
    n_clips
        Number of clips.
    quiet
        If true, show no progress.
    """

    def __init__(self, title: str, n_clips: int, *, quiet: bool = False) -> None:
        super().__init__(title, total=n_clips, unit="clip", quiet=quiet)
        self._n_clips = n_clips
        self._audio_seconds = 0.0

    def advance(self, audio_seconds: float) -> None:
        """Count one more clip.

        Parameters
        ----------
        audio_seconds
            Duration of the clip.
        """
        self._audio_seconds += audio_seconds
        self._bar.set_postfix_str(self._speed(), refresh=False)
        self._add(1)

    def _speed(self) -> str:
        elapsed = max(1e-3, time.monotonic() - self._started)
        return f"{self._audio_seconds / 3600:.2f} h of audio, {self._audio_seconds / elapsed:.0f} x real time"

    def _line(self) -> str:
        return f"{self._n_done} of {self._n_clips} clips, {self._speed()}"


class ByteProgress(_Report):
    """Progress in bytes.

    Parameters
    ----------
    title
        Name of the work.
    n_bytes
        Number of bytes; None where it is unknown.
    n_done
        Number of bytes that were present at the start.
    """

    def __init__(self, title: str, n_bytes: int | None, n_done: int = 0) -> None:
        super().__init__(title, n_done, total=n_bytes, unit="B", unit_scale=True)
        self._of_all = f" of {n_bytes / 1e6:.1f}" if n_bytes is not None else ""

    def advance(self, n_bytes: int) -> None:
        """Count further bytes.

        Parameters
        ----------
        n_bytes
            Number of them.
        """
        self._add(n_bytes)

    def _line(self) -> str:
        return f"{self._n_done / 1e6:.1f}{self._of_all} MB"


class StepProgress(_Report):
    """Progress in steps of a training, or in other units.

    Parameters
    ----------
    title
        Name of the work.
    n_steps
        Number of steps.
    n_done
        Number of steps that were done before the start.
    unit
        Name of the unit, in the singular.
    """

    def __init__(self, title: str, n_steps: int, n_done: int = 0, unit: str = "step") -> None:
        super().__init__(title, n_done, total=n_steps, unit=unit)
        self._n_steps, self._unit = n_steps, unit
        self._state = ""

    def total(self, n_steps: int) -> None:
        """Set the number of steps, once it is known.

        Parameters
        ----------
        n_steps
            Number of steps.
        """
        self._n_steps = self._bar.total = n_steps

    def advance(self, state: str) -> None:
        """Count one more step.

        Parameters
        ----------
        state
            Text beside the bar, such as the loss.
        """
        self._state = state
        self._bar.set_postfix_str(state, refresh=False)
        self._add(1)

    def _line(self) -> str:
        return f"{self._n_done} of {self._n_steps} {self._unit}s, {self._state}"
