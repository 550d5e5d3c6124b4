"""Options that several commands have, and what their values mean."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from mirbench.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def names(context: click.Context, option: click.Parameter, value: str) -> list[str]:
    """Split an option's value at its commas."""
    return [item.strip() for item in value.split(",") if item.strip()]


def pairs(context: click.Context, option: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Split NAME=VALUE."""
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r}; expected NAME=VALUE")
    return dict(value.split("=", 1) for value in values)


def plugin_option(command: F) -> F:
    """Add --plugin."""
    return click.option(
        "--plugin",
        "plugin_paths",
        type=click.Path(path_type=Path),
        multiple=True,
        help="A Python file to load as a plugin; also MIRBENCH_PLUGINS.",
    )(command)


def home_option(command: F) -> F:
    """Add --home."""
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where data and features are kept; also MIRBENCH_HOME.",
    )(command)


def size_option(command: F) -> F:
    """Add --size."""
    return click.option("--size", default="default", show_default=True, help="Size of embedded data sets, e.g. small.")(
        command
    )


def trust_option(command: F) -> F:
    """Add --trust-remote-code."""
    return click.option(
        "--trust-remote-code", is_flag=True, help="Run code that lies beside an encoder's weights; read it before."
    )(command)


def workers_option(command: F) -> F:
    """Add --workers."""
    return click.option("--workers", type=click.IntRange(min=1), help="Processes and threads; default: one a core.")(
        command
    )


def find_home(given: Path | None) -> Path:
    """Choose the folder for data and features: --home, MIRBENCH_HOME, or the user's cache."""
    if given is not None:
        return given
    if os.environ.get("MIRBENCH_HOME"):
        return Path(os.environ["MIRBENCH_HOME"])
    from platformdirs import user_cache_path

    return user_cache_path("mirbench")


def find_device(given: str) -> str:
    """Turn auto into cuda or cpu."""
    if given == "cpu":
        return given
    import torch

    has_cuda = torch.cuda.is_available()
    if given == "cuda" and not has_cuda:
        raise UsageError("--device cuda, but torch finds no CUDA device here; use --device cpu")
    return "cuda" if has_cuda else "cpu"
