"""Run the benchmark from Python: what the command line does, with names or objects, for notebooks and scripts.

>>> import mirbench
>>> results = mirbench.run(encoders=["chroma", my_encoder], tasks=["key"], data="my.csv")  # doctest: +SKIP
>>> results.to_frame()  # doctest: +SKIP
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirbench.domain import Dataset, Encoder, Result, Sensor, Task
from mirbench.encoders.references import find_reference
from mirbench.errors import MirbenchError
from mirbench.files import find_home, sweep
from mirbench.hookspecs import hookimpl
from mirbench.plan import Plan, Settings
from mirbench.plugins import Plugins, plugin_files
from mirbench.results.compare import Comparison
from mirbench.results.compare import compare as compare_results
from mirbench.results.formats import About, Table, choose, lay_out
from mirbench.results.frames import frame_of
from mirbench.results.leaderboard import is_standard
from mirbench.results.records import RecordWriter, as_json, read_records, read_scores
from mirbench.results.variants import add_variants
from mirbench.results.withdrawals import counted
from mirbench.runs.planning import make_plan
from mirbench.runs.run import Failure
from mirbench.runs.run import run as run_plan
from mirbench.specs import DatasetSpec, EncoderSpec, TaskSpec

if TYPE_CHECKING:
    import pandas

GIB = 2.0**30


@dataclass(frozen=True)
class Results(Sequence[Result]):
    """The results of a run, in the order in which they became known.

    Attributes
    ----------
    results
        All of them: every metric of every job, and those of single labels.
    failures
        Jobs that failed, and why.
    path
        File of the records.
    """

    results: tuple[Result, ...]
    failures: tuple[Failure, ...]
    path: Path

    def __getitem__(self, place: Any) -> Any:
        """Return a result, or a slice of them."""
        return self.results[place]

    def __len__(self) -> int:
        """Return the number of results."""
        return len(self.results)

    @property
    def headlines(self) -> tuple[Result, ...]:
        """The results of each task's headline metric."""
        return tuple(result for result in self.results if result.is_headline)

    def to_frame(self) -> "pandas.DataFrame":
        """Return the results as a pandas data frame, one row a result; needs `pip install pandas`.

        Columns are the fields of a record without the validation curves.
        """
        rows = [as_json(result) for result in self.results]
        return frame_of({name: value for name, value in row.items() if name != "selection"} for row in rows)


class _Collected:
    def __init__(self) -> None:
        self.results: list[Result] = []

    @hookimpl
    def mirbench_result(self, result: Result) -> None:
        self.results.append(result)


def plan(
    encoders: Sequence[str | Encoder | EncoderSpec],
    tasks: Sequence[str | Task | TaskSpec],
    *,
    plugins: Plugins,
    datasets: Sequence[str | Dataset | DatasetSpec] = (),
    data: str | Path | None = None,
    **settings: Any,
) -> Plan:
    """Return the plan of a run; objects are offered to the plugins under their names first.

    Parameters
    ----------
    encoders, tasks, datasets, data
        As of `run`.
    plugins
        What names are looked up in.
    **settings
        Fields of `mirbench.plan.Settings`.

    Raises
    ------
    UsageError
        If a name is unknown, or a task and the data sets do not go together.
    """
    names = [each if isinstance(each, str) else plugins.offer(_encoder_spec(each)) for each in encoders]
    asked = [each if isinstance(each, str) else plugins.offer(_task_spec(each)) for each in tasks]
    sets = [each if isinstance(each, str) else plugins.offer(_dataset_spec(each, asked)) for each in datasets]
    csv = None if data is None else Path(data)
    return make_plan(plugins, names, asked, Settings(**settings), datasets=sets, csv=csv)


def _encoder_spec(given: Encoder | EncoderSpec) -> EncoderSpec:
    if isinstance(given, EncoderSpec):
        return given
    name = getattr(given, "name", type(given).__name__)
    return EncoderSpec(name=name, load=lambda device: given, license="the user's own")


def _task_spec(given: Task | TaskSpec) -> TaskSpec:
    return given if isinstance(given, TaskSpec) else TaskSpec(name=given.name, load=lambda **options: given)


def _dataset_spec(given: Dataset | DatasetSpec, tasks: Sequence[str]) -> DatasetSpec:
    if isinstance(given, DatasetSpec):
        return given
    return DatasetSpec(name=given.name, load=lambda request: given, tasks=tuple(tasks), sizes=(given.size,))


def run(
    encoders: Sequence[str | Encoder | EncoderSpec],
    tasks: Sequence[str | Task | TaskSpec],
    *,
    datasets: Sequence[str | Dataset | DatasetSpec] = (),
    data: str | Path | None = None,
    out: str | Path = "results",
    home: str | Path | None = None,
    size: str = "default",
    protocol: str = "convex",
    train_fractions: Sequence[float] = (1.0,),
    leave_group_out: bool = False,
    options: Mapping[str, str] | None = None,
    seed: int = 0,
    device: str = "cpu",
    workers: int | None = None,
    batch_size: int = 16,
    precision: str = "fp32",
    memory: float = 2.0,
    store_limit: float | None = None,
    fresh: bool = False,
    keep: bool = True,
    trust_remote_code: bool = False,
    plugins: Sequence[str | Path] = (),
    observers: Sequence[object] = (),
) -> Results:
    """Evaluate encoders on tasks: features once, a linear probe for each task, scores with intervals, records.

    What is computed is kept: the same call goes on where an interrupted one stopped.

    Parameters
    ----------
    encoders
        Names as on the command line (`NAME`, `NAME@WEIGHTS`, `hf:ORG/NAME`, `NAME~SENSOR`, "all"), encoders, or specs.
        An encoder's attribute `name` names it in results; `mirbench.encoder` makes one of any function or torch module.
    tasks
        Names ("all"), tasks, or specs.
    datasets
        Names, data sets or specs; by default each task's own.
    data
        A CSV file that lists your own recordings, instead of data sets.
    out
        Folder of results; `records/` and `scores/` in it are appended to, and `predictions/` gets a file for each job.
    home
        Folder of data and features; by default MIRBENCH_HOME, or the user's cache folder.
    size
        Size of embedded data sets: "default" or "small".
    protocol
        "convex" (the standard), "convex-refit", "sgd", "marble", "hear" or "knn".
    train_fractions
        Shares of the training clips, each of which is evaluated: a few-shot curve.
    leave_group_out
        If true, each group is tested in turn by a probe that was trained without it.
    options
        Options of tasks, such as `{"decoder": "dbn"}`.
    seed
        Seed of the bootstrap and of training subsets.
    device
        "cpu" or "cuda".
    workers
        Threads and processes; by default one a core.
    batch_size
        Windows that a network encodes at a time.
    precision
        "fp32", "bf16" or "fp16".
    memory
        GiB that the training rows of a probe may take.
    store_limit
        GiB that stored features may take; None for no limit.
    fresh
        If true, finished jobs are computed again.
    keep
        If false, neither features nor finished jobs are kept.
    trust_remote_code
        If true, code that lies beside weights may run.
    plugins
        Python files to load as plugins.
    observers
        Objects with hooks of observers, such as `mirbench_result`.

    Returns
    -------
    Results
        A sequence of `Result`, with `.headlines`, `.failures` and `.to_frame()`.

    Raises
    ------
    UsageError
        If a name is unknown, or arguments do not go together. Jobs that fail do not raise: see `Results.failures`.
    """
    found = Plugins(plugin_files([Path(file) for file in plugins]))
    made = plan(
        encoders,
        tasks,
        plugins=found,
        datasets=datasets,
        data=data,
        home=find_home(None if home is None else Path(home)),
        out=Path(out),
        size=size,
        protocol=protocol,
        train_fractions=tuple(train_fractions),
        leave_group_out=leave_group_out,
        options=dict(options or {}),
        seed=seed,
        device=device,
        workers=workers or os.cpu_count() or 1,
        batch_size=batch_size,
        precision=precision,
        memory=memory * GIB,
        store_limit=None if store_limit is None else store_limit * GIB,
        fresh=fresh,
        keeps=keep,
        trust_remote_code=trust_remote_code,
    )
    return execute(made, found, observers)


def execute(
    made: Plan,
    plugins: Plugins,
    observers: Sequence[object] = (),
    run: Callable[[Plan, Plugins], list[Failure]] = run_plan,
) -> Results:
    """Run a plan and write its records.

    Parameters
    ----------
    made
        The plan.
    plugins
        Plugins of this process; their observers see the run.
    observers
        Further observers.
    run
        How it is run: in this process, or on a cluster.
    """
    settings = made.settings
    home, out = settings.home, settings.out
    for folder in (home / "finished", home / "weights", out / "records", out / "scores", out / "predictions"):
        sweep(folder)
    sweep(settings.out, deep=False)  # it may be any folder of the user's
    collected, writer = _Collected(), RecordWriter(settings.out / "records", made.run)
    for observer in (writer, *observers, collected):
        plugins.observe(observer)
    failures = run(made, plugins)
    return Results(tuple(collected.results), tuple(failures), writer.path)


def leaderboard(
    out: str | Path = "results",
    *,
    tasks: Sequence[str] = (),
    datasets: Sequence[str] = (),
    metrics: Sequence[str] = (),
    protocols: Sequence[str] = (),
) -> Table:
    """Return a table of the newest results of a folder: a row for each encoder, a column for each headline.

    Parameters
    ----------
    out
        Folder of results.
    tasks, datasets, metrics, protocols
        Names to keep; nothing named keeps all (of metrics, the headlines).

    Returns
    -------
    Table
        With `.rows`, `.columns` and `.to_frame()`.
    """
    every = counted(read_records(Path(out) / "records"), Path(out))
    results = choose(every, tasks=tasks, datasets=datasets, metrics=metrics, protocols=protocols)
    known = about_encoders(Plugins(), {result.encoder for result in results})
    scores = read_scores(Path(out) / "scores", [result for result in results if result.is_headline])
    return lay_out(results, known, scores, only_headlines=not metrics)


def load_encoder(name: str, device: str = "cpu", home: str | Path | None = None) -> Encoder:
    """Return an encoder by its name.

    Parameters
    ----------
    name
        Name as on the command line: `NAME`, `NAME@WEIGHTS`, `hf:ORG/NAME`, or `NAME~SENSOR`.
    device
        "cpu" or "cuda".
    home
        Folder of downloaded weights; by default MIRBENCH_HOME, or the user's cache folder.

    Raises
    ------
    UsageError
        If there is no such encoder or sensor.
    WeightsError
        If weights are missing or damaged.
    """
    plugins = Plugins(plugin_files([]))
    folder = find_home(None if home is None else Path(home))
    return find_reference(plugins.encoders, name, folder, sensors=plugins.sensors).load(device)


def load_sensors() -> dict[str, Sensor]:
    """Return all installed sensors by their names."""
    return {spec.name: spec.load() for spec in Plugins(plugin_files([])).sensors.specs()}


def about_encoders(plugins: Plugins, encoders: Iterable[str]) -> dict[str, About]:
    """Return what is known about encoders besides their results.

    Parameters
    ----------
    plugins
        Where their specs are looked up.
    encoders
        Names in results. Of other weights, only that they are somebody else's is known.
    """
    found = {}
    for encoder in encoders:
        name, at, _ = encoder.partition("~")[0].partition("@")
        try:
            spec = plugins.encoders[name]
        except MirbenchError:
            continue  # its plugin is not installed here
        weights = "publisher's" if at else spec.weights_license.split(":")[0]
        found[encoder] = About(spec.n_parameters, spec.license, weights, "" if at else spec.remark)
    return found


def compare(
    one: str, other: str, out: str | Path = "results", *, tasks: Sequence[str] = (), metrics: Sequence[str] = ()
) -> Comparison:
    """Test whether two encoders differ by more than the choice of test clips explains.

    Parameters
    ----------
    one, other
        Names of encoders in results; `NAME:mix=mix2` or `NAME:protocol=last-layer` for those with other settings.
    out
        Folder of results.
    tasks
        Tasks to compare on; by default all that both have.
    metrics
        Metrics instead of each task's headline.

    Returns
    -------
    Comparison
        With `.differences`, `.sentences()` and `.to_frame()`.

    Raises
    ------
    UsageError
        If an encoder has no results, or nothing can be compared.
    """
    every = choose(counted(read_records(Path(out) / "records"), Path(out)), tasks=tasks, metrics=metrics)
    results, scores = add_variants((one, other), every, read_scores(Path(out) / "scores", every))
    return compare_results([result for result in results if is_standard(result)], scores, one, other, metrics)
