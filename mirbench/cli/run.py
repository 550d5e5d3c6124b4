"""The command that runs the benchmark."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from mirbench.cli.console import ResultTable, echo, print_plan, report_absent, report_failures, report_problems
from mirbench.cli.options import (
    MIXES,
    SEED,
    NamedPath,
    Session,
    names,
    pairs,
    precision_option,
    probe_options,
    size_option,
    trust_option,
    with_session,
)
from mirbench.errors import UsageError

FAILED = 1


@click.command("run")
@click.option(
    "--encoder",
    "encoders",
    callback=names,
    metavar="NAME[,NAME]",
    required=True,
    help="Encoders, or all that are installed; NAME@WEIGHTS for other weights, NAME@random for the untrained network, "
    "hf:ORG/NAME or hear:MODULE for one of a family.",
)
@click.option(
    "--checkpoint", metavar="FILE|URL|hf://ORG/REPO/FILE", help="Weights of the encoder; same as --encoder NAME@FILE."
)
@click.option(
    "--task", "tasks", callback=names, metavar="NAME[,NAME]", default="", help="Tasks, or all for the suite core."
)
@click.option(
    "--suite", "suites", callback=names, metavar="NAME[,NAME]", default="", help="Suites, or everything for all tasks."
)
@click.option(
    "--dataset",
    "datasets",
    callback=names,
    metavar="NAME[,NAME]",
    default="",
    help="Data sets, or all that are available; default: the data set of each task.",
)
@click.option(
    "--option",
    "-o",
    "options",
    callback=pairs,
    metavar="NAME=VALUE",
    multiple=True,
    help="Option of a task (see mirbench info TASK), e.g. decoder=peaks; may be repeated.",
)
@click.option(
    "--layers",
    type=click.Choice(["all", "last"]),
    default="all",
    show_default=True,
    help="Layers among which validation chooses; last is the same as --protocol last-layer.",
)
@click.option(
    "--mix",
    type=click.Choice(MIXES),
    default="none",
    show_default=True,
    help="Fit probes of multilabel tasks to mixtures of the training rows (Mix2, arXiv 2403.09598).",
)
@click.option(
    "--sensor",
    "sensors",
    callback=names,
    metavar="NAME[,NAME]",
    default="none",
    show_default=True,
    help="Sensors that audio passes through before each encoder, e.g. none,third-octave; see mirbench list sensors.",
)
@click.option("--decoder", help="Decoder of the task; same as --option decoder=VALUE.")
@click.option("--data", "csv", type=NamedPath(), help="CSV file that lists your own recordings.")
@click.option("--out", type=NamedPath(file_okay=False), default="results", show_default=True)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Number of windows in a batch."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the bootstrap and of training subsets.")
@precision_option
@probe_options
@click.option(
    "--leave-group-out",
    is_flag=True,
    help="Test each group (a site, a ward, an artist) in turn by a probe that was trained without it.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS|local:N",
    help="Scheduler of dask.distributed on whose workers to run; local:N starts N workers.",
)
@click.option("--fresh", is_flag=True, help="Compute finished jobs again.")
@click.option(
    "--store/--no-store",
    "keeps",
    default=True,
    help="Keep features and finished jobs for later runs, and predictions with results; --no-store for recordings of "
    "people.",
)
@click.option("--dry-run", is_flag=True, help="Print the jobs and exit without running them.")
@size_option
@trust_option
@with_session("device", "home", "workers", "plugins")
def run_command(
    encoders: list[str],
    checkpoint: str | None,
    tasks: list[str],
    suites: list[str],
    datasets: list[str],
    csv: Path | None,
    options: dict[str, str],
    decoder: str | None,
    layers: str,
    mix: str,
    sensors: list[str],
    out: Path,
    scheduler: str | None,
    dry_run: bool,
    session: Session,
    **settings: Any,
) -> None:
    """Evaluate encoders on tasks: features, linear probe, metrics, records.

    Features and finished jobs are stored: the same command continues an interrupted run.
    """
    report_problems(session.plugins)
    if not (tasks or suites):
        raise UsageError("nothing to do: name tasks with --task, or a suite with --suite")
    for suite in suites:
        if suite not in ("everything", "all"):
            session.plugins.suites[suite]  # an unknown name is an error
    tasks = [*tasks, *suites]
    if checkpoint is not None:
        if len(encoders) != 1 or "@" in encoders[0] or encoders == ["all"]:
            raise UsageError("--checkpoint goes with one encoder; for several, write --encoder NAME@FILE,NAME@FILE")
        encoders = [f"{encoders[0]}@{checkpoint}"]
    encoders = [name if sensor == "none" else f"{name}~{sensor}" for sensor in sensors for name in encoders]
    if decoder is not None:
        options["decoder"] = decoder
    if layers == "last":
        if settings["protocol"] not in ("convex", "last-layer"):
            raise UsageError(f"--layers last is a protocol of its own; leave --protocol {settings['protocol']} out")
        settings["protocol"] = "last-layer"
    if mix != "none":
        settings["protocol"] = _mixing(settings["protocol"], mix)
    if scheduler is not None and not settings["keeps"]:
        raise UsageError("--no-store and --scheduler exclude each other: machines share features through the store")
    from mirbench.runs import api

    home = session.home
    if scheduler is not None:  # other machines look for the same paths
        home, csv = home.absolute(), csv and csv.absolute()
    plan = api.plan(
        encoders,
        tasks,
        plugins=session.plugins,
        datasets=datasets,
        data=csv,
        home=home,
        out=out,
        device=session.device,
        workers=session.workers,
        options=options,
        **settings,
    )
    if dry_run:
        print_plan(plan)
        return
    report_absent(plan)
    how: dict[str, Any] = {}
    if scheduler is not None:
        from mirbench.runs.cluster import run_on_cluster

        how["run"] = partial(run_on_cluster, scheduler=scheduler, files=session.files)
    table = ResultTable()
    found = api.execute(plan, session.plugins, [table], **how)
    if table.results:
        echo(table.text())
        echo(f"records: {found.path}")
    report_failures(found.failures, len(plan.jobs))
    if found.failures or any(problem.is_exit for problem in session.plugins.problems):
        sys.exit(FAILED)


def _mixing(protocol: str, mix: str) -> str:
    """Return the name of the protocol that fits probes to mixed rows."""
    if mix == "mixup":
        raise UsageError(
            "mixup mixes the input of a network that is trained; of the frozen features that probes are fitted to, its "
            "formula is that of --mix manifold"
        )
    if protocol not in ("convex", "last-layer"):
        raise UsageError(f"--mix goes with --protocol convex or last-layer, not with {protocol}")
    return f"{protocol}+{mix}"
