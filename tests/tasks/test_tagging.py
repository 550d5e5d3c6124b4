"""The tagging task: accuracy where each clip has one tag."""

from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score

from mirbench import Clip, Dataset
from mirbench_tagging.task import TaggingTask

TAGS = ("drums", "flute", "voice")


class Sounds(Dataset):
    name = "sounds"
    version = "1"
    labels = TAGS

    def __init__(self, vectors):
        self.vectors = vectors

    def clips(self, split):
        return [Clip(str(i), Path(), split, str(i), np.array(row, np.float32)) for i, row in enumerate(self.vectors)]


def names(task):
    return [metric.name for metric in task.metrics if not metric.label]


def test_accuracy_is_given_where_each_clip_has_one_tag():
    one_each = TaggingTask().with_labels_of(Sounds([[1, 0, 0], [0, 0, 1]]))
    assert names(one_each) == ["macro_roc_auc", "macro_average_precision", "accuracy"]
    assert "accuracy" not in names(TaggingTask().with_labels_of(Sounds([[1, 0, 0], [0, 1, 1]])))
    assert "accuracy" not in names(TaggingTask().with_labels_of(Sounds([[1, 0, 0], [0, 0, 0]])))


def test_accuracy_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 50)
    estimates = [(np.eye(3)[label] * 0.6 + random.random(3)).astype(np.float32) for label in truth]
    task = TaggingTask().with_labels_of(Sounds(np.eye(3)[truth]))
    [metric] = [metric for metric in task.metrics if metric.name == "accuracy"]
    found = [
        metric.score(np.eye(3, dtype=np.float32)[label], each) for label, each in zip(truth, estimates, strict=True)
    ]
    assert 0.4 < np.mean(found) < 1
    assert np.mean(found) == accuracy_score(truth, [each.argmax() for each in estimates])
