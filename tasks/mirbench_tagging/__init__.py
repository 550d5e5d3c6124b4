"""tagging: which of these tags hold for this clip?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import TaskSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Task


def load() -> "Task":
    """Load the task."""
    from mirbench_tagging.task import TaggingTask

    return TaggingTask()


@hookimpl
def mirbench_tasks() -> Iterator[TaskSpec]:
    """Offer the task."""
    yield TaskSpec(
        name="tagging",
        load=load,
        default_dataset="rendered-scores",
        description="tags of a clip (instruments, genres, sounds), macro ROC-AUC and average precision",
        license="MIT",
        citation="Won, Ferraro, Bogdanov and Serra, Evaluation of CNN-based automatic music tagging models, SMC 2020",
        limits=(
            "Instrument families and drums as General MIDI SoundFonts play them: whether such sounds are told "
            "apart in a mixture, not genres, moods or recorded instruments."
        ),
    )
