"""What a task can show, from records: floors, ceilings, spread and pairs, computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from mirbench.domain import ClipScores
from mirbench.domain.resampling import draw, resampled_aggregate
from mirbench.errors import RecordError
from mirbench.results.records import record_id
from mirbench.results.validity import (
    Facts,
    as_markdown,
    as_text,
    cautions,
    facts_as_json,
    is_untrained,
    read_facts,
    results_for,
    validity_of,
)
from tests.samples import RESULT

FACTS = Facts(
    task="key", dataset="d", size="default", version="1", n=10, n_groups=5, metric="weighted_score", best=1.0,
    worst=0.0, ceiling=1.0, chance={"majority class": 0.1}, baselines={"majority": 0.1, "other": 0.2}, limits="Rooms.",
)  # fmt: skip


def made(encoder, value, half=0.1, **others):
    return replace(RESULT, encoder=encoder, value=value, low=value - half, high=value + half, **others)


@pytest.fixture
def results():
    """Half-widths .1, .2, .1 and .2; the untrained encoders score .3 and .4, the best .9."""
    return [
        made("chroma", 0.9),
        made("mfcc", 0.6, 0.2),
        made("random", 0.3),
        made("mt2@random", 0.4, 0.2),
    ]


def test_floor_spread_and_gain_by_hand(results):
    found = validity_of(FACTS, results_for(FACTS, results), {})
    assert [each.encoder for each in found.results] == ["chroma", "mfcc", "mt2@random", "random"]
    assert found.floor.encoder == "mt2@random"
    assert found.best.encoder == "chroma"
    assert found.half_width == pytest.approx(0.15)
    deviation = ((0.35**2 + 0.05**2 + 0.25**2 + 0.15**2) / 3) ** 0.5  # about the mean .55
    assert found.spread == pytest.approx(deviation / 0.15)
    assert found.gain == pytest.approx(0.5 / 0.15)


def test_less_may_be_better(results):
    facts = replace(FACTS, best=0.0, worst=1.0)
    found = validity_of(facts, results_for(facts, [replace(each, higher_is_better=False) for each in results]), {})
    assert (found.best.encoder, found.floor.encoder) == ("random", "random")
    assert found.gain == 0
    assert "no further than one half-width" in " ".join(cautions(found))
    assert found.low_ceilings == {}


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [("random", True), ("mt2@random", True), ("mt2@random+bf16", True), ("random+fp16", True), ("randomly", False),
     ("mt2", False), ("mt2@random.safetensors", False)],
)  # fmt: skip
def test_untrained_encoders_are_known_by_their_names(encoder, expected):
    assert is_untrained(made(encoder, 0.5)) == expected


def test_only_the_newest_standard_headlines_count():
    others = [
        made("sgd", 0.1, protocol="sgd"),
        made("few", 0.1, train_fraction=0.1),
        made("sites", 0.1, split="leave-group-out"),
        made("option", 0.1, options={"decoder": "peaks"}),
        made("small", 0.1, size="small"),
        made("elsewhere", 0.1, dataset="e"),
        made("beats", 0.1, task="beat"),
        made("accuracy", 0.1, metric="accuracy"),
        made("label", 0.1, label="C major"),
        made("old", 0.1, dataset_version="0", date="2027-01-01T00:00:00+00:00"),
    ]
    newer = made("chroma", 0.7, date="2026-02-01T00:00:00+00:00", run="later")
    assert results_for(FACTS, [made("chroma", 0.6), newer, *others]) == [newer]


def test_records_of_another_version_count_where_there_are_no_others_and_are_marked():
    old = made("chroma", 0.5, dataset_version="0", date="2026-02-01T00:00:00+00:00")
    older = made("mfcc", 0.6, dataset_version="00")
    found = validity_of(FACTS, results_for(FACTS, [older, old]), {})
    assert found.results == (old,)
    assert "| 1 (other data) |" in as_markdown([found])
    assert cautions(found) == ["The records are of version 0 of the data; this is version 1."]


def test_ceilings_below_nine_tenths_are_marked():
    facts = replace(FACTS, ceiling=None)
    results = [made("slow", 0.4, selection={"oracle": 0.42}), made("fast", 0.8, selection={"oracle": 0.97})]
    found = validity_of(facts, results_for(facts, results), {})
    assert found.low_ceilings == {"slow": 0.42}
    assert "0.420 to 0.970 (low)" in as_text(found)
    assert "A perfect probe scores below 0.9 at the frame rate of slow 0.420." in as_text(found)
    assert "not recorded" in as_text(validity_of(facts, results_for(facts, [made("old", 0.4)]), {}))


def paired(encoder, values):
    """A result of clips that are groups of their own, and its scores."""
    groups, draws = np.arange(len(values)), draw(len(values), 0)
    resampled = resampled_aggregate(values, np.ones(len(values)), groups, draws, "mean")[draws.places]
    result = replace(RESULT, encoder=encoder, value=float(values.mean()), n_groups=len(values))
    return result, ClipScores("clips", resampled, values, np.ones(len(values)), groups, 0, "mean")


@pytest.mark.parametrize(("n_groups", "n_claims"), [(60, 2), (6, 0)])
def test_pairs_are_told_apart_as_by_compare(n_groups, n_claims):
    """Of three encoders, one lies .2 above the others, which differ by noise without a direction."""
    base = np.random.default_rng(1).random(n_groups)
    noise = np.tile([0.05, -0.05], n_groups // 2)
    boards = [paired("a", base + 0.2), paired("b", base), paired("c", base + noise)]
    scores = {record_id(result): own for result, own in boards}
    unscored = replace(RESULT, encoder="without scores", value=0.1, n_groups=n_groups)
    found = validity_of(FACTS, results_for(FACTS, [*(result for result, _ in boards), unscored]), scores)
    assert (found.pairs.n, found.pairs.n_small, found.pairs.n_claims) == (3, 2, n_claims)
    assert f"67% of 3, {'67%' if n_claims else '0% (no claim, bounded)'} after" in as_text(found)
    assert ("6 groups carry no claim" in as_text(found)) == (not n_claims)


def test_p_that_the_resamples_bound_is_marked():
    """Eleven encoders in steps: 55 pairs, whose p of 200 resamples cannot be significant after the correction."""
    base = np.random.default_rng(1).random(60)
    boards = [paired(f"e{step:02}", base + step / 10) for step in range(11)]
    scores = {record_id(result): replace(own, resampled=own.resampled[:200]) for result, own in boards}
    found = validity_of(FACTS, results_for(FACTS, [result for result, _ in boards]), scores)
    assert (found.pairs.n, found.pairs.n_small, found.pairs.n_adjusted, found.pairs.n_bounded) == (55, 55, 0, 55)
    assert "100% of 55, 0% (bounded) after Holm's correction" in as_text(found)
    assert "55 of 55 pairs differ in one direction in all resamples" in as_text(found)


def test_without_records_only_the_data_set_is_described():
    found = validity_of(FACTS, [], {})
    assert (found.best, found.floor, found.spread, found.gain, found.version) == (None, None, None, None, "")
    assert cautions(found) == []
    text = as_text(found)
    assert text.count("no records") == 1
    assert "majority 0.100, other 0.200" in text
    [row] = [line for line in as_markdown([found]).splitlines() if line.startswith("| key ")]
    assert row.count("no records") == 7
    assert "| 0.100 | 0.200 | no records |" in row


def test_one_record_has_no_spread():
    found = validity_of(FACTS, [made("chroma", 0.5)], {})
    assert (found.spread, found.floor, found.gain) == (None, None, None)
    assert "no pairs" in as_text(found)
    assert "| no pairs | no pairs |" in as_markdown([found])


def test_intervals_without_width_have_no_spread():
    found = validity_of(FACTS, [made("chroma", 0.5, 0.0), made("random", 0.5, 0.0)], {})
    assert (found.spread, found.gain) == (None, None)
    assert cautions(found) == []


def test_names_in_tables_are_text():
    found = validity_of(FACTS, [made("a|b\x1b[2J", 0.5)], {})
    assert "\x1b" not in as_text(found)
    assert "a\\|b" in as_markdown([found])


def test_facts_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "validity.json"
    assert read_facts(path) == []
    path.write_text(facts_as_json([FACTS]))
    assert read_facts(path) == [FACTS]
    for content in ("{", '[{"task": "key"}]', "3"):
        path.write_text(content)
        with pytest.raises(RecordError, match=r"validity\.json: not a file of facts .*--validity --format json"):
            read_facts(path)
