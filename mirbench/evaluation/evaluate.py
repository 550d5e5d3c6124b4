"""Fit a probe, choose it on validation, decode and score: from stored features to scores with intervals."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mirbench.data import audio
from mirbench.data.folds import leave_group_out
from mirbench.domain import SPLITS, Clip, Dataset, Prediction, Split, Task
from mirbench.domain.result import LOWEST_CEILING
from mirbench.errors import DatasetError
from mirbench.evaluation.bootstrap import Score, Tested, score_folds
from mirbench.evaluation.ceiling import ceiling
from mirbench.evaluation.views import View
from mirbench.features.stored import StoredFeatures
from mirbench.probes.linear import MEMORY, Examples, Probe, constant_cross_entropy
from mirbench.probes.objectives import objective_of
from mirbench.probes.protocols import PROTOCOLS, Candidate, ProbeData, ProbeProtocol
from mirbench.probes.subsets import subset

WORSE_THAN_A_CONSTANT = "worse than a constant on validation"


@dataclass(frozen=True)
class Fitting:
    """Settings of probes.

    Attributes
    ----------
    seed
        Of the bootstrap and of subsets of the training clips.
    fraction
        Of the training clips.
    memory
        In bytes: what the training rows of one readout and layer may take.
    workers
        Processes that score clips, where that takes long.
    leave_group_out
        Whether each group is tested in turn, instead of the data set's own splits or folds.
    """

    protocol: ProbeProtocol = PROTOCOLS["convex"]
    seed: int = 0
    fraction: float = 1.0
    memory: float = MEMORY
    device: str = "cpu"
    workers: int = 1
    leave_group_out: bool = False


@dataclass(frozen=True)
class Choice:
    """Model selection on the validation split.

    Attributes
    ----------
    setting
        The strength, or whatever tells the protocol's probes apart.
    curve
        Cross-entropy on validation for every readout, layer and setting, in the order in which they were tried.
    constant
        Cross-entropy on validation of the frequencies of the training targets.
    marks
        Reasons for caution: the probe is worse than that constant, or its setting lies at an edge of the grid.
    """

    probe: Probe
    view: View
    setting: Any
    curve: tuple[tuple[str, int, Any, float], ...]
    constant: float = float("nan")
    marks: tuple[str, ...] = ()

    @property
    def readout(self) -> str:
        """Name of the readout."""
        return self.view.name

    @property
    def layer(self) -> int:
        """Layer, counted from 0."""
        return self.view.layer


@dataclass(frozen=True)
class Evaluation:
    """Everything that became of one encoder, task and data set; the first score is the headline.

    Attributes
    ----------
    choices, decoders
        One for each seed of the protocol, of each fold.
    estimates
        Estimates of all test clips, as metrics get them, for each seed; empty where there are several folds.
    clips
        Ids of the test clips.
    n_clips
        Number of clips of each split; of several folds, all test clips, and the mean of the others, rounded.
    folds
        Names of the folds; empty where there is one split.
    constant
        Cross-entropy on validation of the frequencies of the training targets.
    ceiling
        Score of a perfect probe at the frame times of the first choice, on the first fold; None for tasks of scope
        "clip".
    stored
        Type in which the store holds the features of the first choice.
    """

    scores: tuple[Score, ...]
    choices: tuple[Choice, ...]
    decoders: tuple[Mapping[str, Any], ...]
    estimates: tuple[tuple[Any, ...], ...]
    clips: tuple[str, ...]
    n_clips: dict[Split, int]
    seconds: dict[str, float]
    constant: float
    ceiling: float | None = None
    stored: str = "float32"
    folds: tuple[str, ...] = ()


def evaluate(features: StoredFeatures, task: Task, dataset: Dataset, fitting: Fitting | None = None) -> Evaluation:
    """Choose a probe on the training and validation splits, then score it on the test split once; in each fold.

    Parameters
    ----------
    features
        Stored features of all clips of the data set.
    task
        The task; it takes its vocabulary from the data set if it has none.
    dataset
        Clips with references.
    fitting
        How probes are fitted; None for the standard protocol.

    Raises
    ------
    DatasetError
        If a split has no clips.
    """
    fitting = fitting or Fitting()
    folds = leave_group_out(dataset) if fitting.leave_group_out else dataset.folds or (dataset,)
    for fold in folds:
        for split in SPLITS:
            if not fold.clips(split):
                where = f" of fold {fold.fold!r}" if fold.fold else ""
                raise DatasetError(f"data set {dataset.name!r} has no clips in its {split} split{where}")
    task = task.with_labels_of(dataset)
    if not task.labels:
        raise DatasetError(f"data set {dataset.name!r} has no labels: none of its references names one")
    started = time.perf_counter()
    fitted = [_fit(features, task, fold, fitting) for fold in folds]
    scored = time.perf_counter()
    scores = score_folds([each.tested for each in fitted], fitting.seed, fitting.workers)
    choices = tuple(choice for each in fitted for choice in each.choices)
    perfect = _ceiling(fitted[0].tested.tasks[0], choices[0], fitted[0].tested.clips, fitting)
    if perfect is not None and task.metrics[0].higher_is_better and perfect < LOWEST_CEILING:
        mark = f"frame rate too low for this task: a perfect probe scores {perfect:.2f}"
        choices = tuple(replace(choice, marks=(*choice.marks, mark)) for choice in choices)
    n_clips = {split: round(np.mean([each.n_clips[split] for each in fitted])) for split in SPLITS}
    return Evaluation(
        scores=scores,
        choices=choices,
        stored=fitted[0].stored,
        ceiling=perfect,
        constant=choices[0].constant,
        decoders=tuple(own.decoder for each in fitted for own in each.tested.tasks),
        n_clips={**n_clips, "test": sum(each.n_clips["test"] for each in fitted)},
        estimates=tuple(map(tuple, fitted[0].tested.estimates)) if len(fitted) == 1 else (),
        clips=tuple(clip.id for each in fitted for clip in each.tested.clips),
        seconds={"probe": scored - started, "score": time.perf_counter() - scored},
        folds=tuple(fold.fold for fold in folds if fold.fold),
    )


def _ceiling(task: Task, choice: Choice, clips: Sequence[Clip], fitting: Fitting) -> float | None:
    if task.scope == "clip":
        return None
    return ceiling(task, choice.view, clips, [clip_duration(clip) for clip in clips], fitting.workers)


@dataclass(frozen=True)
class _Fitted:
    choices: tuple[Choice, ...]
    tested: Tested
    n_clips: dict[Split, int]
    stored: str


def _fit(features: StoredFeatures, task: Task, fold: Dataset, fitting: Fitting) -> _Fitted:
    """Choose a probe on the training and validation splits, and decode its output on the test split."""
    clips = {split: fold.clips(split) for split in SPLITS}
    if fitting.fraction < 1:
        clips["train"] = _subset(features, task, clips["train"], fitting)
    choices = choose(features, task, clips["train"], clips["valid"], fitting)
    stored = choices[0].view.stored_as(clips["valid"][0])
    tuned = [task.tuned([predict(choice, clip) for clip in clips["valid"]]) for choice in choices]
    estimates = []
    for choice, own in zip(choices, tuned, strict=True):
        predictions = [predict(choice, clip) for clip in clips["test"]]
        estimates.append([own.decode(each.logits, each.times, each.duration) for each in predictions])
    n_clips = {split: len(members) for split, members in clips.items()}
    return _Fitted(choices, Tested(clips["test"], tuned, estimates, fold.fold), n_clips, stored)


def choose(
    features: StoredFeatures, task: Task, train: Sequence[Clip], valid: Sequence[Clip], fitting: Fitting
) -> tuple[Choice, ...]:
    """Fit every readout and layer to training clips; keep the probe with the lowest validation loss, for every seed.

    Parameters
    ----------
    features
        Stored features of the clips.
    task
        The task, with its vocabulary.
    train, valid
        Clips to learn from and to choose on.
    fitting
        How probes are fitted.
    """
    objective = objective_of(task.objective)
    curves: dict[int, list[tuple[str, int, Any, float]]] = {}
    best: dict[int, tuple[Candidate, View]] = {}
    protocol = fitting.protocol

    def rows_of(view: View) -> ProbeData:
        return ProbeData(
            train=examples_of(view, task, train),
            valid=examples_of(view, task, valid),
            objective=objective,
            n_labels=len(task.labels),
            memory=fitting.memory,
            device=fitting.device,
        )

    def compare(view: View, rows: ProbeData, seeds: Collection[int] | None = None) -> None:
        for candidate in protocol.candidates(rows):
            seed = candidate.seed
            if seeds is None or seed in seeds:
                curves.setdefault(seed, []).append((view.name, view.layer, candidate.setting, candidate.loss))
                if seed not in best or candidate.loss < best[seed][0].loss:
                    best[seed] = candidate, view

    constant = float("nan")
    for view in _views(features, task, train, fitting):
        rows = rows_of(view)
        if np.isnan(constant):
            constant = constant_cross_entropy(rows.train, rows.valid, objective, rows.n_labels)
        compare(view, rows)
    # Context is tried at the layer that is best without it, and at no other: it costs 25 times as much.
    if task.scope == "frame" and protocol.has_context:
        chosen_alike: dict[tuple[str, int], list[int]] = {}
        for seed, (_, view) in best.items():
            chosen_alike.setdefault((view.readout, view.layer), []).append(seed)
        for (readout, layer), seeds in chosen_alike.items():
            wide = View(features, readout, layer).in_context(train)
            if wide is not None:
                compare(wide, rows_of(wide), seeds)
    return tuple(
        Choice(
            probe=protocol.finished(rows_of(view), chosen),
            view=view,
            setting=chosen.setting,
            curve=tuple(curves[seed]),
            constant=constant,
            marks=(
                *((WORSE_THAN_A_CONSTANT,) if chosen.loss > constant else ()),
                *protocol.marks(chosen.setting),
            ),
        )
        for seed, (chosen, view) in sorted(best.items())
    )


def _views(features: StoredFeatures, task: Task, clips: Sequence[Clip], fitting: Fitting) -> Iterator[View]:
    """Yield what probes without context may be fitted to."""
    for readout in features.readouts(task.scope):
        n_layers = features.n_layers(clips[0], readout)
        for layer in range(n_layers - 1 if fitting.protocol.last_layer else 0, n_layers):
            yield View(features, readout, layer)


def _subset(features: StoredFeatures, task: Task, clips: Sequence[Clip], fitting: Fitting) -> Sequence[Clip]:
    """Return a part of the training clips: whole groups, with labels in their proportions."""
    readout, objective = features.readouts(task.scope)[0], objective_of(task.objective)
    masses = np.stack(
        [
            objective.masses(task.target(clip.reference, features.read(clip, readout, 0)[1]), len(task.labels))
            for clip in clips
        ]
    )
    return [clips[i] for i in subset(masses, [clip.group for clip in clips], fitting.fraction, fitting.seed)]


def examples_of(view: View, task: Task, clips: Sequence[Clip]) -> Examples:
    """Return the rows of clips for a probe, and their targets."""
    parts, targets = [], []
    for clip in clips:
        values, times = view.read(clip)
        parts.append(values if task.scope == "frame" else values[None])
        target = task.target(clip.reference, times)
        targets.append(target if task.scope == "frame" else target[None])
    return Examples(parts, np.concatenate(targets))


def predict(choice: Choice, clip: Clip) -> Prediction:
    """Return the output of a probe on a clip."""
    values, times = choice.view.read(clip)
    logits = choice.probe.logits(np.asarray(values, dtype=np.float32))
    return Prediction(clip.reference, logits, times, clip_duration(clip))


def clip_duration(clip: Clip) -> float:
    """The duration of a clip in seconds, looked up in its file where the data set does not say."""
    return clip.duration if clip.duration is not None else audio.info(clip.path).duration - clip.start
