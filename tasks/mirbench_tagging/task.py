"""Tagging: which of these tags hold for this clip?

The vocabulary is the data set's. References are vectors of 0 and 1 in its order, estimates vectors of probabilities. In
a CSV file the column `tags` lists tags between semicolons.

``macro_roc_auc`` (headline) and ``macro_average_precision`` average scikit-learn's `roc_auc_score` and
`average_precision_score` over tags; ``roc_auc`` and ``average_precision`` are those of each tag. A tag that no clip of
the test split has is left out. ``macro_roc_auc_2_labels`` and the like are over the clips with one, two, three, and
four or more tags, where there are any.

Where every clip of a data set has exactly one tag (instruments, genres, classes), ``accuracy`` is the share of clips
whose tag has the highest probability, as published for such data sets: scikit-learn's `accuracy_score` of the
highest-scored tags. The probe still learns each tag by itself.
"""

import numpy as np
from jaxtyping import Float32

from mirbench.domain import SPLITS, ClipMetric, Dataset, Metric
from mirbench.evaluation.multilabel import VectorTask, by_polyphony, ranking_metrics


def is_right(reference: Float32[np.ndarray, "label"], estimate: Float32[np.ndarray, "label"]) -> float:
    """Return 1 if the tag with the highest probability (the first of equal ones) is the annotated one, else 0."""
    return float(reference[int(estimate.argmax())] > 0.5)


ACCURACY = ClipMetric("accuracy", is_right, "scikit-learn accuracy_score of the highest-scored tags")


class TaggingTask(VectorTask):
    """The tagging task, with the tags of a data set."""

    name = "tagging"
    label_column = "tags"

    def __init__(self, labels: tuple[str, ...] = (), *, has_one_each: bool = False) -> None:
        self.labels = labels
        macro_auc, macro_precision, *of_each = ranking_metrics(labels, each=True)
        accuracy = (ACCURACY,) if has_one_each else ()
        self.metrics: tuple[Metric, ...] = (
            macro_auc,
            macro_precision,
            *accuracy,
            *(() if has_one_each else by_polyphony(macro_auc)),
            *of_each,
        )

    def with_labels_of(self, dataset: Dataset) -> "TaggingTask":
        """Return the task with the vocabulary of a data set; it has `accuracy` if each clip has one tag."""
        n_tags = {int(clip.reference.sum()) for split in SPLITS for clip in dataset.clips(split)}
        return TaggingTask(dataset.labels, has_one_each=n_tags == {1})
