"""Metrics of label vectors: scikit-learn's values, in every resample too."""

from pathlib import Path

import numpy as np
import pytest

from mirbench.evaluation import multilabel
from mirbench_tagging.task import TaggingTask

RANDOM = np.random.default_rng(0)
N_CLIPS, LABELS = 40, ("a", "b", "c", "d")
TRUTH = [(RANDOM.random(4) < (0.5, 0.3, 0.1, 0.05)).astype(np.float32) for _ in range(N_CLIPS)]
SCORES = [np.round(0.4 * truth + 0.6 * RANDOM.random(4), 1).astype(np.float32) for truth in TRUTH]  # with many ties
THRESHOLDS = np.array([0.5, 0.3, 0.7, 0.5])
COUNTS = RANDOM.multinomial(N_CLIPS, np.full(N_CLIPS, 1 / N_CLIPS), size=150).astype(np.int64)


@pytest.mark.parametrize(
    ("score", "resampled"),
    [
        (multilabel.roc_auc, multilabel.resampled_roc_auc),
        (multilabel.average_precision, multilabel.resampled_average_precision),
    ],
    ids=["roc_auc", "average_precision"],
)
@pytest.mark.parametrize("places", [slice(None), [3], [0, 2]], ids=str)
def test_every_resample_has_the_value_of_scikit_learn(score, resampled, places):
    draws = [np.repeat(np.arange(N_CLIPS), count) for count in COUNTS]
    expected = [score([TRUTH[i] for i in draw], [SCORES[i] for i in draw], places=places) for draw in draws]
    np.testing.assert_allclose(resampled(TRUTH, SCORES, COUNTS, places=places), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("places", [[0, 1, 2, 3], [3], [0, 2]], ids=str)
def test_f1_of_a_resample_is_that_of_scikit_learn_over_the_labels_that_it_has(places):
    resampled = multilabel.resampled_f1(TRUTH, SCORES, COUNTS, thresholds=THRESHOLDS, places=places)
    n_missing = 0
    for counts, value in zip(COUNTS, resampled, strict=True):
        draw = np.repeat(np.arange(N_CLIPS), counts)
        truth, scores = [TRUTH[i] for i in draw], [SCORES[i] for i in draw]
        there = [place for place in places if np.stack(truth)[:, place].any()]
        n_missing += len(places) - len(there)
        expected = multilabel.f1(truth, scores, thresholds=THRESHOLDS, places=there) if there else np.nan
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)
    assert n_missing or 3 not in places


def test_a_label_that_the_test_split_never_has_counts_in_resamples_as_in_the_value():
    truth = [np.array([1, 0], np.float32)] * 3
    claimed = [np.ones(2, np.float32)] * 3
    counts = np.array([[1, 1, 1], [3, 0, 0]])
    found = multilabel.resampled_f1(truth, claimed, counts, thresholds=np.full(2, 0.5))
    assert found.tolist() == [0.5, 0.5] == [multilabel.f1(truth, claimed, thresholds=np.full(2, 0.5))] * 2


def test_macro_averages_by_hand():
    truth = [np.array(row, dtype=np.float32) for row in ([1, 0], [0, 0], [1, 1])]
    scores = [np.array(row, dtype=np.float32) for row in ([0.9, 0.2], [0.5, 0.8], [0.4, 0.6])]
    assert multilabel.roc_auc(truth, scores) == pytest.approx((0.5 + 0.5) / 2)
    assert multilabel.average_precision(truth, scores) == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert multilabel.f1(truth, scores, thresholds=np.full(2, 0.5)) == pytest.approx((0.5 + 2 / 3) / 2)


def test_a_label_that_no_clip_has_is_left_out_of_the_average():
    truth = [np.array([1, 0], np.float32), np.array([0, 0], np.float32)]
    scores = [np.array([0.9, 0.1], np.float32), np.array([0.1, 0.1], np.float32)]
    assert multilabel.roc_auc(truth, scores) == multilabel.average_precision(truth, scores) == 1
    assert multilabel.f1(truth, scores, thresholds=np.full(2, 0.5)) == 1
    assert np.isnan(multilabel.roc_auc(truth, scores, places=[1]))


def test_a_label_that_is_claimed_but_never_there_counts_as_wrong():
    truth = [np.array([1, 0], np.float32)] * 2
    assert multilabel.f1(truth, [np.ones(2, np.float32)] * 2, thresholds=np.full(2, 0.5)) == 0.5


def test_tags_are_read_from_a_cell():
    task = TaggingTask(("drums", "voice"))
    assert task.read_reference(" voice ; drums", Path()).tolist() == [1, 1]
    assert task.read_reference("", Path()).tolist() == [0, 0]
    with pytest.raises(ValueError, match="unknown label flute; expected some of drums, voice"):
        task.read_reference("flute;voice", Path())
