"""MP3 files without a length in their header are read whole; what is cut off or damaged is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mirbench import AudioError
from mirbench.data import audio
from mirbench.data.mp3 import _frame

SECONDS, RATE = 4.0, 44100
NOISE = (0.1 * np.random.default_rng(0).standard_normal(round(SECONDS * RATE))).astype(np.float32)


def encoded(mode: str = "CONSTANT", samples: np.ndarray = NOISE, rate: int = RATE) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="MP3", bitrate_mode=mode, compression_level=0.5)
    return content.getvalue()


def without_length(content: bytes) -> bytes:
    """Remove the frame that holds the number of frames."""
    frame = _frame(content[:4])
    assert content[frame.data : frame.data + 4] in (b"Xing", b"Info")
    return content[frame.n_bytes :]


def id3(n_bytes: int) -> bytes:
    return b"ID3\4\0\0" + bytes(n_bytes >> shift & 127 for shift in (21, 14, 7, 0)) + b"p" * n_bytes


APE = b"APETAGEX" + bytes(4) + (50032).to_bytes(4, "little") + bytes(16) + b"x" * 50000 + b"APETAGEX" + bytes(24)
HEALTHY = {
    "no tag": (b"", b""),
    "a tag of a tenth of a second": (id3(1700), b""),
    "a tag with a picture": (id3(300_000), b""),
    "two tags and padding": (id3(50_000) + id3(3000) + bytes(500), b""),
    "tags at both ends": (id3(100_000), APE + b"TAG" + bytes(125)),
}


@pytest.fixture
def write(tmp_path: Path):
    def to_file(content: bytes) -> Path:
        path = tmp_path / "a.mp3"
        path.write_bytes(content)
        return path

    return to_file


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_file_of_constant_bit_rate_is_read_whole(write, name):
    before, after = HEALTHY[name]
    frames = without_length(encoded())
    path = write(before + frames + after)
    assert audio.info(path).duration == pytest.approx(SECONDS, abs=0.06)
    plain = write(frames)
    expected = audio.load(plain, RATE)
    np.testing.assert_array_equal(audio.load(write(before + frames + after), RATE), expected)
    assert len(expected) == pytest.approx(SECONDS * RATE, abs=2500)


def test_a_region_of_a_file_with_a_large_tag_is_that_of_the_same_file_without(write):
    frames = without_length(encoded())
    expected = audio.load(write(frames), RATE, start=2.0, duration=1.0)
    np.testing.assert_array_equal(audio.load(write(id3(200_000) + frames), RATE, start=2.0, duration=1.0), expected)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_file_without_a_length_is_read_to_its_last_frame(write, rate, mode, n_channels):
    samples = np.stack([NOISE[: 3 * rate] * np.linspace(0, 1, 3 * rate)] * n_channels, axis=1)
    path = write(id3(20_000) + without_length(encoded(mode, samples, rate)))
    found = audio.load(path, rate)
    assert 0 <= len(found) - 3 * rate <= 3 * 1152
    assert len(found) == round(audio.info(path).duration * rate)
    region = audio.load(path, rate, start=2.0, duration=1.0)  # its first frames lack the bits of those before them
    np.testing.assert_allclose(region[1000:], found[2 * rate + 1000 : 3 * rate], atol=1e-4)


@pytest.fixture(scope="module")
def minutes() -> bytes:
    """Three minutes: frames of 44.1 kHz have 522 or 523 bytes at 160 kbit/s, and the size of none is the mean."""
    return without_length(encoded(samples=np.tile(NOISE, 45)))


@pytest.mark.parametrize("first", range(3))
def test_three_minutes_are_read_to_their_last_frame(write, minutes, first):
    content = minutes
    for _ in range(first):
        content = content[_frame(content[:4]).n_bytes :]
    found = audio.load(write(content), RATE)
    assert 0 <= len(found) + first * 1152 - 180 * RATE <= 3 * 1152


@pytest.mark.parametrize("tag", [0, 1000, 300_000])
def test_a_cut_file_that_promises_its_length_is_refused(write, tag):
    content = encoded()
    with pytest.raises(AudioError, match=r"a\.mp3: cut off: 4\.00 s by its header"):
        audio.load(write(id3(tag) + content[: len(content) // 2]), RATE)


@pytest.mark.parametrize("filling", [bytes(20_000), np.random.default_rng(0).bytes(20_000)])
@pytest.mark.parametrize("tag", [0, 300_000])
@pytest.mark.parametrize("place", [1 / 2, 1])
def test_bytes_that_are_no_frames_are_refused(write, filling, tag, place):
    frames = without_length(encoded())
    middle = int(len(frames) * place)
    path = write(id3(tag) + frames[: middle - 20_000] + filling + frames[middle:])
    with pytest.raises(AudioError, match=r"a\.mp3: damaged or cut off: \d{5} of \d+ bytes are neither frames"):
        audio.load(path, RATE)


@pytest.mark.parametrize("content", [id3(1000), id3(1000) + b"\xff\xfb", b"\xff\xfb\x90\x00", id3(2**20)[:500]])
def test_a_tag_without_audio_is_refused(write, content):
    with pytest.raises(AudioError, match=r"a\.mp3"):
        audio.load(write(content), RATE)
