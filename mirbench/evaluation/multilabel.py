"""Tasks whose answers are label vectors, and their metrics.

References are 0 or 1, estimates scores, both float32 [label]. A label that no clip has (or, for the area under the
curve, that every clip has) is left out of a macro average.

The values of metrics are scikit-learn's. For the intervals, the same definitions are worked out for all resamples
together; a test holds both to be equal.
"""

import warnings
from collections.abc import Callable, Sequence
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


class VectorTask(Task):
    """A task in which any of a data set's labels can hold for a clip.

    In a CSV file the label column lists them between semicolons; an empty cell means that none holds.
    """

    scope = "clip"
    objective = "multilabel"

    def labels_in(self, text: str, folder: Path) -> tuple[str, ...]:
        """Name the labels in a cell."""
        return tuple(label.strip() for label in text.split(";") if label.strip())

    def read_reference(self, text: str, folder: Path) -> Vector:
        """Read a cell of labels."""
        found = self.labels_in(text, folder)
        unknown = sorted(set(found) - set(self.labels))
        if unknown:
            raise ValueError(f"unknown label {', '.join(unknown)}; expected some of {', '.join(self.labels)}")
        return np.array([label in found for label in self.labels], dtype=np.float32)

    def target(self, reference: Vector, times: Float64[np.ndarray, "time"]) -> Vector:
        """Give the vector itself."""
        return reference

    def decode(self, logits: Vector, times: Float64[np.ndarray, "time"], duration: float) -> Vector:
        """Give the probability of every label."""
        return sigmoid(logits).astype(np.float32)

    def empty(self) -> Vector:
        """Give no label any probability."""
        return np.zeros(len(self.labels), dtype=np.float32)

    def example(self, random: np.random.Generator) -> tuple[Vector, float]:
        """Draw labels."""
        return (random.random(len(self.labels)) < 0.4).astype(np.float32), 20.0


def roc_auc(references: Vectors, estimates: Vectors, *, places: Places = ALL) -> float:
    """Average the areas under the ROC curves; nan without a label that some clips have and some have not."""
    from sklearn.metrics import roc_auc_score

    truth, scores = _stacked(references, estimates, places)
    mixed = truth.any(axis=0) & ~truth.all(axis=0)
    return float(np.mean([roc_auc_score(truth[:, k], scores[:, k]) for k in np.flatnonzero(mixed)] or np.nan))


def average_precision(references: Vectors, estimates: Vectors, *, places: Places = ALL) -> float:
    """Average the average precisions; nan without a label that some clip has."""
    from sklearn.metrics import average_precision_score

    truth, scores = _stacked(references, estimates, places)
    known = truth.any(axis=0)
    return float(np.mean([average_precision_score(truth[:, k], scores[:, k]) for k in np.flatnonzero(known)] or np.nan))


def f1(
    references: Vectors, estimates: Vectors, *, thresholds: Float64[np.ndarray, "label"], places: Places = ALL
) -> float:
    """Average F1; a label that is neither there nor claimed in any clip is left out."""
    from sklearn.metrics import f1_score

    truth, scores = _stacked(references, estimates, places)
    claims = scores >= thresholds[places]
    known = (truth | claims).any(axis=0)
    return float(np.mean([f1_score(truth[:, k], claims[:, k]) for k in np.flatnonzero(known)] or np.nan))


def resampled_roc_auc(references: Vectors, estimates: Vectors, counts: Counts, *, places: Places = ALL) -> PerResample:
    """Work out `roc_auc` in every resample."""

    def area(true: np.ndarray, claimed: np.ndarray) -> np.ndarray:
        false = claimed - true
        width = np.diff(false, axis=1, prepend=0)
        height = true - np.diff(true, axis=1, prepend=0) / 2
        return np.asarray((width * height).sum(axis=1) / (true[:, -1] * false[:, -1]))

    return _over_labels(*_stacked(references, estimates, places), counts, area)


def resampled_average_precision(
    references: Vectors, estimates: Vectors, counts: Counts, *, places: Places = ALL
) -> PerResample:
    """Work out `average_precision` in every resample."""

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
    """Work out `f1` in every resample."""
    truth, scores = _stacked(references, estimates, places)
    claims = scores >= thresholds[places]
    hits, n_true, n_claimed = (counts @ each.astype(np.float64) for each in (truth & claims, truth, claims))
    return macro_f1(hits, n_true, n_claimed)


def macro_f1(
    hits: Float64[np.ndarray, "resample label"],
    n_true: Float64[np.ndarray, "resample label"],
    n_claimed: Float64[np.ndarray, "resample label"],
) -> PerResample:
    """Average 2 hits / (true + claimed) over labels; those without either are left out."""
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample without any label gives nan
        return np.asarray(np.nanmean(2 * hits / (n_true + n_claimed), axis=1))


def ranking_metrics(labels: tuple[str, ...], *, each: bool) -> tuple[SetMetric, ...]:
    """Make macro ROC-AUC and macro average precision and, if asked, those of each label."""
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
    """Average an area over labels; `area` is told how many clips are true, and claimed, at each distinct score."""
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
