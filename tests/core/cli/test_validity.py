"""`mirbench check TASK --validity`: from a tiny data set and a tiny folder of results to text and files."""

from dataclasses import replace

import pytest

from mirbench.results.records import RecordWriter, read_records
from mirbench.results.validity import read_facts
from mirbench.results.withdrawals import withdraw
from tests.samples import RESULT

PLUGIN = """
from pathlib import Path

import numpy as np
from mirbench import Clip, ClipMetric, Dataset, DatasetSpec, SuiteSpec, Task, TaskSpec, hookimpl


class Mode(Task):
    name, scope, objective, label_column = "mode", "clip", "multiclass", "key"
    labels = ("major", "minor")
    metrics = (ClipMetric("accuracy", lambda reference, estimate: float(reference == estimate), "equality"),)

    def read_reference(self, text, folder):
        return text

    def target(self, reference, times):
        return np.array(self.labels.index(reference))

    def decode(self, logits, times, duration):
        return self.labels[int(logits.argmax())]

    def baselines(self, references, durations):
        return {"in turn": [self.labels[(k + 1) % 2] for k in range(len(durations) - SHORT)]}

    def empty(self):
        return ""

    def example(self, random):
        return "major", 1.0


class Modes(Dataset):
    name, version = "modes", "1"

    def __init__(self, request):
        assert not request.needs_audio
        self.made = {"train": ["minor"] * 3 + ["major"], "valid": ["major"], "test": ["minor"] + ["major"] * 3}
        if request.size == "empty":
            self.made["test"] = []

    def clips(self, split):
        return [
            Clip(f"{split}{k}", Path("none"), split, f"{split}{k // 2}", each, duration=1.0)
            for k, each in enumerate(self.made[split])
        ]


@hookimpl
def mirbench_tasks():
    yield TaskSpec(name="mode", load=Mode, default_dataset="modes", limits="Two modes.")
    yield TaskSpec(name="homeless", load=Mode)


@hookimpl
def mirbench_datasets():
    yield DatasetSpec(name="modes", tasks=("mode",), load=Modes, sizes=("default", "empty"))


@hookimpl
def mirbench_suites():
    yield SuiteSpec(name="modal", tasks=("mode",))
"""
ABOUT = {"task": "mode", "dataset": "modes", "metric": "accuracy"}


@pytest.fixture
def check(mirbench, tmp_path):
    def call(name, *words, short=0):
        plugin = tmp_path / "mode.py"
        plugin.write_text(f"SHORT = {short}\n{PLUGIN}")
        return mirbench("check", name, "--validity", "--plugin", plugin, "--out", tmp_path / "out", *words)

    return call


@pytest.fixture
def out(tmp_path):
    """Intervals of half-width .1: the best .8, an untrained encoder .5."""
    writer = RecordWriter(tmp_path / "out" / "records", "a")
    for encoder, value in (("chroma", 0.8), ("random", 0.5), ("better", 0.95)):
        writer.mirbench_result(
            replace(RESULT, encoder=encoder, value=value, low=value - 0.1, high=value + 0.1, **ABOUT)
        )
    withdraw(tmp_path / "out", record_of(tmp_path / "out", "better"), "trained on test clips")
    return tmp_path / "out"


def record_of(out, encoder):
    from mirbench.results.records import record_id

    [found] = [each for each in read_records(out / "records") if each.encoder == encoder]
    return record_id(found)


def lines_of(text):
    rows = [line.strip().split("  ", 1) for line in text.splitlines() if line.startswith("  ")]
    return {name: value.strip() for name, value in rows}


def test_the_report_by_hand(check, out):
    code, text, err = check("mode")
    assert code == 0, err
    assert text.startswith("mode on modes (default, version 1)\n")
    assert lines_of(text) == {
        "test clips": "4 in 2 groups",
        "headline": "accuracy, 0 to 1",
        "ceiling": "1.000",
        "chance": "majority class 0.250",  # minor, as most training clips are
        "baselines": "in turn 0.750",  # minor, major, minor, major: all but the third
        "encoders": "2",
        "untrained floor": "0.500 (random)",
        "best": "0.800 (chroma)",
        "mean half-width": "0.100",
        "spread": "2.1 half-widths",  # .3 / sqrt(2) / .1
        "best - floor": "3.0 half-widths",
        "pairs told apart": "no pairs",  # no scores of clips are kept
        "coverage, null errors": "simulated in tests/statistics/test_calibration.py",
        "does not show": "Two modes.",
    }


def test_without_records_the_data_set_is_described(check, tmp_path):
    code, text, _ = check("modal")
    assert code == 0
    assert lines_of(text)["encoders"] == "no records"
    assert not (tmp_path / "out").exists()


def test_markdown_and_facts_are_written(check, out):
    code, text, _ = check("mode", "--format", "markdown")
    assert code == 0
    assert f"written: {out / 'validity.md'}" in text
    page = (out / "validity.md").read_text()
    assert "| mode | 4 (2) | accuracy | 0 to 1 | 1.000 | 0.250 | 0.750 | 0.500 (random) | 0.800 (chroma) | 2 |" in page
    assert "- **does not show**: Two modes." in page
    check("mode", "--format", "json")
    [facts] = read_facts(out / "validity.json")
    assert (facts.task, facts.version, facts.chance) == ("mode", "1", {"majority class": 0.25})
    (out / "validity.json").write_text((out / "validity.json").read_text().replace('"task": "mode"', '"task": "other"'))
    check("mode", "--format", "json")
    assert [facts.task for facts in read_facts(out / "validity.json")] == ["mode", "other"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nothing",), 2, "nothing"),
        (("chroma",), 2, "chroma"),
        (("homeless",), 2, "task 'homeless' has no default data set"),
        (("mode", "--size", "large"), 2, "data set 'modes' has no size 'large'; it has default, empty"),
        (("mode", "--size", "empty"), 1, "modes has 4 training and 0 test clips; expected some of each"),
    ],
)
def test_errors_are_one_line(check, words, code, message):
    found, _, err = check(*words)
    assert found == code
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_baselines_of_another_length_are_an_error(check):
    code, _, err = check("mode", short=1)
    assert (code, err) == (1, "mirbench: baseline 'in turn' of task 'mode' has 3 estimates; expected 4\n")


def test_a_format_goes_with_validity(mirbench):
    code, _, err = mirbench("check", "key", "--format", "json")
    assert (code, "--format json goes with --validity" in err) == (2, True)


def test_info_says_what_a_task_does_not_show(mirbench):
    assert "does not show: Rendered excerpts" in mirbench("info", "key")[1]
