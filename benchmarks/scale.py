"""Measure what a cluster costs: seconds a shard and memory, against 1,000, 10,000 and 100,000 clips.

Run ``python benchmarks/scale.py [N_CLIPS...]``. The encoder does nothing, so that what is left is what mirbench and
dask.distributed take: the same plan is run in one process, and by a scheduler with one worker on this machine. Each
number of clips has processes of its own, of which the memory is the largest that they ever had.

This file is also the plugin that it measures with.
"""

import contextlib
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from mirbench import Clip, Dataset, DatasetSpec, Encoder, EncoderSpec, Features, hookimpl
from mirbench.domain import Audio, Split
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.runs.cluster import CLIPS_PER_TASK, run_on_cluster
from mirbench.runs.planning import make_plan
from mirbench.runs.run import run
from mirbench.specs import DatasetRequest

NUMBERS = (1_000, 10_000, 100_000)
RATE, SECONDS = 8000, 0.1
FOLDER, N_CLIPS = "SCALE_FOLDER", "SCALE_CLIPS"


class Idle(Encoder):
    """Two numbers a clip, at no cost."""

    sample_rate = RATE
    fingerprint = "idle"
    clip_readouts = ("mean",)

    def encode(self, audio: Audio) -> Features:
        """Return the first and the last sample of the clip."""
        return Features(audio[[0, -1]].reshape(1, 1, 2), np.array([SECONDS / 2]))


class Pieces(Dataset):
    """Pieces of one file, with keys that mean nothing."""

    name, version = "pieces", "1"

    def clips(self, split: Split) -> Sequence[Clip]:
        """Cut the file: half to train on, a quarter each to choose and to test."""
        numbers = range(int(os.environ[N_CLIPS]))
        part = {"train": (0, 1), "valid": (2,), "test": (3,)}[split]
        path = Path(os.environ[FOLDER]) / "noise.wav"
        return [
            Clip(str(i), path, split, str(i), ("C major", "A minor")[i // 4 % 2], i * SECONDS, SECONDS)
            for i in numbers
            if i % 4 in part
        ]


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer the encoder."""
    yield EncoderSpec(name="idle", load=lambda device: Idle())


@hookimpl
def mirbench_datasets() -> Iterator[DatasetSpec]:
    """Offer the data set."""
    yield DatasetSpec(name="pieces", load=_load, tasks=("key",), license="none")


def _load(request: DatasetRequest) -> Dataset:
    return Pieces()


def measure(how: str) -> None:
    """Run the plan once, alone or on a cluster; print seconds and MiB."""
    folder = Path(os.environ[FOLDER])
    plugins = Plugins([Path(__file__)])
    settings = Settings(home=folder / how, out=folder / how)
    plan = make_plan(plugins, ["idle"], ["key"], settings, datasets=["pieces"])
    started = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        alone = how == "alone"
        failures = run(plan, plugins) if alone else run_on_cluster(plan, plugins, "local:1", [Path(__file__)])
    seconds = time.perf_counter() - started
    assert not failures, failures
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Print a table in Markdown."""
    print("| clips | shards | one process | cluster | ms more a shard | MiB, one process | MiB, client |")
    print("|---|---|---|---|---|---|---|")
    for n_clips in [int(n) for n in sys.argv[1:]] or NUMBERS:
        with tempfile.TemporaryDirectory() as folder:
            noise = np.random.default_rng(0).standard_normal(int(n_clips * SECONDS * RATE)).astype(np.float32)
            soundfile.write(f"{folder}/noise.wav", 0.1 * noise, RATE)
            environment = {**os.environ, FOLDER: folder, N_CLIPS: str(n_clips)}
            found = []
            for how in ("alone", "cluster"):
                command = [sys.executable, __file__, "--measure", how]
                run_ = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                found.append([float(word) for word in run_.stdout.split()[-2:]])
        (alone, alone_mib), (cluster, cluster_mib) = found
        n_shards = -(-n_clips // CLIPS_PER_TASK)
        more = 1000 * (cluster - alone) / n_shards
        print(
            f"| {n_clips:,} | {n_shards:,} | {alone:.1f} s | {cluster:.1f} s | {more:.0f} | "
            f"{alone_mib:.0f} | {cluster_mib:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    else:
        main()
