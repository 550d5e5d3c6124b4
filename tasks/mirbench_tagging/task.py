"""Tagging: which of these tags hold for this clip?

The vocabulary is the data set's. References are vectors of 0 and 1 in its order, estimates vectors of probabilities. In
a CSV file the column `tags` lists tags between semicolons.

``macro_roc_auc`` (headline) and ``macro_average_precision`` average scikit-learn's `roc_auc_score` and
`average_precision_score` over tags; ``roc_auc`` and ``average_precision`` are those of each tag. A tag that no clip of
the test split has is left out.
"""

from mirbench.domain import Dataset
from mirbench.evaluation.multilabel import VectorTask, ranking_metrics


class TaggingTask(VectorTask):
    """The tagging task, with the tags of a data set."""

    name = "tagging"
    label_column = "tags"

    def __init__(self, labels: tuple[str, ...] = ()) -> None:
        self.labels = labels
        self.metrics = ranking_metrics(labels, each=True)

    def with_labels_of(self, dataset: Dataset) -> "TaggingTask":
        """Take the vocabulary of a data set."""
        return TaggingTask(dataset.labels)
