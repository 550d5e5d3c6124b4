"""The key task against mir_eval."""

from pathlib import Path

import mir_eval
import numpy as np
import pytest

from mirbench_key.task import KeyTask, key_signature, weighted_score, weighted_score_descending_fifths

TASK = KeyTask()
SCORES = {metric.name: metric.score for metric in TASK.metrics}
COUNTED = ("accuracy", "fifth_errors", "relative_errors", "parallel_errors", "other_errors")


def test_the_pinned_version_of_mir_eval_is_installed():
    assert mir_eval.__version__ == "0.8.2"


@pytest.mark.parametrize(
    ("reference", "estimate", "score", "kind"),
    [
        ("C major", "C major", 1.0, "accuracy"),
        ("C# minor", "Db minor", 1.0, "accuracy"),
        ("C major", "G major", 0.5, "fifth_errors"),  # a fifth up
        ("C major", "F major", 0.0, "other_errors"),  # a fifth down: 0 in mir_eval 0.8.2
        ("C major", "A minor", 0.3, "relative_errors"),
        ("A minor", "C major", 0.3, "relative_errors"),
        ("C major", "C minor", 0.2, "parallel_errors"),
        ("C major", "E major", 0.0, "other_errors"),
        ("C major", "", 0.0, "other_errors"),
    ],
)
def test_golden_scores(reference, estimate, score, kind):
    assert weighted_score(reference, estimate) == score
    counted = {name for name, metric in SCORES.items() if name in COUNTED and metric(reference, estimate)}
    assert counted == {kind}


@pytest.mark.parametrize("reference", TASK.labels)
def test_descending_fifths_count_half_and_nothing_else_changes(reference):
    n_changed = 0
    for estimate in (*TASK.labels, ""):
        ascending, both = weighted_score(reference, estimate), weighted_score_descending_fifths(reference, estimate)
        if ascending != both:
            n_changed += 1
            tonic, mode = mir_eval.key.split_key_string(reference)
            assert mir_eval.key.split_key_string(estimate) == ((tonic - 7) % 12, mode)
            assert (ascending, both) == (0.0, 0.5)
    assert n_changed == 1


def test_the_headline_counts_ascending_fifths():
    assert [metric.name for metric in TASK.metrics[:2]] == ["weighted_score", "weighted_score_descending_fifths"]


def test_there_are_24_labels_and_mir_eval_knows_each():
    assert len(TASK.labels) == 24
    assert {mir_eval.key.split_key_string(label) for label in TASK.labels} == {
        (tonic, mode) for tonic in range(12) for mode in ("major", "minor")
    }


@pytest.mark.parametrize("label", TASK.labels)
def test_target_and_decode_are_a_pair(label):
    target = TASK.target(label, np.zeros(1))
    logits = np.eye(24, dtype=np.float32)[int(target)]
    assert TASK.decode(logits, np.zeros(1), 20.0) == label


@pytest.mark.parametrize(
    ("text", "label"), [("Db major", "C# major"), ("g# minor", "Ab minor"), ("A# major", "Bb major")]
)
def test_other_spellings_are_the_same_key(text, label):
    assert TASK.read_reference(text, Path()) == label


@pytest.mark.parametrize("text", ["C", "C:maj", "Cb major", "X", "C other", "", "C Major"])
def test_what_mir_eval_does_not_know_is_refused(text):
    with pytest.raises(ValueError, match="key"):
        TASK.read_reference(text, Path())


@pytest.mark.parametrize(
    ("reference", "estimate", "expected"),
    [
        ("C major", "C major", 1), ("C major", "A minor", 1), ("C major", "G major", 0.5), ("C major", "F major", 0.5),
        ("C major", "D minor", 0.5), ("C major", "C minor", 0), ("C major", "D major", 0), ("F# minor", "A major", 1),
        ("C major", "", 0),
    ],
)  # fmt: skip
def test_key_signatures_a_fifth_away_count_half(reference, estimate, expected):
    assert key_signature(reference, estimate) == expected
