"""Tables say what is there, what is best, and what is missing."""

import csv
import io
import json
from dataclasses import replace

import pytest

from mirbench.results.formats import (
    MISSING,
    About,
    as_csv,
    as_json_text,
    as_latex,
    as_markdown,
    choose,
    lay_out,
    published,
)
from tests.samples import RESULT


def board(**values):
    """Results of encoders on key and beat, None where there is none."""
    return [
        replace(RESULT, encoder=encoder, task=task, metric=f"{task}_score", value=value, low=0.0, high=1.0)
        for encoder, pair in values.items()
        for task, value in zip(("key", "beat"), pair, strict=True)
        if value is not None
    ]


MANY = board(random=(0.2, 0.5), a_b=(0.8, 0.9), c=(0.5, 0.7), d=(0.9, None))


@pytest.fixture
def table():
    return lay_out(MANY, {"a_b": About(1234, "MIT", "Apache-2.0")}, only_headlines=True)


def test_win_rates_and_ranks_are_over_all_headlines_and_what_is_missing_is_lost(table):
    rows = {row.encoder: row for row in table.rows}
    assert [row.encoder for row in table.rows] == ["a_b", "c", "d", "random"]
    assert rows["a_b"].standing.win_rate == pytest.approx((2 / 3 + 1) / 2)  # d is better on key
    assert rows["d"].standing.win_rate == pytest.approx((1 + 0) / 2)
    assert [rows[name].standing.rank for name in ("a_b", "c", "d", "random")] == [1, 2, 2, 4]
    assert (rows["d"].n_tasks, rows["a_b"].n_tasks) == (1, 2)


def test_other_protocols_have_columns_but_no_part_in_the_aggregates():
    others = [replace(each, protocol="knn", value=1.0) for each in MANY if each.encoder == "c"]
    table = lay_out([*MANY, *others], {}, only_headlines=True)
    rows = {row.encoder: row for row in table.rows}
    assert len(table.columns) == 4
    assert (rows["a_b"].standing.rank, rows["c"].standing.rank, rows["c"].n_tasks) == (1, 2, 2)
    assert lay_out(others, {}, only_headlines=True).rows[0].standing is None  # nobody to beat


def test_csv_has_a_row_an_encoder_and_a_column_a_number(table):
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert list(rows[0]) == [
        "schema", "encoder", "parameters", "licence", "weights", "remark", "speed", "win_rate", "rank", "rank_low",
        "rank_high",
        "n_tasks", "key/d/key_score", "beat/d/beat_score",
    ]  # fmt: skip
    assert rows[0]["parameters"] == "1234"
    assert rows[2]["beat/d/beat_score"] == ""
    assert (rows[0]["rank"], rows[0]["rank_low"]) == ("1", "")  # scores of clips are not known


def test_columns_do_not_mix_what_differs():
    others = [
        replace(RESULT, protocol="knn"),
        replace(RESULT, size="small"),
        replace(RESULT, train_fraction=0.1),
        replace(RESULT, options={"decoder": "dbn"}),
    ]
    assert set(lay_out(choose([RESULT, *others]), {}, only_headlines=True).columns) == {
        "key/d/weighted_score",
        "key/d/weighted_score[knn]",
        "key/d-small/weighted_score",
        "key/d/weighted_score[train 0.1]",
        "key/d/weighted_score[decoder=dbn]",
    }
    versions = lay_out(choose([RESULT, replace(RESULT, dataset_version="2")]), {}, only_headlines=True)
    assert set(versions.columns) == {"key/d@1/weighted_score", "key/d@2/weighted_score"}


def test_markdown_marks_the_best_and_the_second(table):
    lines = as_markdown(table, published()[:1]).splitlines()
    assert lines[0].startswith(
        "| encoder | parameters | weights | key: key_score | beat: beat_score | win rate | rank (95 %) |"
    )
    assert (
        "| a_b | 1,234 | Apache-2.0 | <u>0.800</u> [0.000, 1.000] | **0.900** [0.000, 1.000] | 0.83 | 1st |" in lines[2]
    )
    assert f"| **0.900** [0.000, 1.000] | {MISSING} | 0.50 | 2nd |" in lines[4]
    assert "protocols of their own" in lines[7]


def test_speed_is_shown_where_records_say_it():
    timed = [replace(each, extraction={"speed": 120.4}) for each in MANY if each.encoder == "a_b"]
    lines = as_markdown(lay_out([*MANY, *timed], {}, only_headlines=True)).splitlines()
    assert lines[0].startswith("| encoder | x real time | key")
    assert lines[2].startswith("| a_b | 120 |")


def test_latex_escapes_names(table):
    text = as_latex(table)
    assert r"a\_b & 1,234 & Apache-2.0 & \underline{0.800}" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    n_columns = text.splitlines()[3].count("&")
    assert all(line.count("&") == n_columns for line in text.splitlines() if line.endswith(r"\\"))


def test_json_holds_the_records(table):
    found = json.loads(as_json_text(table))
    assert found["rows"][0]["cells"]["key/d/key_score"]["record"]["fingerprint"] == "f"
    assert "published" not in found


def test_results_are_chosen_by_task_metric_and_protocol():
    results = [*MANY, replace(RESULT, metric="accuracy", is_headline=False), replace(RESULT, label="C major")]
    assert {result.task for result in choose(results, tasks=["beat"])} == {"beat"}
    assert [result.metric for result in choose(results, metrics=["accuracy"])] == ["accuracy"]
    assert not choose(results, protocols=["marble"])
    assert not [result for result in choose(results) if result.label]


def test_published_rows_name_source_and_protocol():
    rows = published()
    assert len(rows) > 150
    for row in rows:
        assert row["source"], row
        assert row["protocol"], row
        assert 0 < float(row["value"]) <= 1
