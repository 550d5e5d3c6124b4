"""Plans on dask.distributed: the same numbers, whoever dies on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mirbench.errors import UsageError
from mirbench.features.store import FeatureStore
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.results.records import RecordWriter, read_records
from mirbench.runs.planning import make_plan
from mirbench.runs.run import run

pytest.importorskip("distributed")
from mirbench.runs.cluster import run_on_cluster

PLUGIN = '''
import os, time
import numpy as np
from mirbench import Encoder, EncoderSpec, Features, hookimpl
from mirbench.features import store
from mirbench.runs import cluster

store.SHARD_SECONDS = 0.0
cluster.CLIPS_PER_TASK = 3


class Slow(Encoder):
    """Levels in bands; every call is counted, and a file says that this process is to die."""

    sample_rate = 22050
    fingerprint = "slow"

    def encode(self, audio):
        time.sleep(float(os.environ.get("SLOW_SECONDS", 0)))
        with open(os.environ["SLOW_LOG"], "a") as log:
            log.write(f"{os.getpid()}\\n")
        spectrum = np.abs(np.fft.rfft(audio[:22050], 22050))[:1200].reshape(10, 120).astype(np.float32)
        return Features(np.log1p(spectrum)[None], np.arange(10) / 10)


@hookimpl
def mirbench_encoders():
    yield EncoderSpec(name="slow", load=lambda device: Slow())
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    path = tmp_path / "slow.py"
    path.write_text(PLUGIN)
    monkeypatch.setenv("SLOW_LOG", str(tmp_path / "log"))
    monkeypatch.setattr("mirbench.features.store.SHARD_SECONDS", 0.0)  # the plugin sets it too: undone after the test
    monkeypatch.setattr("mirbench.runs.cluster.CLIPS_PER_TASK", 3)
    (tmp_path / "log").touch()
    return path


def numbers(folder):
    return sorted(
        (r.encoder, r.task, r.metric, r.train_fraction, r.value, r.low, r.high, r.readout, r.layer, r.setting)
        for r in read_records(folder)
    )


def alone(plugin, home, recordings, **settings):
    plugins = Plugins([plugin])
    full = Settings(home=home, out=home / "alone", **settings)
    plugins.observe(RecordWriter(home / "alone" / "records", "r"))
    assert run(make_plan(plugins, ["slow", "chroma"], ["key"], full, csv=recordings), plugins) == []
    return numbers(home / "alone" / "records")


def calls():
    return len(Path(os.environ["SLOW_LOG"]).read_text().split())


def test_workers_give_the_numbers_of_one_process(plugin, recordings, tmp_path):
    plugins = Plugins([plugin])
    settings = Settings(home=tmp_path / "home", out=tmp_path / "out", train_fractions=(0.5, 1.0))
    plan = make_plan(plugins, ["slow", "chroma"], ["key"], settings, csv=recordings)
    plugins.observe(RecordWriter(tmp_path / "out" / "records", plan.run))
    assert run_on_cluster(plan, plugins, "local:2", [plugin]) == []
    assert calls() == 36
    expected = alone(plugin, tmp_path / "other", recordings, train_fractions=(0.5, 1.0))
    assert numbers(tmp_path / "out" / "records") == expected


def start(plugin, recordings, home, seconds):
    command = [sys.executable, "-m", "mirbench", "run", "--encoder", "slow", "--task", "key", "--data", str(recordings)]
    return subprocess.Popen(
        [*command, "--home", home, "--out", home / "out", "--plugin", plugin, "--scheduler", "local:2"],
        env={**os.environ, "SLOW_SECONDS": str(seconds)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_calls(count):
    for _ in range(1200):
        if calls() >= count:
            return
        time.sleep(0.05)
    raise AssertionError("no features after a minute")


def test_a_worker_that_is_killed_costs_its_piece(plugin, recordings, tmp_path):
    process = start(plugin, recordings, tmp_path / "home", seconds=0.3)
    wait_for_calls(5)
    victim = int(Path(os.environ["SLOW_LOG"]).read_text().split()[-1])
    os.kill(victim, signal.SIGKILL)
    _output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert 36 <= calls() <= 36 + 3
    assert victim not in {int(line) for line in Path(os.environ["SLOW_LOG"]).read_text().split()[-3:]}
    expected = [each for each in alone(plugin, tmp_path / "other", recordings) if each[0] == "slow"]
    assert numbers(tmp_path / "home" / "out" / "records") == expected


def test_a_client_that_is_killed_goes_on_where_it_was(plugin, recordings, tmp_path):
    process = start(plugin, recordings, tmp_path / "home", seconds=0.3)
    wait_for_calls(8)
    process.kill()
    process.communicate(timeout=60)
    time.sleep(3)  # until its workers notice
    before = calls()
    shards = [shard for _, shard in FeatureStore(tmp_path / "home" / "features").shards()]
    n_kept = len({clip for shard in shards for clip in shard.clips})
    assert 5 <= n_kept < 36
    process = start(plugin, recordings, tmp_path / "home", seconds=0)
    _output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert calls() - before == 36 - n_kept + 1  # a stored clip is encoded again, to compare
    again = start(plugin, recordings, tmp_path / "home", seconds=0)
    again.communicate(timeout=240)
    assert calls() - before == 36 - n_kept + 2
    first, second = sorted((tmp_path / "home" / "out" / "records").glob("*.jsonl"))
    read = [[json.loads(line)["value"] for line in path.read_text().splitlines()] for path in (first, second)]
    assert read[0] == read[1]


def test_a_file_that_cannot_be_read_costs_its_job_alone(plugin, recordings, tmp_path):
    broken = tmp_path / "broken.csv"
    rows = recordings.read_text().splitlines()
    folder = recordings.parent
    (tmp_path / "cut.wav").write_bytes(b"RIFF")
    header, *rest = rows
    column = header.split(",").index("path")
    lines = [line.split(",") for line in rest]
    for line in lines:
        line[column] = str(folder / line[column])
    lines[0][column] = str(tmp_path / "cut.wav")
    broken.write_text("\n".join([header, *(",".join(line) for line in lines)]) + "\n")
    plugins = Plugins([plugin])
    settings = Settings(home=tmp_path / "home", out=tmp_path / "out")
    plan = make_plan(plugins, ["slow"], ["key"], settings, csv=broken)
    [failure] = run_on_cluster(plan, plugins, "local:1", [plugin])
    assert "cut.wav" in failure.reason
    assert not failure.trace


@pytest.mark.parametrize("scheduler", ["local:0", "local:many"])
def test_a_scheduler_that_is_none_is_refused(plugin, recordings, tmp_path, scheduler):
    plan = make_plan(Plugins(), ["chroma"], ["key"], Settings(home=tmp_path, out=tmp_path), csv=recordings)
    with pytest.raises(UsageError, match="expected local:N"):
        run_on_cluster(plan, Plugins(), scheduler, [])


def test_a_scheduler_that_does_not_answer_is_named(recordings, tmp_path, monkeypatch):
    monkeypatch.setattr("mirbench.runs.cluster.SECONDS_TO_WAIT", 2.0)
    plan = make_plan(Plugins(), ["chroma"], ["key"], Settings(home=tmp_path, out=tmp_path), csv=recordings)
    with pytest.raises(UsageError, match="no scheduler answers at 'tcp://127.0.0.1:1'"):
        run_on_cluster(plan, Plugins(), "tcp://127.0.0.1:1", [])
