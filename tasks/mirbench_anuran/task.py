"""Anuran: which species of frogs call in this clip?

The vocabulary is the data set's, and so are the groups of frequent, common and rare species; where a data set names
none, they are made from the number of training clips in AnuraSet's proportions (4, 8 and 30 of 42 species). References
are vectors of 0 and 1, estimates vectors of probabilities. In a CSV file the column `species` lists names between
semicolons.

Metrics
-------
``macro_average_precision`` (headline) averages scikit-learn's `average_precision_score` over species; it needs no
threshold. ``macro_f1_tuned`` averages `f1_score` at a threshold for each species, tuned on the validation split.
``macro_f1_at_0.5`` is the same at a threshold of 0.5 for all species, as published for AnuraSet and Mix2; it depends on
how far regularisation pulls probabilities to zero, so it is no headline here. The three are also given for each group:
``macro_average_precision_rare``, ``macro_f1_tuned_rare`` and so on. Both kinds of F1 are also given for the clips in
which one, two, three, and four or more species call (``macro_f1_tuned_2_labels``), and ``false_alarms_tuned`` and
``false_alarms_at_0.5`` are the shares of the clips without any species for which one is predicted. ``macro_roc_auc`` is
the area under the ROC curve; ``average_precision`` and ``roc_auc`` are those of each species. A species that the test
split lacks is left out, of F1 unless it is claimed.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float64

from mirbench.domain import ClipMetric, Dataset, Metric, Prediction, SetMetric
from mirbench.evaluation.decoders import sigmoid
from mirbench.evaluation.multilabel import (
    VectorTask,
    average_precision,
    by_polyphony,
    f1,
    false_alarm,
    ranking_metrics,
    resampled_average_precision,
    resampled_f1,
)

FIXED_THRESHOLD = 0.5
THRESHOLDS = np.round(np.arange(0.02, 1, 0.02), 2)
SHARES = {"frequent": 4 / 42, "common": 8 / 42, "rare": 30 / 42}  # of AnuraSet's species
Thresholds = Float64[np.ndarray, "label"]
Groups = Mapping[str, tuple[str, ...]]


class AnuranTask(VectorTask):
    """The anuran task, with the species and groups of a data set."""

    name = "anuran"
    label_column = "species"

    def __init__(
        self, labels: tuple[str, ...] = (), groups: Groups = MappingProxyType({}), tuned: Thresholds | None = None
    ) -> None:
        self.labels = labels
        self.groups = groups
        fixed = np.full(len(labels), FIXED_THRESHOLD)
        self.thresholds = fixed if tuned is None else tuned
        roc_auc, precision, *of_each = ranking_metrics(labels, each=True)
        self.metrics: tuple[Metric, ...] = (
            precision,
            *_precision_metrics(labels, groups),
            *_f1_metrics("macro_f1_tuned", labels, groups, self.thresholds),
            *_f1_metrics("macro_f1_at_0.5", labels, groups, fixed),
            *_by_polyphony("tuned", labels, self.thresholds),
            *_by_polyphony("at_0.5", labels, fixed),
            roc_auc,
            *of_each,
        )

    def with_labels_of(self, dataset: Dataset) -> "AnuranTask":
        """Return the task with species and groups of a data set."""
        return AnuranTask(dataset.labels, dataset.label_groups or _by_frequency(dataset))

    def tuned(self, examples: Sequence[Prediction]) -> "AnuranTask":
        """Choose the threshold of each species with the highest F1; 0.5 for those that validation does not have."""
        truth = np.stack([example.reference for example in examples]) > 0.5
        scores = sigmoid(np.stack([example.logits for example in examples]))
        best = [_best_threshold(truth[:, place], scores[:, place]) for place in range(len(self.labels))]
        return AnuranTask(self.labels, self.groups, np.array(best))

    @property
    def decoder(self) -> Mapping[str, Any]:
        """Name the thresholds."""
        return {"thresholds": dict(zip(self.labels, self.thresholds.tolist(), strict=True))}

    def restored(self, decoder: Mapping[str, Any]) -> "AnuranTask":
        """Return the task with the thresholds that were tuned."""
        thresholds = [float(decoder["thresholds"][label]) for label in self.labels]
        return AnuranTask(self.labels, self.groups, np.array(thresholds))


def _precision_metrics(labels: tuple[str, ...], groups: Groups) -> list[SetMetric]:
    places = {group: [labels.index(label) for label in members] for group, members in groups.items() if members}
    return [
        SetMetric(
            f"macro_average_precision_{group}",
            partial(average_precision, places=chosen),
            "scikit-learn average_precision_score",
            resample=partial(resampled_average_precision, places=chosen),
        )
        for group, chosen in places.items()
    ]


def _f1_metrics(name: str, labels: tuple[str, ...], groups: Groups, thresholds: Thresholds) -> list[SetMetric]:
    places = {name: list(range(len(labels)))} | {
        f"{name}_{group}": [labels.index(label) for label in members] for group, members in groups.items() if members
    }
    return [
        SetMetric(
            metric,
            partial(f1, thresholds=thresholds, places=chosen),
            "scikit-learn f1_score",
            resample=partial(resampled_f1, thresholds=thresholds, places=chosen),
        )
        for metric, chosen in places.items()
    ]


def _by_polyphony(name: str, labels: tuple[str, ...], thresholds: Thresholds) -> list[Metric]:
    [macro] = _f1_metrics(f"macro_f1_{name}", labels, {}, thresholds)
    return [
        *by_polyphony(macro),
        ClipMetric(
            f"false_alarms_{name}",
            partial(false_alarm, thresholds=thresholds),
            "mirbench: share of clips without a label for which one is predicted",
            best=0.0,
            worst=1.0,
        ),
    ]


def _best_threshold(truth: np.ndarray, scores: np.ndarray) -> float:
    if not truth.any():
        return FIXED_THRESHOLD
    claims = scores >= THRESHOLDS[:, None]
    f1_scores = 2 * (claims & truth).sum(axis=1) / (claims.sum(axis=1) + truth.sum())
    winners = THRESHOLDS[f1_scores == f1_scores.max()]
    return float(winners[np.abs(winners - FIXED_THRESHOLD).argmin()])


def _by_frequency(dataset: Dataset) -> Groups:
    n_clips = sum((clip.reference for clip in dataset.clips("train")), np.zeros(len(dataset.labels), dtype=np.float32))
    order = [dataset.labels[place] for place in np.argsort(-n_clips, kind="stable")]
    n_frequent, n_common = (max(1, round(share * len(order))) for share in list(SHARES.values())[:2])
    return {
        "frequent": tuple(order[:n_frequent]),
        "common": tuple(order[n_frequent : n_frequent + n_common]),
        "rare": tuple(order[n_frequent + n_common :]),
    }
