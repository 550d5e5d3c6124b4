"""Commands that draw figures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirbench.cli.console import echo, report_problems
from mirbench.cli.options import Session, names, with_session
from mirbench.cli.reports import read_all
from mirbench.errors import UsageError
from mirbench.files import naming

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mirbench.domain import Result

OF_RECORDS, OF_A_CLIP = "layers", "timeline"
KINDS = ("confusion", "calibration", "labels", OF_A_CLIP, OF_RECORDS)  # of mirbench.plots
FORMATS = (".png", ".svg", ".pdf")


@click.command("plot")
@click.argument("kind", type=click.Choice(KINDS))
@click.option(
    "--encoder", "encoders", callback=names, required=True, metavar="NAME[,NAME]", help="Encoder; several for layers."
)
@click.option(
    "--task", "tasks", callback=names, default="", metavar="NAME", help="Task; default, for layers: all tasks."
)
@click.option("--dataset", help="Data set, if the encoder has records on several.")
@click.option("--clip", help="Id of the test clip in a timeline; default: the first.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE.png|svg|pdf")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default="results", show_default=True)
@click.option("--checkpoint", metavar="FILE", help="Weights of the encoder, if the record names a file.")
@click.option(
    "--data", "csv", type=click.Path(path_type=Path), help="CSV file of your own recordings, if the record is of these."
)
@with_session("home", "workers", "plugins")
def plot_command(
    kind: str,
    encoders: list[str],
    tasks: list[str],
    dataset: str | None,
    clip: str | None,
    out: Path,
    results: Path,
    checkpoint: str | None,
    csv: Path | None,
    session: Session,
) -> None:
    """Draw a figure of a probe from its newest record: confusions, calibration, labels, a clip over time, or layers.

    confusion (key: circle of fifths; chord: intervals between roots), calibration, labels (F1 against training clips),
    timeline (a clip's reference and estimate over its spectrogram), layers (validation, layer by layer).
    """
    _require_format(out)
    if clip is not None and kind != OF_A_CLIP:
        raise UsageError(f"--clip goes with plot {OF_A_CLIP}; {kind} shows all clips")
    records = [
        result
        for result in _newest(read_all(results))
        if result.encoder in encoders
        and (not tasks or result.task in tasks)
        and (dataset is None or result.dataset == dataset)
    ]
    if not records:
        raise UsageError(
            f"no record of {', '.join(encoders)} on {', '.join(tasks) or 'any task'} in {results / 'records'}"
        )
    if kind == OF_RECORDS:
        from mirbench.figures.plots import layers

        save(layers(records), out)
        return
    if len(records) != 1:
        those = ", ".join(f"{each.encoder} on {each.task} ({each.dataset})" for each in records)
        raise UsageError(f"{len(records)} records fit: {those}; name one with --encoder, --task and --dataset")
    from mirbench.figures.plots import KINDS as DRAW
    from mirbench.figures.refit import refit
    from mirbench.plan import Settings

    record = records[0]
    report_problems(session.plugins)
    settings = Settings(
        home=session.home,
        out=results,
        device=session.device,
        workers=session.workers,
        size=record.size,
        options=dict(record.options),
    )
    encoder = f"{record.encoder.partition('@')[0]}@{checkpoint}" if checkpoint else None
    save(DRAW[kind](refit(record, session.plugins, settings, encoder, csv), clip), out)


def _newest(results: "Sequence[Result]") -> "list[Result]":
    from mirbench.results.leaderboard import latest

    return [result for result in latest(results) if result.is_headline]


def _require_format(out: Path) -> None:
    if out.suffix not in FORMATS:
        raise UsageError(f"--out {out}; expected a name that ends in {', '.join(FORMATS)}")


def save(figure: "Figure", out: Path) -> None:
    """Write a figure; the same figure gives the same bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with naming(out):
        figure.savefig(out, dpi=150, metadata=dates.get(out.suffix))
    echo(f"written: {out}")


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--encoder",
    "name",
    required=True,
    metavar="NAME",
    help="Encoder, as in mirbench run: NAME, NAME@WEIGHTS or hf:ORG/NAME.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR")
@click.option("--onsets", type=click.Path(path_type=Path), help="File of onsets: a time in seconds on each line.")
@click.option(
    "--boundaries", type=click.Path(path_type=Path), help="File of segment boundaries: a time in seconds on each line."
)
@with_session("home", "plugins")
def inspect_command(
    file: Path,
    name: str,
    out: Path,
    onsets: Path | None,
    boundaries: Path | None,
    session: Session,
) -> None:
    """Draw the self-similarity of an encoder's frames of FILE, layer by layer, and the attention that they receive.

    Writes DIR/similarity.png, similarity.npz, attention.png (for transformers that are part of mirbench) and
    numbers.json.
    """
    import numpy as np

    from mirbench.data import audio
    from mirbench.encoders.references import find_encoder
    from mirbench.figures.inspection import draw_attention, draw_similarity, inspect, numbers, read_times
    from mirbench.files import write_atomically

    onset_times = None if onsets is None else read_times(onsets)
    boundary_times = None if boundaries is None else read_times(boundaries)
    report_problems(session.plugins)
    encoder = find_encoder(session.plugins.encoders, name, session.home).load(session.device)
    samples = audio.load(file, encoder.sample_rate, 0.0, None)
    inspected = inspect(encoder, name, samples)
    measured = {"file": str(file), **numbers(inspected, onset_times, boundary_times)}
    save(draw_similarity(inspected, boundary_times), out / "similarity.png")
    with naming(out / "similarity.npz"):
        np.savez_compressed(out / "similarity.npz", similarity=inspected.similarity, bins=inspected.bins)
    echo(f"written: {out / 'similarity.npz'}")
    if inspected.attention is not None:
        save(draw_attention(inspected, samples, encoder.sample_rate, onset_times), out / "attention.png")
    elif onsets is not None:
        echo(f"encoder {name!r} has no attention to compare with onsets", fg="yellow", err=True)
    write_atomically(out / "numbers.json", (json.dumps(measured, indent=1) + "\n").encode())
    echo(f"written: {out / 'numbers.json'}")


FIGURES = (plot_command, inspect_command)
