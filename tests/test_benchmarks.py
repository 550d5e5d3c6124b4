"""The benchmarks run, at a miniature size; their numbers are not looked at."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
CASES = {
    "aliasing": ("--layers", "2", "--steps", "3", "--draws", "20"),
    "beat_decoder": ("--clips", "2"),
    "choices": ("--encoder", "chroma", "--task", "hospital", "--size", "small", "--home", "HOME"),
    "extraction": ("logmel", "mfcc", "--data", "CSV"),
    "key_without_labels": ("--data", "CSV"),
    "scale": ("40",),
    "run": ("--tiny", "--repeats", "1", "--only", "probes,frames,startup", "--json", "JSON"),
    "run on recordings": ("--tiny", "--repeats", "1", "--only", "extraction,rerun", "--data", "CSV", "--json", "JSON"),
}


def test_every_benchmark_is_run_here():
    assert {name.split()[0] for name in CASES} == {path.stem for path in FOLDER.glob("*.py")}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words"), CASES.items(), ids=CASES)
def test_a_benchmark_runs(name, words, recordings, home, tmp_path):
    places = {"CSV": str(recordings), "JSON": str(tmp_path / "numbers.json"), "HOME": str(home)}
    command = [sys.executable, FOLDER / f"{name.split()[0]}.py", *(places.get(word, word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if "JSON" in words:
        found = json.loads((tmp_path / "numbers.json").read_text())
        assert all(found[section]["lines"] for section in words[words.index("--only") + 1].split(","))
