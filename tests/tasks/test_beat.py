"""The beat task against mir_eval."""

import warnings

import mir_eval
import numpy as np
import pytest

from mirbench.domain import Prediction
from mirbench_beat.task import BeatTask

TASK = BeatTask()
SCORES = {metric.name: metric.score for metric in TASK.metrics}
BEATS = np.arange(0.5, 20, 0.5)


def test_scores_are_those_of_mir_eval_unedited():
    random = np.random.default_rng(0)
    for _ in range(10):
        estimate = np.sort(BEATS + random.normal(0, 0.05, len(BEATS)))[random.random(len(BEATS)) > 0.2]
        expected = mir_eval.beat.evaluate(BEATS, estimate)
        assert SCORES["f_measure"](BEATS, estimate) == mir_eval.beat.f_measure(BEATS, estimate)
        assert SCORES["f_measure_trimmed"](BEATS, estimate) == expected["F-measure"]
        assert SCORES["cemgil"](BEATS, estimate) == mir_eval.beat.cemgil(BEATS, estimate)[0]
        assert SCORES["p_score"](BEATS, estimate) == mir_eval.beat.p_score(BEATS, estimate)
        assert SCORES["amlt"](BEATS, estimate) == mir_eval.beat.continuity(BEATS, estimate)[3]


@pytest.mark.parametrize(("metric", "score"), [("f_measure", 2 / 3), ("cmlt", 0.0), ("amlt", 1.0)])
def test_half_tempo(metric, score):
    assert SCORES[metric](BEATS, BEATS[::2]) == pytest.approx(score, abs=0.02)


def test_exactly_70_ms_is_a_hit():
    assert SCORES["f_measure"](BEATS, BEATS + 0.0699) == 1.0
    assert SCORES["f_measure"](BEATS, BEATS + 0.0701) == 0.0


@pytest.mark.parametrize("rate", [2.0, 5.0, 50.0, 100.0])
def test_targets_are_35_ms_wide_whatever_the_frame_rate(rate):
    times = np.arange(int(3 * rate)) / rate
    beats = np.array([0.0, 1.005])
    target = TASK.target(beats, times)[:, 0]
    distances = np.abs(times[:, None] - beats).min(axis=1)
    nearest = {int(np.abs(times - beat).argmin()) for beat in beats}
    assert set(np.flatnonzero(target)) == set(np.flatnonzero(distances <= 0.035)) | nearest
    assert {int(place) for place in np.flatnonzero(target == 1)} == nearest
    assert target[target > 0].min() >= 0.5


def test_the_threshold_is_tuned_on_what_it_is_given():
    times = np.arange(1000) / 50
    logits = 2 * TASK.target(BEATS, times) - 3  # the highest activation is 0.27
    tuned = BeatTask("peaks").tuned([Prediction(BEATS, logits, times, 20.0)])
    assert tuned.threshold <= 0.27
    assert SCORES["f_measure"](BEATS, tuned.decode(logits, times, 20.0)) == 1.0
    assert tuned.decoder["threshold"] == tuned.threshold


def test_a_file_of_beats_is_read(tmp_path):
    (tmp_path / "a.beats").write_text("0.5 1\n1.0\t2\n1.5,3\n\n")
    np.testing.assert_array_equal(TASK.read_reference("a.beats", tmp_path), [0.5, 1.0, 1.5])


@pytest.mark.parametrize("text", ["1.0\n0.5\n", "one\n", "-1\n0\n", "nan\n"])
def test_a_file_that_holds_no_beats_is_refused(tmp_path, text):
    (tmp_path / "a.beats").write_text(text)
    with pytest.raises(ValueError, match=r"a\.beats"):
        TASK.read_reference("a.beats", tmp_path)


def odd_beats(random):
    """Beats of any number, tempo, offset and jitter; close together, on the grid of 10 ms, or far apart."""
    n = int(random.integers(0, 60))
    beats = np.cumsum(random.uniform(0.2, 1.0) * random.uniform(0.6, 1.4, size=n))
    beats = beats + random.choice([0.0, 0.004, random.uniform(0, 30)])
    if random.random() < 0.3:
        beats = np.round(beats, 2)
    if random.random() < 0.1:
        beats = beats / random.choice([50, 1000])  # pulses that share a sample
    return np.unique(beats)


def test_p_score_is_mir_evals_to_the_last_digit():
    random = np.random.default_rng(0)
    n_odd = 0
    for _ in range(3000):
        reference, estimate = odd_beats(random), odd_beats(random)
        if random.random() < 0.5:
            estimate = np.unique(
                np.abs(reference + random.choice([0.0, 0.01, 0.05]) * random.standard_normal(len(reference)))
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = mir_eval.beat.p_score(reference, estimate)
            except ValueError:  # all reference beats in one sample: no tempo
                n_odd += 1
                with pytest.raises(ValueError, match="NaN"):
                    SCORES["p_score"](reference, estimate)
                continue
        assert SCORES["p_score"](reference, estimate) == expected
    assert n_odd < 100
