"""The hooks. A plugin implements those it needs, each marked with `mirbench.hookimpl`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from mirbench.specs import DatasetSpec, EncoderSpec, SuiteSpec, TaskSpec

if TYPE_CHECKING:
    import click

    from mirbench.domain import Result
    from mirbench.plan import Plan

hookspec = pluggy.HookspecMarker("mirbench")
hookimpl = pluggy.HookimplMarker("mirbench")


@hookspec
def mirbench_encoders() -> Iterable[EncoderSpec]:  # type: ignore[empty-body]
    """Offer encoders."""


@hookspec
def mirbench_tasks() -> Iterable[TaskSpec]:  # type: ignore[empty-body]
    """Offer tasks."""


@hookspec
def mirbench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Offer data sets."""


@hookspec
def mirbench_suites() -> Iterable[SuiteSpec]:  # type: ignore[empty-body]
    """Offer suites: lists of tasks under one name."""


@hookspec
def mirbench_commands() -> "Iterable[click.Command]":  # type: ignore[empty-body]
    """Offer commands: `mirbench NAME`."""


@hookspec
def mirbench_run_start(plan: "Plan") -> None:
    """Observe the plan of a run before anything is computed."""


@hookspec
def mirbench_result(result: "Result") -> None:
    """Observe a number as soon as it is known; the record writer and the printed table are implementations."""
