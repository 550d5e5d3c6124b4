"""What does not count any more says by what and why, and does not come back."""

from dataclasses import replace

import pytest

from mirbench.errors import RecordError, UsageError
from mirbench.results.bundle import export, merge
from mirbench.results.records import RecordWriter, read_records, record_id
from mirbench.results.withdrawals import counted, read_withdrawals, replaced, withdraw
from tests.samples import RESULT

OLD = replace(RESULT, code="1")
OTHER_METRIC = replace(OLD, metric="accuracy", is_headline=False)
NEW = replace(RESULT, code="2", date="2026-02-01T00:00:00+00:00", run="later", value=0.6)
OTHER = replace(RESULT, encoder="mfcc")


@pytest.fixture
def out(tmp_path):
    writer = RecordWriter(tmp_path / "out" / "records", "a")
    for result in (OLD, OTHER_METRIC, NEW, OTHER):
        writer.mirbench_result(result)
    return tmp_path / "out"


def left(out):
    return [record_id(result) for result in counted(read_records(out / "records"), out)]


def test_a_withdrawn_record_takes_the_other_metrics_of_its_job_along(out):
    made = withdraw(out, record_id(OLD)[:10], "the references were wrong", by=record_id(NEW))
    assert {each.id for each in made} == {record_id(OLD), record_id(OTHER_METRIC)}
    assert left(out) == [record_id(NEW), record_id(OTHER)]
    [first, _] = read_withdrawals(out)
    assert f"replaced by {record_id(NEW)}: the references were wrong" in str(first)
    assert withdraw(out, record_id(OLD), "again") == []


def test_a_replaced_record_names_the_later_one_and_what_differs(out):
    [found] = replaced(read_records(out / "records"))
    assert (found.id, found.by) == (record_id(OLD), record_id(NEW))
    assert found.why == "a later run; source code differs"


def test_what_is_wrong_is_refused(out):
    with pytest.raises(UsageError, match="0 records of .* begins with 'nothing'"):
        withdraw(out, "nothing", "why")
    with pytest.raises(UsageError, match="the reason is empty"):
        withdraw(out, record_id(OLD), " ")
    (out / "withdrawn.jsonl").write_text("{}\n")
    with pytest.raises(RecordError, match=r"withdrawn\.jsonl:1: not a record .*mend the line"):
        counted([], out)


def test_an_exported_folder_takes_withdrawals_along(out, tmp_path):
    withdraw(out, record_id(OTHER), "trained on test clips")
    export(out, tmp_path / "bundle", "")
    merge(tmp_path / "bundle", tmp_path / "theirs")
    merge(tmp_path / "bundle", tmp_path / "theirs")
    assert read_withdrawals(tmp_path / "theirs") == read_withdrawals(out)


def test_tables_say_what_is_withdrawn(out, mirbench):
    code, said, _ = mirbench(
        "records", "withdraw", record_id(OTHER)[:8], "--why", "trained on test clips", "--out", out
    )
    assert (code, "1 records withdrawn" in said) == (0, True)
    code, said, err = mirbench("leaderboard", "--out", out)
    assert code == 0
    assert f"withdrawn: {record_id(OTHER)} on " in err
    assert "trained on test clips" in err
    assert "mfcc" not in said
    code, said, _ = mirbench("records", "replaced", "--out", out)
    assert f"replaced: {record_id(OLD)} on 2026-02-01, replaced by {record_id(NEW)}: a later run" in said
