"""Data sets that are made here: whole or not there, and continued."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mirbench import DatasetError, DatasetRequest, MissingDataError
from mirbench.data.embedded import RenderedClip, generate, make_one, read_clips, read_manifest

TONES = {"low": 100, "high": 400, "higher": 800}


def tone(frequency: int) -> RenderedClip:
    time = np.arange(800, dtype=np.float32) / 8000
    return RenderedClip(0.5 * np.sin(2 * np.pi * frequency * time).astype(np.float32), 8000, {"frequency": frequency})


def make(manifest: Path) -> None:
    generate(manifest, TONES, tone, title="tones", workers=1, about={"kind": "sine"})


def test_clips_and_labels_come_back(tmp_path: Path):
    make(tmp_path / "1" / "manifest.json")
    stored = read_manifest(tmp_path / "1" / "manifest.json", "tones")
    assert {stem: (clip.labels["frequency"], clip.duration) for stem, clip in stored.items()} == {
        stem: (frequency, 0.1) for stem, frequency in TONES.items()
    }
    samples, rate = soundfile.read(stored["high"].path)
    np.testing.assert_allclose(samples, tone(400).samples, atol=2**-15)
    assert rate == 8000
    assert json.loads((tmp_path / "1" / "manifest.json").read_text())["kind"] == "sine"


def test_what_is_there_is_not_made_again(tmp_path: Path):
    make_one("low", 100, tmp_path, tone)
    before = (tmp_path / "low.flac").stat().st_mtime_ns
    make(tmp_path / "manifest.json")
    assert (tmp_path / "low.flac").stat().st_mtime_ns == before
    assert len(list(tmp_path.glob("*.flac"))) == 3


def test_the_same_bytes_every_time(tmp_path: Path):
    for name in ("one", "other"):
        make(tmp_path / name / "manifest.json")
    assert (tmp_path / "one/manifest.json").read_bytes() == (tmp_path / "other/manifest.json").read_bytes()


def test_an_unfinished_data_set_is_not_read(tmp_path: Path):
    make_one("low", 100, tmp_path, tone)
    with pytest.raises(MissingDataError, match="run 'mirbench data prepare tones'"):
        read_manifest(tmp_path / "manifest.json", "tones")


def label(frequency: int) -> tuple[float, dict[str, int]]:
    return 0.1, {"frequency": frequency}


def test_references_need_no_audio(tmp_path: Path):
    manifest = tmp_path / "manifest-small.json"
    request = DatasetRequest(task="key", size="small", home=tmp_path, needs_audio=False)
    for _ in range(2):  # computed, then read
        clips = read_clips(request, manifest, "tones", TONES, label)
        assert [path.name for path in tmp_path.iterdir()] == ["references-small.json"]
        with pytest.raises(DatasetError, match="lowest is not listed"):
            clips["lowest"]
    with pytest.raises(MissingDataError, match="run 'mirbench data prepare tones --size small'"):
        read_clips(DatasetRequest(task="key", size="small", home=tmp_path), manifest, "tones", TONES, label)
    make(manifest)
    stored = read_clips(request, manifest, "tones", TONES, label)
    assert all(
        (clips[stem].duration, clips[stem].labels) == (stored[stem].duration, stored[stem].labels) for stem in TONES
    )
