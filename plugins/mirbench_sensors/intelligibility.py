"""Intelligibility of speech behind sensors: recordings, what is transmitted of them, and noise to compare with."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mirbench import Sensor
from mirbench.data import audio
from mirbench.errors import UsageError

SPEECH_RATE = 16000  # Hz; STOI compares bands up to 4.3 kHz
SHORTEST, LONGEST = 2.0, 30.0  # seconds of a recording; STOI compares stretches of 0.4 s
G722 = ".g722"  # raw, as telephone exchanges store prompts
Speech = Float32[np.ndarray, "_samples"]


def recordings(paths: Sequence[Path], limit: int) -> Iterator[tuple[Path, Speech]]:
    """Yield recordings at 16 kHz, cut to `LONGEST`; shorter ones than `SHORTEST` are left out."""
    n_read = 0
    for given in paths:
        prompts = sorted(given.rglob(f"*{G722}")) if given.is_dir() else [given] * (given.suffix == G722)
        for path in prompts or audio.find(given):
            speech = _decoded(path) if path.suffix == G722 else audio.load(path, SPEECH_RATE)
            if len(speech) >= SHORTEST * SPEECH_RATE and n_read < limit:
                n_read += 1
                yield path, speech[: round(LONGEST * SPEECH_RATE)]


def _decoded(path: Path) -> Speech:
    try:
        import av
    except ImportError as error:
        raise UsageError(f"{path} needs av; run: pip install 'mirbench-audio[av]'") from error
    with av.open(str(path), format="g722") as container:
        blocks = [np.asarray(frame.to_ndarray(), dtype=np.float32).ravel() for frame in container.decode(audio=0)]
    return np.asarray(np.concatenate(blocks) / np.float32(32768), dtype=np.float32)


def transmitted(sensor: Sensor, speech: Speech) -> Speech:
    found = audio.resample(
        sensor.transmit(audio.resample(speech, SPEECH_RATE, sensor.sample_rate)), sensor.sample_rate, SPEECH_RATE
    )
    return np.pad(found, (0, max(0, len(speech) - len(found))))[: len(speech)]


def stationary(speech: Speech) -> Speech:
    """Return noise with the spectrum of a recording."""
    spectrum = np.fft.rfft(speech)
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(len(spectrum)))
    return np.asarray(np.fft.irfft(np.abs(spectrum) * phases, len(speech)), dtype=np.float32)
