"""Checks of tasks."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mirbench.domain import Clip, ClipMetric, Dataset, Metric, Prediction, Split, Target, Task
from mirbench.testing.checks import require

N_EXAMPLES = 20  # enough that each of a few labels occurs and is absent, and few enough for a second
FRAME_RATE = 50.0  # Hz; common in the field (wav2vec 2.0, HuBERT, Beat This!)
# Of the distance from worst to best. Targets lie on frames of 20 ms: borders are up to 10 ms off, 1 % of an interval of
# 1 s at each of its ends.
TOLERANCE = 0.02
SURE = 20.0  # logit of a label that an oracle knows to be true: a probability within 3e-9 of 1
# Of the distance from worst to best: random logits score about 0.5 in ROC-AUC and less in other metrics; a metric that
# gives nearly the best score to them cannot rank encoders.
MARGIN_OF_CHANCE = 0.1
Example = tuple[Any, float]


class _Labels(Dataset):
    """Only a vocabulary, for tasks that take theirs from the data set."""

    name = "labels"
    version = "1"
    labels = ("first", "second", "third", "fourth")

    def clips(self, split: Split) -> Sequence[Clip]:
        return []


def with_labels(task: Task) -> Task:
    """Return the task, with an artificial vocabulary if it has none of its own."""
    return task if task.labels else task.with_labels_of(_Labels())


def check_targets(task: Task) -> None:
    """Targets have the shape, type and range that scope and objective ask for."""
    for reference, duration in _examples(task):
        times = _times(duration)
        target = task.target(reference, times)
        shape = times.shape if task.scope == "frame" else ()
        if task.objective == "multilabel":
            shape = (*shape, len(task.labels))
        dtype = np.int64 if task.objective == "multiclass" else np.float32
        require(
            target.shape == shape and target.dtype == dtype,
            f"target of {reference!r} is {target.dtype} of shape {target.shape}; expected {np.dtype(dtype)} of "
            f"{shape}: "
            "convert it in Task.target",
        )
        low, high = (-1, len(task.labels) - 1) if task.objective == "multiclass" else (0, 1)
        require(
            bool((target >= low).all() and (target <= high).all()),
            f"target of {reference!r} has values from {target.min()} to {target.max()}; expected {low} to {high}: "
            "targets "
            "are indices of Task.labels, or shares",
        )


def check_oracle_reaches_the_bound(task: Task) -> None:
    """Decoding the targets of the references scores best in every metric."""
    references, estimates = _decoded(task, lambda target, random: _logits(task, target))
    for metric in task.metrics:
        value = _score(metric, references, estimates)
        if np.isnan(value) and metric is not task.metrics[0]:
            continue  # not defined for these references: about clips with many labels, for example
        require(
            _is_near_best(metric, value),
            f"decoded targets score {value:.4f} in {metric.name}; expected {metric.best:g}: compare target, decode "
            "and the "
            "spelling of labels",
        )


def check_chance_is_below_the_oracle(task: Task) -> None:
    """Random logits score clearly below the best in the headline."""
    references, estimates = _decoded(
        task, lambda target, random: random.standard_normal(_logits(task, target).shape).astype(np.float32)
    )
    headline = task.metrics[0]
    value = _score(headline, references, estimates)
    limit = MARGIN_OF_CHANCE * abs(headline.best - headline.worst)
    require(
        abs(value - headline.best) > limit,
        f"random logits score {value:.3f} in {headline.name}; expected more than {limit:g} from its best, "
        f"{headline.best:g}: choose a headline that tells encoders apart, or correct best and worst",
    )


def check_empty_estimate_is_scored(task: Task) -> None:
    """An estimate that says nothing is a bad answer, not a crash."""
    examples = _examples(task)
    references = [reference for reference, _ in examples]
    _, of_oracle = _decoded(task, lambda target, random: _logits(task, target))
    for metric in task.metrics:
        value = _score(metric, references, [task.empty()] * len(references))
        if np.isnan(value) and metric is not task.metrics[0] and np.isnan(_score(metric, references, of_oracle)):
            continue  # not defined for these references
        require(
            bool(np.isfinite(value)),
            f"an empty estimate scores {value} in {metric.name}; expected a finite number: return the worst score "
            "for it",
        )
    headline = task.metrics[0]
    value = _score(headline, references, [task.empty()] * len(references))
    require(
        not _is_near_best(headline, value),
        f"an empty estimate scores {value:.3f} in {headline.name}; expected less than its best, {headline.best:g}: see "
        "what the metric does with nothing",
    )


def check_references_score_best_against_themselves(task: Task) -> None:
    """The metrics accept the task's spelling of labels: a reference as its own estimate scores best."""
    for reference, _ in _examples(task, 3 * N_EXAMPLES):
        for metric in task.metrics:
            if isinstance(metric, ClipMetric):
                scored = metric.score(reference, reference)
                if isinstance(scored, tuple) and scored[1] == 0:
                    continue  # this clip does not count
                value = _value(scored)
                require(
                    _is_near_best(metric, value),
                    f"{reference!r} against itself scores {value:.4f} in {metric.name}; expected {metric.best:g}: does "
                    "the metric know this spelling?",
                )


def check_decoder_is_restored(task: Task) -> None:
    """A tuned decoder comes back from its record, without the validation split: see `mirbench verify`."""
    random = np.random.default_rng(2)
    examples = []
    for reference, duration in _examples(task):
        times = _times(duration)
        logits = _logits(task, task.target(reference, times))
        noisy = (logits / SURE + random.standard_normal(logits.shape)).astype(np.float32)
        examples.append(Prediction(reference, noisy, times, duration))
    written = json.dumps(task.tuned(examples).decoder, sort_keys=True)
    found = json.dumps(task.restored(json.loads(written)).decoder, sort_keys=True)
    require(
        found == written,
        f"restored({written[:80]}) has the decoder {found[:80]}; expected the same one: a task that overrides tuned "
        "overrides restored, too",
    )


def check_nonsense_is_refused(task: Task) -> None:
    """A cell of a CSV file that is no reference raises ValueError."""
    for text in ("?!", "no such label or file"):
        try:
            reference = task.read_reference(text, Path())
        except ValueError as error:
            require(
                bool(str(error)),
                f"read_reference raises ValueError without a message for {text!r}; expected what a cell must hold: "
                "users "
                "see it beside the line of their file",
            )
        else:
            require(
                False,
                f"read_reference takes {text!r} for {reference!r}; expected ValueError: refuse what is no reference",
            )


def check_metrics_are_named_apart(task: Task) -> None:
    """There is a headline, every metric has its own name and says its source, and labels differ."""
    names = [(metric.name, metric.label) for metric in task.metrics]
    require(bool(names), "Task.metrics is empty; expected one metric or more: the first is the headline")
    headline = task.metrics[0]
    require(
        not headline.label,
        f"the headline {headline.name} is about label {headline.label!r} only; expected one of all labels: put it "
        "first",
    )
    repeated = _repeated(names)
    require(
        not repeated, f"several metrics are named {repeated[:5]}; expected one name and label for each: rename them"
    )
    unsourced = [metric.name for metric in task.metrics if not metric.source]
    require(
        not unsourced,
        f"metrics {unsourced[:5]} have no source; expected library, version and function: state them in source",
    )
    repeated = _repeated(task.labels)
    require(not repeated, f"Task.labels holds {repeated[:5]} more than once; expected different labels: remove copies")


def _repeated(values: Sequence[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def _examples(task: Task, n_examples: int = N_EXAMPLES) -> list[Example]:
    random = np.random.default_rng(0)
    return [task.example(random) for _ in range(n_examples)]


def _times(duration: float) -> np.ndarray:
    return (np.arange(round(duration * FRAME_RATE)) + 0.5) / FRAME_RATE


def _logits(task: Task, target: Target) -> np.ndarray:
    if task.objective == "multilabel":
        return np.asarray((2 * target - 1) * SURE, dtype=np.float32)
    return np.asarray(SURE * np.eye(len(task.labels), dtype=np.float32)[np.maximum(target, 0)])


def _decoded(
    task: Task, answer: Callable[[Target, np.random.Generator], np.ndarray]
) -> tuple[list[object], list[object]]:
    random = np.random.default_rng(1)
    references, estimates = [], []
    for reference, duration in _examples(task):
        times = _times(duration)
        references.append(reference)
        estimates.append(task.decode(answer(task.target(reference, times), random), times, duration))
    return references, estimates


def _score(metric: Metric, references: list[Any], estimates: list[Any]) -> float:
    if isinstance(metric, ClipMetric):
        scored = [metric.score(*pair) for pair in zip(references, estimates, strict=True)]
        values, weights = np.array([each if isinstance(each, tuple) else (each, 1.0) for each in scored]).T
        return float(values @ weights / weights.sum()) if weights.sum() > 0 else float("nan")
    return float(metric.score(references, estimates))


def _value(scored: float | tuple[float, float]) -> float:
    return scored[0] if isinstance(scored, tuple) else scored


def _is_near_best(metric: Metric, value: float) -> bool:
    distance = abs(metric.best - metric.worst)
    return abs(value - metric.best) <= TOLERANCE * (distance if np.isfinite(distance) else 1.0)


TASK_CHECKS = (
    check_metrics_are_named_apart,
    check_targets,
    check_oracle_reaches_the_bound,
    check_chance_is_below_the_oracle,
    check_empty_estimate_is_scored,
    check_references_score_best_against_themselves,
    check_decoder_is_restored,
    check_nonsense_is_refused,
)
