"""Compare the speed of encoders: how much audio each encodes in a second, all in one run, on the same clips.

Run ``python benchmarks/extraction.py [ENCODER...] [--data FILE.csv]``; without names, all that are on this machine.
Clips come from the test split of rendered-scores, or of a CSV file with keys; decoding is not counted. Each encoder
encodes one clip before its time is taken, and turns are taken, so that what else the machine does slows all alike; the
best turn counts.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mirbench.cli.options import find_device
from mirbench.data import audio
from mirbench.data.csv import CsvDataset
from mirbench.domain import Audio, Clip, Encoder
from mirbench.encoders.references import find_encoder
from mirbench.files import find_home
from mirbench.plugins import Plugins
from mirbench.runs.planning import load_dataset
from mirbench.specs import DatasetRequest

N_CLIPS, TURNS, BATCH_SIZE = 4, 3, 16
UNIT = "logmel"  # what the others are compared with


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="*")
    parser.add_argument("--data", type=Path, help="a CSV file as for mirbench run, instead of rendered-scores")
    given = parser.parse_args()
    plugins = Plugins()
    ready = [spec.name for spec in plugins.encoders.specs() if spec.missing() is None]
    names = list(dict.fromkeys([UNIT, *(given.encoders or ready)]))
    device = find_device("auto")
    encoders = {name: find_encoder(plugins.encoders, name, find_home(None)).load(device) for name in names}
    request = DatasetRequest(task="key", size="small", home=find_home(None))
    task = plugins.tasks["key"].load()
    data = CsvDataset(given.data, task) if given.data else load_dataset(plugins.datasets["rendered-scores"], request)
    clips = data.clips("test")[:N_CLIPS]
    heard = {name: _load(clips, encoder) for name, encoder in encoders.items()}
    best = dict.fromkeys(names, 0.0)
    for _ in range(TURNS):
        for name, encoder in encoders.items():
            best[name] = max(best[name], _speed(encoder, heard[name]))
    print(f"| encoder | parameters | x real time ({device}) | against `{UNIT}` |\n|---|---|---|---|")
    for name in sorted(names, key=lambda name: -best[name]):
        n_parameters = encoders[name].n_parameters
        parameters = f"{n_parameters:,}" if n_parameters is not None else ""
        print(f"| `{name}` | {parameters} | {best[name]:.0f} | {best[name] / best[UNIT]:.2g} |")


def _load(clips: Sequence[Clip], encoder: Encoder) -> list[Audio]:
    return [audio.load(clip.path, encoder.sample_rate, clip.start, clip.duration) for clip in clips]


def _speed(encoder: Encoder, clips: Sequence[Audio]) -> float:
    """Measure seconds of audio encoded in a second; what comes first is not counted."""
    next(iter(encoder.encode_all(clips[:1], BATCH_SIZE)))
    started = time.perf_counter()
    for features in encoder.encode_all(clips, BATCH_SIZE):
        assert np.isfinite(features.frames).all()
    seconds = time.perf_counter() - started
    return sum(map(len, clips)) / encoder.sample_rate / seconds


if __name__ == "__main__":
    main()
