"""key: in which of 24 keys is this music?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import TaskSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Task


def load() -> "Task":
    """Load the task."""
    from mirbench_key.task import KeyTask

    return KeyTask()


@hookimpl
def mirbench_tasks() -> Iterator[TaskSpec]:
    """Offer the task."""
    yield TaskSpec(
        name="key",
        load=load,
        default_dataset="rendered-scores",
        description="global key of a clip, 24 classes, MIREX weighted score",
        license="MIT",
        citation="Raffel et al., mir_eval: A transparent implementation of common MIR metrics, ISMIR 2014",
        limits=(
            "Rendered excerpts that do not modulate: pieces whose key profiles contradict the stated key are left "
            "out, so labels are clean and the task is easier than on recordings. No singing, no key that changes, "
            "no music without a key."
        ),
    )
