"""Fixtures: a folder of short recordings with a CSV file, and a place for data and features."""

import csv
import os
import sys
import tempfile

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does: test processes share cores
from pathlib import Path

import pytest
import soundfile

from mirbench.cli.main import cli, main
from tests.samples import SHARED, triad

KEYS = {"C major": (0, 4, 7), "F# major": (6, 10, 1), "A minor": (9, 0, 4)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not SHARED.is_dir():
        for item in items:
            if "shared" in item.keywords:
                item.add_marker(pytest.mark.skip(reason=f"no recordings in {SHARED}"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for data and features."""
    monkeypatch.setenv("MIRBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MIRBENCH_PLUGINS", raising=False)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def soundfonts() -> Path:
    """The folder of SoundFonts; fetched once for all runs of the tests, and skipped where there is no network."""
    from mirbench import DatasetError
    from mirbench_data_rendered import fonts

    folder = Path(tempfile.gettempdir()) / "mirbench-tests" / "soundfonts"
    try:
        fonts.fetch_merlin(folder)
    except DatasetError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file with 36 clips of one second: triads in three keys."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = []
    for key, pitch_classes in KEYS.items():
        for split, count in {"train": 6, "valid": 3, "test": 3}.items():
            for number in range(count):
                name = f"{key} {split} {number}.wav".replace("#", "sharp")
                soundfile.write(folder / name, triad(pitch_classes, len(rows)), 22050)
                rows.append({"path": name, "start": "", "end": "", "split": split, "group": name, "key": key})
    path = folder / "triads.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def mirbench(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call the command line in this process: exit code, standard output and standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["mirbench", *map(str, words)])
        vars(cli).pop("_of_plugins", None)  # every process asks its plugins once
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call
