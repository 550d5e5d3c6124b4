"""anuran: which frogs call in this clip?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import TaskSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Task


def load() -> "Task":
    """Load the task."""
    from mirbench_anuran.task import AnuranTask

    return AnuranTask()


@hookimpl
def mirbench_tasks() -> Iterator[TaskSpec]:
    """Offer the task."""
    yield TaskSpec(
        name="anuran",
        load=load,
        default_dataset="anuran-synth",
        description="calling frog species of a clip, macro average precision and F1, also of rare ones",
        license="MIT",
        citation=(
            "Canas et al., A dataset for benchmarking Neotropical anuran calls identification in passive acoustic "
            "monitoring, Scientific Data 2023; Moummad, Farrugia, Serizel, Froidevaux and Lostanlen, Mixture of mixups "
            "for multi-label classification of rare anuran sounds, EUSIPCO 2024"
        ),
        limits=(
            "Synthetic calls over synthetic backgrounds, computed from published acoustics: no recorded "
            "individuals, no species beyond the list, no errors of annotators, few sites. The order of encoders "
            "on recordings may differ."
        ),
    )
