"""Trackers learn of every number, and never stop a run."""

import json

import pytest

import mirbench_trackers
from mirbench.record import from_json, record_id
from test_record import RESULT


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    mirbench_trackers._trackers.cache_clear()
    mirbench_trackers._say_once.cache_clear()


def test_nothing_is_sent_unless_asked(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    mirbench_trackers.mirbench_result(RESULT)
    assert list(tmp_path.iterdir()) == []


def test_a_webhook_file_gets_a_line_for_each_event(monkeypatch, tmp_path, mirbench, recordings):
    path = tmp_path / "hook.jsonl"
    monkeypatch.setenv("MIRBENCH_WEBHOOK", str(path))
    code, _, err = mirbench(
        "run", "--encoder", "chroma", "--task", "key", "--data", recordings, "--out", tmp_path / "results"
    )
    assert code == 0, err
    first, *events = [json.loads(line) for line in path.read_text().splitlines()]
    assert first["event"] == "run_start"
    assert first["jobs"] == ["chroma on key (triads)"]
    assert {event["event"] for event in events} == {"result"}
    assert len(events) == 7
    assert record_id(from_json(events[0]["record"])) == events[0]["id"]


def test_a_tracker_that_fails_is_reported_once_and_stops_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MIRBENCH_WEBHOOK", str(tmp_path))  # a folder
    mirbench_trackers.mirbench_result(RESULT)
    mirbench_trackers.mirbench_result(RESULT)
    assert capsys.readouterr().err.count("tracker webhook") == 1


def test_mlflow_gets_a_run_for_each_encoder(monkeypatch, tmp_path):
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MIRBENCH_MLFLOW", uri)
    mirbench_trackers.mirbench_result(RESULT)
    client = tracking.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mirbench")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["key/d/weighted_score"] == 0.5
    assert run.data.params["encoder"] == "chroma"


def test_without_mlflow_it_says_so(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "mlflow.tracking", None)
    monkeypatch.setenv("MIRBENCH_MLFLOW", "file:///nowhere")
    mirbench_trackers.mirbench_result(RESULT)
    assert "tracker mlflow: " in capsys.readouterr().err
