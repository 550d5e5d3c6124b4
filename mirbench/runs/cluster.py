"""Run a plan on several machines, by dask.distributed.

Workers look a job up by its ticket. What they do stays in the store and among the finished jobs, in a folder that all
machines share. A worker that dies costs the piece in hand; the scheduler gives it to another one. A client that dies
costs nothing that is finished.
"""

import asyncio
import concurrent.futures
import logging
import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mirbench.domain import Dataset, Encoder
from mirbench.errors import MirbenchError, UsageError
from mirbench.features.store import FeatureStore
from mirbench.plan import DataKey, Job, Plan, Settings
from mirbench.plugins import Plugins
from mirbench.progress import StepProgress
from mirbench.runs.pieces import Ticket
from mirbench.runs.planning import load_dataset, make_plan
from mirbench.runs.run import Executor, Failure, LostError, Orchestration

if TYPE_CHECKING:
    from distributed import Client, Future

CLIPS_PER_TASK = 64
SECONDS_TO_WAIT = 60.0  # for a first worker
SECONDS_WITHOUT_WORKERS = 60.0  # after which nobody is expected to come back
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_TO_CLOSE = 5.0
SCHEDULER_GONE = "what is finished is kept; start a scheduler and workers, and run the same command again to go on"
T = TypeVar("T")

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


@dataclass(frozen=True)
class JobTicket(Ticket):
    """A job as another process can look it up.

    Attributes
    ----------
    plugins
        Plugins that are single files.
    named
        What the user wrote for the encoder.
    task, data
        Names of the task and of the data set.
    csv
        The user's own file, in place of a data set.
    """

    run: str
    settings: Settings
    plugins: tuple[Path, ...]
    named: str
    task: str
    data: str
    csv: Path | None
    workers: int = 1
    quiet: bool = True

    def job(self) -> Job:
        """Return the job that the ticket names."""
        plugins = _kept(("plugins", self.plugins), lambda: Plugins(self.plugins))
        datasets = () if self.csv else (self.data,)
        return _kept(
            ("job", self),
            lambda: make_plan(plugins, [self.named], [self.task], self.settings, datasets=datasets, csv=self.csv).jobs[
                0
            ],
        )

    def encoder(self) -> Encoder:
        """Load the encoder; a worker keeps the last one."""
        how = self.settings.device, self.settings.precision
        return _kept(("encoder", (self.named, how)), lambda: self.job().encoder.load(self.settings.device))

    def dataset(self) -> Dataset:
        """Load the data set; a worker keeps the last one."""
        job, name = self.job(), (self.task, self.data, self.csv, self.settings.size)
        return _kept(("dataset", name), lambda: load_dataset(job.dataset, self.settings.request(job.task)))

    def store(self) -> FeatureStore:
        """Open the feature store."""
        home = self.settings.home
        return _kept(("store", home), lambda: FeatureStore(home / "features"))


def _alone(function: Callable[..., T], *arguments: object) -> T:
    """Do a piece while no other thread of this worker does one."""
    with _in_use:
        return function(*arguments)


def run_on_cluster(plan: Plan, plugins: Plugins, scheduler: str, files: Sequence[Path]) -> list[Failure]:
    """Run all jobs on the workers of a scheduler; see `mirbench.runs.run.run`.

    Parameters
    ----------
    plan
        Its paths must be the same on all machines.
    plugins
        Results go to their observers.
    scheduler
        An address such as tcp://node1:8786, or local:N to start N workers here.
    files
        Plugins that are single files.

    Raises
    ------
    UsageError
        If the scheduler cannot be reached, or its workers cannot be used.
    """
    with _connected(scheduler) as client:
        _require_usable(client, plan.settings.home)
        store = FeatureStore(plan.settings.home / "features")
        return Orchestration(plan, plugins, store, partial(ClusterExecutor, tuple(files), client)).run()


class ClusterExecutor(Executor):
    """Do the pieces on the workers of a scheduler, in any order."""

    clips_in_a_piece = CLIPS_PER_TASK

    def __init__(
        self,
        files: tuple[Path, ...],
        client: "Client",
        plan: Plan,
        datasets: Mapping[DataKey, Dataset],
        store: FeatureStore,
    ) -> None:
        self._files, self._client, self._plan = files, client, plan
        self._done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._last_seen = time.monotonic()

    def ticket(self, job: Job) -> Ticket:
        """Return a ticket for a job."""
        plan = self._plan
        return JobTicket(
            plan.run, plan.settings, self._files, job.encoder.text, job.task.name, job.dataset.name, plan.csv
        )

    def submit(self, function: Callable[..., Any], *arguments: object) -> Hashable:
        """Hand a piece to the scheduler."""
        future = self._client.submit(_alone, function, *arguments, pure=False)
        future.add_done_callback(self._done.put)
        return str(future.key)

    def next(self) -> tuple[Hashable, Callable[[], Any]]:
        """Wait for the next piece that is done.

        Raises
        ------
        LostError
            If the scheduler is gone, or there have been no workers for a while.
        """
        while True:
            try:
                future = self._done.get(timeout=SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                self._require_workers()
                continue
            if future.cancelled() or self._client.status != "running":
                raise LostError(f"the scheduler is gone; {SCHEDULER_GONE}")
            return str(future.key), partial(_outcome, future)

    def _require_workers(self) -> None:
        try:
            n_workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, TimeoutError) as error:
            raise LostError(f"the scheduler is gone; {SCHEDULER_GONE}") from error
        if n_workers:
            self._last_seen = time.monotonic()
        elif time.monotonic() - self._last_seen > SECONDS_WITHOUT_WORKERS:
            raise LostError(
                f"all workers are gone, and none has come for {SECONDS_WITHOUT_WORKERS:.0f} s; is there too little "
                "memory? start workers and run the same command again to go on"
            )

    def progress(self) -> StepProgress:
        """Count all pieces: workers show nothing."""
        return StepProgress(f"{len(self._client.scheduler_info()['workers'])} workers", 0, unit="piece")

    def counts(self, function: Callable[..., Any]) -> bool:
        """Return true."""
        return True


def _outcome(future: "Future[Any]") -> Any:
    """Return what a piece returned.

    Raises
    ------
    LostError
        If the connection to the scheduler broke meanwhile.
    Exception
        Whatever the piece raised.
    """
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        return future.result()
    except (CommClosedError, asyncio.CancelledError, concurrent.futures.CancelledError) as error:
        raise LostError(f"the scheduler is gone; {SCHEDULER_GONE}") from error
    except KilledWorker as error:
        reason = f"every worker that tried died ({error.last_worker}); is there too little memory? Their logs say more"
        raise MirbenchError(reason) from error


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
