"""Multi-label tasks and their metrics.

References are 0 or 1, estimates are scores, both float32 [label]. A label that no clip has (or, for the area under the
curve, that every clip has) is left out of a macro average.

Values of metrics come from scikit-learn. For bootstrap intervals, the same definitions are evaluated over all resamples
at once; a test asserts that both agree.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64

from mirbench.domain import Counts, SetMetric, Task
from mirbench.evaluation.decoders import sigmoid

Vector = Float32[np.ndarray, "label"]
Vectors = Sequence[Vector]
Places = slice | list[int]
PerResample = Float64[np.ndarray, "resample"]
ALL = slice(None)
RESAMPLES_AT_ONCE = 100  # bounds memory
POLYPHONIES = {
    "1_label": (1.0, 1.0),
    "2_labels": (2.0, 2.0),
    "3_labels": (3.0, 3.0),
    "4_or_more_labels": (4.0, math.inf),
}


class VectorTask(Task):
    """A task in which any number of a data set's labels apply to a clip.

    In a CSV file the label column lists them, separated by semicolons; an empty cell means that none applies.
    """

    scope = "clip"
    objective = "multilabel"

    def labels_in(self, text: str, folder: Path) -> tuple[str, ...]:
        return tuple(label.strip() for label in text.split(";") if label.strip())

    def read_reference(self, text: str, folder: Path) -> Vector:
        found = self.labels_in(text, folder)
        unknown = sorted(set(found) - set(self.labels))
        if unknown:
            raise ValueError(f"unknown label {', '.join(unknown)}; expected some of {', '.join(self.labels)}")
        return np.array([label in found for label in self.labels], dtype=np.float32)

    def target(self, reference: Vector, times: Float64[np.ndarray, "time"]) -> Vector:
        return reference

    def decode(self, logits: Vector, times: Float64[np.ndarray, "time"], duration: float) -> Vector:
        return sigmoid(logits).astype(np.float32)

    def baselines(self, references: Vectors, durations: Sequence[float]) -> Mapping[str, Vectors]:
        frequencies = np.stack(references).mean(axis=0, dtype=np.float32)
        return {"label frequencies": [frequencies] * len(durations)}

    def empty(self) -> Vector:
        return np.zeros(len(self.labels), dtype=np.float32)

    def example(self, random: np.random.Generator) -> tuple[Vector, float]:
        return (random.random(len(self.labels)) < 0.4).astype(np.float32), 20.0


def roc_auc(references: Vectors, estimates: Vectors, *, places: Places = ALL) -> float:
    """Return the macro average of the area under the ROC curve; nan if no label has both positive and negative clips.

    Parameters
    ----------
    references
        Label vectors of the clips.
    estimates
        Score of every label, for the same clips.
    places
        Indices of the labels over which the average is taken.
    """
    from sklearn.metrics import roc_auc_score

    truth, scores = _stacked(references, estimates, places)
    mixed = truth.any(axis=0) & ~truth.all(axis=0)
    return float(np.mean([roc_auc_score(truth[:, k], scores[:, k]) for k in np.flatnonzero(mixed)] or np.nan))


def average_precision(references: Vectors, estimates: Vectors, *, places: Places = ALL) -> float:
    """Return the macro average of average precision; nan if no clip has a label.

    Parameters
    ----------
    references
        Label vectors of the clips.
    estimates
        Score of every label, for the same clips.
    places
        Indices of the labels over which the average is taken.
    """
    from sklearn.metrics import average_precision_score

    truth, scores = _stacked(references, estimates, places)
    known = truth.any(axis=0)
    return float(np.mean([average_precision_score(truth[:, k], scores[:, k]) for k in np.flatnonzero(known)] or np.nan))


def f1(
    references: Vectors, estimates: Vectors, *, thresholds: Float64[np.ndarray, "label"], places: Places = ALL
) -> float:
    """Return the macro average of F1; labels that are neither annotated nor predicted in any clip are left out.

    Parameters
    ----------
    references
        Label vectors of the clips.
    estimates
        Score of every label, for the same clips.
    thresholds
        Score from which a label is predicted.
    places
        Indices of the labels over which the average is taken.
    """
    from sklearn.metrics import f1_score

    truth, scores = _stacked(references, estimates, places)
    claims = scores >= thresholds[places]
    known = (truth | claims).any(axis=0)
    return float(np.mean([f1_score(truth[:, k], claims[:, k]) for k in np.flatnonzero(known)] or np.nan))


def resampled_roc_auc(references: Vectors, estimates: Vectors, counts: Counts, *, places: Places = ALL) -> PerResample:
    """Return the value of `roc_auc` in each resample.

    Parameters
    ----------
    references
        Label vectors of the clips.
    estimates
        Score of every label, for the same clips.
    counts
        How often each clip is drawn in each resample.
    places
        Indices of the labels over which the average is taken.
    """

    def area(true: np.ndarray, claimed: np.ndarray) -> np.ndarray:
        false = claimed - true
        width = np.diff(false, axis=1, prepend=0)
        height = true - np.diff(true, axis=1, prepend=0) / 2
        return np.asarray((width * height).sum(axis=1) / (true[:, -1] * false[:, -1]))

    return _over_labels(*_stacked(references, estimates, places), counts, area)


def resampled_average_precision(
    references: Vectors, estimates: Vectors, counts: Counts, *, places: Places = ALL
) -> PerResample:
    """Return the value of `average_precision` in each resample.

    Parameters
    ----------
    references
        Label vectors of the clips.
    estimates
        Score of every label, for the same clips.
    counts
        How often each clip is drawn in each resample.
    places
        Indices of the labels over which the average is taken.
    """

    def area(true: np.ndarray, claimed: np.ndarray) -> np.ndarray:
        steps = np.diff(true, axis=1, prepend=0)
        return np.asarray((steps * true / np.maximum(claimed, 1)).sum(axis=1) / true[:, -1])

    return _over_labels(*_stacked(references, estimates, places), counts, area)


def resampled_f1(
    references: Vectors,
    estimates: Vectors,
    counts: Counts,
    *,
    thresholds: Float64[np.ndarray, "label"],
    places: Places = ALL,
) -> PerResample:
    """Return the value of `f1` in each resample, without the labels that are missing there; see `resampled_macro_f1`.

    Parameters
    ----------
    references
        Label vectors of the clips.
    estimates
        Score of every label, for the same clips.
    counts
        How often each clip is drawn in each resample.
    thresholds
        Score from which a label is predicted.
    places
        Indices of the labels over which the average is taken.
    """
    truth, scores = _stacked(references, estimates, places)
    claims = scores >= thresholds[places]
    hits, n_true, n_claimed = (counts @ each.astype(np.float64) for each in (truth & claims, truth, claims))
    return resampled_macro_f1(hits, n_true, n_claimed, np.asarray(truth.any(axis=0)))


def macro_f1(
    hits: Float64[np.ndarray, "resample label"],
    n_true: Float64[np.ndarray, "resample label"],
    n_claimed: Float64[np.ndarray, "resample label"],
) -> PerResample:
    """Return the average of 2 hits / (true + claimed) over labels, without labels for which both counts are zero.

    Parameters
    ----------
    hits
        Number of clips for which a label is annotated and predicted.
    n_true
        Number of clips for which a label is annotated.
    n_claimed
        Number of clips for which a label is predicted.
    """
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample without any label gives nan
        return np.asarray(np.nanmean(2 * hits / (n_true + n_claimed), axis=1))


def resampled_macro_f1(
    hits: Float64[np.ndarray, "resample label"],
    n_true: Float64[np.ndarray, "resample label"],
    n_claimed: Float64[np.ndarray, "resample label"],
    is_annotated: Bool[np.ndarray, "label"],
) -> PerResample:
    """Return `macro_f1` without the labels that the test split has and the resample has not.

    With few groups many resamples hold no clip of a rare label. One false claim would score that label 0, although it
    says nothing about whether the label is found: intervals would lie below the value.

    Parameters
    ----------
    hits
        Number of clips for which a label is annotated and predicted.
    n_true
        Number of clips for which a label is annotated.
    n_claimed
        Number of clips for which a label is predicted.
    is_annotated
        Whether any clip of the test split has the label.
    """
    is_missing = (n_true == 0) & is_annotated
    return macro_f1(np.where(is_missing, np.nan, hits), n_true, n_claimed)


def ranking_metrics(labels: tuple[str, ...], *, each: bool) -> tuple[SetMetric, ...]:
    """Return macro ROC-AUC and macro average precision and, if requested, those of each label.

    Parameters
    ----------
    labels
        Vocabulary of the task.
    each
        Whether each label has metrics of its own.
    """
    kinds = (
        ("roc_auc", roc_auc, resampled_roc_auc, "roc_auc_score"),
        ("average_precision", average_precision, resampled_average_precision, "average_precision_score"),
    )
    macro = [
        SetMetric(f"macro_{name}", score, f"scikit-learn {by}", resample=resampled)
        for name, score, resampled, by in kinds
    ]
    of_each = [
        SetMetric(
            name,
            partial(score, places=[place]),
            f"scikit-learn {by}",
            resample=partial(resampled, places=[place]),
            label=label,
        )
        for place, label in enumerate(labels if each else ())
        for name, score, resampled, by in kinds
    ]
    return (*macro, *of_each)


def by_polyphony(metric: SetMetric) -> tuple[SetMetric, ...]:
    """Return a metric of multi-label clips for those with 1, 2, 3, and 4 or more labels.

    Parameters
    ----------
    metric
        Metric of all clips, with `resample`; the names of the others end in `_1_label`, `_2_labels` and so on.
    """
    assert metric.resample is not None
    return tuple(
        replace(
            metric,
            name=f"{metric.name}_{name}",
            score=partial(_of_polyphony, metric.score, levels),
            resample=partial(_resampled_of_polyphony, metric.resample, levels),
        )
        for name, levels in POLYPHONIES.items()
    )


def _of_polyphony(
    score: Callable[[Vectors, Vectors], float], levels: tuple[float, float], references: Vectors, estimates: Vectors
) -> float:
    chosen = _with_polyphony(references, levels)
    if not chosen:
        return float("nan")
    return score([references[place] for place in chosen], [estimates[place] for place in chosen])


def _resampled_of_polyphony(
    resample: Callable[[Vectors, Vectors, Counts], PerResample],
    levels: tuple[float, float],
    references: Vectors,
    estimates: Vectors,
    counts: Counts,
) -> PerResample:
    chosen = _with_polyphony(references, levels)
    if not chosen:
        return np.full(len(counts), np.nan)
    return resample([references[place] for place in chosen], [estimates[place] for place in chosen], counts[:, chosen])


def _with_polyphony(references: Vectors, levels: tuple[float, float]) -> list[int]:
    n_labels = [int((reference > 0.5).sum()) for reference in references]
    return [place for place, n in enumerate(n_labels) if levels[0] <= n <= levels[1]]


def false_alarm(
    reference: Vector, estimate: Vector, *, thresholds: Float64[np.ndarray, "label"]
) -> tuple[float, float]:
    """Return whether any label is predicted for a clip, and 1 as its weight if the clip has no label, else 0.

    Parameters
    ----------
    reference
        Label vector of the clip.
    estimate
        Score of every label.
    thresholds
        Score from which a label is predicted.
    """
    return float((estimate >= thresholds).any()), float(not (reference > 0.5).any())


def _stacked(
    references: Vectors, estimates: Vectors, places: Places
) -> tuple[Bool[np.ndarray, "clip place"], Float32[np.ndarray, "clip place"]]:
    return np.stack(references)[:, places] > 0.5, np.stack(estimates)[:, places]


def _over_labels(
    truth: Bool[np.ndarray, "clip label"],
    scores: Float32[np.ndarray, "clip label"],
    counts: Counts,
    area: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> PerResample:
    """Average an area over labels; `area` gets the numbers of true and of all clips down to each distinct score."""
    found = np.full((len(counts), truth.shape[1]), np.nan)
    for label in range(truth.shape[1]):
        order = np.argsort(-scores[:, label], kind="stable")
        falls = np.flatnonzero(np.diff(scores[order, label], append=-np.inf))  # the last clip of every score
        for first in range(0, len(counts), RESAMPLES_AT_ONCE):
            here = slice(first, first + RESAMPLES_AT_ONCE)
            weights = counts[here][:, order].astype(np.float64)
            true, claimed = ((weights * mask).cumsum(axis=1)[:, falls] for mask in (truth[order, label], 1.0))
            with np.errstate(invalid="ignore", divide="ignore"):
                found[here, label] = area(true, claimed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(found, axis=1))
