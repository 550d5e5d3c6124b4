"""Fit the probe of a record again: its predictions on every clip of the test split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mirbench.domain import SPLITS, Clip, Prediction, Result, Task
from mirbench.errors import MirbenchError, UsageError
from mirbench.evaluation.evaluate import Choice, examples_of, predict
from mirbench.evaluation.views import stored_readout, view_named
from mirbench.features.extract import extract
from mirbench.features.region import Region
from mirbench.features.store import FeatureStore
from mirbench.features.stored import StoredFeatures
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.probes.linear import LinearFit
from mirbench.probes.objectives import objective_of
from mirbench.runs.planning import load_dataset, make_plan

CONVEX = "convex"


@dataclass(frozen=True)
class Refitted:
    """Clips of the test split, in order.

    Attributes
    ----------
    predictions
        The probe's logits beside the references.
    estimates
        What they were decoded to.
    n_training
        Training clips of each label, for tasks whose references are vectors of labels; else empty.
    """

    record: Result
    task: Task
    clips: tuple[Clip, ...]
    predictions: tuple[Prediction, ...]
    estimates: tuple[Any, ...]
    n_training: tuple[int, ...]

    def clip(self, name: str | None) -> int:
        """Find a clip by its id; the first for None.

        Raises
        ------
        UsageError
            If there is none.
        """
        names = [clip.id for clip in self.clips]
        if name is None:
            return 0
        if name not in names:
            raise UsageError(
                f"no test clip {name!r}; there are {', '.join(names[:5])} and {max(0, len(names) - 5)} more"
            )
        return names.index(name)


def refit(
    record: Result, plugins: Plugins, settings: Settings, encoder: str | None = None, csv: Path | None = None
) -> Refitted:
    """Fit the probe that a record chose, and return its predictions.

    Parameters
    ----------
    encoder
        What to load instead of the recorded name.

    Raises
    ------
    UsageError
        If the record is of another protocol than convex.
    MirbenchError
        If encoder or data are not those of the record.
    """
    if record.protocol != CONVEX or record.train_fraction < 1:
        raise UsageError(f"the record is of protocol {record.protocol!r}; figures show convex probes of all the data")
    datasets: Sequence[str] = () if csv else (record.dataset,)
    plan = make_plan(plugins, [encoder or record.encoder], [record.task], settings, datasets=datasets, csv=csv)
    job = plan.jobs[0]
    dataset = load_dataset(job.dataset, settings.request(job.task))
    loaded = job.encoder.load(settings.device)
    for what, before, now in (
        ("encoder", record.fingerprint, loaded.fingerprint),
        ("data set", record.dataset_version, dataset.version),
    ):
        if before != now:
            raise MirbenchError(f"the {what} is not that of the record ({now}, recorded {before}); run it again first")
    task = job.loaded_task.with_labels_of(dataset)
    clips = {split: dataset.clips(split) for split in SPLITS}
    store = FeatureStore(settings.home / "features")
    features = StoredFeatures(store, loaded)
    readout = stored_readout(record.readout)
    wanted = {Region.of(clip): frozenset({readout}) for some in clips.values() for clip in some}
    extracted = extract(loaded, wanted, store, title=record.encoder, workers=settings.workers)
    for problem in extracted.unread.values():
        raise problem
    view = view_named(features, record.readout, record.layer, clips["train"])
    rows = examples_of(view, task, clips["train"])
    fit = LinearFit(rows, objective_of(task.objective), len(task.labels), settings.memory, settings.device)
    choice = Choice(fit.exact(record.setting), view, record.setting, ())
    tuned = task.tuned([predict(choice, clip) for clip in clips["valid"]])
    predictions = tuple(predict(choice, clip) for clip in clips["test"])
    is_vector = task.objective == "multilabel" and task.scope == "clip"
    counts = np.sum([clip.reference for clip in clips["train"]], axis=0).astype(int) if is_vector else []
    return Refitted(
        record=record,
        task=tuned,
        clips=tuple(clips["test"]),
        predictions=predictions,
        estimates=tuple(tuned.decode(each.logits, each.times, each.duration) for each in predictions),
        n_training=tuple(int(count) for count in counts),
    )
