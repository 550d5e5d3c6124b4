"""Send results elsewhere as they become known: examples of what the observing hooks are for.

Nothing is written or sent unless an environment variable asks for it:

- ``MIRBENCH_EVENTS=FILE`` appends a line of JSON to a file for each event; nothing is sent over a network.
- ``MIRBENCH_MLFLOW=URI`` logs to MLflow (``pip install 'mirbench-audio[mlflow]'``): a run for every encoder, in the
  experiment ``mirbench``.

A run does not start with a value that cannot be used. What goes wrong later is reported once and never stops a run: the
record is on disk before.
"""

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mirbench import hookimpl
from mirbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirbench.domain import Result
    from mirbench.plan import Plan
    from mirbench_trackers.trackers import Tracker

EVENTS, MLFLOW = "MIRBENCH_EVENTS", "MIRBENCH_MLFLOW"
FORMER = "MIRBENCH_WEBHOOK"  # former name of EVENTS


@cache
def _trackers(events: str, mlflow: str) -> "list[Tracker]":
    from mirbench_trackers.trackers import EventLog, MlflowTracker

    found: list[Tracker] = []
    if events:
        found.append(EventLog(Path(events)))
    if mlflow:
        try:
            found.append(MlflowTracker(mlflow))
        except Exception as error:
            _say("mlflow", error)
    return found


def _wanted() -> "list[Tracker]":
    events, mlflow = os.environ.get(EVENTS, ""), os.environ.get(MLFLOW, "")
    return _trackers(events, mlflow) if events or mlflow else []


def _require_usable() -> None:
    if FORMER in os.environ:
        raise UsageError(f"{FORMER} is now called {EVENTS} (a file of JSON lines); set that, and unset {FORMER}")
    events = os.environ.get(EVENTS, "")
    path = Path(events)
    if "://" in events:
        raise UsageError(
            f"{EVENTS}={events} looks like a URL; expected the path of a file, to which events are appended"
        )
    if events and path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise UsageError(f"{EVENTS}={events} is {kind}; expected the path of a file, to which events are appended")


def _tell(tell: "Callable[[Tracker], None]") -> None:
    for tracker in _wanted():
        try:
            tell(tracker)
        except Exception as error:
            _say(tracker.name, error)


@cache
def _say_once(text: str) -> None:
    print(text, file=sys.stderr)


def _say(name: str, error: Exception) -> None:
    _say_once(f"mirbench: tracker {name}: {type(error).__name__}: {error}; records are written all the same")


@hookimpl
def mirbench_run_start(plan: "Plan") -> None:
    """Pass the plan on to all trackers.

    Raises
    ------
    UsageError
        If events cannot be written where the environment asks for it.
    """
    _require_usable()
    _tell(lambda tracker: tracker.start(plan))


@hookimpl
def mirbench_result(result: "Result") -> None:
    """Pass a result on to all trackers."""
    _tell(lambda tracker: tracker.result(result))
