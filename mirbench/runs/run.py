"""The pipeline: extract, evaluate, report. What fails is told apart and takes nothing else down."""

import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mirbench.domain import Dataset, Scope
from mirbench.errors import AudioError, MirbenchError, of_system
from mirbench.features.extract import Failures, Region, extract
from mirbench.features.recheck import require_own_fingerprint, require_same
from mirbench.features.store import FeatureStore, features_of
from mirbench.gate import contained
from mirbench.plugins import Plugins
from mirbench.progress import StepProgress
from mirbench.runs.finish import all_clips, described, finish
from mirbench.runs.planning import Job, Plan, Source, load_dataset

MAX_FILES_SHOWN = 5
SCOPES: tuple[Scope, ...] = ("clip", "frame")
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
    announce(plan, plugins)
    failures: list[Failure] = []
    datasets: dict[Source, Dataset] = {}
    for source, jobs in grouped(plan.jobs, lambda job: job.source).items():
        with caught(failures, jobs):
            datasets[source] = load_dataset(jobs[0].dataset, plan.settings.request(jobs[0].task))
    known: dict[str, str] = {}
    ready = [job for job in plan.jobs if job.source in datasets]
    with features_of(plan.settings.home, keeps=plan.settings.keeps) as store:
        for jobs in grouped(ready, lambda job: job.encoder.name).values():
            with caught(failures, jobs):
                _run_encoder(plan, jobs, datasets, store, plugins, failures, known)
    return failures


def announce(plan: Plan, plugins: Plugins) -> None:
    """Notify the observers of a plan before anything is computed."""
    with contained("an observer of mirbench_run_start"):
        plugins.manager.hook.mirbench_run_start(plan=plan)


def grouped(jobs: Sequence[Job], key: Callable[[Job], K]) -> dict[K, list[Job]]:
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
        if error is None or isinstance(error, KeyboardInterrupt):
            return False  # nothing went wrong, or Ctrl-C
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
    datasets: Mapping[Source, Dataset],
    readouts: Mapping[Scope, Iterable[str]],
    store: FeatureStore,
) -> dict[Region, frozenset[str]]:
    """Return the readouts that jobs of one encoder need, by region; note in the store whose clips these are."""
    wanted: dict[Region, frozenset[str]] = {}
    for job in jobs:
        scope = job.load_task().scope
        regions = {Region.of(clip) for clip in all_clips(datasets[job.source])}
        store.note(job.dataset.name, {name for region in regions if (name := region.name()) is not None})
        for clip in all_clips(datasets[job.source]):
            region = Region.of(clip)
            wanted[region] = wanted.get(region, frozenset()).union(readouts[scope])
    return wanted


def _run_encoder(
    plan: Plan,
    jobs: Sequence[Job],
    datasets: dict[Source, Dataset],
    store: FeatureStore,
    plugins: Plugins,
    failures: list[Failure],
    known: dict[str, str],
) -> None:
    """Encode the clips of all jobs once, then evaluate job by job."""
    settings, name = plan.settings, jobs[0].encoder.name
    encoder = jobs[0].encoder.load(settings.device)
    require_own_fingerprint(encoder.fingerprint, name, known)
    readouts = {scope: encoder.readouts(scope) for scope in SCOPES}
    wanted = wanted_by(jobs, datasets, readouts, store)
    require_same(encoder, name, wanted, store)
    extracted = extract(encoder, wanted, store, title=name, batch_size=settings.batch_size, workers=settings.workers)
    read = [region for region in wanted if region not in extracted.unread]
    extraction = {**described(encoder, read), **extracted.speed()}
    with StepProgress(name, len(jobs), unit="task") as progress:
        for job in jobs:
            with caught(failures, [job]):
                dataset = datasets[job.source]
                require_all(dataset, extracted.unread)
                for fitting in settings.fittings():
                    for result in finish(
                        plan.run, settings, job, encoder, dataset, store, fitting, extraction, extracted.seconds
                    ):
                        plugins.manager.hook.mirbench_result(result=result)
            progress.advance(f"{job.task.name} on {job.dataset.name}")
    if settings.store_limit is not None:
        store.evict(settings.store_limit, keep=(encoder.fingerprint,))


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
