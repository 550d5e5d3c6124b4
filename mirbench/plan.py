"""Plans of runs: records without behaviour. `mirbench.runs.planning` makes them."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mirbench.specs import DatasetRequest, DatasetSpec, TaskSpec

if TYPE_CHECKING:
    from mirbench.domain import Encoder, Task

DataKey = tuple[str, str]  # names of a task and of a data set
MEMORY = 2 * 2.0**30  # bytes of standardised rows of a probe


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a run, besides its encoders, tasks and data sets.

    Attributes
    ----------
    home
        Folder of data and features.
    out
        Folder of results, in which `records/` lies.
    device
        "cpu" or "cuda".
    workers
        Number of threads that decode and of processes that score.
    batch_size
        Number of windows that a network encodes at a time.
    seed
        Seed of the bootstrap and of training subsets; nothing else in the standard protocol is random.
    protocol
        Name of the protocol by which probes are fitted and chosen.
    train_fractions
        Shares of the training clips, each of which is evaluated.
    memory
        Bytes that the training rows of a probe may take.
    store_limit
        Bytes that stored features may take, beside those of the encoder at work; None for no limit.
    size
        Size of embedded data sets.
    precision
        Floating-point precision of networks, see `mirbench.encoders.precision`.
    fresh
        Whether jobs that are finished are done again.
    keeps
        Whether features and finished jobs are kept for later runs.
    trust_remote_code
        Whether code that lies beside weights may run.
    options
        Options of tasks, by name; each task takes those that it has.
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
    fresh: bool = False
    keeps: bool = True
    trust_remote_code: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def request(self, task: TaskSpec) -> DatasetRequest:
        """What a data set is asked for."""
        return DatasetRequest(task=task.name, size=self.size, home=self.home, workers=self.workers)


@runtime_checkable
class NamedEncoder(Protocol):
    """An encoder that a user has named, see `mirbench.encoders.references.EncoderReference`."""

    @property
    def name(self) -> str:
        """Name in results; tells other weights and other precisions apart."""

    @property
    def text(self) -> str:
        """What the user wrote."""

    def load(self, device: str) -> "Encoder":
        """Load it."""


@dataclass(frozen=True)
class Job:
    """One encoder on one task of one data set.

    Attributes
    ----------
    encoder
        The encoder as it was asked for; its `load` is called once a run.
    options
        Options of the task, where they are not its defaults.
    """

    encoder: "NamedEncoder"
    task: TaskSpec
    dataset: DatasetSpec
    options: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> DataKey:
        """What tells its references from those of other jobs."""
        return self.task.name, self.dataset.name

    @cached_property
    def loaded_task(self) -> "Task":
        """The task with its options, loaded once."""
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
