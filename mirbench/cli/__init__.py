"""The command line."""

from mirbench.cli.main import cli, main

__all__ = ["cli", "main"]
