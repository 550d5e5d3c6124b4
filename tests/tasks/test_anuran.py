"""The anuran task: thresholds and groups."""

from pathlib import Path

import numpy as np
import pytest

from mirbench import Clip, Dataset
from mirbench.domain import Prediction
from mirbench.evaluation.bootstrap import score
from mirbench.evaluation.multilabel import POLYPHONIES, by_polyphony, ranking_metrics
from mirbench_anuran.task import AnuranTask

SPECIES = tuple("abcdefghijklmnopqrstu")


class Pond(Dataset):
    name = "pond"
    version = "1"
    labels = SPECIES

    def clips(self, split):
        """Species number k calls in k of the clips."""
        vectors = np.arange(len(SPECIES)) > np.arange(len(SPECIES))[:, None]
        return [Clip(str(i), Path(), split, str(i), row.astype(np.float32)) for i, row in enumerate(vectors)]


def answer(reference, probabilities):
    odds = np.array(probabilities) / (1 - np.array(probabilities))
    return Prediction(np.array(reference, np.float32), np.log(odds).astype(np.float32), np.zeros(1), 3.0)


def test_groups_are_those_of_the_data_set_or_follow_the_number_of_training_clips():
    assert AnuranTask().with_labels_of(Pond()).groups == {
        "frequent": ("u", "t"),
        "common": ("s", "r", "q", "p"),
        "rare": tuple(reversed(SPECIES[:15])),
    }
    published = Pond()
    published.label_groups = {"rare": ("a", "b")}
    assert AnuranTask().with_labels_of(published).groups == {"rare": ("a", "b")}


def test_average_precision_leads_and_f1_is_given_tuned_and_as_published():
    task = AnuranTask(("a", "b"), {"frequent": ("a",), "rare": ("b",)})
    names = [metric.name for metric in task.metrics if not metric.label]
    assert names == [
        "macro_average_precision", "macro_average_precision_frequent", "macro_average_precision_rare",
        "macro_f1_tuned", "macro_f1_tuned_frequent", "macro_f1_tuned_rare",
        "macro_f1_at_0.5", "macro_f1_at_0.5_frequent", "macro_f1_at_0.5_rare",
        *(f"macro_f1_tuned_{number}" for number in POLYPHONIES), "false_alarms_tuned",
        *(f"macro_f1_at_0.5_{number}" for number in POLYPHONIES), "false_alarms_at_0.5", "macro_roc_auc",
    ]  # fmt: skip
    valid = [answer([1, 1], [0.9, 0.3]), answer([0, 1], [0.1, 0.28]), answer([0, 0], [0.2, 0.2])]
    tuned = task.tuned(valid)
    scored = {metric.name: metric for metric in tuned.metrics if not metric.label}
    references = [one.reference for one in valid]
    estimates = [tuned.decode(one.logits, one.times, one.duration) for one in valid]
    assert tuned.thresholds.tolist() == pytest.approx([0.5, 0.28])  # the nearest to a half among the best
    assert scored["macro_f1_at_0.5"].score(references, estimates) == 0.5
    assert scored["macro_f1_at_0.5_rare"].score(references, estimates) == 0
    assert scored["macro_f1_tuned"].score(references, estimates) == 1
    assert scored["macro_average_precision_rare"].score(references, estimates) == 1  # no threshold


def test_clips_are_scored_by_the_number_of_species_that_call():
    task = AnuranTask(("a", "b"))
    references = [np.array(row, np.float32) for row in ([1, 0], [0, 1], [1, 1], [0, 0], [0, 0])]
    estimates = [np.array(row, np.float32) for row in ([0.9, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.6], [0.2, 0.3])]
    found = {score.metric.name: score.value for score in score([task], clips_of(references), [estimates], seed=0)}
    assert found["macro_f1_at_0.5_1_label"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["macro_f1_at_0.5_2_labels"] == 1
    assert found["false_alarms_at_0.5"] == 0.5
    assert "macro_f1_at_0.5_3_labels" not in found  # no clip has three


def clips_of(references):
    return [Clip(str(i), Path(), "test", str(i), reference) for i, reference in enumerate(references)]


def test_resamples_by_polyphony_are_those_of_the_definition():
    """A second computation: the metric of the drawn clips, one resample after the other."""
    random = np.random.default_rng(0)
    references = [(random.random(6) < 0.4).astype(np.float32) for _ in range(60)]
    estimates = [np.clip(each * 0.4 + random.random(6) * 0.6, 0, 1).astype(np.float32) for each in references]
    counts = random.multinomial(60, np.full(60, 1 / 60), size=20)
    for metric in by_polyphony(ranking_metrics(tuple("abcdef"), each=False)[1]):
        drawn = [np.repeat(np.arange(60), count) for count in counts]
        expected = [metric.score([references[i] for i in own], [estimates[i] for i in own]) for own in drawn]
        np.testing.assert_allclose(metric.resample(references, estimates, counts), expected)


def test_a_species_that_validation_does_not_have_keeps_the_fixed_threshold():
    assert AnuranTask(("a",)).tuned([answer([0], [0.9])]).thresholds.tolist() == [0.5]
