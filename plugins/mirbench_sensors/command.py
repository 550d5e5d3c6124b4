"""`mirbench intelligibility RECORDING...`: what sensors keep of speech."""

from collections.abc import Sequence
from pathlib import Path

import click

from mirbench.errors import AudioError, UsageError

STATIONARY = "stationary noise"


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
    import numpy as np

    from mirbench import load_sensors
    from mirbench_sensors.intelligibility import SHORTEST, SPEECH_RATE, recordings, stationary, transmitted

    sensors = load_sensors()
    totals = {name: np.zeros(2) for name in (*sensors, STATIONARY)}
    n_read, seconds = 0, 0.0
    for path, speech in recordings(paths, limit):
        length = len(speech) / SPEECH_RATE
        n_read, seconds = n_read + 1, seconds + length
        for name in totals:
            received = stationary(speech) if name == STATIONARY else transmitted(sensors[name], speech)
            scores = [float(stoi(speech, received, SPEECH_RATE, extended=extended)) for extended in (False, True)]
            if not np.isfinite(scores).all():
                raise AudioError(f"{path}: STOI is not defined; expected speech of {SHORTEST:g} s or more")
            totals[name] += length * np.array(scores)
    if not n_read:
        raise AudioError(f"no recording of {SHORTEST:g} s or more in {', '.join(map(str, paths))}")
    click.echo(f"{n_read} recordings, {seconds:.0f} s\n\n{'sensor':<20} STOI  ESTOI")
    for name, (plain, extended) in ((name, total / seconds) for name, total in totals.items()):
        click.echo(f"{name:<20} {plain:.2f}  {extended:.2f}")
