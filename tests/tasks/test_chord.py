"""The chord task against mir_eval."""

import mir_eval
import numpy as np
import pytest

from mirbench import TaskSpec
from mirbench.domain import LabelledIntervals, Prediction
from mirbench.testing import checks_of
from mirbench_chord.task import COMPARISONS, ChordTask, class_of, compare, labels_of

TASK = ChordTask()
LABELS = TASK.labels
SCORES = {metric.name: metric.score for metric in TASK.metrics}


def chords(*labels, seconds=1.0):
    starts = np.arange(len(labels)) * seconds
    return LabelledIntervals(np.stack([starts, starts + seconds], axis=1), labels)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("C:maj", "C:maj"), ("C", "C:maj"), ("Db:7", "C#:maj"), ("A#:maj7/3", "Bb:maj"), ("G:min7", "G:min"),
        ("N", "N"),
        ("C:dim", None), ("C:aug", None), ("B:hdim7", None), ("X", None), ("C:sus4", None),
    ],
)  # fmt: skip
def test_a_chord_is_reduced_as_majmin_does(label, expected):
    assert class_of(label) == (LABELS.index(expected) if expected else -1)
    if expected:
        assert mir_eval.chord.majmin([label], [expected])[0] == 1
    else:
        assert mir_eval.chord.majmin([label], ["C:maj"])[0] == -1


def test_there_are_25_classes_that_mir_eval_tells_apart():
    assert len(LABELS) == 25
    assert [class_of(label) for label in LABELS] == list(range(25))


@pytest.mark.parametrize(("vocabulary", "n_classes"), [("triads", 49), ("sevenths", 121)])
def test_larger_vocabularies(vocabulary, n_classes):
    labels = labels_of(vocabulary)
    assert len(labels) == n_classes
    assert [class_of(label, vocabulary) for label in labels] == list(range(n_classes))
    assert class_of("C:sus4", vocabulary) == -1
    for check in checks_of(TaskSpec(name="chord", load=lambda: ChordTask(vocabulary))):
        check()


@pytest.mark.parametrize(
    ("label", "triad", "seventh"),
    [
        ("C:9", "C:maj", "C:7"), ("Db:min9", "C#:min", "C#:min7"), ("B:hdim7", "B:dim", "B:hdim7"),
        ("F:maj6", "F:maj", None), ("F:minmaj7", "F:min", "F:minmaj7"),
    ],
)  # fmt: skip
def test_a_chord_in_larger_vocabularies(label, triad, seventh):
    assert labels_of("triads")[class_of(label, "triads")] == triad
    found = class_of(label, "sevenths")
    assert (labels_of("sevenths")[found] if found >= 0 else None) == seventh


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_scores_are_those_of_mir_eval_unedited(comparison):
    random = np.random.default_rng(0)
    for _ in range(5):
        reference, _ = TASK.example(random)
        estimate, _ = TASK.example(random)
        expected = mir_eval.chord.evaluate(
            reference.intervals, list(reference.labels), estimate.intervals, list(estimate.labels)
        )
        assert compare(reference, estimate, comparison)[0] == expected[comparison]
        assert SCORES["seg"](reference, estimate)[0] == pytest.approx(expected["seg"], abs=1e-12)


def test_a_clip_weighs_what_the_comparison_takes_into_account():
    reference = chords("C:maj", "C:dim", "G:maj", "X")
    assert SCORES["majmin"](reference, chords("C:maj", "N", "N", "N")) == (0.5, 2.0)
    assert SCORES["frame_accuracy"](reference, chords("C:maj", "G:maj", "N", "N")) == (0.5, 2.0)


def test_a_clip_without_a_comparable_chord_weighs_nothing():
    assert SCORES["majmin"](chords("X", "C:dim"), chords("C:maj", "C:maj")) == (0.0, 0.0)


def test_frames_outside_the_vocabulary_have_no_target():
    times = np.array([0.5, 1.5, 2.5, 9.0])
    assert TASK.target(chords("D:min", "X", "N"), times).tolist() == [LABELS.index("D:min"), -1, 24, -1]


def test_the_chain_is_tuned_on_what_it_is_given():
    times = np.arange(200) / 10
    reference = chords("C:maj", "G:maj", seconds=10.0)
    logits = 2 * np.eye(25, dtype=np.float32)[TASK.target(reference, times)]
    logits[::7] = np.random.default_rng(0).permutation(logits[::7], axis=0)
    logits[3::7, 5] += 4  # a wrong label flickers
    tuned = TASK.tuned([Prediction(reference, logits, times, 20.0)])
    assert tuned.decoder["stay"] == tuned.stay
    assert tuned.decode(logits, times, 20.0).labels == ("C:maj", "G:maj")


def test_a_file_of_chords_is_read(tmp_path):
    (tmp_path / "a.lab").write_text("0.0 1.0 C:maj\n1.0\t2.5\tBb:min7\n")
    found = TASK.read_reference("a.lab", tmp_path)
    assert found.labels == ("C:maj", "Bb:min7")
    np.testing.assert_array_equal(found.intervals, [[0, 1], [1, 2.5]])


@pytest.mark.parametrize("text", ["", "0 1 C:m\n", "0 1\n", "a b C:maj\n", "1 0 C:maj\n", "0 1 H:maj\n"])
def test_a_file_that_holds_no_chords_is_refused(tmp_path, text):
    (tmp_path / "a.lab").write_text(text)
    with pytest.raises(ValueError, match=r"a\.lab"):
        TASK.read_reference("a.lab", tmp_path)
