"""Comparisons: paired over groups, corrected over tasks, silent where there is nothing to say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from mirbench.domain import ClipScores
from mirbench.domain.resampling import draw, resampled_aggregate
from mirbench.errors import UsageError
from mirbench.results.compare import compare, compare_all, holm
from mirbench.results.records import record_id
from mirbench.results.variants import add_variants
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
    assert found.sentences() == ["a is better than b on key on d (+0.010 [+0.010, +0.010], p <= 0.0024)."]


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


def grouped(encoder, values, seed=0, task="key"):
    """A result of clips in as many groups as there are rows, and its scores by the draws that mirbench makes."""
    n_groups, size = values.shape
    groups, draws = np.repeat(np.arange(n_groups), size), draw(n_groups, 0)
    flat = values.reshape(-1)
    made = replace(RESULT, encoder=encoder, task=task, value=float(flat.mean()), n_groups=n_groups)
    resampled = resampled_aggregate(flat, np.ones(len(flat)), groups, draws, "mean")[draws.places]
    return made, ClipScores("clips", resampled, flat, np.ones(len(flat)), groups, 0, "mean")


@pytest.mark.parametrize(("n_groups", "is_claimed"), [(6, False), (7, False), (8, True)])
def test_few_groups_carry_no_claim(n_groups, is_claimed):
    """Six tasks, 8 groups: 6 x 2 / 2^8 = .047. It does not help to name one task only."""
    base = np.random.default_rng(1).random((n_groups, 5))
    found = compare(*board(grouped("a", base + 0.2), grouped("b", base)), "a", "b")
    text = " ".join(found.sentences())
    assert found.differences[0].is_evidence == is_claimed
    assert ("a is better than b" in text) == is_claimed
    if not is_claimed:
        floor = 2.0 ** (1 - n_groups)
        assert f"No claim on key on d (+0.200 [+0.200, +0.200]): an exact test over {n_groups} groups" in text
        assert f"cannot go below p = {floor:.3f}" in text


@pytest.mark.parametrize("n_groups", [6, 10, 19, 60])
def test_p_holds_for_few_groups(n_groups):
    """Of comparisons without a difference, one in twenty has p < .05; without the correction .13 of six groups have."""
    random = np.random.default_rng(n_groups)
    n_draws = 400
    values = random.standard_normal((n_draws, 2, n_groups, 1))
    found = [compare(*board(grouped("a", one), grouped("b", other)), "a", "b").differences[0] for one, other in values]
    n_small = sum(each.p < 0.05 for each in found)
    assert binomtest(n_small, n_draws, 0.05).pvalue > 0.01, n_small
    assert sum((each.p < 0.05) == (each.low <= 0 <= each.high) for each in found) <= 2  # but at the border


def test_p_at_the_floor_is_a_bound():
    base = np.random.default_rng(1).random((60, 5))
    [difference] = compare(*board(grouped("a", base + 0.2), grouped("b", base)), "a", "b").differences
    assert difference.is_floor
    assert difference.p < 0.001
    assert difference.shown_p() == "<= 0.0005"
    assert replace(difference, is_floor=False, p=0.0312).shown_p() == "0.031"


def test_p_is_corrected_over_all_pairs_of_encoders_and_says_so():
    base = np.random.default_rng(1).random((60, 5))
    made = [
        grouped(name, base + step, task=task)
        for name, step in (("a", 0.2), ("b", 0.1), ("c", 0.0))
        for task in ("key", "beat")
    ]
    comparisons = compare_all(*board(*made), ["a", "b", "c"])
    assert [(each.one, each.other) for each in comparisons] == [("a", "b"), ("a", "c"), ("b", "c")]
    [first, *_] = comparisons[0].differences
    assert first.adjusted == pytest.approx(6 * first.p)
    assert "p is corrected by Holm's method for 6 tests, of 3 pairs of encoders." in comparisons[0].sentences()
    assert "ahead overall" not in " ".join(comparisons[0].sentences())
    alone = compare(*board(*made), "a", "b")
    assert alone.differences[0].adjusted == pytest.approx(2 * first.p)


def test_seeds_of_one_model_vary_too():
    """Two models with the same spread over training seeds: a difference that one seed of each makes is not believed."""
    random = np.random.default_rng(4)
    base = random.random((100, 3))
    made = [grouped(f"a@{i}", base + step) for i, step in enumerate((0.0, 0.06, 0.03))]
    made += [grouped(f"b@{i}", base + step) for i, step in enumerate((0.01, -0.05, -0.02))]
    one_each = compare(*board(*made), "a@1", "b@1")
    assert one_each.differences[0].is_evidence
    all_seeds = compare(*board(*made), "a@0,a@1,a@2", "b@0,b@1,b@2")
    [difference] = all_seeds.differences
    assert difference.value == pytest.approx(0.05)
    assert difference.low < 0 < difference.high
    assert difference.high - difference.low == pytest.approx(2 * 2.78 * np.sqrt(2 * 0.03**2 / 3), rel=0.25)  # t of 4
    half = compare(*board(*made), "a@0,a@1,a@2", "b@0")
    assert "b@0 has one seed: how much its results vary with the seed of training is not known." in half.sentences()


def test_false_findings_of_seeds_are_rare():
    """Three seeds each, no difference of the models; the seeds of both vary as much as 100 groups allow to see."""
    random = np.random.default_rng(5)
    n_found = 0
    for _ in range(200):
        base = random.random((100, 1))
        made = [grouped(f"{name}@{i}", base + 0.05 * random.standard_normal()) for name in "ab" for i in range(3)]
        n_found += compare(*board(*made), "a@0,a@1,a@2", "b@0,b@1,b@2").differences[0].p < 0.05
    assert n_found / 200 < 0.09


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


def test_two_settings_of_one_encoder_are_compared_in_pairs():
    """A protocol with mixed rows, or an option of a task, against the default of the same encoder."""
    base = np.random.default_rng(1).random((60, 5))
    (plain, of_plain), (mixed, of_mixed), (peaks, of_peaks) = (grouped("a", base + gain) for gain in (0, 0.2, 0.1))
    mixed = replace(mixed, protocol="convex+mix2")
    peaks = replace(peaks, options={"decoder": "peaks"})
    results = [plain, mixed, peaks]
    scores = dict(zip(map(record_id, results), (of_plain, of_mixed, of_peaks), strict=True))
    names = ["a:mix=none", "a:mix=mix2", "a:decoder=peaks"]
    added = add_variants(names, results, scores)
    standard = [result for result in added[0] if result.protocol == "convex" and not result.options]
    assert [result.encoder for result in standard] == ["a", *names]
    found = compare(standard, added[1], "a:mix=mix2", "a:decoder=peaks").differences[0]
    assert found.value == pytest.approx(0.1)
    assert found.is_evidence
    assert compare(standard, added[1], "a:mix=mix2", "a").differences[0].value == pytest.approx(0.2)


@pytest.mark.parametrize(
    "name", ["hf:org/name", "mt2@https://example.org/v.safetensors#sha256=ab", "hear:module:weights"]
)
def test_names_of_families_and_addresses_are_no_settings(name):
    assert add_variants([name], [], {}) == ([], {})
