"""Clusters that fall apart: one line, exit code 1, and what is finished is recorded."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mirbench.results.records import read_records

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

PLUGIN = """
import os, time
import numpy as np
from mirbench import Encoder, EncoderSpec, Features, hookimpl
from mirbench.runs import cluster

cluster.SECONDS_WITHOUT_WORKERS = 4.0
cluster.CLIPS_PER_TASK = 3


class Fast(Encoder):
    sample_rate, fingerprint = 8000, "fast"

    def encode(self, audio):
        spectrum = np.abs(np.fft.rfft(audio))[:600].reshape(1, 1, 600)
        return Features(np.log1p(spectrum).astype(np.float32), np.array([2.0]))


class Slow(Fast):
    fingerprint = "slow"

    def encode(self, audio):
        with open(os.environ["SLOW_LOG"], "a") as log:
            log.write("x")
        time.sleep(3600)  # until the test kills what it runs in
        return super().encode(audio)


@hookimpl
def mirbench_encoders():
    yield EncoderSpec(name="fast", load=lambda device: Fast())
    yield EncoderSpec(name="slow", load=lambda device: Slow())
"""


@pytest.fixture
def cluster(world, monkeypatch):
    """A scheduler and a worker of the test's own, and a run on them that is in its slow encoder."""
    world.write("plugin.py", PLUGIN)
    log = world.folder / "log"
    log.touch()
    environment = {**os.environ, "MIRBENCH_HOME": str(world.home)}
    mirbench = [sys.executable, "-m", "mirbench"]
    fast = world.run("key", "fast", "--plugin", world.folder / "plugin.py", "--out", world.folder / "before")
    subprocess.run([*mirbench, *map(str, fast)], env=environment, capture_output=True, check=True)
    monkeypatch.setenv("SLOW_LOG", str(log))
    address = world.folder / "scheduler.json"
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1",
         "--scheduler-file", str(address)],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(address), "--no-nanny",
         "--no-dashboard", "--nthreads", "1"],
        stderr=subprocess.DEVNULL, cwd=world.folder,
    )  # fmt: skip
    processes = [scheduler, worker]
    for _ in range(600):
        if address.exists():
            break
        time.sleep(0.05)
    url = json.loads(address.read_text())["address"]
    words = [*world.run("key", "fast,slow", "--plugin", world.folder / "plugin.py"), "--scheduler", url]
    run = subprocess.Popen(
        [*mirbench, *map(str, words)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    processes.append(run)
    yield scheduler, worker, run, log
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()  # also closes its pipes


def wait_until_slow(log):
    """Wait until the slow encoder has begun."""
    for _ in range(1200):
        if log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError("the slow encoder did not begin within a minute")


@pytest.mark.parametrize("victim", ["worker", "scheduler"])
def test_a_cluster_that_falls_apart_ends_with_a_line(world, cluster, victim):
    scheduler, worker, run, log = cluster
    wait_until_slow(log)
    {"worker": worker, "scheduler": scheduler}[victim].send_signal(signal.SIGKILL)
    out, err = run.communicate(timeout=300)
    assert run.returncode == 1, err
    assert "Traceback" not in err
    message = {"worker": "all workers are gone, and none has come for 4 s", "scheduler": "the scheduler is gone"}
    assert f"failed: slow on key (world): {message[victim]}" in err
    assert "1 of 2 done, 1 failed" in err
    assert {result.encoder for result in read_records(world.out / "records")} == {"fast"}
    assert "fast" in out
