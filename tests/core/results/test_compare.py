"""Comparisons: paired over groups, corrected over tasks, silent where there is nothing to say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from mirbench.domain import ClipScores
from mirbench.errors import UsageError
from mirbench.results.compare import compare, holm
from mirbench.results.records import record_id
from tests.samples import RESULT

DRAWS = np.random.default_rng(0).integers(0, 200, (1000, 200))


def result(encoder, task, values, seed=0, version="1"):
    """A result of 200 clips that are independent, and its scores."""
    made = replace(
        RESULT, encoder=encoder, task=task, value=float(values.mean()), is_headline=True, label="", seed=seed,
        dataset_version=version, n_groups=200, metric=f"{task} metric",
    )  # fmt: skip
    return made, ClipScores("clips", values[DRAWS].mean(axis=1), values)


def board(*made):
    return [each for each, _ in made], {record_id(each): scores for each, scores in made}


BASE = np.random.default_rng(1).random(200)


def test_a_small_difference_that_every_clip_shows_is_found_though_intervals_overlap():
    results, scores = board(result("a", "key", BASE + 0.01), result("b", "key", BASE))
    found = compare(results, scores, "a", "b")
    [difference] = found.differences
    assert difference.value == pytest.approx(0.01)
    assert difference.low == pytest.approx(0.01)
    assert difference.is_evidence
    assert found.sentences() == ["a is better than b on key on d (+0.010 [+0.010, +0.010], p = 0.002)."]


def test_noise_is_no_evidence():
    noise = np.random.default_rng(2).standard_normal(200) * 0.1
    results, scores = board(result("a", "key", BASE + noise), result("b", "key", BASE))
    [difference] = compare(results, scores, "a", "b").differences
    assert difference.low < 0 < difference.high
    assert "no evidence of a difference on key" in " ".join(compare(results, scores, "a", "b").sentences())


def test_p_values_hold_what_they_promise():
    """Of comparisons without a difference, one in twenty is called one."""
    random = np.random.default_rng(3)
    n_found = 0
    for _ in range(200):
        results, scores = board(result("a", "key", random.random(200)), result("b", "key", random.random(200)))
        n_found += compare(results, scores, "a", "b").differences[0].is_evidence
    assert binomtest(n_found, 200, 0.05).pvalue > 0.01


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_over_tasks_a_sign_test_counts_who_is_ahead():
    made = [result(name, f"t{i}", BASE + 0.01 * (name == "a")) for i in range(6) for name in "ab"]
    found = compare(*board(*made), "a", "b")
    assert (found.n_ahead, found.n_behind) == (6, 0)
    assert found.p == pytest.approx(2 / 2**6)
    assert "a is ahead overall" in found.sentences()[-1]


def test_what_does_not_pair_up_is_left_out_and_named():
    results, scores = board(
        result("a", "key", BASE), result("b", "key", BASE),
        result("a", "beat", BASE), result("b", "beat", BASE, seed=1),
        result("a", "chord", BASE), result("b", "chord", BASE, version="2"),
        result("a", "tagging", BASE),
        result("a", "anuran", BASE), result("b", "anuran", BASE),
    )  # fmt: skip
    del scores[record_id(results[-1])]
    left_out = compare(results, scores, "a", "b").left_out
    assert "seeds" in left_out["beat on d"]
    assert "versions of the data (1, 2)" in left_out["chord on d"]
    assert left_out["tagging on d"] == "b has no result"
    assert "mirbench run --encoder b --task anuran" in left_out["anuran on d"]


def test_unknown_encoders_are_refused_with_those_that_there_are():
    results, scores = board(result("a", "key", BASE), result("b", "key", BASE))
    with pytest.raises(UsageError, match="no results of encoder 'c' here; there are those of a, b"):
        compare(results, scores, "a", "c")
    with pytest.raises(UsageError, match="nothing to compare"):
        compare(results, {}, "a", "b")
