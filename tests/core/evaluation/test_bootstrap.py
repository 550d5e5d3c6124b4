"""Draws of groups: equal for all encoders, the same whatever their number, and cheap to store."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mirbench import Clip, ClipMetric, SetMetric
from mirbench.domain.resampling import N_RESAMPLES, draw, resampled_aggregate
from mirbench.evaluation import bootstrap
from mirbench.evaluation.bootstrap import score, score_folds
from mirbench.results.clip_scores import scores_as_json, scores_from_json
from mirbench_key.task import KeyTask

GROUPS = np.arange(30) % 6
CLIPS = [Clip(str(i), Path(), "test", str(group), reference=i) for i, group in enumerate(GROUPS)]
VALUES = np.random.default_rng(0).random(30)
MEAN = ClipMetric("mean", lambda reference, estimate: (float(estimate), 1.0 + reference), "test")
SUM = ClipMetric("sum", lambda reference, estimate: float(estimate), "test", aggregate="sum")
SET = SetMetric(
    "set", lambda references, estimates: float(np.median(estimates)), "test",
    resample=lambda references, estimates, counts: np.array(
        [np.median(np.repeat(estimates, count)) for count in counts]
    ),
)  # fmt: skip


class Scored(KeyTask):
    metrics = (MEAN, SUM, SET)


def of_all_resamples(draws):
    return draws.counts[draws.places]


def test_the_first_resamples_are_the_same_whatever_their_number():
    """Results with 1,000 resamples, of earlier versions, are compared with those of 10,000 in pairs."""
    few, many = draw(19, 3, 1000), draw(19, 3)
    assert len(many.places) == N_RESAMPLES == 10_000
    np.testing.assert_array_equal(of_all_resamples(few), of_all_resamples(many)[:1000])
    earlier = np.random.default_rng(3).multinomial(19, np.full(19, 1 / 19), size=1000)
    np.testing.assert_array_equal(of_all_resamples(few), earlier)


def test_equal_resamples_are_computed_once():
    draws = draw(6, 0)
    assert len(draws.counts) <= 462  # ways in which 6 draws can fall on 6 groups
    assert (draws.counts.sum(axis=1) == 6).all()
    np.testing.assert_array_equal(of_all_resamples(draws)[draws.first], draws.counts)


@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_a_resample_is_the_aggregate_of_its_clips(aggregate):
    draws, weights = draw(6, 0), np.random.default_rng(1).random(30)
    found = resampled_aggregate(VALUES, weights, GROUPS, draws, aggregate)
    for counts, value in zip(draws.counts[:20], found, strict=False):
        drawn = np.repeat(np.arange(30), counts[GROUPS])
        expected = VALUES[drawn].sum() if aggregate == "sum" else np.average(VALUES[drawn], weights=weights[drawn])
        assert value == pytest.approx(expected)


def test_numbers_out_of_range_are_refused():
    """A file of scores that somebody else wrote names them."""
    for n_groups, n_resamples in ((0, 10), (70_000, 10), (5, 0), (5, 10**9)):
        with pytest.raises(ValueError, match="resamples of"):
            draw(n_groups, 0, n_resamples)


def test_resamples_come_back_from_what_is_stored():
    scores = {found.metric.name: found for found in score([Scored()], CLIPS, [list(VALUES)], seed=5)}
    for name, found in scores.items():
        line = json.dumps(scores_as_json(found.scores, found.value))
        again = scores_from_json(json.loads(line), found.value)
        np.testing.assert_allclose(again.resampled, found.scores.resampled, atol=1e-3)
        assert len(again.resampled) == N_RESAMPLES
        assert len(line) < 2000, name  # 10,000 half-precision numbers alone take 26,667
    assert scores_as_json(scores["mean"].scores, 0.0)["resampled"] is None
    assert scores_as_json(scores["set"].scores, 0.0)["resampled"] is not None


def test_resamples_of_another_numpy_are_not_believed():
    found = score([Scored()], CLIPS, [list(VALUES)], seed=5)[2]
    stored = {**scores_as_json(found.scores, found.value), "draws": "0123"}
    with pytest.raises(ValueError, match="'0123' are not those of numpy"):
        scores_from_json(stored, found.value)


def test_means_over_seeds_of_a_probe_are_stored_where_clips_do_not_give_them():
    """Weights that differ between seeds: the mean of two weighted means is no weighted mean of means."""
    metrics = [ClipMetric("mean", lambda r, e, power=power: (float(e), (1.0 + r) ** power), "test") for power in (0, 3)]
    tasks = [type("Of", (KeyTask,), {"metrics": (metric,)})() for metric in metrics]
    [found] = score(tasks, CLIPS, [list(VALUES), list(VALUES)], seed=5)
    again = scores_from_json(scores_as_json(found.scores, found.value), found.value)
    np.testing.assert_allclose(again.resampled, found.scores.resampled, atol=1e-3)


def test_the_interval_of_a_set_is_centred_and_stays_within_bounds():
    """The largest of ten values is smaller in resamples than in the split."""
    largest = SetMetric("max", lambda references, estimates: max(estimates), "test")
    task = type("Of", (KeyTask,), {"metrics": (largest,)})()
    values = np.linspace(0.5, 0.95, 30)
    [found] = score([task], CLIPS, [list(values)], seed=0)
    low, high = np.percentile(found.scores.resampled, [2.5, 97.5])
    bias = found.scores.resampled.mean() - found.value
    assert bias < 0
    assert (found.low, found.high) == pytest.approx((low - bias, min(1.0, high - bias)))
    [perfect] = score([task], CLIPS, [[*values[:-1], 1.0]], seed=0)
    assert perfect.high == 1.0


def test_the_headline_is_computed_for_each_part_of_the_data():
    clips = [replace(clip, part="songs" if i < 18 else "chorales") for i, clip in enumerate(CLIPS)]
    found = score([Scored()], clips, [list(VALUES)], seed=5)
    assert [(each.metric.name, each.metric.label, each.n, each.n_groups) for each in found] == [
        ("mean", "", 30, 6), ("sum", "", 30, 6), ("set", "", 30, 6),
        ("mean", "chorales", 12, 6), ("mean", "songs", 18, 6),
    ]  # fmt: skip
    weights = 1.0 + np.arange(30)
    assert found[3].value == pytest.approx(np.average(VALUES[18:], weights=weights[18:]))
    assert found[4].value == pytest.approx(np.average(VALUES[:18], weights=weights[:18]))
    assert found[3].low < found[3].value < found[3].high
    [alone] = [
        each for each in score([Scored()], clips[18:], [list(VALUES[18:])], seed=5) if each.metric.name == "mean"
    ]
    assert (alone.value, alone.low, alone.high) == (found[3].value, found[3].low, found[3].high)


def test_a_part_that_is_in_one_fold_only_is_scored_there():
    songs, chorales = ([replace(clip, part=part) for clip in some] for part, some in
                       (("songs", CLIPS[:15]), ("chorales", CLIPS[15:])))  # fmt: skip
    tests = [
        bootstrap.Tested(songs, [Scored()], [list(VALUES[:15])], "1"),
        bootstrap.Tested(chorales, [Scored()], [list(VALUES[15:])], "2"),
    ]
    found = {(each.metric.name, each.metric.label): each for each in score_folds(tests, seed=5)}
    assert found["mean", "songs"].of_folds == {"1": found["mean", ""].of_folds["1"]}
