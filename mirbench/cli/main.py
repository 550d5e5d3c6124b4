"""The command line. Nothing heavy is imported before a command needs it."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from mirbench import __version__
from mirbench.cli.console import (
    ResultTable,
    echo,
    print_dataset,
    print_encoder,
    print_plan,
    print_specs,
    print_task,
    report_absent,
    report_failures,
    report_problems,
)
from mirbench.cli.datasets import data_group, request_of
from mirbench.cli.figures import FIGURES
from mirbench.cli.options import (
    MAX_HOURS,
    SEED,
    NamedPath,
    Number,
    find_device,
    find_home,
    home_option,
    names,
    pairs,
    plugin_option,
    precision_option,
    probe_options,
    size_option,
    trust_option,
    workers_option,
)
from mirbench.cli.reports import REPORTS
from mirbench.cli.store import store_group
from mirbench.errors import MirbenchError, UsageError, first_line, of_system
from mirbench.plugins import Plugins, plugin_files
from mirbench.specs import DatasetSpec, EncoderSpec, PretrainRequest, Spec, TaskSpec

FAILED, USAGE = 1, 2


class Commands(click.Group):
    """The built-in commands, and those of plugins."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        Raises
        ------
        MirbenchError
            For errors of the operating system, and for the end of a file where click sees an interruption.
        """
        try:
            returned = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError as error:
            if error.errno is None:
                raise
            if error.filename is None:  # all that writes to files names them
                _drop_output()
            raise MirbenchError(of_system(error, "standard output")) from error
        except EOFError as error:
            raise MirbenchError(
                f"a damaged file: it ends before its content does ({first_line(error)}); remove the file that this "
                "command reads and write or download it again"
            ) from error
        return returned

    @cached_property
    def _of_plugins(self) -> dict[str, click.Command]:
        plugins = Plugins(plugin_files(()))
        found = plugins.commands(self.commands)
        report_problems(plugins)
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands."""
        return sorted({*self.commands, *self._of_plugins})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command; plugins are asked only for those that are not built in."""
        return self.commands.get(cmd_name) or self._of_plugins.get(cmd_name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mirbench")
def cli() -> None:
    """Ask what a frozen audio encoder hears."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read by torch: threads that spin while they wait lose
    # 20x where other processes want the cores


@cli.command("list")
@click.argument("kind", type=click.Choice(["encoders", "tasks", "datasets"]), required=False)
@plugin_option
def list_command(kind: str | None, plugin_paths: Sequence[Path]) -> None:
    """List encoders, tasks and data sets, and plugins that cannot be used."""
    plugins = Plugins(plugin_files(plugin_paths))
    for title, catalog in (("encoders", plugins.encoders), ("tasks", plugins.tasks), ("datasets", plugins.datasets)):
        if kind in (None, title):
            echo(title, bold=True)
            print_specs(catalog.specs(), in_full=kind == "encoders")
            for conflict in catalog.conflicts():
                echo(f"  {conflict}", fg="red", err=True)
    report_problems(plugins)


@cli.command("run")
@click.option(
    "--encoder",
    "encoders",
    callback=names,
    metavar="NAME[,NAME]",
    required=True,
    help="Encoders, or all that are here; NAME@WEIGHTS for other weights, NAME@random for the untrained network, "
    "hf:ORG/NAME or hear:MODULE for one of a family.",
)
@click.option("--checkpoint", metavar="FILE|URL|hf://ORG/REPO/FILE", help="The same as --encoder NAME@FILE.")
@click.option("--task", "tasks", callback=names, metavar="NAME[,NAME]", required=True, help="Tasks, or all.")
@click.option(
    "--dataset",
    "datasets",
    callback=names,
    metavar="NAME[,NAME]",
    default="",
    help="Data sets, or all that are here; default: each task's own.",
)
@click.option(
    "--option",
    "-o",
    "options",
    callback=pairs,
    metavar="NAME=VALUE",
    multiple=True,
    help="A choice that a task offers (see info TASK), e.g. decoder=dbn.",
)
@click.option("--decoder", help="The same as --option decoder=...")
@click.option("--data", "csv", type=NamedPath(), help="A CSV file that lists your own recordings.")
@click.option("--out", type=NamedPath(file_okay=False), default="results", show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), default=16, show_default=True, help="Windows in a batch.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the bootstrap.")
@precision_option
@probe_options
@click.option("--scheduler", metavar="ADDRESS|local:N", help="Work on a cluster of dask.distributed.")
@click.option("--fresh", is_flag=True, help="Do again what is finished.")
@click.option(
    "--store/--no-store",
    "keeps",
    default=True,
    help="Whether features and finished jobs are kept for later runs; --no-store for recordings of people.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
@home_option
@size_option
@trust_option
@workers_option
@plugin_option
def run_command(
    encoders: list[str],
    checkpoint: str | None,
    tasks: list[str],
    datasets: list[str],
    csv: Path | None,
    options: dict[str, str],
    decoder: str | None,
    out: Path,
    device: str,
    scheduler: str | None,
    dry_run: bool,
    home: Path | None,
    workers: int | None,
    plugin_paths: Sequence[Path],
    **settings: Any,
) -> None:
    """Evaluate encoders on tasks: features, linear probe, metrics, records.

    What is computed is kept: run again after an interruption, and it goes on.
    """
    plugins = Plugins(plugin_files(plugin_paths))
    report_problems(plugins)
    from mirbench.plan import Settings
    from mirbench.runs.planning import make_plan
    from mirbench.runs.run import run

    n_workers = workers or os.cpu_count() or 1
    if checkpoint is not None:
        if len(encoders) != 1 or "@" in encoders[0] or encoders == ["all"]:
            raise UsageError("--checkpoint goes with one encoder; for several, write --encoder NAME@FILE,NAME@FILE")
        encoders = [f"{encoders[0]}@{checkpoint}"]
    if decoder is not None:
        options["decoder"] = decoder
    if scheduler is not None and not settings["keeps"]:
        raise UsageError("--no-store and --scheduler exclude each other: machines share features through the store")
    where = find_home(home)
    if scheduler is not None:  # other machines look for the same paths
        where, csv = where.absolute(), csv and csv.absolute()
    full = Settings(home=where, out=out, device=find_device(device), workers=n_workers, options=options, **settings)
    plan = make_plan(plugins, encoders, tasks, full, datasets=datasets, csv=csv)
    if dry_run:
        print_plan(plan)
        return
    report_absent(plan)
    from mirbench.files import sweep
    from mirbench.results.records import RecordWriter

    for folder in (where / "finished", where / "weights", out / "records", out / "scores"):
        sweep(folder)
    sweep(out, deep=False)  # it may be any folder of the user's

    table = ResultTable()
    writer = RecordWriter(out / "records", plan.run)
    plugins.observe(writer)
    plugins.observe(table)
    if scheduler is not None:
        from mirbench.runs.cluster import run_on_cluster

        failures = run_on_cluster(plan, plugins, scheduler, plugin_files(plugin_paths))
    else:
        failures = run(plan, plugins)
    if table.results:
        echo(table.text())
        echo(f"records: {writer.path}")
    report_failures(failures, len(plan.jobs))
    if failures or any(problem.is_exit for problem in plugins.problems):
        sys.exit(FAILED)


for command in (*REPORTS, *FIGURES):
    cli.add_command(command)
cli.add_command(store_group)
cli.add_command(data_group)


@cli.command("info")
@click.argument("name")
@home_option
@trust_option
@plugin_option
def info_command(name: str, home: Path | None, trust_remote_code: bool, plugin_paths: Sequence[Path]) -> None:
    """Show licence, citation and details of an encoder, a task or a data set."""
    spec = _find(Plugins(plugin_files(plugin_paths)), name, home, trust_remote_code)
    echo(f"{spec.name}: {spec.description}")
    echo(f"licence: {spec.license}")
    if isinstance(spec, EncoderSpec) and spec.weights_license:
        echo(f"licence of the weights: {spec.weights_license}")
    echo(f"citation: {spec.citation or 'none given'}")
    if isinstance(spec, EncoderSpec):
        print_encoder(spec)
    elif isinstance(spec, TaskSpec):
        print_task(spec)
    else:
        for size in spec.sizes:
            print_dataset(spec, request_of(spec, size, find_home(home), 1))


@cli.command("check")
@click.argument("name")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@home_option
@size_option
@trust_option
@workers_option
@plugin_option
def check_command(
    name: str,
    device: str,
    home: Path | None,
    size: str,
    trust_remote_code: bool,
    workers: int | None,
    plugin_paths: Sequence[Path],
) -> None:
    """Run the conformance checks on an encoder, a task or a data set."""
    from mirbench.runs.planning import load_dataset
    from mirbench.testing import checks_of

    plugins = Plugins(plugin_files(plugin_paths))
    spec = _find(plugins, name, home, trust_remote_code)
    options: dict[str, Any] = {"device": find_device(device)}
    if isinstance(spec, DatasetSpec):
        request = request_of(spec, size, find_home(home), workers or os.cpu_count() or 1)
        load_dataset(spec, request)
        options = {"request": request, "task": plugins.tasks[request.task].load()}
    elif isinstance(spec, EncoderSpec):
        from mirbench.features.recheck import stored_somewhere
        from mirbench.features.store import FeatureStore

        where = find_home(home)
        options["stored"] = FeatureStore(where / "features"), stored_somewhere(plugins, where)
    n_failed = 0
    for check in checks_of(spec, **options):
        problem = check.problem()
        n_failed += problem is not None
        echo(f"{'pass' if problem is None else 'FAIL'}  {check.name}", fg=None if problem is None else "red")
        if problem is not None:
            echo(f"      {problem}")
    if n_failed:
        sys.exit(FAILED)


@cli.command("pretrain")
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
    help="Data sets of which the training split is heard; never valid or test.",
)
@click.option("--data", "csv", type=NamedPath(), help="A CSV file of yours: its training rows.")
@click.option("--out", type=NamedPath(dir_okay=False), required=True, metavar="FILE.safetensors")
@click.option("--steps", type=click.IntRange(min=1), help="Optimisation steps; default: as published.")
@click.option("--hours", type=Number(min=0, max=MAX_HOURS, min_open=True), help="Instead of steps: for how long.")
@click.option("--batch-size", type=click.IntRange(min=2), help="Pairs of segments; default: as published.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from where an interrupted training stopped.")
@click.option("--license", default="unknown", help="Of the weights; stands in their header.")
@click.option(
    "--option",
    "-o",
    "options",
    callback=pairs,
    metavar="NAME=VALUE",
    multiple=True,
    help="A choice of the model's own.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@home_option
@size_option
@workers_option
@plugin_option
def pretrain_command(
    model: str,
    audio: list[str],
    datasets: list[str],
    csv: Path | None,
    out: Path,
    home: Path | None,
    size: str,
    device: str,
    workers: int | None,
    plugin_paths: Sequence[Path],
    **chosen: Any,
) -> None:
    """Train an encoder on audio without labels; weights, losses and their curve are written.

    Interrupted, even by kill -9, it continues with --resume.
    """
    plugins = Plugins(plugin_files(plugin_paths))
    spec = plugins.encoders[model]
    if spec.pretrain is None:
        able = ", ".join(other.name for other in plugins.encoders.specs() if other.pretrain is not None)
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
    full_home, n_workers = find_home(home), workers or os.cpu_count() or 1
    from mirbench.runs.training_clips import training_clips

    clips = training_clips(plugins, spec, datasets, csv, size=size, home=full_home, workers=n_workers)
    request = PretrainRequest(
        model=model,
        audio=tuple(Path(folder) for folder in audio),
        clips=clips,
        datasets=(*datasets, *([csv.stem] if csv else [])),
        out=out,
        home=full_home,
        device=find_device(device),
        workers=n_workers,
        **chosen,
    )
    spec.pretrain(request)


def _find(plugins: Plugins, name: str, home: Path | None, trust_remote_code: bool) -> Spec:
    """Look up an encoder (perhaps with other weights, or of a family), a task or a data set."""
    if "@" in name or ":" in name:
        from mirbench.encoders.references import find_encoder

        return find_encoder(plugins.encoders, name, find_home(home), trust_remote_code=trust_remote_code)
    return plugins.find(name)


def main() -> None:
    """Run the command line: exit 0 if all is done, 1 for an error that the user can mend, 2 for wrong usage."""
    # Threads of torch that wait must sleep: on a busy machine spinning ones were measured ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _open_streams()
    try:
        _require_working_folder()
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except click.Abort:
        _say_interrupted()
    except KeyboardInterrupt:
        _say_interrupted()
    except MirbenchError as error:
        with suppress(OSError):  # nobody reads it
            echo(f"mirbench: {error}", fg="red", err=True)
        sys.exit(USAGE if isinstance(error, UsageError) else FAILED)


def _open_streams() -> None:
    """Open standard streams that are closed, or the next file that is opened takes their place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def _drop_output() -> None:
    """Drop what standard output does not take, or Python complains again at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_working_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise MirbenchError(f"the working folder: {of_system(error)}; change into another folder") from error


def _say_interrupted() -> None:
    echo("\nmirbench: interrupted; run the same command again to go on", err=True)
    sys.exit(130)
