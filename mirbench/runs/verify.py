"""Verify a folder of results: scores are computed again from stored predictions, without audio, features or a GPU."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mirbench.data.reference_hash import digest_of
from mirbench.domain import ClipScores, Dataset, Result, Task
from mirbench.errors import DatasetError, MirbenchError, RecordError, UsageError, first_line
from mirbench.evaluation.bootstrap import Score, score
from mirbench.plugins import Plugins
from mirbench.results.bundle import MANIFEST, read_manifest
from mirbench.results.leaderboard import data_of, specials_of
from mirbench.results.predictions import Predictions, is_stored, job_of, path_of, read_predictions, unpack
from mirbench.results.records import as_line, read_records, read_scores, record_id
from mirbench.runs.planning import csv_spec
from mirbench.runs.reproduce import TOLERANCE
from mirbench.specs import DatasetRequest

NUMBERS = ("value", "low", "high", "deviation")
OF_HALF, OF_SINGLE = 1e-3, 1e-6  # relative errors of the 16-bit offsets and 32-bit scores of `scores/`, rounded up
RESAMPLED = 2e-5  # absolute error of resamples, which `scores/` keeps to 1e-5


@dataclass(frozen=True)
class Verification:
    """Outcome for one job.

    Attributes
    ----------
    job
        Encoder, task and data set.
    outcome
        What was found.
    reason
        Why a job is not verifiable, or the first difference; empty where it is verified.
    n_scores
        Number of scores that were computed again.
    """

    job: str
    outcome: Literal["verified", "not verifiable", "differs"]
    reason: str = ""
    n_scores: int = 0

    def __str__(self) -> str:
        about = f": {self.reason}" if self.reason else f" ({self.n_scores} scores)"
        return f"{self.job}: {self.outcome}{about}"


class _NotVerifiableError(Exception):
    """Nothing is wrong, but the scores cannot be computed again; the message is the reason."""


@dataclass(frozen=True)
class _Place:
    """Sources of tasks, data sets and predictions; see `verify`."""

    folder: Path
    plugins: Plugins
    home: Path
    workers: int
    csv: Path | None

    @cached_property
    def predictions(self) -> Path:
        return self.folder / "predictions"


def verify(
    folder: Path, plugins: Plugins, home: Path, *, workers: int = 1, csv: Path | None = None
) -> Iterator[Verification]:
    """Check a folder of results, or an exported one, job by job.

    Parameters
    ----------
    folder
        Folder with `records/`, `scores/` and `predictions/`.
    plugins
        Where tasks and data sets are looked up.
    home
        Folder of data.
    workers
        Number of processes.
    csv
        CSV file of the user's own recordings, for results of its name.

    Yields
    ------
    Verification
        Outcome of each job.

    Raises
    ------
    UsageError
        If there are no records.
    RecordError
        If a line is no record, a file is not the one that was exported, or a result occurs twice.
    """
    if (folder / MANIFEST).is_file():
        read_manifest(folder)
    results = read_records(folder / "records", strict=True)
    if not results:
        raise UsageError(f"no records in {folder / 'records'}; expected a folder that 'mirbench run' wrote")
    _refuse_duplicates(results)
    scores = read_scores(folder / "scores", results, strict=True)
    jobs: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        own = [result.run, result.encoder, result.schema, result.predictions, _decoders(result)]
        jobs[as_line({**job_of(result), "own": own})].append(result)
    place = _Place(folder, plugins, home, workers, csv)
    for members in jobs.values():
        try:
            _verify_job(members, scores, place)
        except _NotVerifiableError as reason:
            yield Verification(_name(members[0]), "not verifiable", str(reason))
        except RecordError as error:
            yield Verification(_name(members[0]), "differs", str(error))
        else:
            yield Verification(_name(members[0]), "verified", n_scores=len(members))


def _name(result: Result) -> str:
    return f"{result.encoder} on {result.task} ({data_of(result)}){specials_of(replace(result, label=''))}"


def _refuse_duplicates(results: Sequence[Result]) -> None:
    known: dict[str, Result] = {}
    for result in results:
        own = [result.run, result.encoder, result.metric, result.label]
        other = known.setdefault(as_line({**job_of(result), "own": own}), result)
        if other is not result:
            raise RecordError(
                f"records {record_id(other)} and {record_id(result)} are both {result.metric} of {_name(result)} in "
                f"run {result.run}; expected one record of a result: remove the other"
            )


def _decoders(result: Result) -> list[Mapping[str, Any]]:
    """Return the tuned parameters of each seed; none where the record does not hold them."""
    choices = result.selection.get("choices")
    found = (
        [choice.get("decoder") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    )
    return [decoder for decoder in found if isinstance(decoder, dict)]


def _verify_job(results: Sequence[Result], scores: Mapping[str, ClipScores], place: _Place) -> None:
    """Compare the results of a job with what follows from its predictions.

    Raises
    ------
    _NotVerifiableError
        If that cannot be computed.
    RecordError
        At the first difference.
    """
    first = results[0]
    content = _content(first, place)
    task, dataset = _question(first, place)
    tasks = [_restored(task, decoder) for decoder in _decoders(first)]
    try:
        predictions = unpack(content, task.empty())
        _require_fit(first, predictions, dataset, len(tasks))
        computed = {
            (each.metric.name, each.metric.label): (each, is_headline)
            for each, is_headline in _scored(tasks, dataset, predictions, first.seed, place.workers)
        }
    except RecordError as error:
        raise RecordError(f"{path_of(place.predictions, first.predictions)}: {error}") from error
    for result in results:
        key = (result.metric, result.label)
        if key not in computed:
            raise RecordError(
                f"record {record_id(result)} is of a metric {' of '.join(filter(None, key))!r}, which task "
                f"{result.task!r} does not compute here; remove the record, or use the version of its task"
            )
        _require_same(result, *computed[key])
        _require_same_scores(result, computed[key][0], scores.get(record_id(result)))


def _content(result: Result, place: _Place) -> bytes:
    """Return the content of a job's file of predictions."""
    if result.schema < 3:
        raise _NotVerifiableError(f"a record of schema {result.schema}, before predictions were stored")
    if not is_stored(result.predictions):
        raise _NotVerifiableError(f"predictions were {result.predictions or 'not stored'}")
    content = read_predictions(place.predictions, result.predictions)
    if content is None:
        raise RecordError(
            f"{path_of(place.predictions, result.predictions)} is missing, which record {record_id(result)} names; "
            "copy it from the folder of the run, or run the job again"
        )
    return content


def _question(result: Result, place: _Place) -> tuple[Task, Dataset]:
    """Return the task and the data set of a result, if the references here are those of the record."""
    try:
        spec = place.plugins.tasks[result.task]
        unknown = {name: value for name, value in result.options.items() if value not in spec.options.get(name, ())}
        if unknown:
            raise _NotVerifiableError(f"task {result.task!r} has no options {unknown} here")
        if place.csv is not None and place.csv.stem == result.dataset:
            data = csv_spec(place.csv, spec, tuple(result.options.items()))
        else:
            data = place.plugins.datasets[result.dataset]
        dataset = data.load(
            DatasetRequest(
                task=result.task, size=result.size, home=place.home, workers=place.workers, needs_audio=False
            )
        )
    except (UsageError, DatasetError) as error:
        raise _NotVerifiableError(f"no references here: {first_line(error)}") from error
    digest = digest_of(dataset)
    if digest != result.references:
        raise _NotVerifiableError(
            f"other references here: their hash is {digest} (version {dataset.version}), that of the record "
            f"{result.references} (version {result.dataset_version}); install the version of the data set"
        )
    return spec.load(**result.options).with_labels_of(dataset), dataset


def _restored(task: Task, decoder: Mapping[str, Any]) -> Task:
    """Return the task as it was tuned."""
    try:
        restored = task.restored(decoder)
        found = as_line(restored.decoder)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordError(
            f"the record's decoder {as_line(decoder)[:80]} is none of task {task.name!r} "
            f"({type(error).__name__}: {first_line(error)}); expected parameters such as {as_line(task.decoder)[:80]}"
        ) from error
    if found != as_line(decoder):
        raise _NotVerifiableError(f"task {task.name!r} does not restore its tuned decoder (Task.restored)")
    return restored


def _require_fit(result: Result, predictions: Predictions, dataset: Dataset, n_decoders: int) -> None:
    """Refuse predictions of another job."""
    expected = job_of(result)
    other = [name for name, value in expected.items() if predictions.job.get(name) != value]
    if other:
        name = other[0]
        raise RecordError(f"of a job with {name} {predictions.job.get(name)!r}; the record says {expected[name]!r}")
    if predictions.clips != tuple(clip.id for clip in dataset.clips("test")):
        raise RecordError(f"of other clips than the test split of {dataset.name!r}")
    if len(predictions.estimates) != n_decoders:
        raise RecordError(f"of {len(predictions.estimates)} seeds; the record has decoders of {n_decoders}")


def _scored(
    tasks: Sequence[Task], dataset: Dataset, predictions: Predictions, seed: int, workers: int
) -> list[tuple[Score, bool]]:
    """Return the scores of a job, and whether each is the headline."""
    try:
        found = score(tasks, dataset.clips("test"), predictions.estimates, seed, workers)
    except MirbenchError as error:
        raise RecordError(str(error)) from error
    except Exception as error:  # estimates may be anything of the right type, and metrics raise anything
        raise RecordError(f"its estimates cannot be scored ({type(error).__name__}: {first_line(error)})") from error
    return [(each, place == 0) for place, each in enumerate(found)]


def _require_same(result: Result, computed: Score, is_headline: bool) -> None:
    name = f"record {record_id(result)}: {' of '.join(filter(None, (result.metric, result.label)))}"
    for field in NUMBERS:
        before, now = getattr(result, field), getattr(computed, field)
        if not abs(before - now) <= TOLERANCE:
            raise RecordError(
                f"{name} has {field} {before!r}; its predictions give {now!r}: the record or the predictions were "
                "changed, or a library computes otherwise (see versions in the record); run the job again"
            )
    metric = computed.metric
    facts = {
        "aggregate": metric.aggregate,
        "is_headline": is_headline,
        "higher_is_better": metric.higher_is_better,
        "n": computed.n,
        "n_groups": computed.n_groups,
    }
    for field, fact in facts.items():
        if getattr(result, field) != fact:
            raise RecordError(f"{name} has {field} {getattr(result, field)!r}; expected {fact!r}: run the job again")


def _require_same_scores(result: Result, computed: Score, stored: ClipScores | None) -> None:
    """Compare the scores of single clips and resamples, as exactly as `scores/` holds them."""
    if computed.scores is None:  # of a single label
        return
    where = f"scores of record {record_id(result)} ({result.metric})"
    if stored is None:
        raise RecordError(f"{where} are missing; copy scores/ from the folder of the run, or run the job again")
    expected = computed.scores
    is_same = (
        stored.clips == expected.clips
        and 0 < len(stored.resampled) <= len(expected.resampled)  # the first ones are equal, whatever their number
        and _is_close(
            stored.resampled - result.value,
            expected.resampled[: len(stored.resampled)] - computed.value,
            OF_HALF,
            RESAMPLED,
        )
        and _is_close(stored.values, expected.values, OF_SINGLE, TOLERANCE)
        and _is_close(stored.weights, expected.weights, OF_SINGLE, TOLERANCE)
    )
    if not is_same:
        raise RecordError(f"{where} differ from those of its predictions; copy scores/ again, or run the job again")


def _is_close(found: np.ndarray | None, expected: np.ndarray | None, relative: float, absolute: float) -> bool:
    if found is None or expected is None:
        return found is expected
    return found.shape == expected.shape and np.allclose(found, expected, relative, absolute, equal_nan=True)
