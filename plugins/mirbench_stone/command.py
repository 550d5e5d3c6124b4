"""`mirbench key FILE...`: the key of recordings, by S-KEY."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirbench.errors import AudioError, WeightsError

if TYPE_CHECKING:
    from mirbench_stone.encoder import ChromaEncoder


@click.command("key")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint", metavar="FILE|URL|hf://ORG/REPO/FILE", help="Other weights, such as the published skey.pt."
)
@click.option("--top", type=click.IntRange(1, 24), default=1, show_default=True, help="Most probable keys to print.")
@click.option("--format", "layout", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True)
def key_command(paths: Sequence[Path], checkpoint: str | None, top: int, layout: str) -> None:
    """Print the key of recordings, by S-KEY; folders are searched recursively.

    Keys are spelled as mir_eval spells them. What cannot be read is named, and does not stop the others.
    """
    from mirbench import audio
    from mirbench_stone.calibration import key_names

    for folder in paths:
        if folder.is_dir() and not any(audio.find(folder)):
            raise AudioError(
                f"{folder}: no audio in this folder; expected files that end in {' '.join(audio.SUFFIXES)}"
            )
    encoder = _load(checkpoint)
    names = key_names(encoder.header.calibration)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if layout == "csv":
        writer.writerow(["path", "key", "probability"])
    n_unread = 0
    for path in (file for given in paths for file in audio.find(given)):
        try:
            found = _keys(encoder, names, path)[:top]
        except AudioError as error:
            click.secho(f"mirbench: {error}", fg="red", err=True)
            n_unread += 1
            continue
        if layout == "json":
            keys = [{"key": key, "probability": round(probability, 4)} for key, probability in found]
            click.echo(json.dumps({"path": str(path), "keys": keys}))
        elif layout == "csv":
            writer.writerows([path, key, f"{probability:.4f}"] for key, probability in found)
        else:
            click.echo(f"{path}\t" + "\t".join(f"{key} ({probability:.2f})" for key, probability in found))
        sys.stdout.flush()
    if n_unread:
        sys.exit(1)


def _load(checkpoint: str | None) -> "ChromaEncoder":
    from mirbench.options import find_home
    from mirbench.weights import find_weights
    from mirbench_ssl.weights import shipped_weights
    from mirbench_stone import WEIGHTS
    from mirbench_stone.encoder import load

    path = find_weights(checkpoint, find_home(None)) if checkpoint else shipped_weights(WEIGHTS, "skey")
    encoder = load("skey", "cpu", path)
    if not {"major", "minor"} <= set(encoder.header.calibration):
        raise WeightsError(f"{path}: not calibrated, so that its classes have no names")
    return encoder


def _keys(encoder: "ChromaEncoder", names: Sequence[str], path: Path) -> list[tuple[str, float]]:
    """List the keys of a file, the most probable first."""
    from mirbench import audio

    posteriors = encoder.posteriors(audio.load(path, encoder.sample_rate))
    return sorted(zip(names, map(float, posteriors), strict=True), key=lambda pair: -pair[1])
