"""Command that trains encoders."""

from pathlib import Path
from typing import Any

import click

from mirbench.cli.options import MAX_HOURS, SEED, NamedPath, Number, Session, names, pairs, size_option, with_session
from mirbench.errors import UsageError
from mirbench.specs import PretrainRequest


@click.command("pretrain")
@click.argument("model")
@click.option(
    "--audio", callback=names, default="", metavar="DIR[,DIR]", help="Folders of audio, searched recursively."
)
@click.option(
    "--dataset",
    "datasets",
    callback=names,
    default="",
    metavar="NAME[,NAME]",
    help="Data sets whose training split is used; validation only to choose a network that learns labels, never test.",
)
@click.option(
    "--data", "csv", type=NamedPath(), help="CSV file of your own recordings, of which the training rows are used."
)
@click.option("--out", type=NamedPath(dir_okay=False), required=True, metavar="FILE.safetensors")
@click.option(
    "--steps", type=click.IntRange(min=1), help="Number of optimisation steps; default: the published number."
)
@click.option(
    "--hours", type=Number(min=0, max=MAX_HOURS, min_open=True), help="Duration of the training, instead of --steps."
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=2),
    help="Number of pairs of segments in a batch; default: the published number.",
)
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Continue an interrupted training.")
@click.option("--license", default="unknown", help="Licence of the weights, written into their header.")
@click.option(
    "--option",
    "-o",
    "options",
    callback=pairs,
    metavar="NAME=VALUE",
    multiple=True,
    help="Option of the model; may be repeated.",
)
@size_option
@with_session("device", "home", "workers", "plugins")
def pretrain_command(
    model: str,
    audio: list[str],
    datasets: list[str],
    csv: Path | None,
    out: Path,
    size: str,
    session: Session,
    **chosen: Any,
) -> None:
    """Train an encoder on audio without labels; write its weights, its losses and a plot of them.

    --resume continues a training that was interrupted, even by kill -9.
    """
    spec = session.plugins.encoders[model]
    if spec.pretrain is None:
        able = ", ".join(other.name for other in session.plugins.encoders.specs() if other.pretrain is not None)
        raise UsageError(f"mirbench cannot train {model!r}; it can train {able or 'none of the installed encoders'}")
    if not (audio or datasets or csv):
        raise UsageError("nothing to train on; give --audio DIR, --dataset NAME or --data FILE")
    if chosen["steps"] and chosen["hours"]:
        raise UsageError("--steps and --hours exclude each other")
    if out.suffix != ".safetensors":
        raise UsageError(f"--out {out}; expected a name that ends in .safetensors")
    for folder in audio:
        if not Path(folder).exists():
            raise UsageError(f"--audio {folder}: no such folder")
    from mirbench.runs.training_clips import training_clips

    clips, valid_clips = training_clips(
        session.plugins, spec, datasets, csv, size=size, home=session.home, workers=session.workers
    )
    request = PretrainRequest(
        model=model,
        audio=tuple(Path(folder) for folder in audio),
        clips=clips,
        valid_clips=valid_clips,
        datasets=(*datasets, *([csv.stem] if csv else [])),
        out=out,
        home=session.home,
        device=session.device,
        workers=session.workers,
        **chosen,
    )
    spec.pretrain(request)
