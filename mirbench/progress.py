"""Show how far long work has come: a bar on a terminal, a line now and then in a log."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Count clips and the audio in them.

    Parameters
    ----------
    title
        What is being done.
    n_clips
        How many clips there are to do.
    """

    def __init__(self, title: str, n_clips: int) -> None:
        self._title = title
        self._n_clips = n_clips
        self._n_done = 0
        self._audio_seconds = 0.0
        self._started = self._last_line = time.monotonic()
        self._bar = tqdm(total=n_clips, desc=title, unit="clip", disable=not sys.stderr.isatty(), dynamic_ncols=True)

    def advance(self, audio_seconds: float) -> None:
        """Report one more clip."""
        self._n_done += 1
        self._audio_seconds += audio_seconds
        self._bar.set_postfix_str(self._speed(), refresh=False)
        self._bar.update()
        if self._bar.disable and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._print_line()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._bar.disable and self._n_done:
            self._print_line()

    def _speed(self) -> str:
        elapsed = max(1e-3, time.monotonic() - self._started)
        return f"{self._audio_seconds / 3600:.2f} h of audio, {self._audio_seconds / elapsed:.0f} x real time"

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        print(f"{self._title}: {self._n_done} of {self._n_clips} clips, {self._speed()}", file=sys.stderr, flush=True)
