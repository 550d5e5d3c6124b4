"""The nouns: clip, features, encoder, data set, task, metric, result.

Times are in seconds. Audio is mono float32 in [-1, 1]. The axes are named batch, samples, layer, time, dim, label.
"""

from mirbench.domain.dataset import SPLITS, Clip, Dataset, LabelledIntervals, Split
from mirbench.domain.encoder import MEAN_OF_TOKENS, POOLED, Audio, Encoder, Features, Scope
from mirbench.domain.result import LEAVE_GROUP_OUT, ClipScores, Result
from mirbench.domain.sensor import Sensor
from mirbench.domain.task import (
    SHORTEST_PART,
    ClipMetric,
    Confusion,
    Counts,
    Metric,
    Prediction,
    SetMetric,
    Target,
    Task,
)

__all__ = [
    "LEAVE_GROUP_OUT",
    "MEAN_OF_TOKENS",
    "POOLED",
    "SHORTEST_PART",
    "SPLITS",
    "Audio",
    "Clip",
    "ClipMetric",
    "ClipScores",
    "Confusion",
    "Counts",
    "Dataset",
    "Encoder",
    "Features",
    "LabelledIntervals",
    "Metric",
    "Prediction",
    "Result",
    "Scope",
    "Sensor",
    "SetMetric",
    "Split",
    "Target",
    "Task",
]
