"""Win rates and ranks: what a reader may rely on."""

from dataclasses import replace

import numpy as np
import pytest

from mirbench.domain import ClipScores
from mirbench.results.formats import as_csv, as_latex, as_markdown, lay_out
from mirbench.results.html import as_html
from mirbench.results.records import record_id
from mirbench.results.standings import ordinal, standings_of
from tests.samples import RESULT

N_RESAMPLES = 500


def results(n_encoders=6, n_tasks=4, spread=0.05, missing=(), seed=0):
    """Results of encoders whose resamples overlap, and their scores."""
    random = np.random.default_rng(seed)
    found, scores = [], {}
    for task in range(n_tasks):
        common = random.standard_normal(N_RESAMPLES) * spread
        for encoder in range(n_encoders):
            value = random.random() / 2
            resampled = value + common + random.standard_normal(N_RESAMPLES) * spread
            if (encoder, task) in missing:
                continue
            result = replace(RESULT, encoder=f"e{encoder}", task=f"t{task}", value=value, higher_is_better=task != 1)
            found.append(result)
            scores[record_id(result)] = ClipScores("clips", resampled)
    return found, scores


def standings(found, scores):
    tasks = sorted({result.task for result in found})
    columns = [{result.encoder: result for result in found if result.task == task} for task in tasks]
    return standings_of(columns, scores, sorted({result.encoder for result in found}))


@pytest.mark.parametrize("missing", [(), ((0, 0), (3, 0), (3, 2))], ids=["complete", "with gaps"])
def test_win_rates_average_one_half(missing):
    found = standings(*results(missing=missing))
    assert np.mean([each.win_rate for each in found.values()]) == pytest.approx(0.5, abs=1e-12)
    assert all(0 <= each.win_rate <= 1 for each in found.values())


def test_the_win_rate_is_the_share_of_wins_by_hand():
    found, scores = results(n_encoders=3, n_tasks=2)
    values = {(result.encoder, result.task): scores[record_id(result)].resampled for result in found}
    wins = [
        np.mean(values["e0", task] > values[other, task] if task == "t0" else values["e0", task] < values[other, task])
        for task in ("t0", "t1")
        for other in ("e1", "e2")
    ]
    assert standings(found, scores)["e0"].win_rate == pytest.approx(np.mean(wins))


def test_who_is_best_everywhere_has_one_and_who_is_worst_zero():
    found, scores = [], {}
    for task in ("t0", "t2"):
        for place in range(4):
            result = replace(RESULT, encoder=f"e{place}", task=task, value=1.0 - place / 10)
            found.append(result)
            scores[record_id(result)] = ClipScores("clips", result.value + np.linspace(-0.04, 0.04, 9))
    found = standings(found, scores)
    assert [found[f"e{place}"].win_rate for place in range(4)] == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert [str(found[f"e{place}"]) for place in range(4)] == ["1st", "2nd", "3rd", "4th"]


def test_a_duplicate_ties():
    found, scores = results()
    copies = [replace(result, encoder="copy") for result in found if result.encoder == "e2"]
    of_copies = {
        record_id(copy): scores[record_id(result)]
        for copy, result in zip(copies, [each for each in found if each.encoder == "e2"], strict=True)
    }
    after = standings([*found, *copies], {**scores, **of_copies})
    assert after["copy"] == after["e2"]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("spread", [0.01, 0.1, 1.0])
def test_intervals_contain_the_rank(seed, spread):
    for each in standings(*results(seed=seed, spread=spread, missing=((1, 0),))).values():
        assert 1 <= each.low <= each.rank <= each.high <= 6


def test_intervals_widen_with_noise():
    sure, unsure = (standings(*results(spread=spread))["e0"] for spread in (0.001, 10.0))
    assert sure.high - sure.low <= 1
    assert (unsure.low, unsure.high) == (1, 6)


@pytest.mark.parametrize("seed", range(10))
def test_to_lack_a_task_never_helps(seed):
    found, scores = results(seed=seed)
    complete = standings(found, scores)
    for task in range(4):
        gone = [result for result in found if (result.encoder, result.task) != ("e0", f"t{task}")]
        for others_lack in (False, True):  # with somebody else who lacks it
            some = [each for each in gone if not others_lack or (each.encoder, each.task) != ("e1", f"t{task}")]
            assert standings(some, scores)["e0"].win_rate <= (
                complete["e0"].win_rate
                if not others_lack
                else standings(
                    [*some, *(set_ for set_ in found if (set_.encoder, set_.task) == ("e0", f"t{task}"))], scores
                )["e0"].win_rate
            )


def test_without_scores_of_clips_there_is_a_rank_but_no_interval():
    found, scores = results()
    del scores[record_id(found[3])]
    assert {(each.low, each.high) for each in standings(found, scores).values()} == {(None, None)}
    assert str(standings(found, {})["e0"]) in {ordinal(rank) for rank in range(1, 7)}


def test_one_encoder_has_no_rank():
    assert standings(*results(n_encoders=1)) == {}


def test_every_format_shows_win_rate_and_interval():
    found, scores = results(spread=0.3)
    table = lay_out(found, {}, scores, only_headlines=True)
    standing = table.rows[0].standing
    assert standing.low < standing.high
    text = f"{ordinal(standing.low)} to {ordinal(standing.high)}"
    for shown in (as_markdown(table), as_latex(table), as_html(table, found)):
        assert text in shown
    assert f"{standing.win_rate!r},{standing.rank},{standing.low},{standing.high}," in as_csv(table)


def test_ordinals():
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th",
    ]  # fmt: skip
