"""Extraction: once, in order, in bounded memory, with failures told apart."""

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mirbench import Encoder, EncoderError, Features
from mirbench.features.extract import Extracted, extract
from mirbench.features.region import Region
from mirbench.features.store import FeatureStore


class Counting(Encoder):
    sample_rate = 8000

    def __init__(self, fingerprint="counting"):
        self.fingerprint = fingerprint
        self.n_encoded = 0

    def encode(self, audio):
        self.n_encoded += 1
        frames = np.full((1, 4, 2), np.abs(audio).max(), dtype=np.float32)
        return Features(frames=frames, times=np.arange(4) / 10)


@pytest.fixture
def regions(tmp_path: Path) -> list[Region]:
    made = []
    for number in range(1, 11):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.full(8000, number / 20, np.float32), 8000)
        made.append(Region(path, 0.0, None, None))
    return made


def wanted(regions, readouts=("mean",)):
    return dict.fromkeys(regions, frozenset(readouts))


def test_every_region_gets_its_own_features(regions, tmp_path):
    store, encoder = FeatureStore(tmp_path / "store"), Counting()
    assert extract(encoder, wanted(regions), store, title="").unread == {}
    for number, region in enumerate(regions, start=1):
        values, _ = store.read(region.key(encoder, "mean"), 0)
        np.testing.assert_allclose(values, number / 20, atol=1e-4)


def test_the_second_run_computes_nothing(regions, tmp_path):
    store, encoder = FeatureStore(tmp_path / "store"), Counting()
    extract(encoder, wanted(regions), store, title="")
    extract(encoder, wanted(regions), store, title="")
    assert encoder.n_encoded == len(regions)


def test_speed_is_known_where_enough_was_encoded(regions, tmp_path):
    store = FeatureStore(tmp_path / "store")
    done = extract(Counting(), wanted(regions), store, title="")
    assert done.audio_seconds == pytest.approx(10.0)
    assert done.speed() == {}
    assert extract(Counting(), wanted(regions), store, title="").audio_seconds == 0
    both = Extracted({}, 50.0, 2.0)
    both += Extracted({}, 30.0, 2.0)
    assert both.speed() == {"speed": 20.0}


def test_another_fingerprint_computes_anew(regions, tmp_path):
    store = FeatureStore(tmp_path / "store")
    extract(Counting(), wanted(regions), store, title="")
    other = Counting("other")
    extract(other, wanted(regions), store, title="")
    assert other.n_encoded == len(regions)


def test_changed_audio_is_computed_anew(regions, tmp_path):
    store, encoder = FeatureStore(tmp_path / "store"), Counting()
    extract(encoder, wanted(regions), store, title="")
    soundfile.write(regions[0].path, np.full(8000, 0.9, np.float32), 8000)
    extract(encoder, wanted(regions), store, title="")
    assert encoder.n_encoded == len(regions) + 1


class Threaded(Counting):
    is_parallel = True

    def encode(self, audio):
        assert torch.get_num_threads() == 1
        self.threads.add(threading.get_ident())
        return super().encode(audio)


def test_a_parallel_encoder_hears_several_clips_at_a_time(regions, tmp_path):
    store, encoder = FeatureStore(tmp_path / "store"), Threaded()
    encoder.threads = set()
    n_threads = torch.get_num_threads()
    broken = regions[3].path
    broken.write_bytes(b"RIFF")
    assert list(extract(encoder, wanted(regions), store, title="", workers=2).unread) == [regions[3]]
    assert threading.get_ident() not in encoder.threads
    assert torch.get_num_threads() == n_threads
    for number, region in enumerate(regions, start=1):
        if region.path != broken:
            np.testing.assert_allclose(store.read(region.key(encoder, "mean"), 0)[0], number / 20, atol=1e-4)


def test_several_readouts_cost_one_encoding(regions, tmp_path):
    store, encoder = FeatureStore(tmp_path / "store"), Counting()
    extract(encoder, wanted(regions, ("mean", "frames")), store, title="")
    assert encoder.n_encoded == len(regions)
    assert store.read(regions[0].key(encoder, "frames"), 0)[0].shape == (4, 2)


def test_a_file_that_cannot_be_read_costs_no_other(regions, tmp_path):
    regions[3].path.write_bytes(b"junk" * 100)
    store, encoder = FeatureStore(tmp_path / "store"), Counting()
    failures = extract(encoder, wanted(regions), store, title="").unread
    assert list(failures) == [regions[3]]
    assert encoder.n_encoded == len(regions) - 1
    values, _ = store.read(regions[4].key(encoder, "mean"), 0)
    np.testing.assert_allclose(values, 5 / 20, atol=1e-4)


def test_a_file_that_is_not_the_one_meant_is_refused(regions, tmp_path):
    region = Region(regions[0].path, 0.0, None, "0" * 64)
    failures = extract(Counting(), wanted([region]), FeatureStore(tmp_path / "store"), title="").unread
    assert "its content has changed" in str(failures[region])


def test_nan_is_refused_and_names_the_file(regions, tmp_path):
    class Nan(Counting):
        def encode(self, audio):
            features = super().encode(audio)
            features.frames[0, 0, 0] = np.nan if self.n_encoded == 3 else 0
            return features

    store, encoder = FeatureStore(tmp_path / "store"), Nan()
    with pytest.raises(EncoderError, match=r"NaN or infinity in 12\.5% of frames for .*3\.wav"):
        extract(encoder, wanted(regions), store, title="")
    assert regions[0].key(encoder, "mean") in store
    assert regions[2].key(encoder, "mean") not in store


def test_only_a_few_clips_are_decoded_ahead(regions, tmp_path, monkeypatch):
    decoded = []
    from mirbench.data import audio

    load = audio.load
    monkeypatch.setattr(audio, "load", lambda *given: decoded.append(given) or load(*given))

    class Watching(Counting):
        def encode(self, audio):
            features = super().encode(audio)
            assert len(decoded) - self.n_encoded <= 4
            return features

    extract(Watching(), wanted(regions), FeatureStore(tmp_path / "store"), title="", workers=1)
    assert len(decoded) == len(regions)
