"""The score of a perfect probe: what a task can give at the frame rate of an encoder."""

from collections.abc import Sequence

import numpy as np

from mirbench.domain import Clip, Task
from mirbench.evaluation.scoring import value_of
from mirbench.evaluation.views import View
from mirbench.probes.objectives import objective_of


def ceiling(task: Task, view: View, clips: Sequence[Clip], durations: Sequence[float], workers: int = 1) -> float:
    """Return the headline score of a probe whose output is the target in every frame.

    Targets have the resolution of frames: of an encoder with 2 frames a second no probe can place beats within 70 ms,
    however good the features are.

    Parameters
    ----------
    task
        Task of scope "frame", with its decoder as it was tuned.
    view
        What the probe is fitted to; only its frame times are used.
    clips
        Clips to score.
    durations
        Their lengths in seconds.
    workers
        Processes that score clips, where that takes long.
    """
    objective, n_labels = objective_of(task.objective), len(task.labels)
    estimates = []
    for clip, duration in zip(clips, durations, strict=True):
        _, times = view.read(clip)
        logits = objective.certain(task.target(clip.reference, times), n_labels)
        estimates.append(task.decode(logits.astype(np.float32), times, duration))
    return value_of(task.metrics[0], [clip.reference for clip in clips], estimates, workers)
