"""The pieces of a run: what is done in one go, by this process or by a worker on another machine.

Each piece leaves what it did in the feature store or among the finished jobs: a piece that is done twice does nothing
the second time.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mirbench.domain import Dataset, Encoder, Result, Scope
from mirbench.features.extract import Extracted, extract
from mirbench.features.recheck import require_same
from mirbench.features.region import Region
from mirbench.features.store import FeatureStore
from mirbench.plan import Job, Settings
from mirbench.runs.finish import Work, described, finish, fittings_of

SCOPES: tuple[Scope, ...] = ("clip", "frame")


class Ticket(ABC):
    """A job, and how whoever does a piece of it comes by what is needed.

    Attributes
    ----------
    run
        Name of the run.
    settings
        Settings of the run.
    workers
        Threads and processes that a piece may use.
    quiet
        If true, a piece shows no progress of its own.
    """

    run: str
    settings: Settings
    workers: int
    quiet: bool

    @abstractmethod
    def job(self) -> Job:
        """Return the job."""

    @abstractmethod
    def encoder(self) -> Encoder:
        """Return the loaded encoder."""

    @abstractmethod
    def dataset(self) -> Dataset:
        """Return the data set."""

    @abstractmethod
    def store(self) -> FeatureStore:
        """Return the feature store."""


def describe_encoder(ticket: Ticket) -> tuple[str, dict[Scope, tuple[str, ...]]]:
    """Return the fingerprint of an encoder, and its readouts for tasks of each scope."""
    encoder = ticket.encoder()
    return encoder.fingerprint, {scope: encoder.readouts(scope) for scope in SCOPES}


def compare_stored(ticket: Ticket, wanted: Mapping[Region, frozenset[str]]) -> None:
    """Compare stored features of one clip with what the encoder computes now; see `require_same`."""
    require_same(ticket.encoder(), ticket.job().encoder.name, wanted, ticket.store())


def extract_some(ticket: Ticket, wanted: Mapping[Region, frozenset[str]]) -> Extracted:
    """Extract the features of some clips that are not stored yet."""
    return extract(
        ticket.encoder(),
        wanted,
        ticket.store(),
        title=ticket.job().encoder.name,
        batch_size=ticket.settings.batch_size,
        workers=ticket.workers,
        quiet=ticket.quiet,
    )


def finish_job(ticket: Ticket, part: int, some: Sequence[Region], extracted: Extracted) -> list[Result]:
    """Finish a job with one of its shares of the training clips.

    Parameters
    ----------
    part
        Which one of the shares.
    some
        Clips of which features of another precision are compared.
    extracted
        What the extraction of all clips has measured.
    """
    encoder = ticket.encoder()
    work = Work(
        run=ticket.run,
        settings=ticket.settings,
        job=ticket.job(),
        encoder=encoder,
        dataset=ticket.dataset(),
        store=ticket.store(),
        extraction={**described(encoder, some), **extracted.speed()},
        extract_seconds=extracted.seconds,
    )
    return finish(work, replace(fittings_of(ticket.settings)[part], workers=ticket.workers))
