"""Run a plan on several machines, by dask.distributed.

Two kinds of task: to extract the features of some clips, and to finish a job whose features are all there. Both leave
what they did in the store and among the finished jobs, in a folder that all machines share: a task that is done twice
does nothing the second time. A worker that dies costs its task; the scheduler gives it to another one. A client that
dies costs nothing that is finished.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mirbench.domain import Dataset, Encoder, Result, Scope
from mirbench.errors import MirbenchError, UsageError
from mirbench.extract import Extracted, Region, extract
from mirbench.finished import described, finish
from mirbench.plan import Job, Plan, Settings, Source, load_dataset, make_plan
from mirbench.plugins import Plugins
from mirbench.progress import StepProgress
from mirbench.recheck import length, require_own_fingerprint, require_same
from mirbench.run import SCOPES, Failure, announce, caught, grouped, require_all, wanted_by
from mirbench.store import FeatureStore

if TYPE_CHECKING:
    from distributed import Client, Future

CLIPS_PER_TASK = 64
SECONDS_TO_WAIT = 60.0  # for a first worker
N_DESCRIBED = 4
N_CANDIDATES = 64  # clips among which one is looked for that is stored, to compare its features
T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """A job as another process can look it up.

    Attributes
    ----------
    plugins
        Single files.
    encoder
        As the user named it.
    """

    run: str
    plugins: tuple[Path, ...]
    encoder: str
    task: str
    dataset: str
    csv: Path | None
    settings: Settings

    def job(self) -> Job:
        """Look the job up."""
        plugins = _kept(("plugins", self.plugins), lambda: Plugins(self.plugins))
        datasets = () if self.csv else (self.dataset,)
        plan = make_plan(plugins, [self.encoder], [self.task], self.settings, datasets=datasets, csv=self.csv)
        return plan.jobs[0]


_in_use = threading.Lock()  # a worker with several threads does one task at a time: encoders are not made for more
_remembered: dict[str, tuple[object, Any]] = {}


def _kept(key: tuple[str, object], make: Callable[[], T]) -> T:
    """Remember the last thing of a kind."""
    kind, name = key
    if _remembered.get(kind, (None,))[0] != name:
        _remembered.pop(kind, None)
        _remembered[kind] = name, make()
    found: T = _remembered[kind][1]
    return found


def _encoder(order: Order) -> Encoder:
    how = order.settings.device, order.settings.precision, order.settings.compiled
    return _kept(("encoder", (order.encoder, how)), lambda: order.job().encoder.load(order.settings.device))


def _dataset(order: Order) -> Dataset:
    job = order.job()
    name = order.task, order.dataset, order.csv, order.settings.size
    return _kept(("dataset", name), lambda: load_dataset(job.dataset, order.settings.request(job.task)))


def _store(order: Order) -> FeatureStore:
    home = order.settings.home
    return _kept(("store", home), lambda: FeatureStore(home / "features"))


def find_readouts(order: Order) -> tuple[str, dict[Scope, tuple[str, ...]]]:
    """Return the fingerprint and the readouts of an encoder; done by a worker."""
    with _in_use:
        encoder = _encoder(order)
        return encoder.fingerprint, {scope: encoder.readouts(scope) for scope in SCOPES}


def compare_stored(order: Order, wanted: Mapping[Region, frozenset[str]]) -> None:
    """Compare stored features with what the encoder computes now; done by a worker."""
    with _in_use:
        require_same(_encoder(order), order.encoder, wanted, _store(order))


def extract_some(order: Order, wanted: Mapping[Region, frozenset[str]]) -> Extracted:
    """Extract the features of some clips; done by a worker."""
    with _in_use:
        batch_size = order.settings.batch_size
        return extract(
            _encoder(order), wanted, _store(order), title=order.encoder, batch_size=batch_size, workers=1, quiet=True
        )


def finish_job(order: Order, part: int, some: Sequence[Region], extracted: Extracted) -> list[Result]:
    """Finish a job, with one of its fractions of the training clips; done by a worker."""
    with _in_use:
        fitting = replace(order.settings.fittings()[part], workers=1)
        encoder = _encoder(order)
        where = order.run, order.settings, order.job(), encoder, _dataset(order), _store(order)
        extraction = {**described(encoder, some), **extracted.speed()}
        return finish(*where, fitting, extraction, extracted.seconds)


@dataclass
class _Progress:
    """How far an encoder has come."""

    jobs: Sequence[Job]
    n_open: int = 0
    done: Extracted = field(default_factory=lambda: Extracted({}))
    some: Sequence[Region] = ()
    has_failed: bool = False


def run_on_cluster(plan: Plan, plugins: Plugins, scheduler: str, files: Sequence[Path]) -> list[Failure]:
    """Run all jobs on the workers of a scheduler; see `mirbench.run.run`.

    Parameters
    ----------
    plan
        Its paths must be the same on all machines.
    scheduler
        An address such as tcp://node1:8786, or local:N to start N workers here.
    files
        Single-file plugins.

    Raises
    ------
    UsageError
        If the scheduler cannot be reached, or its workers cannot be used.
    """
    announce(plan, plugins)
    with _connected(scheduler) as client:
        _require_usable(client, plan.settings.home)
        return _Run(plan, plugins, tuple(files), client).all()


class _Run:
    def __init__(self, plan: Plan, plugins: Plugins, files: tuple[Path, ...], client: "Client") -> None:
        from distributed import as_completed

        self._plan, self._plugins, self._files, self._client = plan, plugins, files, client
        self._failures: list[Failure] = []
        self._datasets: dict[Source, Dataset] = {}
        self._store = FeatureStore(plan.settings.home / "features")
        self._known: dict[str, str] = {}  # names of encoders by fingerprint
        self._waiting: Any = as_completed()
        self._then: dict[object, tuple[Sequence[Job], Callable[[Any], None]]] = {}
        self._bar = StepProgress(f"{len(client.scheduler_info()['workers'])} workers", 0, unit="piece")
        self._n_pieces = 0

    def all(self) -> list[Failure]:
        """Do what there is to do, and what follows from it."""
        for source, jobs in grouped(self._plan.jobs, lambda job: job.source).items():
            with caught(self._failures, jobs):
                self._datasets[source] = load_dataset(jobs[0].dataset, self._plan.settings.request(jobs[0].task))
        ready = [job for job in self._plan.jobs if job.source in self._datasets]
        for jobs in grouped(ready, lambda job: job.encoder.name).values():
            state = _Progress(jobs)
            self._submit(jobs, partial(self._compare, state), find_readouts, self._order(jobs[0]))
        with self._bar:
            for future in self._waiting:
                about, then = self._then.pop(future.key)
                with caught(self._failures, about):
                    then(_result(future))
                self._bar.advance(str(about[0]) if len(about) == 1 else about[0].encoder.name)
        return self._failures

    def _submit(
        self, jobs: Sequence[Job], then: Callable[[Any], None], function: Callable[..., Any], *arguments: object
    ) -> None:
        future = self._client.submit(function, *arguments, pure=False)
        self._then[future.key] = jobs, then
        self._n_pieces += 1
        self._bar.total(self._n_pieces)
        self._waiting.add(future)

    def _order(self, job: Job) -> Order:
        plan = self._plan
        return Order(plan.run, self._files, job.reference, job.task.name, job.dataset.name, plan.csv, plan.settings)

    def _compare(self, state: _Progress, about: tuple[str, Mapping[Scope, Sequence[str]]]) -> None:
        fingerprint, readouts = about
        name = state.jobs[0].encoder.name
        require_own_fingerprint(fingerprint, name, self._known)
        wanted = wanted_by(state.jobs, self._datasets, readouts, self._store)
        some = {region: wanted[region] for region in sorted(wanted, key=length)[:N_CANDIDATES]}
        then = partial(self._extract, state, wanted)
        self._submit(state.jobs, then, compare_stored, self._order(state.jobs[0]), some)

    def _extract(self, state: _Progress, by_region: Mapping[Region, frozenset[str]], _: None) -> None:
        wanted = list(by_region.items())
        pieces = [dict(wanted[at : at + CLIPS_PER_TASK]) for at in range(0, len(wanted), CLIPS_PER_TASK)]
        state.n_open = len(pieces)
        state.some = [region for region, _ in wanted[:: max(1, len(wanted) // N_DESCRIBED)]][:N_DESCRIBED]
        for piece in pieces:
            self._submit(state.jobs, partial(self._extracted, state), extract_some, self._order(state.jobs[0]), piece)

    def _extracted(self, state: _Progress, done: Extracted) -> None:
        state.done += done
        state.n_open -= 1
        if state.n_open:
            return
        for job in state.jobs:
            with caught(self._failures, [job]):
                require_all(self._datasets[job.source], state.done.unread)
                for part in range(len(self._plan.settings.train_fractions)):
                    self._submit([job], self._report, finish_job, self._order(job), part, state.some, state.done)

    def _report(self, results: Sequence[Result]) -> None:
        for result in results:
            self._plugins.manager.hook.mirbench_result(result=result)


def _result(future: "Future[Any]") -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise MirbenchError(
            f"every worker that tried died ({error.last_worker}); is there too little memory? Their logs say more"
        ) from error


@contextmanager
def _connected(scheduler: str) -> "Iterator[Client]":
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UsageError("--scheduler needs dask.distributed: pip install 'mirbench-audio[cluster]'") from error
    kind, _, number = scheduler.partition(":")
    if kind == "local":
        if not number.isdigit() or int(number) < 1:
            raise UsageError(f"--scheduler {scheduler!r}; expected local:N, such as local:4")
        here = LocalCluster(n_workers=int(number), threads_per_worker=1, dashboard_address="127.0.0.1:0")
        with here as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout=SECONDS_TO_WAIT)
    except (OSError, ValueError) as error:
        raise UsageError(f"no scheduler answers at {scheduler!r} ({error}); start one with 'dask scheduler'") from error
    with client:
        yield client


def _require_usable(client: "Client", home: Path) -> None:
    """Refuse workers that lack mirbench, have another version, or do not see the store."""
    try:
        client.wait_for_workers(1, timeout=SECONDS_TO_WAIT)
    except TimeoutError as error:
        raise UsageError(f"the scheduler has no workers after {SECONDS_TO_WAIT:.0f} s; start some") from error
    mark = home / "seen-by-all"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    from mirbench import __version__

    for worker, (version, sees) in client.run(_about_worker, mark).items():
        if version != __version__:
            raise UsageError(
                f"worker {worker} has mirbench {version}, not {__version__}; start it from the same environment"
            )
        if not sees:
            raise UsageError(f"worker {worker} does not see {home}; --home must be a folder that all machines share")


def _about_worker(mark: Path) -> tuple[str, bool]:
    from mirbench import __version__

    return __version__, mark.exists()
