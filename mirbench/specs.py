"""Specs of what plugins offer: light records with a name, properties for lists, and a function that loads the object.

This module and `mirbench.hookspecs` are all that a plugin needs at import. They import the standard library only, so
that `mirbench list` stays fast.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirbench.domain import Clip, Dataset, Encoder, Sensor, Task


def nothing_missing() -> None:
    """Return None: all that the encoder needs is installed."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """An encoder that can be loaded.

    Attributes
    ----------
    name
        Name on the command line and in results.
    load
        Called with the device ("cpu" or "cuda"); returns the encoder with its weights. Import torch inside it.
    load_from
        Called with the device and a file or folder of other weights, or None for an untrained network (the same at
        every call). None where the encoder takes no other weights.
    load_named
        For a family of encoders, `NAME:REFERENCE`: called with the device, the reference, and whether the user trusts
        code that lies beside weights. None for a single encoder.
    missing
        Called without loading anything; returns what is not installed and how to install it, or None. `--encoder all`
        leaves out encoders of which something is missing.
    pretrain
        Trains a network of this kind; see `mirbench pretrain`. None where mirbench cannot train it.
    labelled_by
        Name of the task whose references the training needs; empty where it needs none.
    n_parameters, sample_rate, frame_rate, n_dims
        Properties for lists: number of parameters, sample rate in Hz, frames per second, dimension of a frame. None
        where it is unknown before loading. A conformance check compares them with the loaded encoder.
    description
        One line for lists.
    license
        Licence of the code.
    weights_license
        Licence of the weights; empty where there are none.
    citation
        Authors and year of the publication.
    remark
        What a reader of a table must know of the weights that ship, such as that they were trained on data of the same
        kind as a test; shown in tables beside the encoder.
    """

    name: str
    load: "Callable[[str], Encoder]"
    load_from: "Callable[[str, Path | None], Encoder] | None" = None
    load_named: "Callable[[str, str, bool], Encoder] | None" = None
    missing: Callable[[], str | None] = nothing_missing
    pretrain: "Callable[[PretrainRequest], None] | None" = None
    labelled_by: str = ""
    n_parameters: int | None = None
    sample_rate: int | None = None
    frame_rate: float | None = None
    n_dims: int | None = None
    description: str = ""
    license: str = "unknown"
    weights_license: str = ""
    citation: str = ""
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class PretrainRequest:
    """Request of `mirbench pretrain` to an encoder's plugin.

    Attributes
    ----------
    model
        Name of the encoder.
    audio
        Folders, which are searched recursively, and files.
    clips, datasets
        Training clips of data sets, with references where the encoder needs them; names of these data sets.
    valid_clips
        Validation clips of the same data sets, for an encoder that needs references: to choose among the states of its
        network, never to train on.
    out
        File of the weights; checkpoints and logs of the training lie beside it.
    home
        Folder of data and of files that are computed once.
    steps, hours, batch_size
        Length of the training in steps or hours, and clips in a batch; None for the published values.
    seed
        Seed of initial weights and of all random choices.
    device
        "cpu" or "cuda".
    workers
        Number of processes that decode audio.
    resume
        Whether to continue an interrupted training.
    license
        Licence of the weights.
    options
        Options of the model; it refuses those that it does not have.
    """

    model: str
    audio: tuple[Path, ...]
    clips: "tuple[Clip, ...]" = ()
    valid_clips: "tuple[Clip, ...]" = ()
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
    name
        Name on the command line and in results.
    load
        Called with the options that the user chose, by keyword; returns the task.
    default_dataset
        Data set of `mirbench run` where none is named.
    options
        Options that change what is measured, with their values; the first value is the default.
    description
        One line for lists.
    license
        Licence of the code.
    citation
        Authors and year of the publication.
    limits
        What a result on the default data set does not show, in a sentence or two; see `mirbench check NAME --validity`.
    """

    name: str
    load: "Callable[..., Task]"
    default_dataset: str | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    description: str = ""
    license: str = "unknown"
    citation: str = ""
    limits: str = ""


@dataclass(frozen=True, kw_only=True)
class DatasetRequest:
    """Request to a data set: references for one task, in one size, with data kept in one folder.

    Attributes
    ----------
    task
        Name of the task for which references are needed.
    size
        Size of an embedded data set: "default" or "small".
    home
        Folder of data and features.
    workers
        Number of processes that render or synthesise clips.
    verify
        Whether `prepare` reads existing files and renders damaged ones again; for embedded data sets.
    needs_audio
        Whether audio will be read. If not, a data set may return clips whose files do not exist: `mirbench verify`
        needs ids, groups and references only.
    """

    task: str
    size: str
    home: Path
    workers: int = 1
    verify: bool = False
    needs_audio: bool = True


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set that can be loaded.

    Attributes
    ----------
    name
        Name on the command line and in results.
    load
        Called with a request; returns the data set. Raises `DatasetError`, stating what to run, if files are missing.
    tasks
        Names of the tasks for which it has references.
    prepare
        Called with a request; downloads or renders what `load` needs. None where nothing can be prepared.
    sizes
        Sizes in which it exists.
    is_embedded
        Whether its audio is rendered or synthesised by mirbench, without a download.
    description
        One line for lists.
    license
        Licence of the data.
    citation
        Authors and year of the publication.
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


@dataclass(frozen=True, kw_only=True)
class SensorSpec:
    """A sensor, for `mirbench run --sensor NAME` and the encoder `ENCODER~NAME`.

    Attributes
    ----------
    name
        Name on the command line; in results it follows the name of the encoder.
    load
        Returns the sensor.
    description
        One line for lists.
    """

    name: str
    load: "Callable[[], Sensor]"
    description: str = ""


Spec = EncoderSpec | TaskSpec | DatasetSpec
