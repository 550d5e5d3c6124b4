"""Plans and runs: what fails is told apart, what is done is kept."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mirbench import TaskSpec, hookimpl
from mirbench.errors import UsageError
from mirbench.features.store import FeatureStore, readout_of
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.results.records import RecordWriter, read_records
from mirbench.runs.planning import make_plan, tasks_of
from mirbench.runs.run import run

PLUGIN = '''
import os, time
import numpy as np
from mirbench import Encoder, EncoderSpec, Features, hookimpl
from mirbench.features import store

store.SHARD_SECONDS = 0.2


class Slow(Encoder):
    """Mean level in bands of samples; every call takes a while and is counted in a file."""

    sample_rate = 22050
    fingerprint = "slow"

    def encode(self, audio):
        time.sleep(float(os.environ.get("SLOW_SECONDS", 0)))
        with open(os.environ["SLOW_LOG"], "a") as log:
            log.write("x")
        spectrum = np.abs(np.fft.rfft(audio[:16384]))[:4096].reshape(64, -1).mean(1)
        return Features(np.log(spectrum + 1e-6).astype(np.float32)[None, None], np.array([len(audio) / 44100]))


class Nan(Slow):
    fingerprint = "nan"

    def encode(self, audio):
        features = super().encode(audio)
        features.frames[:] = np.nan
        return features


class Bug(Slow):
    fingerprint = "bug"

    def encode(self, audio):
        return undefined_name


@hookimpl
def mirbench_encoders():
    yield EncoderSpec(name="slow", load=lambda device: Slow())
    yield EncoderSpec(name="nan", load=lambda device: Nan())
    yield EncoderSpec(name="bug", load=lambda device: Bug())
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "slow.py"
    path.write_text(PLUGIN)
    monkeypatch.setenv("SLOW_LOG", str(tmp_path / "log"))
    monkeypatch.setattr("mirbench.features.store.SHARD_SECONDS", 0.2)  # the plugin sets it too: undone after the test
    return path


def settings(home):
    return Settings(home=home, out=home / "out")


def planned(found, home, encoders, csv):
    return make_plan(found, encoders, ["key"], settings(home), csv=csv)


def go(found, plan):
    writer = RecordWriter(plan.settings.out / "records", plan.run)
    found.observe(writer)
    return run(plan, found)


def test_all_is_the_suite_core_whatever_tasks_are_added(home):
    """Aggregates and bounds of time speak of the same six tasks for good."""
    plugins = Plugins()
    assert tasks_of(plugins, ["all"]) == ["key", "chord", "beat", "tagging", "anuran", "hospital"]
    plugins.offer(TaskSpec(name="new", load=lambda: None))
    assert tasks_of(plugins, ["all"]) == tasks_of(plugins, ["core"]) != tasks_of(plugins, ["everything"])
    assert "new" in tasks_of(plugins, ["everything"])
    assert tasks_of(plugins, ["new", "core", "key"])[0] == "new"


def test_chroma_hears_the_keys_of_triads(recordings, home):
    found = Plugins()
    assert go(found, planned(found, home, ["chroma"], recordings)) == []
    results = {result.metric: result for result in read_records(home / "out" / "records")}
    assert results["weighted_score"].value == 1.0
    assert results["accuracy"].value == 1.0
    assert results["other_errors"].value == 0.0
    assert (results["accuracy"].n, results["accuracy"].n_train, results["accuracy"].n_valid) == (9, 18, 9)
    assert results["weighted_score"].is_headline


def test_a_task_with_the_vocabulary_of_the_data_has_one_headline_and_numbers_of_each_label(recordings, home):
    text = recordings.read_text().replace(",key\n", ",tags\n").replace(" major\n", " major;bright\n")
    tagged = recordings.with_name("tagged.csv")
    tagged.write_text(text)
    plugins = Plugins()
    assert go(plugins, make_plan(plugins, ["chroma"], ["tagging"], settings(home), csv=tagged)) == []
    results = read_records(home / "out" / "records")
    assert [result.metric for result in results if result.is_headline] == ["macro_roc_auc"]
    assert {result.label for result in results} == {"", "A minor", "C major", "F# major", "bright"}
    assert results[0].value > 0.9


def test_the_same_run_gives_the_same_numbers(recordings, home):
    for _ in range(2):
        found = Plugins()
        go(found, planned(found, home, ["logmel"], recordings))
    results = read_records(home / "out" / "records")
    varying = {"run": "", "date": "", "seconds": {}}
    half = len(results) // 2
    assert [vars(r) | varying for r in results[:half]] == [vars(r) | varying for r in results[half:]]


def test_a_limit_of_the_store_spares_the_encoder_at_work(recordings, home):
    found = Plugins()
    limited = Settings(home=home, out=home / "out", store_limit=0.0)
    assert go(found, make_plan(found, ["chroma", "mfcc"], ["key"], limited, csv=recordings)) == []
    store = FeatureStore(home / "features")
    assert {store.encoder(path.parents[1].name) for path, _ in store.shards()} == {"mfcc"}


def test_observers_hear_of_the_plan_before_anything_is_computed(recordings, home):
    found, seen = Plugins(), []

    class Observer:
        @hookimpl
        def mirbench_run_start(self, plan):
            seen.append([str(job) for job in plan.jobs])
            assert not home.exists()

    found.observe(Observer())
    run(planned(found, home, ["chroma"], recordings), found)
    assert seen == [["chroma on key (triads)"]]


def test_one_encoder_that_fails_leaves_the_others_alone(recordings, home, plugin):
    found = Plugins([plugin])
    failures = go(found, planned(found, home, ["nan", "bug", "slow"], recordings))
    assert [failure.job.encoder.name for failure in failures] == ["nan", "bug"]
    assert "NaN or infinity" in failures[0].reason
    assert failures[0].trace == ""
    assert "undefined_name" in failures[1].trace
    assert {result.encoder for result in read_records(home / "out" / "records")} == {"slow"}


def test_a_file_that_cannot_be_read_fails_its_data_set_and_keeps_the_features(recordings, home, plugin, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in recordings.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    bad = folder / "A minor test 0.wav"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:100] + b"\xff" * 50)
    found = Plugins([plugin])
    [failure] = go(found, planned(found, home, ["slow"], folder / "triads.csv"))
    assert "A minor test 0.wav: the file is cut off" in failure.reason
    bad.write_bytes(whole)
    found = Plugins([plugin])
    assert go(found, planned(found, home, ["slow"], folder / "triads.csv")) == []


def test_a_missing_csv_fails_all_its_jobs(home, plugin):
    found = Plugins([plugin])
    failures = go(found, planned(found, home, ["slow", "chroma"], Path("gone.csv")))
    assert [failure.job.encoder.name for failure in failures] == ["slow", "chroma"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoders": []}, "name at least one encoder"),
        ({"encoders": ["chrma"]}, "did you mean 'chroma'"),
        ({"tasks": ["kay"]}, "did you mean 'key'"),
        ({"datasets": ["rendered"]}, "did you mean 'rendered-scores'"),
        ({"datasets": ["rendered-scores"], "csv": Path("a.csv")}, "exclude each other"),
        ({"settings": Settings(home=Path(), out=Path(), size="huge")}, "has no size 'huge'; it has default, small"),
        ({"settings": Settings(home=Path(), out=Path(), options={"decoder": "dbn"})}, "key has an option 'decoder'"),
        (
            {"tasks": ["beat"], "settings": Settings(home=Path(), out=Path(), options={"decoder": "rnn"})},
            "'rnn' is unknown to task 'beat'; it has dbn, peaks",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused(options, message):
    given = {"encoders": ["chroma"], "tasks": ["key"], "settings": settings(Path()), **options}
    with pytest.raises(UsageError, match=message):
        make_plan(Plugins(), **given)


def test_all_means_everything_once():
    plan = make_plan(Plugins(), ["all", "chroma"], ["all"], settings(Path()))
    names = [(job.encoder.name, job.task.name) for job in plan.jobs]
    assert len(set(names)) == len(names)
    assert {"chroma", "logmel", "mfcc", "random"} <= {encoder for encoder, _ in names}


def test_each_task_takes_the_options_that_it_has():
    wanted = Settings(home=Path(), out=Path(), options={"decoder": "peaks", "vocabulary": "majmin"})
    plan = make_plan(Plugins(), ["chroma"], ["key", "chord", "beat"], wanted)
    assert {job.task.name: job.options for job in plan.jobs} == {
        "key": (), "chord": (), "beat": (("decoder", "peaks"),),
    }  # fmt: skip
    [beat] = [job for job in plan.jobs if job.task.name == "beat"]
    assert beat.loaded_task.decoder["name"] == "peaks"


DATASETS = """
from mirbench import DatasetError, DatasetSpec, MissingDataError, hookimpl


def absent(request):
    raise MissingDataError("not here; run 'mirbench data prepare absent'")


def broken(request):
    raise DatasetError("half of it is missing")


@hookimpl
def mirbench_datasets():
    yield DatasetSpec(name="absent", load=absent, tasks=("key",))
    yield DatasetSpec(name="broken", load=broken, tasks=("key",))
    yield DatasetSpec(name="of-beats", load=absent, tasks=("beat",))
"""


def test_all_data_sets_are_those_that_are_here_and_the_others_are_named(tmp_path):
    (tmp_path / "sets.py").write_text(DATASETS)
    plan = make_plan(Plugins([tmp_path / "sets.py"]), ["chroma"], ["key"], settings(tmp_path), datasets=["all"])
    assert {job.dataset.name for job in plan.jobs} == {"broken", "rendered-scores"}
    assert plan.absent["absent"] == "not here; run 'mirbench data prepare absent'"
    assert "of-beats" not in plan.absent


def test_every_task_means_those_that_the_data_set_serves(tmp_path):
    (tmp_path / "sets.py").write_text(DATASETS)
    plugins = Plugins([tmp_path / "sets.py"])
    plan = make_plan(plugins, ["chroma"], ["all"], settings(tmp_path), datasets=["of-beats"])
    assert [job.task.name for job in plan.jobs] == ["beat"]
    with pytest.raises(UsageError, match="no references for task 'key' in of-beats"):
        make_plan(plugins, ["chroma"], ["key", "beat"], settings(tmp_path), datasets=["of-beats"])


def start(plugin, recordings, home, seconds):
    command = [sys.executable, "-m", "mirbench", "run", "--encoder", "slow", "--task", "key", "--data", str(recordings)]
    return subprocess.Popen(
        [*command, "--home", str(home), "--out", str(home / "out"), "--plugin", str(plugin)],
        env={**os.environ, "SLOW_SECONDS": str(seconds)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # jobs in the background are deaf to it
    )  # fmt: skip


def n_stored(home):
    """Count the clips of which every readout is stored; a kill may come between two of their files."""
    clips = {readout: set() for readout in ("mean", "max", "mean and deviation")}
    for _, shard in FeatureStore(home / "features").shards():
        if shard.path.parts[-3] == "slow":
            clips[readout_of(shard.path.parts[-2])] |= set(shard.clips)
    return len(set.intersection(*clips.values()))


def wait_for_features(home, count):
    for _ in range(600):
        if n_stored(home) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("no features after 30 s")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_goes_on_where_it_was(how, recordings, home, plugin):
    process = start(plugin, recordings, home, seconds=0.4)
    wait_for_features(home, 5)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "run the same command again to go on" in errors
    n_kept = n_stored(home)
    assert 5 <= n_kept < 36
    n_before = len(Path(os.environ["SLOW_LOG"]).read_text())
    process = start(plugin, recordings, home, seconds=0)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    n_again = len(Path(os.environ["SLOW_LOG"]).read_text()) - n_before
    assert n_again == 36 - n_kept + 1  # a stored clip is encoded again, to compare
    assert "slow" in output


def test_two_runs_at_once_do_not_disturb_each_other(recordings, home, plugin):
    processes = [start(plugin, recordings, home, seconds=0.02) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    first, second = sorted((home / "out" / "records").glob("*.jsonl"))
    values = [[json.loads(line)["value"] for line in path.read_text().splitlines()] for path in (first, second)]
    assert values[0] == values[1]
