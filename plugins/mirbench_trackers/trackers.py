"""The trackers."""

import atexit
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from mirbench.domain import Result
from mirbench.plan import Plan
from mirbench.results.leaderboard import data_of, specials_of
from mirbench.results.records import append, as_json, record_id

EXPERIMENT = "mirbench"


class Tracker(ABC):
    """Interface of an experiment tracker."""

    name: str

    @abstractmethod
    def start(self, plan: Plan) -> None:
        """Receive the plan of a run."""

    @abstractmethod
    def result(self, result: Result) -> None:
        """Receive a result."""


class EventLog(Tracker):
    """A file with a line of JSON for each event: `{"event": "run_start" | "result", ...}`."""

    name = "events"

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self, plan: Plan) -> None:
        append(self._path, {"event": "run_start", "run": plan.run, "jobs": [str(job) for job in plan.jobs]})

    def result(self, result: Result) -> None:
        append(self._path, {"event": "result", "id": record_id(result), "record": as_json(result)})


class MlflowTracker(Tracker):
    """MLflow runs, one for every encoder.

    Parameters
    ----------
    uri
        Of the tracking server, or of a folder.
    """

    name = "mlflow"

    def __init__(self, uri: str) -> None:
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(EXPERIMENT)
        self._experiment = found.experiment_id if found else self._client.create_experiment(EXPERIMENT)
        self._runs: dict[tuple[str, str], str] = {}
        atexit.register(self._finish)

    def start(self, plan: Plan) -> None:
        """Do nothing: a tracked run begins with its first result."""

    def result(self, result: Result) -> None:
        key = result.run, result.encoder
        if key not in self._runs:
            about = {
                "mirbench.runs.run": result.run,
                "fingerprint": result.fingerprint,
                "versions": json.dumps(result.versions),
            }
            made = self._client.create_run(self._experiment, run_name=f"{result.encoder} {result.run}", tags=about)
            self._runs[key] = made.info.run_id
            self._client.log_param(self._runs[key], "encoder", result.encoder)
        name = _allowed(f"{result.task}/{data_of(result)}/{result.metric}{specials_of(result)}")
        self._client.log_metric(self._runs[key], name, result.value)
        if result.is_headline:
            self._client.log_metric(self._runs[key], f"{name}.low", result.low)
            self._client.log_metric(self._runs[key], f"{name}.high", result.high)
            chosen = f"{result.readout}, layer {result.layer}, {result.setting}"
            self._client.log_param(self._runs[key], f"{name}.chosen", chosen)

    def _finish(self) -> None:
        for run in self._runs.values():
            self._client.set_terminated(run)


def _allowed(name: str) -> str:
    """Keep to the characters that MLflow takes in names."""
    return "".join(character if character.isalnum() or character in "_-. /" else "_" for character in name)
