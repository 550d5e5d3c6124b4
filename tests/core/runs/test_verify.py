"""Scores follow from stored predictions; whatever was changed is found, and what cannot be computed says why."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from mirbench import Clip, Dataset, DatasetSpec, Encoder
from mirbench.data.reference_hash import digest_of
from mirbench.domain import SPLITS, Prediction
from mirbench.errors import RecordError
from mirbench.evaluation.bootstrap import score
from mirbench.evaluation.evaluate import Choice, Evaluation, Fitting
from mirbench.evaluation.views import View
from mirbench.features.store import FeatureStore
from mirbench.features.stored import StoredFeatures
from mirbench.plan import Job, Settings
from mirbench.plugins import Plugins
from mirbench.probes.linear import LinearProbe
from mirbench.results.bundle import export, merge
from mirbench.results.predictions import path_of, sha256_of
from mirbench.results.records import RecordWriter, as_json, as_line, read_records
from mirbench.runs.finish import Work, _results
from mirbench.runs.verify import verify

N_CLIPS = 12
PROBE = LinearProbe(np.zeros((1, 1)), np.zeros(1))  # of which no prediction is asked
VIEW = View(StoredFeatures.__new__(StoredFeatures), "mean", 0)
TASKS = {
    "key": {},
    "chord": {"vocabulary": "triads"},
    "beat": {},
    "tagging": {},
    "anuran": {},
    "hospital": {},
}


class Examples(Dataset):
    """Clips with a task's examples as references."""

    name, version, labels = "examples", "1", ("first", "second", "third")
    label_groups = MappingProxyType({"rare": ("third",)})

    def __init__(self, task, seed=0):
        random = np.random.default_rng(seed)
        self._clips = []
        task = task.with_labels_of(self)
        examples = [task.example(random) for _ in range(3 * N_CLIPS)]
        self._clips = [
            Clip(
                id=f"clip {place}",
                path=Path("nowhere.wav"),
                split=SPLITS[place % 3],
                group=f"group {place // 6} of {SPLITS[place % 3]}",
                reference=reference,
                duration=duration,
            )
            for place, (reference, duration) in enumerate(examples)
        ]

    def clips(self, split):
        return [clip for clip in self._clips if clip.split == split]


class Toy(Encoder):
    """An encoder that is not asked for features."""

    sample_rate, fingerprint = 8000, "toy-1"

    def encode(self, audio):
        raise AssertionError("verification needs no features")


class Named:
    """The encoder as a user names it."""

    name = text = "toy"

    def load(self, device):
        return Toy()


def question(name, plugins, options=None):
    """Return a task with the vocabulary of its examples, and these."""
    task = plugins.tasks[name].load(**(options or {}))
    return task, Examples(task)


def predicted(task, clip, random):
    """Return noisy logits of a clip."""
    times = (np.arange(round(clip.duration * 20)) + 0.5) / 20
    target = task.target(clip.reference, times)
    exact = target if task.objective == "multilabel" else np.eye(len(task.labels))[np.maximum(target, 0)]
    logits = (4 * exact - 2 + 2 * random.standard_normal(exact.shape)).astype(np.float32)
    return Prediction(clip.reference, logits, times, clip.duration)


@pytest.fixture(scope="module")
def plugins():
    return Plugins()


def write(out, plugins, name, n_seeds=1, run="r", keeps=True):
    """Write the results of a job as a run does, without audio; return them."""
    spec, options = plugins.tasks[name], TASKS[name]
    task, dataset = question(name, plugins, options)
    tuned_from = task.with_labels_of(dataset)
    random = np.random.default_rng(1)
    tasks, estimates = [], []
    for _ in range(n_seeds):
        tasks.append(tuned_from.tuned([predicted(tuned_from, clip, random) for clip in dataset.clips("valid")]))
        found = [predicted(tuned_from, clip, random) for clip in dataset.clips("test")]
        estimates.append(tuple(tasks[-1].decode(each.logits, each.times, each.duration) for each in found))
    clips = dataset.clips("test")
    evaluation = Evaluation(
        scores=score(tasks, clips, estimates, 0),
        choices=(Choice(probe=PROBE, view=VIEW, setting=1.0, curve=()),) * n_seeds,
        decoders=tuple(each.decoder for each in tasks),
        estimates=tuple(estimates),
        clips=tuple(clip.id for clip in clips),
        n_clips=dict.fromkeys(SPLITS, N_CLIPS),
        seconds={},
        constant=1.0,
    )
    data = DatasetSpec(name="examples", load=lambda request: dataset, tasks=(name,))
    plugins.offer(data)
    job = Job(Named(), spec, data, tuple(options.items()))
    settings = Settings(home=out, out=out, keeps=keeps)
    work = Work(run, settings, job, Toy(), dataset, FeatureStore(out / "features"), {}, 0.0)
    results = _results(work, evaluation, Fitting())
    writer = RecordWriter(out / "records", run)
    for result in results:
        writer.mirbench_result(result)
    return results


def outcomes(folder, plugins):
    return [(each.outcome, each.reason) for each in verify(folder, plugins, folder / "home")]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("n_seeds", [1, 2])
def test_every_task_is_verified(tmp_path, plugins, name, n_seeds):
    results = write(tmp_path, plugins, name, n_seeds)
    [found] = verify(tmp_path, plugins, tmp_path / "home")
    assert (
        str(found)
        == f"toy on {name} (examples){'[vocabulary=triads]' * (name == 'chord')}: verified ({len(results)} scores)"
    )
    [path] = (tmp_path / "predictions").iterdir()
    assert path.stem == results[0].predictions[:16]
    assert {result.predictions for result in results} == {sha256_of(path.read_bytes())}


def test_a_bundle_and_what_is_imported_from_it_are_verified(tmp_path, plugins):
    write(tmp_path / "mine", plugins, "key")
    export(tmp_path / "mine", tmp_path / "bundle", "")
    merge(tmp_path / "bundle", tmp_path / "theirs")
    for folder in ("bundle", "theirs"):
        assert outcomes(tmp_path / folder, plugins) == [("verified", "")]
    [path] = (tmp_path / "bundle" / "predictions").iterdir()
    path.write_bytes(b"")
    with pytest.raises(RecordError, match="not the file that was exported"):
        outcomes(tmp_path / "bundle", plugins)


def rewrite(out, change, where=lambda values: True):
    """Change the values of records."""
    [path] = (out / "records").iterdir()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(as_line(change(each) if where(each) else each) + "\n" for each in records))


CHANGES = {
    "value": (lambda r: {**r, "value": r["value"] + 2e-9}, "has value .* its predictions give"),
    "interval": (lambda r: {**r, "high": r["high"] + 0.01}, "has high .* its predictions give"),
    "deviation": (lambda r: {**r, "deviation": 0.1}, "has deviation 0.1"),
    "clips": (lambda r: {**r, "n": r["n"] + 1}, r"has n 13; expected 12"),
    "direction": (lambda r: {**r, "higher_is_better": False}, "has higher_is_better False; expected True"),
    "metric": (lambda r: {**r, "metric": "luck"}, "of a metric 'luck', which task 'anuran' does not compute"),
    "encoder": (lambda r: {**r, "fingerprint": "other"}, "of a job with fingerprint 'toy-1'; the record says 'other'"),
    "seed": (lambda r: {**r, "seed": 1}, "of a job with seed 0; the record says 1"),
    "decoder": (lambda r: {**r, "selection": {"choices": [{"decoder": {"thresholds": 3}}]}}, "none of task 'anuran'"),
    "no decoder": (lambda r: {**r, "selection": {}}, "of 1 seeds; the record has decoders of 0"),
    "hash": (lambda r: {**r, "predictions": "0" * 64}, "is missing, which record"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_record_differs(tmp_path, plugins, name):
    write(tmp_path, plugins, "anuran")
    change, reason = CHANGES[name]
    rewrite(tmp_path, change, lambda values: values["is_headline"])
    found = [each for each in verify(tmp_path, plugins, tmp_path) if each.outcome == "differs"]
    assert len(found) == 1
    assert "\n" not in found[0].reason
    assert re.search(reason, found[0].reason)


def test_a_change_below_the_tolerance_is_rounding(tmp_path, plugins):
    write(tmp_path, plugins, "tagging")
    rewrite(tmp_path, lambda r: {**r, "value": r["value"] + 1e-12}, lambda r: bool(r["label"]))
    assert outcomes(tmp_path, plugins) == [("verified", "")]


def test_a_changed_threshold_differs(tmp_path, plugins):
    """Scores that depend on what was tuned are computed with what the record says."""
    write(tmp_path, plugins, "anuran")
    wrong = {"thresholds": {"first": 0.9, "second": 0.9, "third": 0.9}}
    selection = {"choices": [{"decoder": wrong}]}
    rewrite(tmp_path, lambda r: {**r, "selection": selection}, lambda r: r["metric"] == "macro_f1_tuned")
    [reason] = [reason for outcome, reason in outcomes(tmp_path, plugins) if outcome == "differs"]
    assert "macro_f1_tuned has value" in reason


def test_changed_and_missing_files_differ(tmp_path, plugins):
    write(tmp_path, plugins, "key")
    [path] = (tmp_path / "predictions").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    [(outcome, reason)] = outcomes(tmp_path, plugins)
    assert outcome == "differs"
    assert "has the SHA-256" in reason
    path.unlink()
    [(outcome, reason)] = outcomes(tmp_path, plugins)
    assert outcome == "differs"
    assert f"{path} is missing" in reason


def test_predictions_of_another_job_under_a_right_hash_differ(tmp_path, plugins):
    write(tmp_path / "other", plugins, "tagging")
    write(tmp_path / "own", plugins, "key")
    [path] = (tmp_path / "other" / "predictions").iterdir()
    sha256 = sha256_of(path.read_bytes())
    path_of(tmp_path / "own" / "predictions", sha256).write_bytes(path.read_bytes())
    rewrite(tmp_path / "own", lambda r: {**r, "predictions": sha256})
    [(outcome, reason)] = outcomes(tmp_path / "own", plugins)
    assert outcome == "differs"
    assert "predictions" in reason


@pytest.mark.parametrize(("name", "field"), [("beat", "values"), ("anuran", "resampled")])
def test_scores_of_clips_are_compared_too(name, field, tmp_path, plugins):
    write(tmp_path, plugins, name)
    [path] = (tmp_path / "scores").iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    changed = [lines[0], {**lines[1], field: lines[2][field]}, *lines[2:]]
    path.write_text("".join(as_line(line) + "\n" for line in changed))
    [(outcome, reason)] = outcomes(tmp_path, plugins)
    assert outcome == "differs"
    assert reason.startswith("scores of record")
    path.write_text("".join(as_line(line) + "\n" for line in lines[1:]))
    [(outcome, reason)] = outcomes(tmp_path, plugins)
    assert outcome == "differs"
    assert "are missing" in reason


def test_duplicates_are_refused(tmp_path, plugins):
    write(tmp_path, plugins, "key", run="a")
    [path] = (tmp_path / "records").iterdir()
    lines = path.read_text().splitlines(keepends=True)
    better = json.loads(lines[0])
    for line in (lines[0], as_line({**better, "value": 1.0}) + "\n"):
        path.write_text("".join([*lines, line]))
        with pytest.raises(RecordError, match="are both weighted_score of toy on key"):
            outcomes(tmp_path, plugins)
    path.write_text("".join(lines))
    write(tmp_path, plugins, "key", run="b")  # the same job, run again
    assert outcomes(tmp_path, plugins) == [("verified", "")] * 2
    assert len(list((tmp_path / "predictions").iterdir())) == 1


def test_a_line_that_is_no_record_is_refused(tmp_path, plugins):
    write(tmp_path, plugins, "key")
    rewrite(tmp_path, lambda r: {**r, "value": "high"}, lambda r: r["is_headline"])
    with pytest.raises(RecordError, match=r"r\.jsonl:1: not a record \(value"):
        outcomes(tmp_path, plugins)


def test_older_records_are_not_verifiable(tmp_path, plugins):
    [headline, *_] = write(tmp_path / "new", plugins, "key")
    (tmp_path / "old" / "records").mkdir(parents=True)
    for schema in (1, 2):
        old = as_json(replace(headline, schema=schema, run=f"of {schema}"))
        (tmp_path / "old" / "records" / f"{schema}.jsonl").write_text(as_line(old) + "\n")
    assert [result.predictions for result in read_records(tmp_path / "old" / "records")] == ["", ""]
    reason = "a record of schema {}, before predictions were stored"
    assert outcomes(tmp_path / "old", plugins) == [("not verifiable", reason.format(schema)) for schema in (1, 2)]


def test_what_is_left_out_says_so(tmp_path, plugins, monkeypatch):
    write(tmp_path / "people", plugins, "hospital", keeps=False)
    assert outcomes(tmp_path / "people", plugins) == [
        ("not verifiable", "predictions were left out: run with --no-store")
    ]
    assert not (tmp_path / "people" / "predictions").exists()
    monkeypatch.setattr("mirbench.results.predictions.MAX_BYTES", 100)
    write(tmp_path / "large", plugins, "hospital")
    [(outcome, reason)] = outcomes(tmp_path / "large", plugins)
    assert outcome == "not verifiable"
    assert "predictions were left out: 0.00 MB" in reason


def test_other_references_or_none_are_not_verifiable(tmp_path, plugins):
    write(tmp_path, plugins, "key")
    task = plugins.tasks["key"].load()
    other = Examples(task, seed=3)
    plugins.offer(DatasetSpec(name="examples", load=lambda request: other, tasks=("key",)))
    [(outcome, reason)] = outcomes(tmp_path, plugins)
    assert outcome == "not verifiable"
    assert f"other references here: their hash is {digest_of(other)}" in reason
    rewrite(tmp_path, lambda r: {**r, "dataset": "rare recordings"})
    [(outcome, reason)] = outcomes(tmp_path, plugins)
    assert outcome == "not verifiable"
    assert "rare recordings" in reason


@pytest.fixture
def finished(mirbench, recordings, tmp_path):
    words = ("run", "--encoder", "mfcc", "--task", "key", "--data", recordings, "--out")
    assert mirbench(*words, tmp_path / "out")[0] == 0
    return words, tmp_path / "out"


def test_the_command_prints_a_line_for_each_job(mirbench, recordings, finished):
    _, out = finished
    code, said, err = mirbench("verify", out, "--data", recordings)
    assert (code, said, err) == (0, "mfcc on key (triads): verified (8 scores)\n", "")
    code, said, _ = mirbench("verify", out)
    assert code == 0
    assert said.startswith("mfcc on key (triads): not verifiable: no references here: ")
    rewrite(out, lambda r: {**r, "value": 1.0, "high": 1.0}, lambda r: r["metric"] == "key_signature")
    code, said, _ = mirbench("verify", out, "--data", recordings)
    assert code == 1
    assert "mfcc on key (triads): differs: record " in said
    assert len(said.splitlines()) == 1


def test_a_job_that_is_recalled_has_its_predictions(mirbench, recordings, finished, tmp_path):
    words, out = finished
    assert mirbench(*words, tmp_path / "again")[0] == 0
    assert (
        mirbench("verify", tmp_path / "again", "--data", recordings)[1] == "mfcc on key (triads): verified (8 scores)\n"
    )
    [one], [other] = ((folder / "predictions").iterdir() for folder in (out, tmp_path / "again"))
    assert (one.name, one.read_bytes()) == (other.name, other.read_bytes())


def test_a_name_cannot_print_a_line_of_its_own(mirbench, recordings, finished):
    _, out = finished
    rewrite(out, lambda r: {**r, "encoder": "mfcc: verified\nmfcc", "predictions": ""})
    code, said, _ = mirbench("verify", out, "--data", recordings)
    assert code == 0
    assert len(said.splitlines()) == 1
    assert said.endswith("not verifiable: predictions were not stored\n")
