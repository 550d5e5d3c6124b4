"""chord: which chord sounds when?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import TaskSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Task


def load(vocabulary: str = "majmin") -> "Task":
    """Load the task."""
    from mirbench_chord.task import ChordTask

    return ChordTask(vocabulary)


@hookimpl
def mirbench_tasks() -> Iterator[TaskSpec]:
    """Offer the task."""
    yield TaskSpec(
        name="chord",
        load=load,
        default_dataset="rendered-scores",
        options={"vocabulary": ("majmin", "triads", "sevenths")},
        description="chords over time, 12 major, 12 minor and none; mir_eval's majmin",
        license="MIT",
        citation="Pauwels and Peeters, Evaluating automatically estimated chord sequences, ICASSP 2013",
        limits=(
            "Rendered chorales, tunes with accompaniment and generated progressions. Labels come from the score "
            "or the generator, not from listeners: no recordings, no singing, no disagreement of annotators, few "
            "chords beyond triads and sevenths."
        ),
    )
