"""Send results elsewhere as they become known: examples of what the observing hooks are for.

Nothing is sent unless an environment variable asks for it:

- ``MIRBENCH_WEBHOOK=FILE`` appends what a webhook would be sent, a line of JSON for each event.
- ``MIRBENCH_MLFLOW=URI`` logs to MLflow (``pip install 'mirbench-audio[mlflow]'``): a run for every encoder, in the
  experiment ``mirbench``.

What goes wrong here is said once and never stops a run: the record is on disk before.
"""

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mirbench import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirbench.domain import Result
    from mirbench.plan import Plan
    from mirbench_trackers.trackers import Tracker

WEBHOOK, MLFLOW = "MIRBENCH_WEBHOOK", "MIRBENCH_MLFLOW"


@cache
def _trackers(webhook: str, mlflow: str) -> "list[Tracker]":
    from mirbench_trackers.trackers import MlflowTracker, Webhook

    found: list[Tracker] = []
    if webhook:
        found.append(Webhook(Path(webhook)))
    if mlflow:
        try:
            found.append(MlflowTracker(mlflow))
        except Exception as error:
            _say("mlflow", error)
    return found


def _wanted() -> "list[Tracker]":
    webhook, mlflow = os.environ.get(WEBHOOK, ""), os.environ.get(MLFLOW, "")
    return _trackers(webhook, mlflow) if webhook or mlflow else []


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
    """Tell all trackers of the plan."""
    _tell(lambda tracker: tracker.start(plan))


@hookimpl
def mirbench_result(result: "Result") -> None:
    """Tell all trackers of a number."""
    _tell(lambda tracker: tracker.result(result))
