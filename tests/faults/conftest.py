"""A small world of recordings and annotations, and a fixture that breaks one thing in it and runs a command."""

import csv
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000  # Hz
SECONDS = 4.0
CHORDS = {"C major": ("C:maj", (0, 4, 7)), "A minor": ("A:min", (9, 0, 4))}


@dataclass(frozen=True)
class World:
    """Twelve clips of 4 s with keys, chords, beats, events and tags, which one CSV file lists.

    Attributes
    ----------
    folder
        Holds `world.csv`, and for clip 00 the files `00.wav`, `00.chords`, `00.beats` and `00.events`; clips 00 to 05
        are for training, 06 to 08 for validation, 09 to 11 for testing.
    """

    folder: Path
    home: Path

    @property
    def csv(self) -> Path:
        return self.folder / "world.csv"

    @property
    def out(self) -> Path:
        return self.folder / "results"

    def run(self, task: str = "key", encoder: str = "mfcc", *more: object) -> list[object]:
        """Name the words of a command that runs a task on this world's recordings."""
        return [
            "run",
            "--encoder",
            encoder,
            "--task",
            task,
            "--data",
            self.csv,
            "--out",
            self.out,
            "--workers",
            1,
            *more,
        ]

    def write(self, name: str, text: str) -> None:
        """Replace a file."""
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a part of a file; it must be there."""
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a world that nothing has been done to yet."""
    folder = tmp_path_factory.mktemp("world")
    random = np.random.default_rng(0)
    time = np.arange(round(SECONDS * RATE)) / RATE
    rows = []
    for number in range(12):
        name, split = f"{number:02d}", "train" if number < 6 else "valid" if number < 9 else "test"
        key = list(CHORDS)[number % 2]
        beats = np.arange(0.25 + 0.05 * (number % 3), SECONDS, 0.5)
        sound = 0.01 * random.standard_normal(len(time))
        for half, (_, pitches) in enumerate((CHORDS[key], CHORDS[list(CHORDS)[1 - number % 2]])):
            on = (time >= 2 * half) & (time < 2 * half + 2)
            for pitch in pitches:
                sound[on] += 0.1 * np.sin(2 * np.pi * 261.63 * 2 ** (pitch / 12) * time[on])
        for beat in beats:
            sound += 0.3 * random.standard_normal(len(time)) * np.exp(-((time - beat - 0.01) ** 2) / 5e-5)
        onset = 0.5 + 0.1 * number
        first = round(onset * RATE)
        sound[first : first + RATE] += 0.2 * np.sin(2 * np.pi * 3000 * time[:RATE])
        soundfile.write(folder / f"{name}.wav", np.clip(sound, -1, 1), RATE)
        labels = [CHORDS[key][0], CHORDS[list(CHORDS)[1 - number % 2]][0]]
        (folder / f"{name}.chords").write_text(f"0 2 {labels[0]}\n2 4 {labels[1]}\n")
        (folder / f"{name}.beats").write_text("".join(f"{beat:.3f}\n" for beat in beats))
        (folder / f"{name}.events").write_text(f"{onset:.2f}\t{onset + 1:.2f}\talarm\n")
        rows.append(
            {
                "path": f"{name}.wav", "start": "", "end": "", "split": split, "group": f"song {name}", "key": key,
                "chords": f"{name}.chords", "beats": f"{name}.beats", "events": f"{name}.events",
                "tags": "loud;major" if key == "C major" else "minor",
            }
        )  # fmt: skip
    with (folder / "world.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def world(pristine: Path, tmp_path: Path, home: Path) -> World:
    """A world of this test's own."""
    return World(Path(shutil.copytree(pristine, tmp_path / "world")), home)


@pytest.fixture
def ends(world: World, mirbench) -> Callable[..., str]:
    """Break something, run the command that the breaker returns, and check how it ends; returns all that it printed."""

    def check(inflict: Callable[[World], Sequence[object]], code: int, names: Sequence[str]) -> str:
        found, out, err = mirbench(*inflict(world))
        printed = out + err
        assert "Traceback" not in printed, printed
        assert found == code, f"exit code {found}, expected {code}:\n{printed}"
        for name in names:
            assert name in printed, f"{name!r} is not named in:\n{printed}"
        return printed

    return check
