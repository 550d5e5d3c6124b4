"""The command line. Nothing heavy is imported before a command needs it."""

import os
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from mirbench import __version__
from mirbench.cli.console import echo, report_problems
from mirbench.cli.datasets import data_group
from mirbench.cli.figures import FIGURES
from mirbench.cli.info import COMMANDS as INFO
from mirbench.cli.pretrain import pretrain_command
from mirbench.cli.reports import REPORTS
from mirbench.cli.run import run_command
from mirbench.cli.store import store_group
from mirbench.errors import MirbenchError, UsageError, first_line, of_system
from mirbench.plugins import Plugins, plugin_files

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
    """Evaluate what frozen audio encoders represent."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read by torch: threads that spin while they wait lose
    # 20x where other processes want the cores


for command in (run_command, *INFO, *REPORTS, *FIGURES, pretrain_command, store_group, data_group):
    cli.add_command(command)


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
