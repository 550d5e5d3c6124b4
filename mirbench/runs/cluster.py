"""Run a plan on several machines, by dask.distributed.

Two kinds of task: to extract the features of some clips, and to finish a job whose features are all there. Both leave
what they did in the store and among the finished jobs, in a folder that all machines share: a task that is done twice
does nothing the second time. A worker that dies costs its task; the scheduler gives it to another one. A client that
dies costs nothing that is finished.
"""

import asyncio
import concurrent.futures
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mirbench.domain import Audio, Dataset, Encoder, Features, Result, Scope
from mirbench.errors import EncoderError, MirbenchError, UsageError
from mirbench.features.extract import Extracted, Region, extract
from mirbench.features.recheck import length, require_own_fingerprint, require_same
from mirbench.features.store import FeatureStore
from mirbench.plugins import Plugins
from mirbench.progress import StepProgress
from mirbench.runs.finish import Finished, _versions, described, finish, key_of
from mirbench.runs.planning import Job, Plan, Settings, Source, load_dataset, make_plan
from mirbench.runs.run import SCOPES, Failure, announce, caught, grouped, require_all, wanted_by

if TYPE_CHECKING:
    from distributed import Client, Future

CLIPS_PER_TASK = 64
SECONDS_TO_WAIT = 60.0  # for a first worker
SECONDS_WITHOUT_WORKERS = 60.0  # after which nobody is expected to come back
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_TO_CLOSE = 5.0
SCHEDULER_GONE = "what is finished is kept; start a scheduler and workers, and run the same command again to go on"
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


class _Lost(MirbenchError):
    """There is nobody left who could go on."""


class _Absent(Encoder):
    """An encoder that is loaded on other machines."""

    def __init__(self, fingerprint: str, readouts: Mapping[Scope, Sequence[str]]) -> None:
        self.fingerprint, self._readouts = fingerprint, readouts

    def encode(self, audio: Audio) -> Features:
        """Refuse to encode."""
        raise EncoderError("this encoder is loaded on other machines")

    def readouts(self, scope: Scope) -> tuple[str, ...]:
        """Name the readouts that a task of this scope may choose from."""
        return tuple(self._readouts[scope])


def recalled(plan: Plan, job: Job, encoder: Encoder, dataset: Dataset, part: int) -> list[Result] | None:
    """Return the results of a job that is finished, or None."""
    settings = plan.settings
    task = job.load_task()
    key = key_of(encoder, task, dataset, settings.fittings()[part], dict(job.options), _versions())
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Finished(settings.home / "finished").get(key, plan.run, date, job.encoder.name)


@dataclass
class _Progress:
    """How far an encoder has come."""

    jobs: Sequence[Job]
    n_open: int = 0
    done: Extracted = field(default_factory=lambda: Extracted({}))
    some: Sequence[Region] = ()
    has_failed: bool = False


def run_on_cluster(plan: Plan, plugins: Plugins, scheduler: str, files: Sequence[Path]) -> list[Failure]:
    """Run all jobs on the workers of a scheduler; see `mirbench.runs.run.run`.

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
        self._plan, self._plugins, self._files, self._client = plan, plugins, files, client
        self._failures: list[Failure] = []
        self._datasets: dict[Source, Dataset] = {}
        self._store = FeatureStore(plan.settings.home / "features")
        self._known: dict[str, str] = {}  # names of encoders by fingerprint
        self._done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._readouts: dict[str, tuple[str, Mapping[Scope, Sequence[str]]]] = {}  # and fingerprints, by encoder
        self._open: dict[tuple[Job, int], None] = {}  # jobs with one share of the training clips each, not reported yet
        self._last_seen = time.monotonic()
        self._then: dict[object, tuple[Sequence[Job], Callable[[Any], None]]] = {}
        self._bar = StepProgress(f"{len(client.scheduler_info()['workers'])} workers", 0, unit="piece")
        self._n_pieces = 0

    def all(self) -> list[Failure]:
        """Do what there is to do, and what follows from it."""
        for source, jobs in grouped(self._plan.jobs, lambda job: job.source).items():
            with caught(self._failures, jobs):
                self._datasets[source] = load_dataset(jobs[0].dataset, self._plan.settings.request(jobs[0].task))
        ready = [job for job in self._plan.jobs if job.source in self._datasets]
        n_parts = len(self._plan.settings.train_fractions)
        self._open = {(job, part): None for job in ready for part in range(n_parts)}
        for jobs in grouped(ready, lambda job: job.encoder.name).values():
            state = _Progress(jobs)
            self._submit(jobs, partial(self._compare, state), find_readouts, self._order(jobs[0]))
        try:
            with self._bar:
                while self._then:
                    future = self._next()
                    about, then = self._then.pop(future.key)
                    found, error = _outcome(future)
                    with caught(self._failures, about):
                        if error is not None:
                            raise error
                        then(found)
                    self._bar.advance(str(about[0]) if len(about) == 1 else about[0].encoder.name)
        except _Lost as lost:
            self._report_finished()
            left = dict.fromkeys(job for job, _ in self._open)
            failed = {id(failure.job) for failure in self._failures}
            self._failures += [Failure(job, str(lost)) for job in left if id(job) not in failed]
        return self._failures

    def _next(self) -> "Future[Any]":
        """Wait for the next piece that is done.

        Raises
        ------
        _Lost
            If the scheduler is gone, or there have been no workers for a while.
        """
        while True:
            try:
                future = self._done.get(timeout=SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                self._require_workers()
                continue
            if future.cancelled() or self._client.status != "running":
                raise _Lost(f"the scheduler is gone; {SCHEDULER_GONE}")
            return future

    def _require_workers(self) -> None:
        try:
            n_workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, TimeoutError) as error:
            raise _Lost(f"the scheduler is gone; {SCHEDULER_GONE}") from error
        if n_workers or not self._then:
            self._last_seen = time.monotonic()
        elif time.monotonic() - self._last_seen > SECONDS_WITHOUT_WORKERS:
            raise _Lost(
                f"all workers are gone, and none has come for {SECONDS_WITHOUT_WORKERS:.0f} s; is there too little "
                "memory? start workers and run the same command again to go on"
            )

    def _report_finished(self) -> None:
        """Report the jobs that workers have finished, but could not say so."""
        for job, part in list(self._open):
            about = self._readouts.get(job.encoder.name)
            if about is not None:
                with suppress(MirbenchError, OSError):
                    found = recalled(self._plan, job, _Absent(*about), self._datasets[job.source], part)
                    if found is not None:
                        self._report(job, part, found)

    def _submit(
        self, jobs: Sequence[Job], then: Callable[[Any], None], function: Callable[..., Any], *arguments: object
    ) -> None:
        future = self._client.submit(function, *arguments, pure=False)
        self._then[future.key] = jobs, then
        self._n_pieces += 1
        self._bar.total(self._n_pieces)
        future.add_done_callback(self._done.put)

    def _order(self, job: Job) -> Order:
        plan = self._plan
        return Order(plan.run, self._files, job.reference, job.task.name, job.dataset.name, plan.csv, plan.settings)

    def _compare(self, state: _Progress, about: tuple[str, Mapping[Scope, Sequence[str]]]) -> None:
        fingerprint, readouts = self._readouts[state.jobs[0].encoder.name] = about
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
                    self._submit(
                        [job],
                        partial(self._report, job, part),
                        finish_job,
                        self._order(job),
                        part,
                        state.some,
                        state.done,
                    )

    def _report(self, job: Job, part: int, results: Sequence[Result]) -> None:
        self._open.pop((job, part), None)
        for result in results:
            self._plugins.manager.hook.mirbench_result(result=result)


def _outcome(future: "Future[Any]") -> tuple[Any, Exception | None]:
    """Return what a piece returned, or the exception that it raised.

    Raises
    ------
    _Lost
        If the connection to the scheduler broke meanwhile.
    """
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        return future.result(), None
    except (CommClosedError, asyncio.CancelledError, concurrent.futures.CancelledError) as error:
        raise _Lost(f"the scheduler is gone; {SCHEDULER_GONE}") from error
    except KilledWorker as error:
        reason = f"every worker that tried died ({error.last_worker}); is there too little memory? Their logs say more"
        return None, MirbenchError(reason)
    except Exception as error:
        return None, error


@contextmanager
def _connected(scheduler: str) -> "Iterator[Client]":
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UsageError("--scheduler needs dask.distributed: pip install 'mirbench-audio[cluster]'") from error
    _log_single_lines()
    kind, _, number = scheduler.partition(":")
    if kind == "local":
        if not number.isdigit() or int(number) < 1:
            raise UsageError(f"--scheduler {scheduler!r}; expected local:N, such as local:4")
        here = LocalCluster(
            n_workers=int(number),
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,  # of workers and their nannies
        )
        with here as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout=SECONDS_TO_WAIT)
    except (OSError, ValueError) as error:
        raise UsageError(f"no scheduler answers at {scheduler!r} ({error}); start one with 'dask scheduler'") from error
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError, RuntimeError):  # of a scheduler that is gone
            client.close(timeout=SECONDS_TO_CLOSE)


class _SingleLine(logging.Filter):
    """Cuts what a library logs to one line without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; none is dropped."""
        lines = [line for line in record.getMessage().splitlines() if line.strip()]
        record.msg, record.args = lines[0] if lines else "", ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def _log_single_lines() -> None:
    for name in ("distributed", "asyncio", "tornado.application", "tornado.general"):
        logger = logging.getLogger(name)
        for place in (logger, *logger.handlers):  # filters of a logger do not see what its children log
            if not any(isinstance(each, _SingleLine) for each in place.filters):
                place.addFilter(_SingleLine())


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
