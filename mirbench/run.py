"""The pipeline: plan, extract, evaluate, report. What fails is told apart and takes nothing else down."""

import os
import platform
import socket
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from mirbench.csv_dataset import CsvDataset
from mirbench.domain import SPLITS, Clip, Dataset, Encoder, Result, Task
from mirbench.errors import AudioError, MirbenchError, MissingDataError, UsageError
from mirbench.evaluate import Evaluation, Fitting, evaluate
from mirbench.extract import Failures, Region, extract
from mirbench.plugins import Catalog, Plugins
from mirbench.probes import MEMORY
from mirbench.progress import StepProgress
from mirbench.protocols import PROTOCOLS
from mirbench.specs import DatasetRequest, DatasetSpec, EncoderSpec, TaskSpec
from mirbench.store import FeatureStore
from mirbench.weights import find_encoder

VERSIONED = ("mirbench-audio", "numpy", "scipy", "scikit-learn", "mir_eval", "sed_eval", "torch", "soxr", "soundfile")
MAX_FILES_SHOWN = 5
Source = tuple[str, str]  # task and data set
K = TypeVar("K")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is told besides its encoders, tasks and data sets.

    Attributes
    ----------
    home
        Where data and features are kept.
    out
        Where `records/` lies.
    seed
        Of the bootstrap and of training subsets; nothing else in the standard protocol is random.
    protocol
        Name of how probes are fitted and chosen.
    train_fractions
        Shares of the training clips, each of which is evaluated.
    memory
        In bytes: what the training rows of a probe may take.
    trust_remote_code
        Whether code that lies beside weights may run.
    options
        Of tasks, by name; each task takes those that it has.
    """

    home: Path
    out: Path
    device: str = "cpu"
    workers: int = 2
    batch_size: int = 16
    seed: int = 0
    protocol: str = "convex"
    train_fractions: tuple[float, ...] = (1.0,)
    memory: float = MEMORY
    size: str = "default"
    trust_remote_code: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def fittings(self) -> list[Fitting]:
        """How probes are fitted, for each share of the training clips."""
        return [
            Fitting(PROTOCOLS[self.protocol], self.seed, fraction, self.memory, self.device)
            for fraction in self.train_fractions
        ]

    def request(self, task: TaskSpec) -> DatasetRequest:
        """What a data set is asked for."""
        return DatasetRequest(task=task.name, size=self.size, home=self.home, workers=self.workers)


@dataclass(frozen=True)
class Job:
    """One encoder on one task of one data set.

    Attributes
    ----------
    options
        Of the task, where they are not its defaults.
    """

    encoder: EncoderSpec
    task: TaskSpec
    dataset: DatasetSpec
    options: tuple[tuple[str, str], ...] = ()

    @property
    def source(self) -> Source:
        """What tells its references from those of other jobs."""
        return self.task.name, self.dataset.name

    def load_task(self) -> Task:
        """Load the task as the user wants it."""
        return self.task.load(**dict(self.options))

    def __str__(self) -> str:
        return f"{self.encoder.name} on {self.task.name} ({self.dataset.name})"


@dataclass(frozen=True)
class Plan:
    """All jobs of a run.

    Attributes
    ----------
    absent
        Why data sets or encoders are left out, where all are asked for and some are not on this machine.
    """

    jobs: tuple[Job, ...]
    settings: Settings
    absent: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def run(self) -> str:
        """A name for the run: date, host and process."""
        return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{socket.gethostname()}-{os.getpid()}"


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


def make_plan(
    plugins: Plugins,
    encoders: Sequence[str],
    tasks: Sequence[str],
    settings: Settings,
    *,
    datasets: Sequence[str] = (),
    csv: Path | None = None,
) -> Plan:
    """Look everything up and pair it.

    Parameters
    ----------
    datasets
        None: the default of each task. Each named one is used for those of the tasks that it serves; "all" means
        those on this machine.
    csv
        A CSV file of the user's instead.

    Raises
    ------
    UsageError
        If a name is unknown, or a task and the data sets do not go together.
    """
    task_specs = [plugins.tasks[name] for name in _expand(tasks, plugins.tasks.names)]
    absent: dict[str, str] = {}
    references = _expand(encoders, _with_weights(plugins.encoders, absent) if "all" in encoders else [])
    encoder_specs = [
        find_encoder(plugins.encoders, reference, settings.home, trust_remote_code=settings.trust_remote_code)
        for reference in references
    ]
    _require_different_names(encoder_specs)
    if not task_specs or not encoder_specs:
        raise UsageError("nothing to do: name at least one encoder and one task")
    if csv is not None and datasets:
        raise UsageError("--data and --dataset exclude each other")
    options = {task.name: _options_of(task, settings.options) for task in task_specs}
    _require_use(settings.options, task_specs)
    is_every_task = "all" in tasks
    sources: list[tuple[TaskSpec, DatasetSpec]] = []
    for task in task_specs:
        if csv is not None:
            chosen: Sequence[DatasetSpec] = [_csv_spec(csv, task, options[task.name])]
        elif "all" in datasets:
            chosen = _present(plugins, task, settings, absent)
        else:
            chosen = _datasets_of(plugins, task, datasets, is_every_task)
            require_size(chosen, settings.size)
        sources += [(task, dataset) for dataset in chosen]
    jobs = [Job(encoder, task, dataset, options[task.name]) for encoder in encoder_specs for task, dataset in sources]
    if not jobs:
        raise UsageError("nothing to do: none of the data sets has references for these tasks")
    return Plan(tuple(jobs), settings, absent)


def _require_different_names(encoders: Sequence[EncoderSpec]) -> None:
    """Refuse two encoders that tables could not tell apart: other weights are shown by the name of their file."""
    names = [spec.name for spec in encoders]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two encoders would be called {name!r}; rename one of the files, or run them apart")


def _options_of(task: TaskSpec, options: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Pick what this task knows and what is not its default."""
    known = {name: value for name, value in options.items() if name in task.options}
    for name, value in known.items():
        if value not in task.options[name]:
            has = ", ".join(task.options[name])
            raise UsageError(f"{name} {value!r} is unknown to task {task.name!r}; it has {has}")
    return tuple((name, value) for name, value in known.items() if value != task.options[name][0])


def _require_use(options: Mapping[str, str], tasks: Sequence[TaskSpec]) -> None:
    for name in options:
        if not any(name in task.options for task in tasks):
            raise UsageError(f"none of the tasks {', '.join(task.name for task in tasks)} has an option {name!r}")


def require_size(datasets: Sequence[DatasetSpec], size: str) -> None:
    """Raise UsageError if one of the data sets has no such size."""
    for dataset in datasets:
        if size not in dataset.sizes:
            raise UsageError(f"data set {dataset.name!r} has no size {size!r}; it has {', '.join(dataset.sizes)}")


def _expand(names: Sequence[str], every: Sequence[str]) -> Sequence[str]:
    return list(dict.fromkeys(name for given in names for name in (every if given == "all" else [given])))


def _datasets_of(
    plugins: Plugins, task: TaskSpec, datasets: Sequence[str], is_every_task: bool
) -> Sequence[DatasetSpec]:
    if not datasets:
        if task.default_dataset is None:
            raise UsageError(f"task {task.name!r} has no default data set; name one with --dataset, or use --data")
        return [plugins.datasets[task.default_dataset]]
    serving = [spec for spec in map(plugins.datasets.__getitem__, datasets) if task.name in spec.tasks]
    if not serving and not is_every_task:
        every = [spec.name for spec in plugins.datasets.specs() if task.name in spec.tasks]
        raise UsageError(
            f"no references for task {task.name!r} in {', '.join(datasets)}; there are in {', '.join(every)}"
        )
    return serving


def _with_weights(encoders: Catalog[EncoderSpec], absent: dict[str, str]) -> list[str]:
    """Name the encoders that are ready to run; note what the others need."""
    families = {spec.name for spec in encoders.specs() if spec.load_named is not None}
    absent |= {
        spec.name: missing
        for spec in encoders.specs()
        if spec.name not in families and (missing := spec.missing()) is not None
    }
    return [name for name in encoders.names if name not in {*absent, *families}]


def _present(plugins: Plugins, task: TaskSpec, settings: Settings, absent: dict[str, str]) -> list[DatasetSpec]:
    """Find the data sets that are here, or that can be made here; note the others."""
    found = []
    for spec in plugins.datasets.specs():
        if task.name not in spec.tasks:
            continue
        if settings.size not in spec.sizes:
            absent[spec.name] = f"it has no size {settings.size!r}, only {', '.join(spec.sizes)}"
        else:
            try:
                if not spec.is_embedded:
                    spec.load(settings.request(task))
            except MissingDataError as error:
                absent[spec.name] = str(error)
            except MirbenchError:
                found.append(spec)  # here but broken: the run says so
            else:
                found.append(spec)
    return found


def _csv_spec(path: Path, task: TaskSpec, options: tuple[tuple[str, str], ...]) -> DatasetSpec:
    return DatasetSpec(
        name=path.stem,
        tasks=(task.name,),
        load=lambda request: CsvDataset(path, task.load(**dict(options))),
        license="the user's own",
    )


def load_dataset(spec: DatasetSpec, request: DatasetRequest) -> Dataset:
    """Load a data set; an embedded one is made first where it is missing."""
    if spec.is_embedded and spec.prepare is not None:
        spec.prepare(request)
    return spec.load(request)


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
    with StepProgress(jobs[0].encoder.name, len(jobs), unit="task") as progress:
        for job in jobs:
            with _caught(failures, [job]):
                dataset = datasets[job.source]
                _require_all(dataset, unread)
                for fitting in settings.fittings():
                    evaluation = evaluate(encoder, tasks[job], dataset, store, fitting)
                    for result in _results(plan, job, encoder, dataset, evaluation, fitting, seconds):
                        plugins.manager.hook.mirbench_result(result=result)
            progress.advance(f"{job.task.name} on {job.dataset.name}")


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
