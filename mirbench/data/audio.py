"""Read audio files: the only module that opens them.

soundfile reads wav, flac, ogg and mp3; the extra `mirbench-audio[av]` adds m4a and other formats that FFmpeg decodes. A
damaged file raises `AudioError`: missing audio is never replaced by zeros.
"""

import importlib.util
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from mirbench.data.mp3 import Counted, counted
from mirbench.errors import AudioError, of_system

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".m4a", ".aac", ".wma")
BLOCK = 1 << 20  # samples read at once where a whole file is scanned
MISSING_TOLERANCE = 0.1  # seconds that a compressed file may fall short of its header: encoder delay and padding


@dataclass(frozen=True)
class AudioInfo:
    """Properties of an audio file, from its header.

    Attributes
    ----------
    sample_rate
        Sample rate in Hz.
    duration
        Length in seconds.
    """

    sample_rate: int
    duration: float


def find(path: Path) -> Iterator[Path]:
    """Yield the audio files in a folder, recursively, by their suffixes; or the path itself if it is a file.

    Parameters
    ----------
    path
        Folder or file.

    Yields
    ------
    Path
        Audio files in alphabetical order.
    """
    if not path.is_dir():
        yield path
        return
    yield from (file for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES and file.is_file())


def info(path: Path) -> AudioInfo:
    """Return sample rate and duration of a file, from its header.

    Parameters
    ----------
    path
        Audio file.

    Raises
    ------
    AudioError
        If there is no such file, or it is not audio.
    """
    with _opened(path) as file:
        return AudioInfo(file.samplerate, file.frames / file.samplerate)


def load(
    path: Path, sample_rate: int, start: float = 0.0, duration: float | None = None
) -> Float32[np.ndarray, "samples"]:
    """Return a region of a file, mixed to mono and resampled (soxr, high quality).

    Parameters
    ----------
    path
        Audio file.
    sample_rate
        Sample rate of the returned samples in Hz.
    start, duration
        Region in seconds; a duration of None extends to the end. Only the region is decoded.

    Returns
    -------
    samples
        Samples in [-1, 1].

    Raises
    ------
    AudioError
        If the file cannot be read, is empty, truncated, contains NaN or infinity, or is digitally silent throughout; or
        if the region lies outside it.
    """
    with _opened(path) as file:
        native, total = file.samplerate, file.frames
        first = round(start * native)
        last = total if duration is None else round((start + duration) * native)
        tolerance = round(0.01 * native)
        if first < 0 or first >= total or last > total + tolerance or last <= first:
            end = "the end" if duration is None else f"{start + duration:.3f} s"
            raise AudioError(
                f"{path}: the region from {start:.3f} s to {end} does not lie in its {total / native:.3f} s"
            )
        last = min(last, total)
        samples = _read(file, path, first, last)
    if not samples.any() and not _has_signal(path):
        raise AudioError(f"{path}: digital silence from beginning to end; the file is probably damaged")
    if native != sample_rate:
        samples = resample(samples, native, sample_rate)
    return np.ascontiguousarray(samples, dtype=np.float32)


def resample(
    samples: Float32[np.ndarray, "_samples"], native: int, sample_rate: int
) -> Float32[np.ndarray, "_samples"]:
    """Return samples at another sample rate (soxr, high quality); as they are at the same one.

    Parameters
    ----------
    samples
        Mono samples.
    native
        Their sample rate in Hz.
    sample_rate
        Sample rate to return, in Hz.
    """
    if native == sample_rate:
        return samples
    found: Float32[np.ndarray, "_samples"] = soxr.resample(samples, native, sample_rate, quality="HQ")
    return found


def _read(file: "soundfile.SoundFile | _AvFile", path: Path, first: int, last: int) -> Float32[np.ndarray, "samples"]:
    try:
        file.seek(first)
        samples = file.read(last - first, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path}: decoding stops with an error: {error}") from error
    missing = (last - first - len(samples)) / file.samplerate
    if missing > MISSING_TOLERANCE or len(samples) == 0:
        where = (first + len(samples)) / file.samplerate
        raise AudioError(
            f"{path}: cut off: {file.frames / file.samplerate:.2f} s by its header, no more audio after {where:.2f} s"
        )
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples).all(axis=1)).argmax())
        raise AudioError(f"{path}: NaN or infinity at {(first + bad) / file.samplerate:.3f} s")
    mono: np.ndarray = samples.mean(axis=1)
    return mono


def _has_signal(path: Path) -> bool:
    with _opened(path) as file:
        return any(block.any() for block in _blocks(file))


def _blocks(file: "soundfile.SoundFile | _AvFile") -> Iterator[np.ndarray]:
    while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
        yield block


def _opened(path: Path) -> "soundfile.SoundFile | _AvFile":
    try:
        return _open(path)
    except OSError as error:
        raise AudioError(of_system(error, str(path))) from error


def _open(path: Path) -> "soundfile.SoundFile | _AvFile":
    if not path.is_file():
        raise AudioError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty (0 bytes)")
    _check_is_whole(path)
    mp3 = counted(path)
    try:
        file = soundfile.SoundFile(path) if mp3 is None else _Mp3File(mp3)
    except soundfile.LibsndfileError as error:
        file = _opened_by_av(path, error)
    if file.frames <= 0:
        raise AudioError(f"{path}: the file holds no audio (0 samples)")
    return file


class _Mp3File(soundfile.SoundFile):  # type: ignore[misc]
    """Frames of MP3, of which libsndfile can only estimate how many samples they are."""

    def __init__(self, counted: Counted) -> None:
        super().__init__(io.BytesIO(counted.content))
        self._n_samples = counted.n_samples

    @property
    def frames(self) -> int:
        """Count the samples."""
        return self._n_samples


def _check_is_whole(path: Path) -> None:
    """Find the end that the container promises: libsndfile takes a cut-off wav, aiff or ogg for a short one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(4)
        if magic == b"RIFF":
            promised = _end_of_wav_data(file)
        elif magic == b"FORM":
            promised = 8 + int.from_bytes(file.read(4), "big")
        elif magic == b"OggS":
            promised = size if _ogg_ends(file, size) else size + 1
        else:
            return
    if promised > size:
        detail = "the last page is missing" if magic == b"OggS" else f"{promised} bytes by its header, {size} there"
        raise AudioError(f"{path}: the file is cut off: {detail}")


def _end_of_wav_data(file: BinaryIO) -> int:
    file.seek(12)
    while len(header := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", header)
        if name == b"data":
            return 0 if size == 0xFFFFFFFF else file.tell() + size  # all ones: written to a pipe, length unknown
        file.seek(size + size % 2, 1)
    return 0


def _ogg_ends(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - (1 << 17)))  # a page is at most 65,307 bytes long
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or page + 27 > len(tail):
        return False
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    is_last = bool(tail[page + 5] & 4)
    return is_last and page + 27 + len(segments) + sum(segments) <= len(tail)


def _opened_by_av(path: Path, reason: Exception) -> "_AvFile":
    if importlib.util.find_spec("av") is None:
        raise AudioError(
            f"{path}: soundfile cannot read it ({reason}); if it is m4a or another format of FFmpeg's, run "
            "'pip install mirbench-audio[av]'"
        ) from reason
    return _AvFile(path)


class _AvFile:
    """A file decoded whole through PyAV, with the few methods of `soundfile.SoundFile` that are used here."""

    def __init__(self, path: Path) -> None:
        import av

        try:
            with av.open(str(path)) as container:
                if not container.streams.audio:
                    raise AudioError(f"{path}: holds no audio stream")
                stream = container.streams.audio[0]
                self.samplerate = int(stream.rate)
                resampler = av.AudioResampler(format="fltp", rate=self.samplerate)
                frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        except av.FFmpegError as error:
            raise AudioError(f"{path}: neither soundfile nor FFmpeg can read it ({error})") from error
        blocks = [frame.to_ndarray().T for frame in frames]
        self._samples = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
        self.frames = len(self._samples)
        self._place = 0

    def __enter__(self) -> "_AvFile":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def seek(self, place: int) -> None:
        self._place = place

    def read(self, n_frames: int, dtype: str, always_2d: bool) -> np.ndarray:
        block: Any = self._samples[self._place : self._place + n_frames]
        self._place += len(block)
        return np.asarray(block, dtype=dtype)
