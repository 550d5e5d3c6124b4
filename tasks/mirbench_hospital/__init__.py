"""hospital: what happens in this room, and when?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import TaskSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Task


def load() -> "Task":
    """Load the task."""
    from mirbench_hospital.task import HospitalTask

    return HospitalTask()


@hookimpl
def mirbench_tasks() -> Iterator[TaskSpec]:
    """Offer the task."""
    yield TaskSpec(
        name="hospital",
        load=load,
        default_dataset="hospital-synth",
        description="sound events of a hospital room in time, segment-based and event-based F1",
        license="MIT",
        citation=(
            "Mesaros, Heittola and Virtanen, Metrics for polyphonic sound event detection, Applied Sciences 2016; "
            "Tailleur, Lostanlen, Riviere and Aumond, Machine listening in a neonatal intensive care unit, DCASE 2024"
        ),
        limits=(
            "Synthetic sources in synthetic rooms, without speech or anything recorded: whether such signals are "
            "found in noise and reverberation, not how well events are detected in a ward."
        ),
    )
