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
        Name of the protocol by which probes are trained and chosen.
    train_fractions
        Shares of the training clips, each of which is evaluated.
    leave_group_out
        Whether each group is tested in turn, instead of the data sets' own splits.
    memory
        Bytes that the training rows of a probe may take.
    store_limit
        Bytes that stored features may take, besides those of the encoder in use; None for no limit.
    size
        Size of embedded data sets.
    precision
        Floating-point precision of networks, see `mirbench.encoders.precision`.
    fresh
        Whether finished jobs are computed again.
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
    leave_group_out: bool = False
    memory: float = MEMORY
    store_limit: float | None = None
    size: str = "default"
    precision: str = "fp32"
    fresh: bool = False
    keeps: bool = True
    trust_remote_code: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def request(self, task: TaskSpec, *, needs_audio: bool = True) -> DatasetRequest:
        """Return the request to a data set.

        Parameters
        ----------
        task
            Task for which references are needed.
        needs_audio
            Whether audio will be read.
        """
        return DatasetRequest(
            task=task.name, size=self.size, home=self.home, workers=self.workers, needs_audio=needs_audio
        )


@runtime_checkable
class NamedEncoder(Protocol):
    """An encoder as a user has named it, see `mirbench.encoders.references.EncoderReference`."""

    @property
    def name(self) -> str:
        """Name in results; includes other weights and other precisions."""

    @property
    def text(self) -> str:
        """The encoder as the user wrote it."""

    def load(self, device: str) -> "Encoder":
        """Return the loaded encoder.

        Parameters
        ----------
        device
            "cpu" or "cuda".
        """


@dataclass(frozen=True)
class Job:
    """One encoder on one task of one data set.

    Attributes
    ----------
    encoder
        Encoder as it was requested; its `load` is called once a run.
    task
        Spec of the task.
    dataset
        Spec of the data set.
    options
        Options of the task that differ from its defaults.
    """

    encoder: "NamedEncoder"
    task: TaskSpec
    dataset: DatasetSpec
    options: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> DataKey:
        """Names of the task and of the data set, which together determine the references."""
        return self.task.name, self.dataset.name

    @cached_property
    def loaded_task(self) -> "Task":
        """Task with its options, loaded once."""
        return self.task.load(**dict(self.options))

    def __str__(self) -> str:
        return f"{self.encoder.name} on {self.task.name} ({self.dataset.name})"


@dataclass(frozen=True)
class Plan:
    """All jobs of a run.

    Attributes
    ----------
    jobs
        Jobs in the order in which they run.
    settings
        Settings that all jobs share.
    absent
        Reasons why data sets or encoders are left out, by name, where all are requested and some are not installed.
    csv
        CSV file of the user's own recordings, instead of data sets.
    """

    jobs: tuple[Job, ...]
    settings: Settings
    absent: Mapping[str, str] = field(default_factory=dict)
    csv: Path | None = None

    @cached_property
    def run(self) -> str:
        """Name of the run: date, host and process."""
        return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{socket.gethostname()}-{os.getpid()}"
