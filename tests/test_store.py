"""The feature store: whole or not there."""

import os
import time

import numpy as np
import pytest

from mirbench import MirbenchError
from mirbench.files import SECONDS_BEFORE_SWEEPING, TEMPORARY_PREFIX, write_atomically
from mirbench.store import FeatureKey, FeatureStore

KEY = FeatureKey("f" * 16, "a" * 64, 0.0, None, "frames")
VALUES = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
TIMES = np.arange(4) / 10


def test_what_is_written_is_read(tmp_path):
    store = FeatureStore(tmp_path)
    assert KEY not in store
    store.write(KEY, VALUES, TIMES)
    assert KEY in store
    assert store.n_layers(KEY) == 2
    values, times = store.read(KEY, 1)
    np.testing.assert_array_equal(values, VALUES[1])
    np.testing.assert_array_equal(times, TIMES)


@pytest.mark.parametrize(
    "other",
    [
        FeatureKey("e" * 16, "a" * 64, 0.0, None, "frames"),
        FeatureKey("f" * 16, "b" * 64, 0.0, None, "frames"),
        FeatureKey("f" * 16, "a" * 64, 1.0, None, "frames"),
        FeatureKey("f" * 16, "a" * 64, 0.0, 1.0, "frames"),
        FeatureKey("f" * 16, "a" * 64, 0.0, None, "mean"),
    ],
)
def test_anything_that_features_depend_on_is_in_the_key(tmp_path, other):
    store = FeatureStore(tmp_path)
    store.write(KEY, VALUES, TIMES)
    assert other not in store


def test_a_damaged_file_is_named(tmp_path):
    store = FeatureStore(tmp_path)
    store.write(KEY, VALUES, TIMES)
    path = tmp_path / KEY.file_name
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(MirbenchError, match="delete the file and rerun"):
        store.read(KEY, 0)


def test_a_writer_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "a", b"abc")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_killed_writers_are_swept_when_they_are_old(tmp_path):
    old, new = tmp_path / f"{TEMPORARY_PREFIX}old", tmp_path / f"{TEMPORARY_PREFIX}new"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 2 * SECONDS_BEFORE_SWEEPING,) * 2)
    FeatureStore(tmp_path)
    assert not old.exists()
    assert new.exists()
