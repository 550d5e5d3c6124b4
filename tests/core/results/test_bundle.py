"""Bundles travel whole, merge once, and records can be run again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mirbench import MirbenchError
from mirbench.domain import ClipScores
from mirbench.errors import RecordError, UsageError
from mirbench.results.bundle import export, merge
from mirbench.results.records import RecordWriter, read_records, read_scores, record_id
from mirbench.runs.reproduce import find_record
from tests.samples import RESULT


def results(out, *encoders):
    for encoder in encoders:
        scores = ClipScores("clips", np.linspace(0.4, 0.6, 1000), np.array([0.25, 0.75]), np.ones(2))
        RecordWriter(out / "records", f"run-{encoder}").mirbench_result(replace(RESULT, encoder=encoder, scores=scores))


def test_a_bundle_merges_and_what_is_known_is_recognised(tmp_path):
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    results(mine, "a", "b")
    results(theirs, "b", "c")
    assert export(theirs, tmp_path / "bundle", "leaderboard") == 2
    merged = merge(tmp_path / "bundle", mine)
    assert (merged.n_new, merged.n_known, merged.n_scores) == (1, 1, 1)
    found = read_records(mine / "records")
    assert sorted(result.encoder for result in found) == ["a", "b", "c"]
    assert len(read_scores(mine / "scores", found)) == 3
    again = merge(tmp_path / "bundle", mine)
    assert (again.n_new, again.n_known, again.n_scores) == (0, 2, 0)
    assert read_records(mine / "records") == found
    assert "numpy==" in (tmp_path / "bundle" / "environment.txt").read_text()


def test_a_bundle_that_was_changed_is_refused(tmp_path):
    results(tmp_path / "mine", "a")
    export(tmp_path / "mine", tmp_path / "bundle", "")
    [records] = (tmp_path / "bundle" / "records").iterdir()
    records.write_text(records.read_text().replace("0.5", "0.9"))
    with pytest.raises(RecordError, match="not the file that was exported"):
        merge(tmp_path / "bundle", tmp_path / "mine")
    (tmp_path / "bundle" / "manifest.json").write_text('{"format": 99, "sha256": {}}')
    with pytest.raises(UsageError, match="update mirbench"):
        merge(tmp_path / "bundle", tmp_path / "mine")
    with pytest.raises(UsageError, match="not what 'mirbench export' writes"):
        merge(tmp_path, tmp_path / "mine")


def test_nothing_is_overwritten(tmp_path):
    results(tmp_path / "mine", "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="not empty"):
        export(tmp_path / "mine", tmp_path / "full", "")
    with pytest.raises(UsageError, match="no records"):
        export(tmp_path / "nothing", tmp_path / "new", "")


def test_a_record_is_found_by_hash_file_and_line(tmp_path):
    results(tmp_path, "a", "b")
    wanted = replace(RESULT, encoder="b")
    path = tmp_path / "records" / "run-b.jsonl"
    assert find_record(record_id(wanted)[:10], tmp_path) == wanted
    assert find_record(str(path), tmp_path) == wanted
    assert find_record(f"{path}:1", tmp_path) == wanted
    with pytest.raises(UsageError, match="none on line 2"):
        find_record(f"{path}:2", tmp_path)
    with pytest.raises(UsageError, match="2 records of .* have a hash that begins with ''"):
        find_record("", tmp_path / ".")


@pytest.fixture
def finished(mirbench, recordings, tmp_path):
    out = tmp_path / "results"
    code, _, err = mirbench("run", "--encoder", "mfcc", "--task", "key", "--data", recordings, "--out", out)
    assert code == 0, err
    [path] = (out / "records").iterdir()
    return path


def test_a_number_comes_back_to_the_last_digit(mirbench, recordings, finished):
    code, said, err = mirbench("reproduce", finished, "--data", recordings)
    assert code == 0, err
    assert "The number comes back, to the last digit." in said
    assert "differs" not in said


def test_networks_come_back_too(mirbench, recordings, tmp_path):
    words = ("--encoder", "mfcc", "--task", "key", "--data", recordings, "--protocol", "sgd", "--out", tmp_path)
    assert mirbench("run", *words)[0] == 0
    [path] = (tmp_path / "records").iterdir()
    code, said, err = mirbench("reproduce", path, "--data", recordings)
    assert code == 0, err
    assert "differs" not in said


def test_what_has_changed_is_named(mirbench, recordings, finished):
    record = json.loads(finished.read_text().splitlines()[0])
    versions = {**record["versions"], "numpy": "1"}
    changed = {**record, "value": record["value"] + 1e-8, "fingerprint": "other", "versions": versions}
    finished.write_text(json.dumps(changed) + "\n")
    code, said, _ = mirbench("reproduce", finished, "--data", recordings)
    assert code == 1
    assert "differs: fingerprint of the encoder (weights, preprocessing): other then," in said
    assert "differs: version of numpy: 1 then," in said
    assert "does not come back (-1.00e-08)" in said


def test_what_cannot_be_run_says_why(mirbench, finished, recordings):
    code, _, err = mirbench("reproduce", finished)
    assert code == 2
    assert "triads" in err
    assert issubclass(UsageError, MirbenchError)
