"""Records are appended and read back, whatever happens in between; the leaderboard follows from them alone."""

import errno
import json
import os
import random
from dataclasses import replace

import numpy as np
import pytest

from mirbench import MirbenchError
from mirbench.domain import ClipScores
from mirbench.results import records
from mirbench.results.leaderboard import COLUMNS, as_csv, latest
from mirbench.results.predictions import sha256_of
from mirbench.results.records import (
    SINCE,
    RecordWriter,
    as_json,
    as_line,
    from_json,
    read_records,
    read_scores,
    record_id,
    repair,
)
from tests.samples import RESULT


def test_what_is_written_is_read(tmp_path):
    RecordWriter(tmp_path, "a").mirbench_result(RESULT)
    assert read_records(tmp_path) == [RESULT]


def test_two_runs_write_side_by_side(tmp_path):
    for value in range(5):
        for run in "ab":
            RecordWriter(tmp_path, run).mirbench_result(replace(RESULT, run=run, value=value / 10))
    assert len(read_records(tmp_path)) == 10


def test_a_line_that_a_killed_run_left_unfinished_is_passed_over(tmp_path, capsys):
    writer = RecordWriter(tmp_path, "a")
    writer.mirbench_result(RESULT)
    with writer.path.open("a") as file:
        file.write('{"run": "r", "da')
    assert read_records(tmp_path) == [RESULT]
    assert "a.jsonl:2: unfinished line" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["nonsense\n", "[]\n", '{"run": "r"}\n'])
def test_a_line_that_is_no_record_is_named_and_left_out(tmp_path, capsys, line):
    RecordWriter(tmp_path, "b").mirbench_result(RESULT)
    (tmp_path / "a.jsonl").write_text(line)
    assert read_records(tmp_path) == [RESULT]
    assert "a.jsonl:1: not a record" in capsys.readouterr().err
    with pytest.raises(MirbenchError, match=r"a\.jsonl:1: not a record"):
        read_records(tmp_path, strict=True)


WRONG = {
    "value": [None, [], "high", True], "encoder": [None, 3], "date": [20261124], "options": [[]], "selection": [None],
    "n": [1.5, "10"], "is_headline": ["yes"], "schema": [4, "2", None], "layer": ["0"], "encoder ": ["x"],
    "predictions": ["../x", "f" * 63],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_field_of_the_wrong_type_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}|fields missing or unknown.*{name}"):
        from_json({**as_json(RESULT), name: value})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_no_record(tmp_path, capsys, text):
    line = as_line(as_json(RESULT)).replace('"value": 0.5', f'"value": {text}')
    (tmp_path / "a.jsonl").write_text(line + "\n")
    assert read_records(tmp_path) == []
    assert "a.jsonl:1: not a record" in capsys.readouterr().err


def test_records_of_schema_1_are_read_with_the_direction_that_their_metric_had():
    values = {name: value for name, value in as_json(RESULT).items() if SINCE[name] == 1}
    old = from_json(values)
    assert old.higher_is_better
    assert as_json(old) == values  # so its hash, by which scores are found, stays
    assert not from_json({**values, "metric": "presence_error"}).higher_is_better
    assert not from_json({**values, "metric": "fifth_errors"}).higher_is_better


def test_a_short_write_leaves_no_part_of_a_line(tmp_path, monkeypatch):
    """A disk that fills up takes some bytes and reports no error; the next call does."""
    RecordWriter(tmp_path, "a").mirbench_result(RESULT)
    before, write, room = (tmp_path / "a.jsonl").read_bytes(), os.write, [100]

    def filling(handle, content):
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= (taken := min(room[0], len(content)))
        return write(handle, content[:taken])

    monkeypatch.setattr(os, "write", filling)
    with pytest.raises(MirbenchError, match="No space left on device"):
        RecordWriter(tmp_path, "a").mirbench_result(replace(RESULT, value=0.6))
    assert (tmp_path / "a.jsonl").read_bytes() == before
    room[0] = 10**6
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, content[:7]))  # no error, many calls
    RecordWriter(tmp_path, "a").mirbench_result(replace(RESULT, value=0.7))
    assert [result.value for result in read_records(tmp_path)] == [0.5, 0.7]


def test_repair_moves_bad_lines_aside(tmp_path, capsys):
    writer = RecordWriter(tmp_path / "records", "a")
    writer.mirbench_result(RESULT)
    good = writer.path.read_bytes()
    writer.path.write_bytes(b"torn{" + good + good + b"\xff\n" + b'{"run": "unfinished')
    assert [line.number for line, _ in repair(tmp_path)] == [1, 3, 4]
    assert writer.path.read_bytes() == good
    assert (tmp_path / "records" / "a.jsonl.bad").read_bytes().count(b"\n") == 3
    assert read_records(tmp_path / "records") == [RESULT]
    assert repair(tmp_path) == []


def test_a_date_in_the_future_hides_no_later_record():
    wrong = replace(RESULT, date="2099-01-01T00:00:00+00:00", value=0.1)
    assert [result.value for result in latest([wrong, RESULT])] == [0.5]
    assert [result.value for result in latest([wrong])] == [0.1]


def test_a_lower_value_comes_first_where_less_is_better():
    values = {"good": 0.1, "bad": 0.9}
    errors = [replace(RESULT, encoder=name, value=value, higher_is_better=False) for name, value in values.items()]
    assert [result.encoder for result in latest(errors)] == ["good", "bad"]


def test_a_value_that_is_no_number_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        RecordWriter(tmp_path, "a").mirbench_result(replace(RESULT, value=float("nan")))


MANY = [
    replace(RESULT, encoder=encoder, metric=metric, is_headline=metric == "weighted_score", value=value, date=date)
    for encoder, value in (("chroma", 0.5), ("mfcc", 0.2), ("logmel", 0.7))
    for metric in ("weighted_score", "accuracy")
    for date in ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
]


def test_the_leaderboard_does_not_depend_on_the_order_of_the_records():
    shuffled = MANY.copy()
    random.Random(0).shuffle(shuffled)
    assert as_csv(shuffled) == as_csv(MANY)


def test_the_best_encoder_comes_first_and_the_newest_number_counts():
    found = latest(MANY)
    assert [r.encoder for r in found] == ["logmel", "chroma", "mfcc"] * 2
    assert [r.metric for r in found] == ["weighted_score"] * 3 + ["accuracy"] * 3
    assert {r.date[:10] for r in found} == {"2026-01-02"}


def test_protocols_sizes_and_data_sets_do_not_mix():
    others = [replace(RESULT, protocol="knn"), replace(RESULT, size="small"), replace(RESULT, dataset_version="2")]
    assert len(latest([RESULT, *others])) == 4


def test_the_long_file_has_the_documented_columns():
    lines = as_csv(MANY).splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == 7


def test_scores_of_clips_lie_beside_the_record_and_are_found_by_its_hash(tmp_path):
    resampled = 0.5 + np.random.default_rng(0).standard_normal(1000) / 20
    scores = ClipScores("clips", resampled, np.array([0.0, 0.3, 1.0]), np.array([1.0, 2.5, 1.0]))
    of_set = ClipScores("clips", resampled)
    writer = RecordWriter(tmp_path / "records", "a")
    written = [replace(RESULT, scores=scores), replace(RESULT, metric="set", scores=of_set), replace(RESULT, label="x")]
    for result in written:
        writer.mirbench_result(result)
    results = read_records(tmp_path / "records")
    assert [record_id(result) for result in results] == [record_id(result) for result in written]
    found = read_scores(tmp_path / "scores", results)
    assert list(found) == [record_id(result) for result in written[:2]]
    kept = found[record_id(RESULT)]
    np.testing.assert_allclose(kept.resampled, resampled, atol=1e-4)
    np.testing.assert_allclose(kept.values, scores.values, rtol=1e-7)
    np.testing.assert_allclose(kept.weights, scores.weights, rtol=1e-7)
    assert found[record_id(written[1])].values is None
    size = (tmp_path / "scores" / "a.jsonl").stat().st_size
    assert size < 6000


def test_a_record_is_one_line_of_json(tmp_path):
    writer = RecordWriter(tmp_path, "a")
    writer.mirbench_result(RESULT)
    [line] = writer.path.read_text().splitlines()
    assert json.loads(line)["selection"] == {"curve": [["mean", 0, 1.0, 0.7]]}


def test_predictions_are_on_disk_before_the_record_that_names_them(tmp_path, monkeypatch):
    """So that a run that is killed anywhere leaves no record without its predictions."""
    result = replace(RESULT, predictions=sha256_of(b"estimates"), estimates=b"estimates")
    writer = RecordWriter(tmp_path / "records", "a")
    path = tmp_path / "predictions" / f"{result.predictions[:16]}.npz"
    append = records.append

    def killed(*arguments):
        assert path.read_bytes() == b"estimates"
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        writer.mirbench_result(result)
    monkeypatch.setattr(records, "append", append)
    for label in ("", "one", "other"):
        writer.mirbench_result(replace(result, label=label))
    assert [path] == list((tmp_path / "predictions").iterdir())
    assert [each.predictions for each in read_records(tmp_path / "records")] == [result.predictions] * 3
    path.unlink()
    path.mkdir()
    with pytest.raises(MirbenchError, match="cannot write the record .*predictions.*; make room"):
        writer.mirbench_result(result)
