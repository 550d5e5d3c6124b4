"""Clips of data sets on which `mirbench pretrain` may train."""

from collections.abc import Sequence
from pathlib import Path

from mirbench.data.csv import CsvDataset
from mirbench.domain import Clip
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
) -> tuple[Clip, ...]:
    """List the clips of training splits that an encoder may be trained on; embedded data sets are made first.

    Raises
    ------
    UsageError
        If the encoder needs references that a data set does not have.
    """
    clips: list[Clip] = []
    for name in datasets:
        spec = plugins.datasets[name]
        require_size([spec], size)
        task = encoder.labelled_by or spec.tasks[0]
        if task not in spec.tasks:
            raise UsageError(f"{encoder.name} needs references of task {task!r}; {name} has {', '.join(spec.tasks)}")
        clips += load_dataset(spec, DatasetRequest(task=task, size=size, home=home, workers=workers)).clips("train")
    if csv is not None:
        if not encoder.labelled_by:
            raise UsageError(
                f"{encoder.name} needs no references; give the recordings' folder with --audio instead of --data"
            )
        clips += CsvDataset(csv, plugins.tasks[encoder.labelled_by].load()).clips("train")
    return tuple(clips)
