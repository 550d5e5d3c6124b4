"""The commands that look after stored features."""

import os

import numpy as np
import pytest
from click.testing import CliRunner

from mirbench.cli.main import cli
from mirbench.features.region import FeatureKey
from mirbench.features.store import FeatureStore


@pytest.fixture
def home(tmp_path):
    store = FeatureStore(tmp_path / "features")
    for i, name in enumerate(["early", "late"]):
        with store.writer(name, f"encoder-{name}") as writer:
            for start in (0.0, 1.0):
                key = FeatureKey(name, "a" * 64, start, None, "mean of tokens")
                writer.add(key, np.ones((3, 200_000), np.float32), np.zeros(0))
        [path] = (tmp_path / "features" / name).glob("*/*.safetensors")
        os.utime(path, (1e9 + i, 1e9 + i))
    return tmp_path


def call(home, *arguments, code=0):
    result = CliRunner().invoke(cli, ["store", *arguments, "--home", str(home)])
    assert result.exit_code == code, result.output
    return result.output


def test_ls_names_encoders_readouts_and_clips(home):
    lines = call(home, "ls").splitlines()[2:]
    assert [line.split()[:5] for line in lines] == [
        ["encoder-early", "early", "mean", "of", "tokens"],
        ["encoder-late", "late", "mean", "of", "tokens"],
    ]
    assert " 2 " in lines[0]
    assert "4.6 MiB" in lines[0]


def test_ls_of_nothing_says_where_it_looked(tmp_path):
    assert str(tmp_path) in call(tmp_path, "ls")


def test_du_adds_up(home):
    *encoders, total = call(home, "du").splitlines()
    assert len(encoders) == 2
    assert total.split()[:2] == ["9.2", "MiB"]


def test_damage_is_found_and_removed(home):
    [path] = (home / "features" / "late").glob("*/*.safetensors")
    assert call(home, "verify") == "2 files, 0 damaged\n"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert f"damaged: {path}" in call(home, "verify", code=1)
    assert "1 damaged" in call(home, "gc")
    assert call(home, "verify") == "1 files, 0 damaged\n"


def test_gc_keeps_what_was_used_last(home):
    assert "1 least recently used files" in call(home, "gc", "--limit", "0.005")
    assert [path.name for path in (home / "features").iterdir() if list(path.glob("*/*.safetensors"))] == ["late"]
