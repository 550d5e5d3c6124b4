"""What a run is to do: encoders, tasks and data sets, as the user names them."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from mirbench.data.csv import CsvDataset
from mirbench.domain import Dataset, Task
from mirbench.encoders.precision import vary
from mirbench.encoders.references import find_encoder
from mirbench.errors import MirbenchError, MissingDataError, UsageError
from mirbench.evaluation.evaluate import Fitting
from mirbench.plugins import Catalog, Plugins
from mirbench.probes.linear import MEMORY
from mirbench.probes.protocols import PROTOCOLS
from mirbench.specs import DatasetRequest, DatasetSpec, EncoderSpec, TaskSpec

Source = tuple[str, str]  # task and data set


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
    store_limit
        In bytes: what stored features may take, beside those of the encoder at work; None for no limit.
    precision, compiled
        How networks run, see `mirbench.encoders.precision`.
    fresh
        Whether jobs that are finished are done again.
    keeps
        Whether features and finished jobs are kept for later runs.
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
    store_limit: float | None = None
    size: str = "default"
    precision: str = "fp32"
    compiled: bool = False
    fresh: bool = False
    keeps: bool = True
    trust_remote_code: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def fittings(self) -> list[Fitting]:
        """How probes are fitted, for each share of the training clips."""
        return [
            Fitting(PROTOCOLS[self.protocol], self.seed, fraction, self.memory, self.device, self.workers)
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
    reference
        How the user named the encoder.
    """

    encoder: EncoderSpec
    task: TaskSpec
    dataset: DatasetSpec
    options: tuple[tuple[str, str], ...] = ()
    reference: str = ""

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
    csv
        The user's own file, in place of data sets.
    """

    jobs: tuple[Job, ...]
    settings: Settings
    absent: Mapping[str, str] = field(default_factory=dict)
    csv: Path | None = None

    @cached_property
    def run(self) -> str:
        """A name for the run: date, host and process."""
        return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{socket.gethostname()}-{os.getpid()}"


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
        vary(
            find_encoder(plugins.encoders, reference, settings.home, trust_remote_code=settings.trust_remote_code),
            settings.precision,
            compiled=settings.compiled,
        )
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
    jobs = [
        Job(encoder, task, dataset, options[task.name], reference)
        for encoder, reference in zip(encoder_specs, references, strict=True)
        for task, dataset in sources
    ]
    if not jobs:
        raise UsageError("nothing to do: none of the data sets has references for these tasks")
    return Plan(tuple(jobs), settings, absent, csv)


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
