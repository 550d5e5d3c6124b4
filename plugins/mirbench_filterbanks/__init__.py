"""Filterbanks of strided convolutions: auditory kernels, decoders, frame bounds, aliasing; and `mirbench filters`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def mirbench_commands() -> "Iterator[click.Command]":
    """Offer `mirbench filters`."""
    from mirbench_filterbanks.command import filters_command

    yield filters_command
