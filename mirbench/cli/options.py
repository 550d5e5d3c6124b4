"""Options that several commands share, and the types of their values."""

import math
import os
from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from mirbench.errors import UsageError
from mirbench.files import find_home
from mirbench.plugins import Plugins, plugin_files
from mirbench.specs import DatasetRequest, DatasetSpec, Spec

MIXES = ("none", "mixup", "manifold", "multimix", "mix2")
PROTOCOLS = ("convex", "convex-refit", "last-layer", "sgd", "marble", "hear", "knn")  # of mirbench.protocols
F = TypeVar("F", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A finite number in a range. Every comparison with nan is false, so that click's own range lets it pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number.

        Raises
        ------
        click.BadParameter
            If it is nan, infinite, or outside of the range.
        """
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class NamedPath(click.Path):
    """A path that is not the empty string, which pathlib takes for the current folder."""

    def __init__(self, **about: Any) -> None:
        super().__init__(path_type=Path, **about)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the path.

        Raises
        ------
        click.BadParameter
            If it is empty, or click refuses it.
        """
        if value == "":
            self.fail("the path is empty; write . for the current folder", param, ctx)
        return super().convert(value, param, ctx)


SEED = click.IntRange(min=0, max=2**32 - 1)  # numpy's and scikit-learn's random states take no more
MAX_GIB = 1e9  # an exabyte: a number of bytes stays a finite float
MAX_HOURS = 1e6


def names(context: click.Context, option: click.Parameter, value: str) -> list[str]:
    """Split an option's value at its commas."""
    return [item.strip() for item in value.split(",") if item.strip()]


def pairs(context: click.Context, option: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Split NAME=VALUE."""
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r}; expected NAME=VALUE")
    return dict(value.split("=", 1) for value in values)


def fractions(context: click.Context, option: click.Parameter, value: str) -> tuple[float, ...]:
    """Split shares at their commas, and check that they are shares."""
    try:
        found = tuple(sorted({float(item) for item in value.split(",")}))
    except ValueError:
        found = ()
    if not found or not all(0 < share <= 1 for share in found):
        raise click.BadParameter(f"{value!r}; expected shares above 0 and up to 1, such as 0.01,0.1,1")
    return found


def probe_options(command: F) -> F:
    """Add the options of probes: protocol, training fractions, memory and limit of the store."""
    for option in (
        click.option(
            "--memory",
            type=Number(min=0, max=MAX_GIB, min_open=True),
            default=2.0,
            show_default=True,
            callback=lambda context, option, value: value * 2**30,
            metavar="GIB",
            help="Memory for the training rows of a probe; rows beyond it are read from disk in each pass.",
        ),
        click.option(
            "--store-limit",
            type=Number(min=0, max=MAX_GIB),
            callback=lambda context, option, value: None if value is None else value * 2**30,
            metavar="GIB",
            help="Disk space for stored features; features of other encoders are removed, least recently used first.",
        ),
        click.option(
            "--train-fraction",
            "train_fractions",
            callback=fractions,
            default="1",
            metavar="SHARE[,SHARE]",
            help="Shares of the training clips, each of which is evaluated (few-shot curve), e.g. 0.01,0.1,1.",
        ),
        click.option(
            "--protocol",
            type=click.Choice(PROTOCOLS),
            default="convex",
            show_default=True,
            help="How probes are fitted and chosen; others than convex serve comparisons with published tables.",
        ),
    ):
        command = option(command)
    return command


def precision_option(command: F) -> F:
    """Add --precision."""
    return click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16", "fp16"]),
        default="fp32",
        show_default=True,
        help="Floating-point precision of the encoder; the relative error of its features is stored in the record.",
    )(command)


def plugin_option(command: F) -> F:
    """Add --plugin."""
    return click.option(
        "--plugin",
        "plugin_paths",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Python file to load as a plugin; may be repeated. Environment variable: MIRBENCH_PLUGINS.",
    )(command)


def home_option(command: F) -> F:
    """Add --home."""
    return click.option(
        "--home",
        type=NamedPath(file_okay=False),
        help="Folder of data and stored features. Environment variable: MIRBENCH_HOME.",
    )(command)


def size_option(command: F) -> F:
    """Add --size."""
    return click.option("--size", default="default", show_default=True, help="Size of embedded data sets, e.g. small.")(
        command
    )


def trust_option(command: F) -> F:
    """Add --trust-remote-code."""
    return click.option(
        "--trust-remote-code",
        is_flag=True,
        help="Allow code that is published with an encoder's weights to run; read it first.",
    )(command)


def workers_option(command: F) -> F:
    """Add --workers."""
    return click.option(
        "--workers", type=click.IntRange(min=1), help="Number of processes and threads; default: one per core."
    )(command)


def find_device(given: str) -> str:
    """Turn auto into cuda or cpu."""
    if given == "cpu":
        return given
    import torch

    has_cuda = torch.cuda.is_available()
    if given == "cuda" and not has_cuda:
        raise UsageError("--device cuda, but torch finds no CUDA device here; use --device cpu")
    return "cuda" if has_cuda else "cpu"


class Session:
    """Folder of data, plugins and device of a command, each looked up when it is first used.

    Parameters
    ----------
    home, plugin_paths, workers, device
        Values of the options of these names; None where a command has no such option.
    """

    def __init__(
        self,
        home: Path | None = None,
        plugin_paths: Sequence[Path] = (),
        workers: int | None = None,
        device: str = "auto",
    ) -> None:
        self._home, self._device = home, device
        self.files = plugin_files(plugin_paths)
        self.workers = workers or os.cpu_count() or 1

    @cached_property
    def home(self) -> Path:
        """Folder of data and features."""
        return find_home(self._home)

    @cached_property
    def plugins(self) -> Plugins:
        """All plugins of this process."""
        return Plugins(self.files)

    @cached_property
    def device(self) -> str:
        """Device on which networks run."""
        return find_device(self._device)

    def find(self, name: str, *, trust_remote_code: bool = False) -> Spec:
        """Return the encoder (perhaps with other weights, or of a family), task or data set of a name."""
        if any(sign in name for sign in "@:~"):
            from mirbench.encoders.references import find_encoder

            return find_encoder(
                self.plugins.encoders,
                name,
                self.home,
                trust_remote_code=trust_remote_code,
                sensors=self.plugins.sensors,
            )
        return self.plugins.find(name)

    def request(self, spec: DatasetSpec, size: str) -> DatasetRequest:
        """Return what a command asks of a data set that serves its first task."""
        return DatasetRequest(task=spec.tasks[0], size=size, home=self.home, workers=self.workers)


device_option = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
PARTS = {"home": home_option, "plugins": plugin_option, "workers": workers_option, "device": device_option}


def with_session(*parts: str) -> Callable[[F], F]:
    """Add the named options (home, plugins, workers, device), and hand their values on as one `session`."""

    def add(command: F) -> F:
        @wraps(command)
        def called(
            *arguments: Any,
            home: Path | None = None,
            plugin_paths: Sequence[Path] = (),
            workers: int | None = None,
            device: str = "auto",
            **options: Any,
        ) -> Any:
            return command(*arguments, session=Session(home, plugin_paths, workers, device), **options)

        decorated: Any = called
        for part in reversed(parts):
            decorated = PARTS[part](decorated)
        return cast(F, decorated)

    return add
