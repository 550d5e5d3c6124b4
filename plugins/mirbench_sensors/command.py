"""`mirbench intelligibility RECORDING...`: what sensors keep of speech."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from jaxtyping import Float32

from mirbench import Sensor
from mirbench.errors import AudioError, UsageError

SPEECH_RATE = 16000  # Hz; STOI compares bands up to 4.3 kHz
SHORTEST, LONGEST = 2.0, 30.0  # seconds of a recording; STOI compares stretches of 0.4 s
STATIONARY = "stationary noise"
G722 = ".g722"  # raw, as telephone exchanges store prompts


@click.command("intelligibility")
@click.argument("paths", nargs=-1, required=True, metavar="RECORDING...", type=click.Path(path_type=Path, exists=True))
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Recordings, at most.")
def intelligibility_command(paths: Sequence[Path], limit: int) -> None:
    """Measure how much of speech can be understood after each sensor: STOI and extended STOI of clean RECORDINGs.

    Folders are searched recursively. Means over recordings, weighted by their lengths; 1 is the original. Stationary
    noise with the spectrum of each recording is the floor.
    """
    try:
        from pystoi import stoi
    except ImportError as error:
        raise UsageError("intelligibility needs pystoi; run: pip install 'mirbench-audio[speech]'") from error
    from mirbench.plugins import Plugins

    sensors = {spec.name: spec.load() for spec in Plugins().sensors.specs()}
    totals = {name: np.zeros(2) for name in (*sensors, STATIONARY)}
    n_read, seconds = 0, 0.0
    for path, speech in _recordings(paths, limit):
        length = len(speech) / SPEECH_RATE
        n_read, seconds = n_read + 1, seconds + length
        for name in totals:
            received = _stationary(speech) if name == STATIONARY else _transmitted(sensors[name], speech)
            scores = [float(stoi(speech, received, SPEECH_RATE, extended=extended)) for extended in (False, True)]
            if not np.isfinite(scores).all():
                raise AudioError(f"{path}: STOI is not defined; expected speech of {SHORTEST:g} s or more")
            totals[name] += length * np.array(scores)
    if not n_read:
        raise AudioError(f"no recording of {SHORTEST:g} s or more in {', '.join(map(str, paths))}")
    click.echo(f"{n_read} recordings, {seconds:.0f} s\n\n{'sensor':<20} STOI  ESTOI")
    for name, (plain, extended) in ((name, total / seconds) for name, total in totals.items()):
        click.echo(f"{name:<20} {plain:.2f}  {extended:.2f}")


def _recordings(paths: Sequence[Path], limit: int) -> Iterator[tuple[Path, Float32[np.ndarray, "_samples"]]]:
    """Yield recordings at 16 kHz, cut to `LONGEST`; shorter ones than `SHORTEST` are left out."""
    from mirbench.data import audio

    n_read = 0
    for given in paths:
        prompts = sorted(given.rglob(f"*{G722}")) if given.is_dir() else [given] * (given.suffix == G722)
        for path in prompts or audio.find(given):
            speech = _decoded(path) if path.suffix == G722 else audio.load(path, SPEECH_RATE)
            if len(speech) >= SHORTEST * SPEECH_RATE and n_read < limit:
                n_read += 1
                yield path, speech[: round(LONGEST * SPEECH_RATE)]


def _decoded(path: Path) -> Float32[np.ndarray, "_samples"]:
    try:
        import av
    except ImportError as error:
        raise UsageError(f"{path} needs av; run: pip install 'mirbench-audio[av]'") from error
    with av.open(str(path), format="g722") as container:
        blocks = [np.asarray(frame.to_ndarray(), dtype=np.float32).ravel() for frame in container.decode(audio=0)]
    return np.asarray(np.concatenate(blocks) / np.float32(32768), dtype=np.float32)


def _transmitted(sensor: Sensor, speech: Float32[np.ndarray, "_samples"]) -> Float32[np.ndarray, "_samples"]:
    from mirbench.data.audio import resample

    found = resample(
        sensor.transmit(resample(speech, SPEECH_RATE, sensor.sample_rate)), sensor.sample_rate, SPEECH_RATE
    )
    return np.pad(found, (0, max(0, len(speech) - len(found))))[: len(speech)]


def _stationary(speech: Float32[np.ndarray, "_samples"]) -> Float32[np.ndarray, "_samples"]:
    """Return noise with the spectrum of a recording."""
    spectrum = np.fft.rfft(speech)
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(len(spectrum)))
    return np.asarray(np.fft.irfft(np.abs(spectrum) * phases, len(speech)), dtype=np.float32)
