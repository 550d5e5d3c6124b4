"""Run the benchmark from Python: what the command line does, with names or objects, for notebooks and scripts.

>>> import mirbench
>>> results = mirbench.run(encoders=["chroma", my_encoder], tasks=["key"], data="my.csv")  # doctest: +SKIP
>>> results.to_frame()  # doctest: +SKIP
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mirbench.domain import Audio, Dataset, Encoder, Features, Result, Task
from mirbench.encoders.fingerprint import fingerprint as hash_of
from mirbench.errors import MirbenchError, UsageError
from mirbench.files import find_home, sweep
from mirbench.hookspecs import hookimpl
from mirbench.plan import Plan, Settings
from mirbench.plugins import Plugins, plugin_files
from mirbench.results.compare import Comparison
from mirbench.results.compare import compare as compare_results
from mirbench.results.formats import Table, choose, lay_out
from mirbench.results.frames import frame_of
from mirbench.results.leaderboard import is_standard
from mirbench.results.records import RecordWriter, as_json, read_records, read_scores
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
        return frame_of({**as_json(result), "selection": None} for result in self.results).drop(columns="selection")


class _CallableEncoder(Encoder):
    """An encoder made of a function."""

    def __init__(
        self, function: Callable[[Audio], Any], sample_rate: int, name: str, fingerprint: str, frame_rate: float | None
    ) -> None:
        self._function, self._frame_rate = function, frame_rate
        self.sample_rate, self.name, self.fingerprint = sample_rate, name, fingerprint

    def encode(self, audio: Audio) -> Features:
        """Call the function, and lay out what it returns."""
        import torch

        with torch.inference_mode():
            found = self._function(audio)
        if isinstance(found, Features):
            return found
        times = None
        if isinstance(found, tuple) and len(found) == 2:
            found, times = found
        if hasattr(found, "detach"):
            found = found.detach().cpu().float().numpy()
        frames = np.asarray(found, dtype=np.float32)
        if not 1 <= frames.ndim <= 3:
            raise MirbenchError(
                f"encoder {self.name!r} returned an array of shape {frames.shape}; expected [dim], [time, dim] or "
                "[layer, time, dim]"
            )
        frames = frames.reshape((1,) * (3 - frames.ndim) + frames.shape)
        duration = len(audio) / self.sample_rate
        if times is None:
            n_frames = frames.shape[1]
            step = 1 / self._frame_rate if self._frame_rate else duration / n_frames
            times = (np.arange(n_frames) + 0.5) * step
        return Features(frames, np.asarray(times, dtype=np.float64))


def encoder(
    function: Callable[[Audio], Any],
    *,
    sample_rate: int,
    name: str,
    fingerprint: str | None = None,
    frame_rate: float | None = None,
) -> Encoder:
    """Return an encoder that calls a function or torch module.

    Parameters
    ----------
    function
        Called with mono float32 samples in [-1, 1] (a torch module: with a tensor [batch=1, samples]); returns one
        vector, frames [time, dim] or [layer, time, dim], a pair of frames and their times in seconds, or `Features`.
    sample_rate
        In Hz; audio is resampled to it.
    name
        Name in results.
    fingerprint
        Text that changes whenever the features would: stored features are found by it. None: a hash of the name and of
        a module's weights. A function without a fingerprint of its own is refused, because code cannot be hashed.
    frame_rate
        Frames a second, where the function returns frames without times; None: frames divide the clip evenly.

    Returns
    -------
    Encoder
        To be used in `run(encoders=[...])`.

    Raises
    ------
    UsageError
        If a plain function comes without a fingerprint.
    """
    import torch

    call = function
    if isinstance(function, torch.nn.Module):
        function.eval()
        device = next(iter(function.parameters()), torch.empty(0)).device

        def call(audio: Audio) -> Any:
            found = function(torch.from_numpy(np.ascontiguousarray(audio)).to(device)[None])
            return found[0] if isinstance(found, torch.Tensor) and found.ndim in (2, 3, 4) else found

        fingerprint = fingerprint or hash_of(name, sample_rate, function)
    if fingerprint is None:
        raise UsageError(
            f"encoder {name!r}: a function needs a fingerprint, a text that you change whenever its features change"
        )
    return _CallableEncoder(call, sample_rate, name, fingerprint, frame_rate)


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
    return DatasetSpec(name=given.name, load=lambda request: given, tasks=tuple(tasks), sizes=(given.size, "small"))


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
        Names as on the command line (`NAME`, `NAME@WEIGHTS`, `hf:ORG/NAME`, "all"), encoders, or specs. An encoder's
        attribute `name` names it in results; `mirbench.encoder` makes one of any function or torch module.
    tasks
        Names ("all"), tasks, or specs.
    datasets
        Names, data sets or specs; by default each task's own.
    data
        A CSV file that lists your own recordings, instead of data sets.
    out
        Folder of results; `records/` and `scores/` in it are appended to.
    home
        Folder of data and features; by default MIRBENCH_HOME, or the user's cache folder.
    size
        Size of embedded data sets: "default" or "small".
    protocol
        "convex" (the standard), "convex-refit", "sgd", "marble", "hear" or "knn".
    train_fractions
        Shares of the training clips, each of which is evaluated: a few-shot curve.
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
    for folder in (home / "finished", home / "weights", out / "records", out / "scores"):
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
    results = choose(
        read_records(Path(out) / "records"), tasks=tasks, datasets=datasets, metrics=metrics, protocols=protocols
    )
    return lay_out(results, {}, only_headlines=not metrics)


def compare(
    one: str, other: str, out: str | Path = "results", *, tasks: Sequence[str] = (), metrics: Sequence[str] = ()
) -> Comparison:
    """Test whether two encoders differ by more than the choice of test clips explains.

    Parameters
    ----------
    one, other
        Names of encoders in results.
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
    results = [
        result
        for result in choose(read_records(Path(out) / "records"), tasks=tasks, metrics=metrics)
        if is_standard(result)
    ]
    return compare_results(results, read_scores(Path(out) / "scores", results), one, other, metrics)
