"""beat: when does the listener's foot fall?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import TaskSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Task


def load(decoder: str = "dbn") -> "Task":
    """Load the task."""
    from mirbench_beat.task import BeatTask

    return BeatTask(decoder)


@hookimpl
def mirbench_tasks() -> Iterator[TaskSpec]:
    """Offer the task."""
    yield TaskSpec(
        name="beat",
        load=load,
        default_dataset="rendered-scores",
        options={"decoder": ("dbn", "peaks")},
        description="beat times, a bar-pointer model or peak picking, F-measure within 70 ms",
        license="MIT",
        citation="Davies, Degara and Plumbley, Evaluation methods for musical audio beat tracking, C4DM-TR-09-06",
        limits=(
            "Rendered music of steady metre: the tempo drifts by some percent and in some clips changes at a bar "
            "line, but nobody plays rubato, and beats follow the time signature, not listeners. Few styles, no "
            "chorales, no recordings."
        ),
    )
