"""The suite that `--task all` stands for."""

from collections.abc import Iterator

from mirbench import SuiteSpec, hookimpl

TASKS = ("key", "chord", "beat", "tagging", "anuran", "hospital")


@hookimpl
def mirbench_suites() -> Iterator[SuiteSpec]:
    """Offer the suite."""
    yield SuiteSpec(name="core", tasks=TASKS, description="six tasks of music, frogs and hospital rooms")
