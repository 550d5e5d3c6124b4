"""Audio is decoded as it is, or refused with file and cause."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mirbench import AudioError
from mirbench.data import audio

SECONDS, RATE = 4.0, 22050
FORMATS = ("wav", "flac", "ogg", "mp3", "aiff")
NOISE = (0.1 * np.random.default_rng(0).standard_normal(round(SECONDS * RATE))).astype(np.float32)
SINE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(SECONDS * RATE)) / RATE)).astype(np.float32)


@pytest.fixture
def make(tmp_path: Path):
    def write(name: str, samples=NOISE, rate=RATE, **options) -> Path:
        soundfile.write(tmp_path / name, samples, rate, **options)
        return tmp_path / name

    return write


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_has_the_duration_that_was_written(make, form):
    path = make(f"a.{form}")
    assert audio.info(path).duration == pytest.approx(SECONDS, abs=0.001)
    assert len(audio.load(path, RATE)) == round(SECONDS * RATE)


@pytest.mark.parametrize("form", FORMATS)
def test_a_region_equals_that_part_of_the_whole(make, form):
    path = make(f"a.{form}")
    whole = audio.load(path, RATE)
    region = audio.load(path, RATE, start=1.0, duration=1.5)
    np.testing.assert_allclose(region, whole[RATE : RATE + round(1.5 * RATE)], atol=2e-4)


def test_channels_are_averaged(make):
    path = make("stereo.wav", np.stack([SINE, 0 * SINE], axis=1), subtype="FLOAT")
    np.testing.assert_allclose(audio.load(path, RATE), SINE / 2, atol=1e-6)


def test_resampling_keeps_a_tone(make):
    path = make("sine.wav", SINE, subtype="FLOAT")
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(SECONDS * 16000)) / 16000)
    found = audio.load(path, 16000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[2000:-2000], expected[2000:-2000], atol=1e-4)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_is_cut_off_is_refused(make, form):
    path = make(f"a.{form}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=rf"a\.{form}.*(cut off|decoding stops)"):
        audio.load(path, RATE)


@pytest.mark.parametrize("form", ["flac", "ogg", "mp3"])
def test_damage_in_the_middle_is_refused(make, form):
    path = make(f"a.{form}")
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) * 2 // 3] = np.random.default_rng(0).bytes(
        len(content) * 2 // 3 - len(content) // 3
    )
    path.write_bytes(content)
    with pytest.raises(AudioError, match=rf"a\.{form}"):
        audio.load(path, RATE)


def test_a_missing_file_is_named():
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        audio.load(Path("gone.wav"), RATE)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.mp3").touch()
    with pytest.raises(AudioError, match="empty"):
        audio.load(tmp_path / "empty.mp3", RATE)


def test_a_header_without_audio_is_refused(make):
    with pytest.raises(AudioError, match="no audio"):
        audio.load(make("none.wav", NOISE[:0]), RATE)


@pytest.mark.parametrize("content", [b"not audio at all" * 1000, bytes(50_000), os.urandom(50_000)])
def test_a_file_that_is_no_audio_is_refused(tmp_path, content):
    (tmp_path / "junk.mp3").write_bytes(content)
    with pytest.raises(AudioError, match=r"junk\.mp3"):
        audio.load(tmp_path / "junk.mp3", RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_their_place(make, value):
    samples = NOISE.copy()
    samples[RATE] = value
    with pytest.raises(AudioError, match=r"NaN or infinity at 1\.000 s"):
        audio.load(make("nan.wav", samples, subtype="FLOAT"), RATE)


def test_silence_from_beginning_to_end_is_refused(make):
    with pytest.raises(AudioError, match="digital silence"):
        audio.load(make("zero.wav", 0 * NOISE), RATE)


def test_a_silent_region_of_a_file_with_sound_is_read(make):
    samples = np.concatenate([NOISE, np.zeros(RATE, np.float32)])
    assert not audio.load(make("pause.wav", samples), RATE, start=SECONDS, duration=1.0).any()


@pytest.mark.parametrize(("start", "duration"), [(5.0, 1.0), (3.5, 1.0), (-1.0, 1.0), (1.0, 0.0)])
def test_a_region_outside_the_file_is_refused(make, start, duration):
    with pytest.raises(AudioError, match=r"does not lie in its 4\.000 s"):
        audio.load(make("a.wav"), RATE, start, duration)


def test_m4a_is_read_through_av(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(SINE[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    found = audio.load(path, RATE, start=1.0, duration=2.0)
    assert len(found) == 2 * RATE
    assert np.abs(np.fft.rfft(found)).argmax() == pytest.approx(880, abs=1)


def test_without_av_the_error_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.m4a").write_bytes(b"....ftypM4A " * 100)
    monkeypatch.setattr(audio.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AudioError, match=r"mirbench-audio\[av\]"):
        audio.load(tmp_path / "a.m4a", RATE)


@pytest.mark.shared
def test_real_recordings_are_read():
    from tests.samples import SHARED

    files = sorted((SHARED / "data" / "librosa_data" / "audio").glob("*.ogg"))
    assert files
    for path in files:
        assert np.abs(audio.load(path, 16000)).max() > 0
