"""`mirbench key FILE...`: the key of recordings, by S-KEY."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirbench.errors import AudioError, WeightsError
from mirbench.escaping import csv_cell, visible

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
    from mirbench.data import audio

    for folder in paths:
        if folder.is_dir() and not any(audio.find(folder)):
            raise AudioError(
                f"{folder}: no audio in this folder; expected files that end in {' '.join(audio.SUFFIXES)}"
            )
    encoder = _load(checkpoint)
    names = _names(encoder, checkpoint)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if layout == "csv":
        writer.writerow(["path", "key", "probability"])
    n_unread = 0
    for path in (file for given in paths for file in audio.find(given)):
        try:
            found = _keys(encoder, names, path)[:top]
        except AudioError as error:
            _echo(f"mirbench: {error}", fg="red", err=True)
            n_unread += 1
            continue
        if layout == "json":
            keys = [{"key": key, "probability": round(probability, 4)} for key, probability in found]
            _echo(json.dumps({"path": str(path), "keys": keys}))
        elif layout == "csv":
            writer.writerows([csv_cell(str(path)), key, f"{probability:.4f}"] for key, probability in found)
        else:
            _echo(f"{path}\t" + "\t".join(f"{key} ({probability:.2f})" for key, probability in found))
        sys.stdout.flush()
    if n_unread:
        sys.exit(1)


def _echo(text: str, *, err: bool = False, **style: Any) -> None:
    click.secho(visible(text, keep="\n\t"), err=err, **style)


def _load(checkpoint: str | None) -> "ChromaEncoder":
    from mirbench import find_weights
    from mirbench.files import find_home
    from mirbench_ssl.weights import shipped_weights
    from mirbench_stone import WEIGHTS
    from mirbench_stone.encoder import load

    path = find_weights(checkpoint, find_home(None)) if checkpoint else shipped_weights(WEIGHTS, "skey")
    return load(_model_of(path), "cpu", path)


def _model_of(path: Path) -> str:
    """Return which of the models with 24 classes a file belongs to; S-KEY if it does not say."""
    from mirbench.files import content_hash
    from mirbench_ssl.weights import read_header
    from mirbench_stone.network import OUTPUTS
    from mirbench_stone.published import PUBLISHED

    if path.suffix != ".pt":
        model = read_header(path).model
    else:
        known = PUBLISHED.get(content_hash(path)) if path.is_file() else None
        model = known.model if known else "skey"
    if OUTPUTS.get(model) == 12:
        raise WeightsError(f"{path}: weights of {model!r}, whose 12 classes are key signatures; expected 24 keys")
    return model if model in OUTPUTS else "skey"


def _names(encoder: "ChromaEncoder", checkpoint: str | None) -> list[str]:
    from mirbench_stone.calibration import key_names, measured_calibration

    calibration = encoder.header.calibration
    if not {"major", "minor"} <= set(calibration):
        measured = measured_calibration(encoder.network)
        if measured is None:
            raise WeightsError(
                f"{checkpoint}: not calibrated, and its answers to synthesised chords contradict each other, so that "
                "its classes have no names; expected a published file, or weights of 'mirbench pretrain'"
            )
        _echo(f"{checkpoint}: not a known file; its classes are named after synthesised chords", err=True)
        calibration = measured
    return key_names(calibration)


def _keys(encoder: "ChromaEncoder", names: Sequence[str], path: Path) -> list[tuple[str, float]]:
    """List the keys of a file, the most probable first."""
    from mirbench.data import audio

    posteriors = encoder.posteriors(audio.load(path, encoder.sample_rate))
    return sorted(zip(names, map(float, posteriors), strict=True), key=lambda pair: -pair[1])
