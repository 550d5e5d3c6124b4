"""The commands that draw."""

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
@click.option("--encoder", "encoders", callback=names, required=True, metavar="NAME[,NAME]", help="Several for layers.")
@click.option("--task", "tasks", callback=names, default="", metavar="NAME", help="Default: all that layers can show.")
@click.option("--dataset", help="If the encoder has records on several.")
@click.option("--clip", help="Which test clip a timeline shows, by its id.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE.png|svg|pdf")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default="results", show_default=True)
@click.option("--checkpoint", metavar="FILE", help="Where the encoder's weights lie, if they were given by name.")
@click.option("--data", "csv", type=click.Path(path_type=Path), help="The CSV file, if the data are your own.")
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
    """Show what a probe does, from its newest record: what it confuses, how sure it is, one clip over time.

    confusion (key: circle of fifths; chord: intervals between roots), calibration, labels (F1 against training clips),
    timeline (a clip's reference and estimate over its spectrogram), layers (validation, layer by layer).
    """
    _require_format(out)
    if clip is not None and kind != OF_A_CLIP:
        raise UsageError(f"--clip goes with plot {OF_A_CLIP}; {kind} shows all clips")
    found = [
        result
        for result in _newest(read_all(results))
        if result.encoder in encoders
        and (not tasks or result.task in tasks)
        and (dataset is None or result.dataset == dataset)
    ]
    if not found:
        raise UsageError(
            f"no record of {', '.join(encoders)} on {', '.join(tasks) or 'any task'} in {results / 'records'}"
        )
    if kind == OF_RECORDS:
        from mirbench.figures.plots import layers

        save(layers(found), out)
        return
    if len(found) != 1:
        those = ", ".join(f"{each.encoder} on {each.task} ({each.dataset})" for each in found)
        raise UsageError(f"{len(found)} records fit: {those}; name one with --encoder, --task and --dataset")
    from mirbench.figures.plots import KINDS as DRAW
    from mirbench.figures.refit import ask_again
    from mirbench.plan import Settings

    record = found[0]
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
    save(DRAW[kind](ask_again(record, session.plugins, settings, encoder, csv), clip), out)


def _newest(results: "Sequence[Result]") -> "list[Result]":
    from mirbench.results.leaderboard import latest

    return [result for result in latest(results) if result.is_headline]


def _require_format(out: Path) -> None:
    if out.suffix not in FORMATS:
        raise UsageError(f"--out {out}; expected a name that ends in {', '.join(FORMATS)}")


def save(figure: "Figure", out: Path) -> None:
    """Write a figure, the same bytes for the same figure."""
    out.parent.mkdir(parents=True, exist_ok=True)
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with naming(out):
        figure.savefig(out, dpi=150, metadata=dates.get(out.suffix))
    echo(f"written: {out}")


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--encoder", "name", required=True, metavar="NAME", help="As in run: NAME, NAME@WEIGHTS, hf:...")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR")
@click.option("--onsets", type=click.Path(path_type=Path), help="A file with a time in seconds on each line.")
@click.option("--boundaries", type=click.Path(path_type=Path), help="The same, of segments.")
@with_session("home", "plugins")
def inspect_command(
    file: Path,
    name: str,
    out: Path,
    onsets: Path | None,
    boundaries: Path | None,
    session: Session,
) -> None:
    """Show what an encoder makes of FILE: which moments are alike, layer by layer, and which it attends to.

    Writes DIR/similarity.png, similarity.npz, attention.png (transformers of mirbench's own) and numbers.json.
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
    found = inspect(encoder, name, samples)
    measured = {"file": str(file), **numbers(found, onset_times, boundary_times)}
    save(draw_similarity(found, boundary_times), out / "similarity.png")
    with naming(out / "similarity.npz"):
        np.savez_compressed(out / "similarity.npz", similarity=found.similarity, bins=found.bins)
    echo(f"written: {out / 'similarity.npz'}")
    if found.attention is not None:
        save(draw_attention(found, samples, encoder.sample_rate, onset_times), out / "attention.png")
    elif onsets is not None:
        echo(f"encoder {name!r} has no attention to compare with onsets", fg="yellow", err=True)
    write_atomically(out / "numbers.json", (json.dumps(measured, indent=1) + "\n").encode())
    echo(f"written: {out / 'numbers.json'}")


FIGURES = (plot_command, inspect_command)
