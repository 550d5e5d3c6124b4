"""The hospital task: filters and thresholds, and sed_eval's counts."""

import numpy as np
import pytest

from mirbench.domain import LabelledIntervals, Prediction
from mirbench_hospital import metrics
from mirbench_hospital.task import HospitalTask, Rule

LABELS = ("alarm", "door", "steps")
TIMES = (np.arange(500) + 0.5) / 50
TASK = HospitalTask(LABELS)


def events(*rows):
    return LabelledIntervals(np.array([row[:2] for row in rows], float).reshape(-1, 2), tuple(row[2] for row in rows))


def detected(*rows, task=TASK):
    logits = 20 * (2 * task.target(events(*rows), TIMES) - 1)
    return task.decode(logits, TIMES, 10.0)


def score(name, reference, estimate, label=""):
    [metric] = [metric for metric in TASK.metrics if (metric.name, metric.label) == (name, label)]
    if hasattr(metric, "resample"):
        return metric.score([reference], [estimate])
    return metric.score(reference, estimate)


REFERENCE = events((1, 2, "alarm"), (4.5, 5.5, "door"), (7, 8.5, "alarm"))


def test_events_come_back_from_their_frames():
    found = detected((1, 2, "alarm"), (4.5, 5.5, "door"), (4.7, 9, "steps"))
    np.testing.assert_allclose(found.intervals, [[1, 2], [4.5, 5.5], [4.7, 9]], atol=1e-6)
    assert found.labels == ("alarm", "door", "steps")


def test_an_event_shorter_than_a_frame_still_has_a_target():
    assert TASK.target(events((3.001, 3.002, "door")), TIMES).sum() == 1


def test_a_perfect_answer_scores_one():
    estimate = detected((1, 2, "alarm"), (4.5, 5.5, "door"), (7, 8.5, "alarm"))
    for name in ("segment_f1", "event_f1", "macro_segment_f1", "macro_event_f1", "macro_average_precision"):
        assert score(name, REFERENCE, estimate) == 1
    assert score("presence_error", REFERENCE, estimate) == pytest.approx(0)


def test_segments_by_hand():
    """Alarm is there in seconds 1, 7 and 8, the door in 4 and 5; heard: alarm in 1 and 2, no door."""
    estimate = detected((1.2, 2.5, "alarm"))
    assert score("segment_f1", REFERENCE, estimate) == pytest.approx(2 * 1 / (5 + 2))
    assert score("segment_f1", REFERENCE, estimate, "alarm") == pytest.approx(2 * 1 / (3 + 2))


def test_a_label_that_is_never_claimed_scores_0_in_the_macro_average():
    """sed_eval's own average leaves it out, so that silence about hard labels would pay."""
    from sed_eval.sound_event import SegmentBasedMetrics

    estimate = detected((1, 2, "alarm"), (7, 8.5, "alarm"))
    theirs = SegmentBasedMetrics(list(LABELS), time_resolution=1.0)
    theirs.evaluate(metrics._as_list(REFERENCE), metrics._as_list(estimate), evaluated_length_seconds=10.0)
    assert theirs.results_class_wise_average_metrics()["f_measure"]["f_measure"] == 1
    assert score("macro_segment_f1", REFERENCE, estimate) == 0.5


@pytest.mark.parametrize(("shift", "hit"), [(0.19, 1), (0.21, 0)])
def test_the_collar_of_an_onset_is_200_ms(shift, hit):
    reference, estimate = events((1, 3, "door")), events((1 + shift, 3, "door"))
    assert score("event_f1", reference, estimate) == hit


def test_presence_error_by_hand():
    estimate = detected((1, 4, "alarm"))
    assert score("presence_error", REFERENCE, estimate, "alarm") == pytest.approx((3 - 2.5) / 10)
    assert score("presence_error", REFERENCE, estimate) == pytest.approx((0.05 + 0.1 + 0) / 3)


@pytest.mark.parametrize("kind", ["segment", "event"])
def test_every_resample_has_the_value_of_sed_eval(kind):
    random = np.random.default_rng(0)
    references = [TASK.example(random)[0] for _ in range(12)]
    estimates = [
        TASK.decode((TASK.target(each, TIMES) * 4 + random.normal(-2, 2.5, (500, 3))).astype(np.float32), TIMES, 10.0)
        for each in references
    ]
    counts = random.multinomial(12, np.full(12, 1 / 12), size=20).astype(np.int64)
    [metric] = [metric for metric in TASK.metrics if (metric.name, metric.label) == (f"{kind}_f1", "")]
    draws = [np.repeat(np.arange(12), count) for count in counts]
    expected = [metric.score([references[i] for i in draw], [estimates[i] for i in draw]) for draw in draws]
    np.testing.assert_allclose(metric.resample(references, estimates, counts), expected, rtol=0, atol=1e-12)
    assert 0.1 < expected[0] < 0.9


def test_a_label_that_a_resample_lacks_is_left_out_of_it():
    """Alarms are found in the first clip; the door of the second is claimed in the first, too."""
    references = [events((1, 2, "alarm")), events((4.5, 5.5, "door"))]
    estimates = [detected((1, 2, "alarm"), (6, 7, "door")), detected((4.5, 5.5, "door"))]
    [metric] = [metric for metric in TASK.metrics if metric.name == "macro_segment_f1"]
    found = metric.resample(references, estimates, np.array([[2, 0], [1, 1]]))
    assert found.tolist() == [1.0, metric.score(references, estimates)]


def test_filter_and_threshold_are_tuned_for_each_label():
    """A door that is faint and steady, and alarms among short false ones."""
    random = np.random.default_rng(1)
    answers = []
    for _ in range(8):
        onset = random.uniform(1, 6)
        reference = events((onset, onset + 2.5, "alarm"), (onset, onset + 2.5, "door"))
        target = TASK.target(reference, TIMES)
        logits = np.full((500, 3), -6.0, np.float32)
        logits[target[:, 0] > 0, 0] = 3
        logits[random.integers(0, 500, 60), 0] = 3  # single frames
        logits[target[:, 1] > 0, 1] = -1
        answers.append(Prediction(reference, logits, TIMES, 10.0))
    tuned = TASK.tuned(answers)
    assert tuned.rules[0].seconds >= 0.1
    assert tuned.rules[1].threshold < 0.27
    assert tuned.rules[2] == Rule()
    found = tuned.decode(answers[0].logits, TIMES, 10.0)
    assert sorted(found.labels) == ["alarm", "door"]


def test_events_are_read_from_a_file(tmp_path):
    (tmp_path / "a.txt").write_text("4.5\t5.5\tdoor\n1,2,alarm\n")
    (tmp_path / "none.txt").write_text("")
    (tmp_path / "bad.txt").write_text("1 0.5 door\n")
    read = TASK.read_reference("a.txt", tmp_path)
    assert read.labels == ("alarm", "door")
    assert TASK.labels_in("a.txt", tmp_path) == ("alarm", "door")
    assert len(TASK.read_reference("none.txt", tmp_path).labels) == 0
    odd = {"bad.txt": "bad.txt:1: ends at 0.5 s, starts at 1 s", "missing.txt": "No such file", ".": "expected"}
    for name, message in odd.items():
        with pytest.raises(ValueError, match=message):
            TASK.read_reference(name, tmp_path)


def test_audacitys_labels_keep_their_commas_and_frequencies_are_passed_over(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeff1.0\t2.0\tbeep, loud\n\\\t100.0\t2000.0\n", encoding="utf-8")
    read = TASK.labels_in("a.txt", tmp_path)
    assert read == ("beep, loud",)
    (tmp_path / "b.txt").write_text("0,5\t2,0\tbeep\n")
    with pytest.raises(ValueError, match="b.txt:1"):
        TASK.labels_in("b.txt", tmp_path)
