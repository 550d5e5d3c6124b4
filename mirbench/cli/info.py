"""Commands that list, describe and check encoders, tasks and data sets."""

import sys
from pathlib import Path
from typing import Any

import click

from mirbench.cli.console import echo, print_dataset, print_encoder, print_specs, print_task, report_problems
from mirbench.cli.options import Session, size_option, trust_option, with_session
from mirbench.cli.reports import out_option
from mirbench.cli.validity import check_validity
from mirbench.errors import UsageError
from mirbench.specs import DatasetSpec, EncoderSpec, TaskSpec

FAILED = 1


@click.command("list")
@click.argument("kind", type=click.Choice(["encoders", "tasks", "datasets", "suites", "sensors"]), required=False)
@with_session("plugins")
def list_command(kind: str | None, session: Session) -> None:
    """List encoders, tasks, data sets, suites and sensors, and plugins that cannot be used."""
    plugins = session.plugins
    for title, catalog in (("encoders", plugins.encoders), ("tasks", plugins.tasks), ("datasets", plugins.datasets)):
        if kind in (None, title):
            echo(title, bold=True)
            print_specs(catalog.specs(), in_full=kind == "encoders")
            for conflict in catalog.conflicts():
                echo(f"  {conflict}", fg="red", err=True)
    if kind in (None, "suites"):
        echo("suites", bold=True)
        for suite in plugins.suites.specs():
            echo(f"  {suite.name}  {', '.join(suite.tasks)}")
    if kind in (None, "sensors"):
        echo("sensors", bold=True)
        for sensor in plugins.sensors.specs():
            echo(f"  {sensor.name}  {sensor.description}")
    report_problems(plugins)


@click.command("info")
@click.argument("name")
@trust_option
@with_session("home", "plugins")
def info_command(name: str, trust_remote_code: bool, session: Session) -> None:
    """Show licence, citation and details of an encoder, a task or a data set."""
    spec = session.find(name, trust_remote_code=trust_remote_code)
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
            print_dataset(spec, session.request(spec, size))


@click.command("check")
@click.argument("name")
@size_option
@trust_option
@click.option("--validity", "is_of_validity", is_flag=True, help="Show what a task, or a suite of tasks, can show.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="With --validity: also write OUT/validity.md, or the facts of the data sets to OUT/validity.json.",
)
@out_option
@with_session("device", "home", "workers", "plugins")
def check_command(
    name: str, size: str, trust_remote_code: bool, is_of_validity: bool, kind: str, out: Path, session: Session
) -> None:
    """Run the conformance checks on an encoder, a task or a data set.

    With --validity, NAME is a task, a suite, or "all" for the suite core. From the references of its default data set
    and the records in OUT, it prints the ceiling, chance, baselines that need no audio, the untrained floor, how far
    encoders are spread, and the share of pairs of encoders that the test split tells apart. No audio is needed.
    """
    if is_of_validity:
        check_validity(name, out, kind, size, session)
        return
    if kind != "text":
        raise UsageError(f"--format {kind} goes with --validity")
    from mirbench.runs.planning import load_dataset
    from mirbench.testing import checks_of

    spec = session.find(name, trust_remote_code=trust_remote_code)
    options: dict[str, Any] = {"device": session.device}
    if isinstance(spec, DatasetSpec):
        request = session.request(spec, size)
        load_dataset(spec, request)
        options = {"request": request, "task": session.plugins.tasks[request.task].load()}
    elif isinstance(spec, EncoderSpec):
        from mirbench.features.recheck import stored_somewhere
        from mirbench.features.store import FeatureStore

        stored = stored_somewhere(session.plugins, session.home)
        options["stored"] = FeatureStore(session.home / "features"), stored
    n_failed = 0
    for check in checks_of(spec, **options):
        problem = check.problem()
        n_failed += problem is not None
        echo(f"{'pass' if problem is None else 'FAIL'}  {check.name}", fg=None if problem is None else "red")
        if problem is not None:
            echo(f"      {problem}")
    if n_failed:
        sys.exit(FAILED)


COMMANDS = (list_command, info_command, check_command)
