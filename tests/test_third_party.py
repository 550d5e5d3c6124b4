"""A separate distribution with its own encoder is found, conforms and runs."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from mirbench.plugins import Plugins
from mirbench.testing import checks_of

PROJECT = Path(__file__).parent / "third_party"
ROOT = Path(__file__).parents[1]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The distribution as pip would leave it: a module and its dist-info."""
    (tmp_path / "zero_crossings.py").write_text((PROJECT / "zero_crossings.py").read_text())
    info = tmp_path / "mirbench_zero_crossings-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mirbench-zero-crossings\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mirbench]\nzero_crossings = zero_crossings\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_its_encoder_is_found_beside_the_built_in_ones(installed):
    found = Plugins()
    assert found.problems == []
    assert {"zero-crossings", "chroma"} <= set(found.encoders.names)


def test_its_encoder_conforms(installed):
    for check in checks_of(Plugins().encoders["zero-crossings"]):
        assert check.problem() is None


def test_it_is_about_twenty_lines():
    code = [line for line in (PROJECT / "zero_crossings.py").read_text().splitlines() if line.strip()]
    assert len(code) <= 22


@pytest.mark.slow
def test_it_installs_into_a_fresh_environment(tmp_path, recordings):
    """`pip install mirbench-audio` and the third party's package, then the command, as a user would."""
    place = tmp_path / "env"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {
        "MIRBENCH_HOME": str(tmp_path / "home")
    }

    def call(*words):
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call(python, "-m", "pip", "install", "-q", ROOT)
    call(python, "-m", "pip", "install", "-q", PROJECT)
    assert "zero-crossings" in call(place / "bin" / "mirbench", "list", "encoders")
    assert "FAIL" not in call(place / "bin" / "mirbench", "check", "zero-crossings")
    table = call(
        place / "bin" / "mirbench", "run", "--encoder", "zero-crossings,chroma", "--task", "key", "--data", recordings
    )
    assert "zero-crossings" in table
    assert sys.version_info >= (3, 11)
