"""Clips of data sets on which `mirbench pretrain` may train."""

from collections.abc import Sequence
from pathlib import Path

from mirbench.data.csv import CsvDataset
from mirbench.domain import Clip, Dataset
from mirbench.errors import UsageError
from mirbench.plugins import Plugins
from mirbench.runs.planning import load_dataset, require_size
from mirbench.specs import DatasetRequest, EncoderSpec


def training_clips(
    plugins: Plugins,
    encoder: EncoderSpec,
    datasets: Sequence[str],
    csv: Path | None,
    *,
    size: str,
    home: Path,
    workers: int,
) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Return the clips that an encoder may be trained on, and those on which it may be chosen.

    Embedded data sets are generated first. Clips of validation splits are returned for encoders that need references.

    Raises
    ------
    UsageError
        If the encoder needs references that a data set does not have.
    """
    found: list[Dataset] = []
    for name in datasets:
        spec = plugins.datasets[name]
        require_size([spec], size)
        task = encoder.labelled_by or spec.tasks[0]
        if task not in spec.tasks:
            raise UsageError(f"{encoder.name} needs references of task {task!r}; {name} has {', '.join(spec.tasks)}")
        found.append(load_dataset(spec, DatasetRequest(task=task, size=size, home=home, workers=workers)))
    if csv is not None:
        if not encoder.labelled_by:
            raise UsageError(
                f"{encoder.name} needs no references; give the recordings' folder with --audio instead of --data"
            )
        found.append(CsvDataset(csv, plugins.tasks[encoder.labelled_by].load()))
    if len({dataset.labels for dataset in found}) > 1:
        raise UsageError(f"{', '.join(dataset.name for dataset in found)} have different labels; give one of them")
    train = tuple(clip for dataset in found for clip in dataset.clips("train"))
    valid = tuple(clip for dataset in found if encoder.labelled_by for clip in dataset.clips("valid"))
    return train, valid
