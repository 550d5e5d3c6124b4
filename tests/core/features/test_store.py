"""The feature store: whole or not there."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from mirbench import MirbenchError
from mirbench.features.region import FeatureKey
from mirbench.features.shards import read_shard
from mirbench.features.store import FeatureStore
from mirbench.files import SECONDS_BEFORE_SWEEPING, TEMPORARY_PREFIX, write_atomically

KEY = FeatureKey("f" * 16, "a" * 64, 0.0, None, "frames")
VALUES = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
TIMES = np.arange(4) / 10


def write(folder, *keys, values=VALUES, times=TIMES):
    store = FeatureStore(folder)
    with store.writer(KEY.fingerprint, "encoder") as writer:
        for key in keys:
            writer.add(key, values, times)
    return store


def test_what_is_written_is_read(tmp_path):
    assert KEY not in FeatureStore(tmp_path)
    store = write(tmp_path, KEY)
    assert KEY in store
    assert store.n_layers(KEY) == 2
    values, times = store.read(KEY, 1)
    np.testing.assert_array_equal(values, VALUES[1])
    np.testing.assert_array_equal(times, TIMES)


def test_clips_of_any_length_share_a_file(tmp_path):
    random = np.random.default_rng(0)
    clips = {
        replace(KEY, start=float(n)): random.standard_normal((2, n, 3)).astype(np.float16).astype(np.float32)
        for n in range(1, 30)
    }
    store = FeatureStore(tmp_path)
    with store.writer(KEY.fingerprint, "encoder") as writer:
        for key, values in clips.items():
            writer.add(key, values, np.arange(values.shape[1]) / 7)
    assert len(list(tmp_path.glob("*/*/*.safetensors"))) == 1
    for key, expected in clips.items():
        for layer in range(2):
            values, times = store.read(key, layer)
            np.testing.assert_array_equal(values, expected[layer])
            np.testing.assert_array_equal(times, np.arange(expected.shape[1]) / 7)


def test_the_order_of_axes_in_memory_does_not_matter(tmp_path):
    """The safetensors library writes memory as it lies."""
    transposed = np.asfortranarray(VALUES)
    other = np.ascontiguousarray(VALUES.transpose(0, 2, 1)).transpose(0, 2, 1)
    for i, values in enumerate((transposed, other, VALUES[:, ::-1])):
        key = replace(KEY, start=float(i))
        store = write(tmp_path, key, values=values)
        np.testing.assert_allclose(store.read(key, 1)[0], values[1], rtol=1e-3)


def test_readouts_of_a_clip_have_layers_and_dims_of_their_own(tmp_path):
    mean, token = replace(KEY, readout="mean"), replace(KEY, readout="mean of tokens / odd")
    store = FeatureStore(tmp_path)
    with store.writer(KEY.fingerprint, "encoder") as writer:
        writer.add(KEY, VALUES, TIMES)
        writer.add(mean, VALUES[:, 0], TIMES)
        writer.add(token, np.ones((1, 7), np.float32), TIMES)
    np.testing.assert_array_equal(store.read(mean, 1)[0], VALUES[1, 0])
    np.testing.assert_array_equal(store.read(token, 0)[0], np.ones(7))
    assert len(store.read(mean, 0)[1]) == 0
    assert (store.n_layers(mean), store.n_layers(token)) == (2, 1)


def test_features_are_not_copied_and_cannot_be_changed(tmp_path):
    values, _ = write(tmp_path, KEY).read(KEY, 0)
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0] = 1


def test_a_store_sees_what_another_process_writes(tmp_path):
    store = FeatureStore(tmp_path)
    assert KEY not in store
    write(tmp_path, KEY)
    assert KEY in store
    other = replace(KEY, start=1.0)
    assert other not in store
    write(tmp_path, other)
    assert other in store


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
    assert other not in write(tmp_path, KEY)


@pytest.mark.parametrize("n_bytes", [0, 4, 50, -1])
def test_a_file_that_is_not_whole_is_not_believed(tmp_path, capsys, n_bytes):
    write(tmp_path, KEY)
    [path] = tmp_path.glob("*/*/*.safetensors")
    path.write_bytes(path.read_bytes()[:n_bytes])
    store = FeatureStore(tmp_path)
    assert KEY not in store
    assert "left out" in capsys.readouterr().err
    with pytest.raises(MirbenchError, match="rerun"):
        store.read(KEY, 0)


def test_a_changed_byte_is_found(tmp_path):
    write(tmp_path, KEY)
    [path] = tmp_path.glob("*/*/*.safetensors")
    shard = read_shard(path)
    assert shard.hash() == shard.sha256
    moved = path.with_name("moved.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    moved.write_bytes(content)
    damaged = read_shard(moved)
    assert damaged.hash() != damaged.sha256


def test_the_least_recently_used_goes_first(tmp_path):
    keys = [replace(KEY, start=float(i)) for i in range(4)]
    for i, key in enumerate(keys):
        store = write(tmp_path, key)
        [new] = [path for path in tmp_path.glob("*/*/*.safetensors") if path.stat().st_mtime > 100]
        os.utime(new, (i, i))
    size = new.stat().st_size
    FeatureStore(tmp_path).read(keys[0], 0)  # used just now
    assert len(store.evict(2.0 * size)) == 2
    assert [key in store for key in keys] == [True, False, False, True]
    assert store.evict(0.0, keep=[KEY.fingerprint]) == []


def test_a_kill_leaves_no_file_that_is_not_whole(tmp_path):
    """A process writes shard after shard and is killed at any moment; all that is listed can be read."""
    script = (
        "import sys, numpy as np\nfrom dataclasses import replace\nfrom pathlib import Path\n"
        "from mirbench.features import store\nstore.SHARD_BYTES = 200_000\n"
        "key = store.FeatureKey('f' * 16, 'a' * 64, 0.0, None, 'frames')\n"
        "with store.FeatureStore(Path(sys.argv[1])).writer('f' * 16, 'e') as writer:\n"
        "    for i in range(100_000):\n"
        "        writer.add(replace(key, start=float(i)), np.full((2, 50, 64), i, np.float32), np.arange(50) / 10)\n"
        "        print(i, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE) as process:
        for _ in range(60):
            process.stdout.readline()
        process.kill()
    store, n_found = FeatureStore(tmp_path), 0
    for i in range(100):
        key = replace(KEY, start=float(i))
        if key in store:
            n_found += 1
            assert (store.read(key, 1)[0] == i).all()
    assert n_found >= 50
    assert all(shard.hash() == shard.sha256 for _, shard in store.shards())


def test_a_writer_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "a", b"abc")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_killed_writers_are_swept_when_they_are_old(tmp_path):
    old, new = tmp_path / f"{TEMPORARY_PREFIX}old_file", tmp_path / f"{TEMPORARY_PREFIX}new_file"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 2 * SECONDS_BEFORE_SWEEPING,) * 2)
    FeatureStore(tmp_path)
    assert not old.exists()
    assert new.exists()


def test_frames_are_kept_in_half_precision_where_it_changes_next_to_nothing(tmp_path):
    store = FeatureStore(tmp_path)
    random = np.random.default_rng(0)
    plain = random.normal(size=(2, 50, 8)).astype(np.float32)
    wide = plain.copy()
    wide[1, 3] = 1e6  # beyond half precision
    tiny = plain * 1e-7  # below its normal numbers
    clips = {"a" * 64: plain, "b" * 64: wide, "c" * 64: tiny}
    with store.writer("some", "name") as writer:
        for audio, values in clips.items():
            writer.add(FeatureKey("some", audio, 0.0, None, "frames"), values, np.arange(50.0))
            writer.add(FeatureKey("some", audio, 0.0, None, "mean"), values.mean(axis=1), np.zeros(0))
    for (audio, values), kind in zip(clips.items(), (np.float16, np.float32, np.float32), strict=True):
        for layer in range(2):
            found, _ = store.read(FeatureKey("some", audio, 0.0, None, "frames"), layer)
            assert found.dtype == kind
            error = np.linalg.norm(found.astype(np.float32) - values[layer]) / np.linalg.norm(values[layer])
            assert error < 1e-3
            assert store.read(FeatureKey("some", audio, 0.0, None, "mean"), layer)[0].dtype == np.float32
