"""Plan runs: look up encoders, tasks and data sets by name, and combine them into jobs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mirbench.data.csv import CsvDataset
from mirbench.domain import Dataset
from mirbench.encoders.references import find_reference
from mirbench.errors import MirbenchError, MissingDataError, UsageError
from mirbench.plan import Job, Plan, Settings
from mirbench.plugins import Catalog, Plugins
from mirbench.specs import DatasetRequest, DatasetSpec, EncoderSpec, TaskSpec

CORE, EVERYTHING = "core", "everything"  # suites
STANDARD = "convex"  # protocol


def make_plan(
    plugins: Plugins,
    encoders: Sequence[str],
    tasks: Sequence[str],
    settings: Settings,
    *,
    datasets: Sequence[str] = (),
    csv: Path | None = None,
) -> Plan:
    """Return the plan of all encoders, tasks and data sets of the given names.

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
    task_specs = [plugins.tasks[name] for name in tasks_of(plugins, tasks)]
    absent: dict[str, str] = {}
    references = [
        find_reference(
            plugins.encoders,
            text,
            settings.home,
            trust_remote_code=settings.trust_remote_code,
            precision=settings.precision,
            sensors=plugins.sensors,
        )
        for text in _expand(encoders, _with_weights(plugins.encoders, absent) if "all" in encoders else [])
    ]
    _require_different_names([reference.name for reference in references])
    if not task_specs or not references:
        raise UsageError("nothing to do: name at least one encoder and one task")
    if csv is not None and datasets:
        raise UsageError("--data and --dataset exclude each other")
    options = {task.name: _options_of(task, settings.options) for task in task_specs}
    _require_use(settings.options, task_specs)
    is_every_task = not set(tasks) <= set(plugins.tasks.names)  # a suite: data sets need not serve all of it
    sources: list[tuple[TaskSpec, DatasetSpec]] = []
    for task in task_specs:
        if csv is not None:
            chosen: Sequence[DatasetSpec] = [csv_spec(csv, task, options[task.name])]
        elif "all" in datasets:
            chosen = _present(plugins, task, settings, absent)
        else:
            chosen = _datasets_of(plugins, task, datasets, is_every_task)
            require_size(chosen, settings.size)
        sources += [(task, dataset) for dataset in chosen]
    jobs = [Job(reference, task, dataset, options[task.name]) for reference in references for task, dataset in sources]
    if not jobs:
        raise UsageError("nothing to do: none of the data sets has references for these tasks")
    if settings.protocol != STANDARD:
        _require_protocol(settings.protocol, jobs)
    return Plan(tuple(jobs), settings, absent, csv)


def _require_protocol(name: str, jobs: Sequence[Job]) -> None:
    from mirbench.probes.protocols import PROTOCOLS  # imports torch

    if name not in PROTOCOLS:
        raise UsageError(f"unknown protocol {name!r}; expected one of {', '.join(PROTOCOLS)}")
    for task in {job.task.name: job.loaded_task for job in jobs}.values():
        PROTOCOLS[name].require(task)


def _require_different_names(names: Sequence[str]) -> None:
    """Refuse two encoders that tables could not tell apart: other weights are shown by the name of their file."""
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


def tasks_of(plugins: Plugins, names: Sequence[str]) -> list[str]:
    """Return the names of tasks that names of tasks and suites stand for.

    Parameters
    ----------
    plugins
        What names are looked up in.
    names
        Names of tasks or suites; "all" is the suite `CORE` (every task, where no plugin offers it), "everything" is
        every task.
    """
    suites = {spec.name: spec.tasks for spec in plugins.suites.specs()}
    every = tuple(plugins.tasks.names)
    known = {"all": suites.get(CORE, every), **suites, EVERYTHING: every}
    return list(dict.fromkeys(task for name in names for task in known.get(name, (name,))))


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
    """Return the encoders that can run; record what the others need."""
    families = {spec.name for spec in encoders.specs() if spec.load_named is not None}
    absent |= {
        spec.name: missing
        for spec in encoders.specs()
        if spec.name not in families and (missing := spec.missing()) is not None
    }
    return [name for name in encoders.names if name not in {*absent, *families}]


def _present(plugins: Plugins, task: TaskSpec, settings: Settings, absent: dict[str, str]) -> list[DatasetSpec]:
    """Return the data sets that are available, or that can be generated; note the others."""
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


def csv_spec(path: Path, task: TaskSpec, options: tuple[tuple[str, str], ...]) -> DatasetSpec:
    """Return the data set of the user's own recordings, with references of one task."""
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
