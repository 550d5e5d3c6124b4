"""The commands that look after data sets."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import click

from mirbench.cli.console import echo, print_dataset, report_problems
from mirbench.cli.options import find_home, home_option, plugin_option, size_option, workers_option
from mirbench.errors import MirbenchError, MissingDataError, UsageError, first_line
from mirbench.plugins import Plugins, plugin_files
from mirbench.specs import DatasetRequest, DatasetSpec


@click.group("data")
def data_group() -> None:
    """List, prepare and find data sets."""


@data_group.command("list")
@home_option
@plugin_option
def data_list(home: Path | None, plugin_paths: Sequence[Path]) -> None:
    """List data sets, their tasks and whether they are on this machine."""
    plugins = Plugins(plugin_files(plugin_paths))
    for spec in plugins.datasets.specs():
        states = [f"{size}: {_state(spec, size, find_home(home))}" for size in spec.sizes]
        echo(f"{spec.name}  tasks {', '.join(spec.tasks)}  ({', '.join(states)})\n  {spec.description}")
    report_problems(plugins)


@data_group.command("prepare")
@click.argument("name")
@home_option
@size_option
@workers_option
@plugin_option
def data_prepare(name: str, home: Path | None, size: str, workers: int | None, plugin_paths: Sequence[Path]) -> None:
    """Download or render a data set; continues where it was interrupted, and makes damaged clips again."""
    spec = Plugins(plugin_files(plugin_paths)).datasets[name]
    if size not in spec.sizes:
        raise UsageError(f"data set {name!r} has no size {size!r}; it has {', '.join(spec.sizes)}")
    if spec.prepare is None:
        raise UsageError(f"data set {name!r} cannot be prepared by mirbench; see 'mirbench info {name}'")
    echo(f"licence: {spec.license}", err=True)
    request = request_of(spec, size, find_home(home), workers or os.cpu_count() or 1)
    spec.prepare(dataclasses.replace(request, verify=True))
    print_dataset(spec, request)


@data_group.command("path")
@click.argument("name", required=False)
@home_option
@plugin_option
def data_path(name: str | None, home: Path | None, plugin_paths: Sequence[Path]) -> None:
    """Print the folder in which data sets (or the named one) are kept."""
    folder = find_home(home) / "data"
    echo(folder / Plugins(plugin_files(plugin_paths)).datasets[name].name if name else folder)


def _state(spec: DatasetSpec, size: str, home: Path) -> str:
    """Describe whether a data set is on this machine."""
    try:
        spec.load(request_of(spec, size, home, 1))
    except MissingDataError:
        return "not here"
    except MirbenchError as error:
        return f"cannot be used: {first_line(error)}"
    return "here"


def request_of(spec: DatasetSpec, size: str, home: Path, workers: int) -> DatasetRequest:
    """Return what a command asks of a data set."""
    return DatasetRequest(task=spec.tasks[0], size=size, home=home, workers=workers)
