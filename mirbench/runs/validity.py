"""Facts of a task and its data set without any encoder: bounds, chance and baselines, from references alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mirbench.domain import Clip, Task
from mirbench.errors import DatasetError, MirbenchError, UsageError, first_line
from mirbench.evaluation.evaluate import clip_duration
from mirbench.evaluation.scoring import value_of
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.probes.objectives import objective_of
from mirbench.results.validity import Facts
from mirbench.runs.planning import require_size

FRAMES_PER_SECOND = 10  # of the constant output that chance is decoded from


def facts_of(name: str, plugins: Plugins, settings: Settings) -> Facts:
    """Return the facts of a task on its default data set, of which no audio is needed.

    Of a cross-validation, the splits of the first fold are used.

    Parameters
    ----------
    name
        Name of the task.
    plugins
        Where task and data set are looked up.
    settings
        Folder of data, size and number of processes.

    Raises
    ------
    UsageError
        If the task has no default data set, or not in this size.
    DatasetError
        If references are missing, or a split is empty.
    MirbenchError
        If estimates of the task cannot be scored.
    """
    spec = plugins.tasks[name]
    if spec.default_dataset is None:
        raise UsageError(f"task {name!r} has no default data set, so its validity cannot be checked; give it one")
    data = plugins.datasets[spec.default_dataset]
    require_size([data], settings.size)
    dataset = data.load(settings.request(spec, needs_audio=False))
    train, test = dataset.clips("train"), dataset.clips("test")
    if not train or not test:
        raise DatasetError(f"{data.name} has {len(train)} training and {len(test)} test clips; expected some of each")
    task = spec.load().with_labels_of(dataset)
    metric, references = task.metrics[0], [clip.reference for clip in test]
    durations = [clip_duration(clip) for clip in test]

    def scored(what: str, estimates: Sequence[Any]) -> float:
        if len(estimates) != len(test):
            raise MirbenchError(f"{what} of task {name!r} has {len(estimates)} estimates; expected {len(test)}")
        try:
            return value_of(metric, references, estimates, settings.workers)
        except Exception as error:  # whatever the metric of a plugin raises
            problem = f"{type(error).__name__}: {first_line(error)}"
            raise MirbenchError(f"{what} of task {name!r} cannot be scored ({problem})") from error

    kind, uninformed = chance(task, train, durations)
    baselines = task.baselines([clip.reference for clip in train], durations)
    return Facts(
        task=name,
        dataset=data.name,
        size=settings.size,
        version=dataset.version,
        n=len(test),
        n_groups=len({clip.group for clip in test}),
        metric=metric.name,
        best=metric.best,
        worst=metric.worst,
        ceiling=scored("the ceiling", references) if task.scope == "clip" else None,
        chance={kind: scored("chance", uninformed)},
        baselines={each: scored(f"baseline {each!r}", estimates) for each, estimates in baselines.items()},
        limits=spec.limits,
    )


def chance(task: Task, train: Sequence[Clip], durations: Sequence[float]) -> tuple[str, list[Any]]:
    """Return estimates of test clips without information, and what they are.

    They are decoded from a constant, the frequencies of the training targets: the majority class, or the frequencies of
    labels. Where any labels may hold in a frame, they are empty: a decoder of events or of a pulse finds whatever it
    assumes in a constant.

    Parameters
    ----------
    task
        The task, with its vocabulary.
    train
        Training clips.
    durations
        Lengths of the test clips in seconds.
    """
    if task.scope == "frame" and task.objective == "multilabel":
        return "empty estimate", [task.empty() for _ in durations]
    targets = [task.target(clip.reference, _times(clip_duration(clip))) for clip in train]
    stacked = np.concatenate(targets) if task.scope == "frame" else np.stack(targets)
    constant = objective_of(task.objective).constant(stacked, len(task.labels)).astype(np.float32)
    estimates = []
    for duration in durations:
        times = _times(duration)
        logits = np.tile(constant, (len(times), 1)) if task.scope == "frame" else constant
        estimates.append(task.decode(logits, times, duration))
    return "majority class" if task.objective == "multiclass" else "label frequencies", estimates


def _times(duration: float) -> np.ndarray:
    return (np.arange(max(1, round(duration * FRAMES_PER_SECOND))) + 0.5) / FRAMES_PER_SECOND
