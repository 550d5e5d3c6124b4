"""Trackers learn of every number, and never stop a run."""

import json
import os

import pytest

import mirbench_trackers
from mirbench.results.records import from_json, record_id
from tests.samples import RESULT


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    mirbench_trackers._trackers.cache_clear()
    mirbench_trackers._say_once.cache_clear()


def test_nothing_is_sent_unless_asked(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    mirbench_trackers.mirbench_result(RESULT)
    assert list(tmp_path.iterdir()) == []


def test_the_event_log_gets_a_line_for_each_event(monkeypatch, tmp_path, mirbench, recordings):
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv("MIRBENCH_EVENTS", str(path))
    code, _, err = mirbench(
        "run", "--encoder", "chroma", "--task", "key", "--data", recordings, "--out", tmp_path / "results"
    )
    assert code == 0, err
    first, *events = [json.loads(line) for line in path.read_text().splitlines()]
    assert first["event"] == "run_start"
    assert first["jobs"] == ["chroma on key (triads)"]
    assert {event["event"] for event in events} == {"result"}
    assert len(events) == 8
    assert record_id(from_json(events[0]["record"])) == events[0]["id"]


def test_a_tracker_that_fails_is_reported_once_and_stops_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MIRBENCH_EVENTS", str(tmp_path))  # a folder
    mirbench_trackers.mirbench_result(RESULT)
    mirbench_trackers.mirbench_result(RESULT)
    assert capsys.readouterr().err.count("tracker events") == 1


def run(mirbench, recordings, tmp_path):
    return mirbench("run", "--encoder", "chroma", "--task", "key", "--data", recordings, "--out", tmp_path / "out")


@pytest.mark.parametrize("value", ["http://127.0.0.1:9/hook", "https://example.org/hook", "FOLDER", "FIFO"])
def test_events_that_cannot_be_written_to_a_file_are_refused_at_the_start(
    monkeypatch, tmp_path, mirbench, recordings, value
):
    os.mkfifo(tmp_path / "fifo")
    target = {"FOLDER": str(tmp_path), "FIFO": str(tmp_path / "fifo")}.get(value, value)
    monkeypatch.setenv("MIRBENCH_EVENTS", target)
    monkeypatch.chdir(tmp_path)
    code, out, err = run(mirbench, recordings, tmp_path)
    assert code == 2
    assert f"MIRBENCH_EVENTS={target}" in err
    assert "expected the path of a file" in err
    assert len(err.splitlines()) == 1
    assert not out
    assert not (tmp_path / "http:").exists()


def test_the_former_name_of_the_event_log_is_refused(monkeypatch, tmp_path, mirbench, recordings):
    monkeypatch.setenv("MIRBENCH_WEBHOOK", "events.jsonl")
    code, _, err = run(mirbench, recordings, tmp_path)
    assert code == 2
    assert "MIRBENCH_WEBHOOK is now called MIRBENCH_EVENTS" in err


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
