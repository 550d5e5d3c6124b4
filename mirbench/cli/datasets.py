"""Commands that list, prepare and locate data sets."""

import dataclasses

import click

from mirbench.cli.console import echo, print_dataset, report_problems
from mirbench.cli.options import Session, size_option, with_session
from mirbench.errors import MirbenchError, MissingDataError, UsageError, first_line
from mirbench.specs import DatasetSpec


@click.group("data")
def data_group() -> None:
    """List, prepare and locate data sets."""


@data_group.command("list")
@with_session("home", "plugins")
def data_list(session: Session) -> None:
    """List data sets, their tasks, and whether they are on this machine."""
    for spec in session.plugins.datasets.specs():
        states = [f"{size}: {_state(session, spec, size)}" for size in spec.sizes]
        echo(f"{spec.name}  tasks {', '.join(spec.tasks)}  ({', '.join(states)})\n  {spec.description}")
    report_problems(session.plugins)


@data_group.command("prepare")
@click.argument("name")
@size_option
@with_session("home", "workers", "plugins")
def data_prepare(name: str, size: str, session: Session) -> None:
    """Download or render a data set; continue an interrupted preparation, and render damaged clips again."""
    spec = session.plugins.datasets[name]
    if size not in spec.sizes:
        raise UsageError(f"data set {name!r} has no size {size!r}; it has {', '.join(spec.sizes)}")
    if spec.prepare is None:
        raise UsageError(f"data set {name!r} cannot be prepared by mirbench; see 'mirbench info {name}'")
    echo(f"licence: {spec.license}", err=True)
    request = session.request(spec, size)
    spec.prepare(dataclasses.replace(request, verify=True))
    print_dataset(spec, request)


@data_group.command("path")
@click.argument("name", required=False)
@with_session("home", "plugins")
def data_path(name: str | None, session: Session) -> None:
    """Print the folder of all data sets, or of one."""
    folder = session.home / "data"
    echo(folder / session.plugins.datasets[name].name if name else folder)


def _state(session: Session, spec: DatasetSpec, size: str) -> str:
    """Describe whether a data set is on this machine."""
    try:
        spec.load(session.request(spec, size))
    except MissingDataError:
        return "not here"
    except MirbenchError as error:
        return f"cannot be used: {first_line(error)}"
    return "here"
