"""Run a plan: extract, evaluate, report. A failed job is recorded and does not stop the others.

One orchestration serves one process and many machines: it decides what is done and what follows from it; an executor
decides where. See `mirbench.runs.pieces` for the pieces, `mirbench.runs.cluster` for the other executor.
"""

import traceback
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from mirbench.domain import Audio, Dataset, Encoder, Features, Result, Scope
from mirbench.errors import AudioError, EncoderError, MirbenchError, of_system
from mirbench.features.extract import Extracted, Failures
from mirbench.features.recheck import length, require_own_fingerprint
from mirbench.features.region import Region
from mirbench.features.store import FeatureStore, features_of
from mirbench.gate import contained
from mirbench.plan import DataKey, Job, Plan
from mirbench.plugins import Plugins
from mirbench.progress import StepProgress
from mirbench.runs.finish import all_clips, fittings_of, recall
from mirbench.runs.pieces import Ticket, compare_stored, describe_encoder, extract_some, finish_job
from mirbench.runs.planning import load_dataset

MAX_FILES_SHOWN = 5
N_DESCRIBED = 4  # clips of which features of another precision are compared
N_CANDIDATES = 64  # clips among which one is looked for that is stored, to compare its features
K = TypeVar("K")
Readouts = Mapping[Scope, Sequence[str]]


@dataclass(frozen=True)
class Failure:
    """A job that did not end.

    Attributes
    ----------
    trace
        Traceback of a bug; empty where the user can mend it.
    """

    job: Job
    reason: str
    trace: str = ""


class LostError(MirbenchError):
    """There is nobody left who could go on with the run."""


class Executor(ABC):
    """Executor of the pieces of a run.

    Attributes
    ----------
    clips_in_a_piece
        Clips whose features are extracted in one piece; None for all of them.
    """

    clips_in_a_piece: int | None = None

    @abstractmethod
    def ticket(self, job: Job) -> Ticket:
        """Return a ticket for a job."""

    @abstractmethod
    def submit(self, function: Callable[..., Any], *arguments: object) -> Hashable:
        """Accept a piece to be done, and return its key."""

    @abstractmethod
    def next(self) -> tuple[Hashable, Callable[[], Any]]:
        """Return the key of a piece, and a function that returns what came of it, or raises.

        Raises
        ------
        LostError
            If no piece will ever be done.
        """

    @abstractmethod
    def progress(self) -> StepProgress:
        """Return the progress of this run; a context manager."""

    @abstractmethod
    def counts(self, function: Callable[..., Any]) -> bool:
        """Return whether pieces of a function count for the progress."""


def run(plan: Plan, plugins: Plugins) -> list[Failure]:
    """Run all jobs in this process, encoder by encoder.

    Parameters
    ----------
    plan
        What is to be done.
    plugins
        Results go to their observers (`mirbench_result`).

    Returns
    -------
    list of Failure
        Empty if every job ended.
    """
    with features_of(plan.settings.home, keeps=plan.settings.keeps) as store:
        return Orchestration(plan, plugins, store, LocalExecutor).run()


class Orchestration:
    """The order of things: what is done for an encoder, and what follows from it.

    Parameters
    ----------
    plan, plugins
        As of `run`.
    store
        Feature store; noted in it is which clips the data sets have.
    executor
        Called with the plan, the data sets that could be loaded, and the store.
    """

    def __init__(
        self,
        plan: Plan,
        plugins: Plugins,
        store: FeatureStore,
        executor: Callable[[Plan, Mapping[DataKey, Dataset], FeatureStore], Executor],
    ) -> None:
        self._plan, self._plugins, self._store, self._make = plan, plugins, store, executor
        self._failures: list[Failure] = []
        self._datasets: dict[DataKey, Dataset] = {}
        self._known: dict[str, str] = {}  # names of encoders by fingerprint
        self._encoders: dict[str, tuple[str, Readouts]] = {}  # fingerprints and readouts by name
        self._open: dict[tuple[Job, int], None] = {}  # jobs with a share of the training clips each, not reported yet
        self._then: dict[Hashable, tuple[Sequence[Job], Callable[[Any], None], bool]] = {}
        self._n_pieces = 0

    def run(self) -> list[Failure]:
        """Do what there is to do, and what follows from it; return the jobs that failed."""
        with contained("an observer of mirbench_run_start"):
            self._plugins.manager.hook.mirbench_run_start(plan=self._plan)
        for data, jobs in grouped(self._plan.jobs, lambda job: job.data).items():
            with caught(self._failures, jobs):
                self._datasets[data] = load_dataset(jobs[0].dataset, self._plan.settings.request(jobs[0].task))
        self._executor = self._make(self._plan, self._datasets, self._store)
        ready = [job for job in self._plan.jobs if job.data in self._datasets]
        self._open = {(job, part): None for job in ready for part in range(len(self._plan.settings.train_fractions))}
        with self._executor.progress() as self._progress:
            for jobs in grouped(ready, lambda job: job.encoder.name).values():
                then = partial(self._compare, _State(jobs))
                self._submit(jobs, then, describe_encoder, self._executor.ticket(jobs[0]))
            try:
                while self._then:
                    self._take(*self._executor.next())
            except LostError as lost:
                self._recall_finished()
                left = dict.fromkeys(job for job, _ in self._open)
                failed = {id(failure.job) for failure in self._failures}
                self._failures += [Failure(job, str(lost)) for job in left if id(job) not in failed]
        return self._failures

    def _submit(
        self, jobs: Sequence[Job], then: Callable[[Any], None], function: Callable[..., Any], *arguments: object
    ) -> None:
        key, is_counted = self._executor.submit(function, *arguments), self._executor.counts(function)
        self._then[key] = jobs, then, is_counted
        self._n_pieces += is_counted
        self._progress.total(self._n_pieces)

    def _take(self, key: Hashable, outcome: Callable[[], Any]) -> None:
        jobs, then, is_counted = self._then.pop(key)
        with caught(self._failures, jobs):
            then(outcome())
        if is_counted:
            self._progress.advance(str(jobs[0]) if len(jobs) == 1 else jobs[0].encoder.name)
        if self._plan.settings.store_limit is not None:
            self._evict(jobs[0])

    def _compare(self, state: "_State", about: tuple[str, Readouts]) -> None:
        name = state.jobs[0].encoder.name
        fingerprint, readouts = self._encoders[name] = about
        require_own_fingerprint(fingerprint, name, self._known)
        state.wanted = wanted_by(state.jobs, self._datasets, readouts, self._store)
        some = {region: state.wanted[region] for region in sorted(state.wanted, key=length)[:N_CANDIDATES]}
        self._submit(
            state.jobs, partial(self._extract, state), compare_stored, self._executor.ticket(state.jobs[0]), some
        )

    def _extract(self, state: "_State", _: None) -> None:
        wanted = list(state.wanted.items())
        size = self._executor.clips_in_a_piece or max(1, len(wanted))
        pieces = [dict(wanted[at : at + size]) for at in range(0, len(wanted), size)]
        state.n_open = len(pieces)
        ticket = self._executor.ticket(state.jobs[0])
        for piece in pieces:
            self._submit(state.jobs, partial(self._extracted, state), extract_some, ticket, piece)

    def _extracted(self, state: "_State", done: Extracted) -> None:
        state.done += done
        state.n_open -= 1
        if state.n_open:
            return
        read = [region for region in state.wanted if region not in state.done.unread]
        some = read[:: max(1, len(read) // N_DESCRIBED)][:N_DESCRIBED]
        for job in state.jobs:
            with caught(self._failures, [job]):
                require_all(self._datasets[job.data], state.done.unread)
                for part in range(len(self._plan.settings.train_fractions)):
                    then = partial(self._report, job, part)
                    self._submit([job], then, finish_job, self._executor.ticket(job), part, some, state.done)

    def _report(self, job: Job, part: int, results: Sequence[Result]) -> None:
        self._open.pop((job, part), None)
        for result in results:
            self._plugins.manager.hook.mirbench_result(result=result)

    def _recall_finished(self) -> None:
        """Report the jobs that workers have finished without being able to answer."""
        settings = self._plan.settings
        for job, part in list(self._open):
            about = self._encoders.get(job.encoder.name)
            if about is not None:
                with suppress(MirbenchError, OSError):
                    fitting, dataset = fittings_of(settings)[part], self._datasets[job.data]
                    found = recall(self._plan.run, settings, job, _Absent(*about), dataset, fitting)
                    if found is not None:
                        self._report(job, part, found)

    def _evict(self, job: Job) -> None:
        """Keep the store within its limit once the last job of an encoder has ended."""
        limit, busy = (
            self._plan.settings.store_limit,
            {each.encoder.name for jobs, _, _ in self._then.values() for each in jobs},
        )
        about = self._encoders.get(job.encoder.name)
        if limit is not None and about is not None and job.encoder.name not in busy:
            keep = [self._encoders[name][0] for name in busy if name in self._encoders]
            self._store.evict(limit, keep=(about[0], *keep))


@dataclass
class _State:
    """Progress of an encoder."""

    jobs: Sequence[Job]
    wanted: Mapping[Region, frozenset[str]] = field(default_factory=dict)
    n_open: int = 0
    done: Extracted = field(default_factory=lambda: Extracted({}))


class _Absent(Encoder):
    """An encoder that is loaded elsewhere."""

    def __init__(self, fingerprint: str, readouts: Readouts) -> None:
        self.fingerprint, self._readouts = fingerprint, readouts

    def encode(self, audio: Audio) -> Features:
        """Refuse to encode."""
        raise EncoderError("this encoder is loaded on other machines")

    def readouts(self, scope: Scope) -> tuple[str, ...]:
        """Return the readouts that a task of a scope may choose from."""
        return tuple(self._readouts[scope])


class LocalExecutor(Executor):
    """Do the pieces in this process, depth first: an encoder is done with before the next one is loaded."""

    def __init__(self, plan: Plan, datasets: Mapping[DataKey, Dataset], store: FeatureStore) -> None:
        self.plan, self.datasets, self.store = plan, datasets, store
        self.encoder: tuple[str, Encoder] | None = None
        self._waiting: deque[tuple[int, Callable[[], Any]]] = deque()
        self._new: list[tuple[int, Callable[[], Any]]] = []
        self._n_submitted = 0

    def ticket(self, job: Job) -> Ticket:
        """Return a ticket for a job."""
        return _LocalTicket(self, job)

    def submit(self, function: Callable[..., Any], *arguments: object) -> Hashable:
        """Accept a piece; it comes before all that was submitted before the piece that is being done."""
        self._n_submitted += 1
        self._new.append((self._n_submitted, partial(function, *arguments)))
        return self._n_submitted

    def next(self) -> tuple[Hashable, Callable[[], Any]]:
        """Return the next piece; it is done when its outcome is asked for."""
        self._waiting.extendleft(reversed(self._new))
        self._new = []
        return self._waiting.popleft()

    def progress(self) -> StepProgress:
        """Count jobs: extraction shows a progress of its own."""
        return StepProgress("evaluated", 0, unit="task")

    def counts(self, function: Callable[..., Any]) -> bool:
        """Return whether a job ends with a piece."""
        return function is finish_job


class _LocalTicket(Ticket):
    def __init__(self, executor: LocalExecutor, job: Job) -> None:
        self._executor, self._job = executor, job
        self.run, self.settings = executor.plan.run, executor.plan.settings
        self.workers, self.quiet = self.settings.workers, False

    def job(self) -> Job:
        return self._job

    def encoder(self) -> Encoder:
        """Return the encoder; the last one stays loaded."""
        name = self._job.encoder.name
        if self._executor.encoder is None or self._executor.encoder[0] != name:
            self._executor.encoder = None  # before the next takes its memory
            self._executor.encoder = name, self._job.encoder.load(self.settings.device)
        return self._executor.encoder[1]

    def dataset(self) -> Dataset:
        return self._executor.datasets[self._job.data]

    def store(self) -> FeatureStore:
        return self._executor.store


def grouped(jobs: Sequence[Job], key: Callable[[Job], K]) -> dict[K, list[Job]]:
    """Return jobs by what a function says of them, in their order."""
    groups: dict[K, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[key(job)].append(job)
    return groups


class caught:  # noqa: N801
    """Note what went wrong as a failure of the given jobs (unless it is noted already), and go on."""

    def __init__(self, failures: list[Failure], jobs: Sequence[Job]) -> None:
        self._failures, self._jobs = failures, jobs

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None or isinstance(error, KeyboardInterrupt | LostError):
            return False  # nothing went wrong, Ctrl-C, or the end of everything
        is_of_system = isinstance(error, OSError) and error.errno is not None
        is_bug = not (isinstance(error, MirbenchError) or is_of_system)
        reason = f"{type(error).__name__}: {error}" if is_bug else str(error)
        if is_of_system:
            assert isinstance(error, OSError)
            reason = of_system(error)
        text = "".join(traceback.format_exception(error)) if is_bug else ""
        self._failures += [Failure(job, reason + _remedy(error, job), text) for job in self._jobs]
        return True


def _remedy(error: BaseException, job: Job) -> str:
    """Return the command that mends clips which mirbench has made itself."""
    if not (isinstance(error, AudioError) and job.dataset.is_embedded):
        return ""
    return f"\nrun 'mirbench data prepare {job.dataset.name}' (same --size, same --home): it makes damaged clips again"


def wanted_by(
    jobs: Sequence[Job],
    datasets: Mapping[DataKey, Dataset],
    readouts: Mapping[Scope, Iterable[str]],
    store: FeatureStore,
) -> dict[Region, frozenset[str]]:
    """Return the readouts that jobs of one encoder need, by region; note in the store whose clips these are."""
    wanted: dict[Region, frozenset[str]] = {}
    for job in jobs:
        scope = job.loaded_task.scope
        regions = {Region.of(clip) for clip in all_clips(datasets[job.data])}
        store.note(job.dataset.name, {name for region in regions if (name := region.name()) is not None})
        for clip in all_clips(datasets[job.data]):
            region = Region.of(clip)
            wanted[region] = wanted.get(region, frozenset()).union(readouts[scope])
    return wanted


def require_all(dataset: Dataset, unread: Failures) -> None:
    """Refuse a data set of which clips could not be read: they are never left out in silence."""
    problems = [unread[region] for region in map(Region.of, all_clips(dataset)) if region in unread]
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:MAX_FILES_SHOWN])
        more = f"\n  ... and {len(problems) - MAX_FILES_SHOWN} more" if len(problems) > MAX_FILES_SHOWN else ""
        raise AudioError(
            f"{len(problems)} clips of data set {dataset.name!r} cannot be read; mend or remove them, and rerun "
            f"(what is encoded already is kept)\n{shown}{more}"
        )
