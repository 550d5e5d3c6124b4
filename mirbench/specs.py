"""What a plugin offers: light records that say what there is, and how to load it.

This module and `mirbench.hookspecs` are all that a plugin needs at import; they take nothing heavier than the standard
library, so that `mirbench list` answers at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirbench.domain import Clip, Dataset, Encoder, Task


def nothing_missing() -> None:
    """Say that all is here."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """An encoder that can be loaded.

    Attributes
    ----------
    load
        Called with the device ("cpu", "cuda"); returns the encoder with its weights. Import torch in there.
    load_from
        Called with the device and a file or folder of other weights, or None for an untrained network (the same at
        every call). None where the encoder has no other weights.
    load_named
        Of a family of encoders, `NAME:REFERENCE`: called with the device, the reference, and whether the user trusts
        code that lies beside weights. None for a single encoder.
    missing
        Called without loading anything; says what is not on this machine and what to do about it, or gives None. "all"
        encoders leaves out what is missing.
    pretrain
        Trains a network of this kind; see `mirbench pretrain`. None where mirbench cannot.
    labelled_by
        Name of the task whose references its training needs; empty where it needs none.
    is_floor
        Whether it was never trained, so that others are measured against it.
    n_parameters, sample_rate, frame_rate, n_dims
        For lists: parameters of the network, Hz, frames a second, dims of a frame. None: not known before it is loaded.
        A conformance check compares them with the loaded encoder.
    license
        Of the code.
    weights_license
        Of the weights; empty where there are none.
    """

    name: str
    load: "Callable[[str], Encoder]"
    load_from: "Callable[[str, Path | None], Encoder] | None" = None
    load_named: "Callable[[str, str, bool], Encoder] | None" = None
    missing: Callable[[], str | None] = nothing_missing
    pretrain: "Callable[[PretrainRequest], None] | None" = None
    labelled_by: str = ""
    is_floor: bool = False
    n_parameters: int | None = None
    sample_rate: int | None = None
    frame_rate: float | None = None
    n_dims: int | None = None
    description: str = ""
    license: str = "unknown"
    weights_license: str = ""
    citation: str = ""


@dataclass(frozen=True, kw_only=True)
class PretrainRequest:
    """What `mirbench pretrain` asks of an encoder's plugin.

    Attributes
    ----------
    model
        Name of the encoder.
    audio
        Folders, searched recursively, and files.
    clips, datasets
        Training clips of data sets, with references where the encoder needs them; and the names of these.
    out
        Where the weights go; what belongs to the training lies beside it.
    home
        Where data and what is computed once are kept.
    steps, hours, batch_size
        None: as published.
    resume
        Whether to go on from where an interrupted training stopped.
    license
        Of the weights.
    options
        Choices of the model's own; it refuses those that it does not know.
    """

    model: str
    audio: tuple[Path, ...]
    clips: "tuple[Clip, ...]" = ()
    datasets: tuple[str, ...] = ()
    out: Path
    home: Path
    steps: int | None = None
    hours: float | None = None
    batch_size: int | None = None
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    resume: bool = False
    license: str = "unknown"
    options: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A task that can be loaded.

    Attributes
    ----------
    load
        Called with the options that the user chose, by keyword; returns the task.
    default_dataset
        What `mirbench run` takes where no data set is named.
    options
        Choices that change what is measured, and their values; the first is the default.
    """

    name: str
    load: "Callable[..., Task]"
    default_dataset: str | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    description: str = ""
    license: str = "unknown"
    citation: str = ""


@dataclass(frozen=True, kw_only=True)
class DatasetRequest:
    """What a data set is asked for: one task's references, in one size, with data kept under one folder.

    Attributes
    ----------
    verify
        Whether `prepare` reads what is there, and makes again what is damaged: for data sets that are made.
    """

    task: str
    size: str
    home: Path
    workers: int = 1
    verify: bool = False


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set that can be loaded.

    Attributes
    ----------
    load
        Called with a request; returns the data set, or raises `DatasetError` saying what to run if it is not there.
    prepare
        Called with a request; downloads or renders what `load` needs. None where nothing can be prepared.
    tasks
        Names of the tasks for which it has references.
    """

    name: str
    load: "Callable[[DatasetRequest], Dataset]"
    tasks: tuple[str, ...]
    prepare: "Callable[[DatasetRequest], None] | None" = None
    sizes: tuple[str, ...] = ("default",)
    is_embedded: bool = False
    description: str = ""
    license: str = "unknown"
    citation: str = ""


@dataclass(frozen=True, kw_only=True)
class SuiteSpec:
    """A list of tasks under one name, for `mirbench run --suite NAME`.

    Attributes
    ----------
    name
        Name of the suite. "core" is what `--task all` stands for; "everything" is reserved for all tasks.
    tasks
        Names of its tasks, in their order.
    description
        One line for lists.
    """

    name: str
    tasks: tuple[str, ...]
    description: str = ""


Spec = EncoderSpec | TaskSpec | DatasetSpec
