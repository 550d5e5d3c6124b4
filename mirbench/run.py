"""The pipeline: extract, evaluate, report. What fails is told apart and takes nothing else down."""

import platform
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from mirbench import audio
from mirbench.domain import SPLITS, Clip, Dataset, Encoder, Result
from mirbench.errors import AudioError, MirbenchError
from mirbench.evaluate import Evaluation, Fitting, evaluate
from mirbench.extract import Failures, Region, extract
from mirbench.finished import Finished, key_of
from mirbench.plan import Job, Plan, Source, load_dataset
from mirbench.plugins import Plugins
from mirbench.progress import StepProgress
from mirbench.store import FeatureStore
from mirbench.variants import Variant

VERSIONED = ("mirbench-audio", "numpy", "scipy", "scikit-learn", "mir_eval", "sed_eval", "torch", "soxr", "soundfile")
MAX_FILES_SHOWN = 5
N_COMPARED = 4  # clips of which features of two precisions are compared
K = TypeVar("K")


@dataclass(frozen=True)
class Failure:
    """A job that did not end.

    Attributes
    ----------
    trace
        Of a bug; empty where the user can mend it.
    """

    job: Job
    reason: str
    trace: str = ""


def run(plan: Plan, plugins: Plugins) -> list[Failure]:
    """Run all jobs, encoder by encoder.

    Returns
    -------
    list of Failure
        Empty if every job ended. Results go to the observers (`mirbench_result`).
    """
    plugins.manager.hook.mirbench_run_start(plan=plan)
    failures: list[Failure] = []
    datasets: dict[Source, Dataset] = {}
    for source, jobs in _grouped(plan.jobs, lambda job: job.source).items():
        with _caught(failures, jobs):
            datasets[source] = load_dataset(jobs[0].dataset, plan.settings.request(jobs[0].task))
    store = FeatureStore(plan.settings.home / "features")
    ready = [job for job in plan.jobs if job.source in datasets]
    for jobs in _grouped(ready, lambda job: job.encoder.name).values():
        with _caught(failures, jobs):
            _run_encoder(plan, jobs, datasets, store, plugins, failures)
    return failures


def _grouped(jobs: Sequence[Job], key: Callable[[Job], K]) -> dict[K, list[Job]]:
    groups: dict[K, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[key(job)].append(job)
    return groups


class _caught:  # noqa: N801
    """Note what went wrong as a failure of the given jobs (unless it is noted already), and go on."""

    def __init__(self, failures: list[Failure], jobs: Sequence[Job]) -> None:
        self._failures, self._jobs = failures, jobs

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False  # nothing went wrong, or Ctrl-C
        is_bug = not isinstance(error, MirbenchError)
        reason = f"{type(error).__name__}: {error}" if is_bug else str(error)
        text = "".join(traceback.format_exception(error)) if is_bug else ""
        self._failures += [Failure(job, reason, text) for job in self._jobs]
        return True


def _run_encoder(
    plan: Plan,
    jobs: Sequence[Job],
    datasets: dict[Source, Dataset],
    store: FeatureStore,
    plugins: Plugins,
    failures: list[Failure],
) -> None:
    """Encode the clips of all jobs once, then evaluate job by job."""
    settings = plan.settings
    encoder = jobs[0].encoder.load(settings.device)
    tasks = {job: job.load_task() for job in jobs}
    wanted: dict[Region, frozenset[str]] = {}
    for job in jobs:
        for clip in _all_clips(datasets[job.source]):
            region = Region.of(clip)
            wanted[region] = wanted.get(region, frozenset()).union(encoder.readouts(tasks[job].scope))
    started = time.perf_counter()
    unread = extract(
        encoder, wanted, store, title=jobs[0].encoder.name, batch_size=settings.batch_size, workers=settings.workers
    )
    seconds = time.perf_counter() - started
    extraction = _described(encoder, [region for region in wanted if region not in unread])
    with StepProgress(jobs[0].encoder.name, len(jobs), unit="task") as progress:
        for job in jobs:
            with _caught(failures, [job]):
                dataset = datasets[job.source]
                _require_all(dataset, unread)
                for fitting in settings.fittings():
                    for result in _finish(plan, job, encoder, dataset, store, fitting, extraction, seconds):
                        plugins.manager.hook.mirbench_result(result=result)
            progress.advance(f"{job.task.name} on {job.dataset.name}")


def _finish(
    plan: Plan,
    job: Job,
    encoder: Encoder,
    dataset: Dataset,
    store: FeatureStore,
    fitting: Fitting,
    extraction: dict[str, Any],
    extract_seconds: float,
) -> list[Result]:
    """Evaluate a job, or recall its results."""
    task = job.load_task()
    finished = Finished(plan.settings.home / "finished")
    key = key_of(encoder, task, dataset, fitting, dict(job.options), _versions())
    date = datetime.now(UTC).isoformat(timespec="seconds")
    found = None if plan.settings.fresh else finished.get(key, plan.run, date, job.encoder.name)
    if found is None:
        evaluation = evaluate(encoder, task, dataset, store, fitting)
        found = _results(plan, job, encoder, dataset, evaluation, fitting, extraction, extract_seconds)
        finished.put(key, found)
    return found


def _described(encoder: Encoder, regions: Sequence[Region]) -> dict[str, Any]:
    """Measure how far features of another precision are from those of the encoder as it is."""
    if not isinstance(encoder, Variant):
        return {}
    some = regions[:: max(1, len(regions) // N_COMPARED)][:N_COMPARED]
    return encoder.described(
        [audio.load(region.path, encoder.sample_rate, region.start, region.duration) for region in some]
    )


def _all_clips(dataset: Dataset) -> list[Clip]:
    return [clip for split in SPLITS for clip in dataset.clips(split)]


def _require_all(dataset: Dataset, unread: Failures) -> None:
    """Refuse a data set of which clips could not be read: they are never left out in silence."""
    problems = [unread[region] for region in map(Region.of, _all_clips(dataset)) if region in unread]
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:MAX_FILES_SHOWN])
        more = f"\n  ... and {len(problems) - MAX_FILES_SHOWN} more" if len(problems) > MAX_FILES_SHOWN else ""
        raise AudioError(
            f"{len(problems)} clips of data set {dataset.name!r} cannot be read; mend or remove them, and rerun "
            f"(what is encoded already is kept)\n{shown}{more}"
        )


def _results(
    plan: Plan,
    job: Job,
    encoder: Encoder,
    dataset: Dataset,
    evaluation: Evaluation,
    fitting: Fitting,
    extraction: dict[str, Any],
    extract_seconds: float,
) -> list[Result]:
    first = evaluation.choices[0]
    return [
        Result(
            run=plan.run,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            encoder=job.encoder.name,
            fingerprint=encoder.fingerprint,
            task=job.task.name,
            dataset=dataset.name,
            dataset_version=dataset.version,
            size=dataset.size,
            split="test",
            options=dict(job.options),
            metric=score.metric.name,
            label=score.metric.label,
            is_headline=score is evaluation.scores[0],
            aggregate=score.metric.aggregate,
            value=score.value,
            low=score.low,
            high=score.high,
            deviation=score.deviation,
            n=evaluation.n_clips["test"],
            n_groups=evaluation.n_groups,
            n_train=evaluation.n_clips["train"],
            n_valid=evaluation.n_clips["valid"],
            protocol=fitting.protocol.name,
            n_seeds=fitting.protocol.n_seeds,
            train_fraction=fitting.fraction,
            readout=first.readout,
            layer=first.layer,
            setting=first.setting,
            seed=plan.settings.seed,
            source=score.metric.source,
            selection={
                "split": "valid",
                "criterion": "cross-entropy",
                "choices": [
                    {
                        "readout": choice.readout,
                        "layer": choice.layer,
                        "setting": choice.setting,
                        "decoder": decoder,
                        "curve": choice.curve,
                    }
                    for choice, decoder in zip(evaluation.choices, evaluation.decoders, strict=True)
                ],
            },
            extraction=extraction,
            versions=_versions(),
            seconds={"extract": extract_seconds, **evaluation.seconds},
        )
        for score in evaluation.scores
    ]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
