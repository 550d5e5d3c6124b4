"""Real recordings, where there are any: what simple encoders hear in them is well above chance.

The recordings are not part of the project; `tests/conftest.py` says where they are looked for.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import mir_eval
import numpy as np
import pytest
import soundfile

from mirbench.data import audio
from mirbench.domain import Result
from mirbench.hookspecs import hookimpl
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.runs.planning import make_plan
from mirbench.runs.run import run
from tests.samples import SHARED

pytestmark = [pytest.mark.shared, pytest.mark.slow]
DATA = SHARED / "data"
ENCODERS = ("logmel", "mfcc")
SONGS = ("armygeddon", "chaos_god", "internal_degeneration", "mutilated_mime")


class Collector:
    """Keeps the results of a run."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    @hookimpl
    def mirbench_result(self, result: Result) -> None:
        self.results.append(result)


@pytest.fixture
def evaluate(tmp_path: Path) -> Callable[..., dict[tuple[str, str], float]]:
    """Run the encoders on a CSV file; returns values by encoder and metric."""

    def run_csv(task: str, path: Path, encoders: Sequence[str] = ENCODERS) -> dict[tuple[str, str], float]:
        plugins, found = Plugins(), Collector()
        plugins.observe(found)
        settings = Settings(home=tmp_path / "home", out=tmp_path / "out")
        assert run(make_plan(plugins, encoders, [task], settings, csv=path), plugins) == []
        values = {(r.encoder, r.metric): r.value for r in found.results if not r.label}
        print({name: round(value, 3) for name, value in values.items()})
        return values

    return run_csv


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_labels(folder: str) -> list[dict[str, str]]:
    with (DATA / folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def recording(folder: str, name: str) -> Path:
    [path] = (DATA / folder).rglob(name)
    return path


@pytest.mark.parametrize("test_song", range(4))
def test_beats_of_metal_songs(test_song: int, tmp_path: Path, evaluate):
    """One of four songs is the test, one is validation, two are for training; clips of 30 s."""
    rows, references = [], []
    for place, song in enumerate(SONGS):
        split = {0: "test", 1: "valid"}.get((place - test_song) % 4, "train")
        beats = np.loadtxt(DATA / "fof_beats" / "beats" / f"{song}.beats", usecols=0)
        [path] = (DATA / "fof_beats" / "audio").glob(f"{song}.*")
        for start in range(0, int(audio.info(path).duration) - 30, 30):
            inside = beats[(beats >= start) & (beats < start + 30)] - start
            if len(inside) > 10:
                name = DATA / "fof_beats" / "beats" / f"{song}.beats"  # of the whole song: clips get their parts
                row = {"path": path, "start": start, "end": start + 30, "split": split, "group": song, "beats": name}
                rows.append(row)
                references += [inside] if split == "test" else []
    values = evaluate("beat", write_csv(tmp_path / "songs.csv", rows))
    random = np.random.default_rng(0)
    chance = np.mean(
        [
            mir_eval.beat.f_measure(reference, np.arange(random.uniform(0, 1), 30, 60 / random.uniform(60, 200)))
            for reference in references
            for _ in range(100)
        ]
    )
    for encoder in ENCODERS:
        assert values[encoder, "f_measure"] > chance + 0.08  # chance: a steady beat of a random tempo, about 0.33


def test_ten_environmental_classes(tmp_path: Path, evaluate):
    """The published folds: 1 to 3 for training, 4 validation, 5 test."""
    splits = {"1": "train", "2": "train", "3": "train", "4": "valid", "5": "test"}
    rows = [
        {
            "path": recording("esc10", label["filename"]),
            "split": splits[label["fold"]],
            "group": label["freesound_id"],
            "tags": label["category"],
        }
        for label in read_labels("esc10")
    ]
    values = evaluate("tagging", write_csv(tmp_path / "esc10.csv", rows))
    for encoder in ENCODERS:
        assert values[encoder, "macro_roc_auc"] > 0.85  # chance is 0.5
        assert values[encoder, "macro_average_precision"] > 0.5  # chance is 0.1


def test_alarms_cries_and_footsteps(tmp_path: Path, evaluate):
    """Recorded sounds in steady noise at 15 dB, one or two in each clip of 10 s; no recording is in two splits."""
    sounds = {
        "alarm": [
            recording("icu_alarm", row["filename"]) for row in read_labels("icu_alarm") if row["category"] == "alarm"
        ],
        "cry": [recording("esc10", row["filename"]) for row in read_labels("esc10") if row["category"] == "baby_cry"],
        "footsteps": [
            recording("berklee_sfx", row["filename"])
            for row in read_labels("berklee_sfx")
            if row["coarse_label_from_filename"] == "footsteps"
        ],
    }
    rows = []
    for place, (split, share, n_clips) in enumerate(
        [("train", (0, 0.6), 200), ("valid", (0.6, 0.8), 60), ("test", (0.8, 1), 80)]
    ):
        random = np.random.default_rng(place)
        parts = {label: paths[slice(*(int(x * len(paths)) for x in share))] for label, paths in sounds.items()}
        for number in range(n_clips):
            name = f"{split}-{number}"
            samples, events = mix(parts, random)
            soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
            (tmp_path / f"{name}.txt").write_text("".join(f"{a:.3f}\t{b:.3f}\t{label}\n" for a, b, label in events))
            rows.append({"path": f"{name}.wav", "split": split, "group": name, "events": f"{name}.txt"})
    values = evaluate("hospital", write_csv(tmp_path / "ward.csv", rows))
    for encoder in ENCODERS:
        assert values[encoder, "macro_segment_f1"] > 0.5  # to claim everything always scores about 0.3
        assert values[encoder, "macro_average_precision"] > 0.7  # chance is 0.5


RATE, SECONDS = 16000, 10


def mix(parts: dict[str, list[Path]], random: np.random.Generator) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Place one or two recorded sounds in noise; an event is where the level is within 30 dB of its peak."""
    noise = random.standard_normal(RATE * SECONDS).astype(np.float32)
    samples, events = 0.003 * noise, []
    for label in random.permutation(list(parts))[: random.integers(1, 3)]:
        sound = audio.load(parts[label][random.integers(len(parts[label]))], RATE)[: 4 * RATE]
        onset = random.integers(0, len(samples) - len(sound))
        level = np.sqrt(np.convolve(np.square(sound), np.ones(800) / 800, mode="same"))
        [there] = np.nonzero(level > 0.03 * level.max())
        samples[onset : onset + len(sound)] += sound * 0.003 * 10 ** (15 / 20) / np.sqrt(np.square(sound[there]).mean())
        events.append(((onset + there[0]) / RATE, (onset + there[-1]) / RATE, str(label)))
    return np.clip(samples, -1, 1), events
