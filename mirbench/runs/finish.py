"""Finish a job: evaluate an encoder on a task, or recall what is finished."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirbench.data import audio
from mirbench.data.reference_hash import digest_of
from mirbench.domain import LEAVE_GROUP_OUT, SPLITS, Clip, ClipScores, Dataset, Encoder, Result
from mirbench.encoders.precision import Variant
from mirbench.errors import DamagedFeaturesError
from mirbench.evaluation.bootstrap import Score
from mirbench.evaluation.evaluate import Evaluation, Fitting, evaluate
from mirbench.features.extract import extract
from mirbench.features.region import Region
from mirbench.features.store import FeatureStore
from mirbench.features.stored import StoredFeatures
from mirbench.plan import Job, Settings
from mirbench.probes.protocols import PROTOCOLS
from mirbench.results.predictions import LEFT_OUT, Predictions, UnstorableError, job_of, pack, sha256_of
from mirbench.runs.cache import FinishedJobs, code_of, key_of, versions

N_RESAMPLES_KEPT = 1000  # of metrics of sets of clips that are no headlines
N_COMPARED = 4  # clips of which features of two precisions are compared


@dataclass(frozen=True)
class Work:
    """A job with all that is needed to finish it.

    Attributes
    ----------
    run
        Name of the run.
    store
        Holds the features of all clips of the data set.
    extraction
        How the features were computed, for the record.
    extract_seconds
        How long that took.
    """

    run: str
    settings: Settings
    job: Job
    encoder: Encoder
    dataset: Dataset
    store: FeatureStore
    extraction: Mapping[str, Any]
    extract_seconds: float


def fittings_of(settings: Settings) -> list[Fitting]:
    """Return the settings of probes for each share of the training clips."""
    return [
        Fitting(
            PROTOCOLS[settings.protocol],
            settings.seed,
            fraction,
            settings.memory,
            settings.device,
            settings.workers,
            settings.leave_group_out,
        )
        for fraction in settings.train_fractions
    ]


def finish(work: Work, fitting: Fitting) -> list[Result]:
    """Return the results of a job: recalled, or computed and remembered."""
    if not work.settings.keeps:
        return _results(work, _evaluate_sound(work, fitting), fitting)
    jobs = FinishedJobs(work.settings.home / "finished")
    key = key_of(work.encoder, work.job.loaded_task, work.dataset, fitting, dict(work.job.options))  # before, and once
    found = None if work.settings.fresh else jobs.get(key, work.run, _now(), work.job.encoder.name)
    if not found:
        found = _results(work, _evaluate_sound(work, fitting), fitting)
        jobs.put(key, found)
    return found


def recall(
    run: str, settings: Settings, job: Job, encoder: Encoder, dataset: Dataset, fitting: Fitting
) -> list[Result] | None:
    """Return the results of a job that is finished, as those of a run; None if it is not."""
    key = key_of(encoder, job.loaded_task, dataset, fitting, dict(job.options))
    return FinishedJobs(settings.home / "finished").get(key, run, _now(), job.encoder.name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _evaluate_sound(work: Work, fitting: Fitting) -> Evaluation:
    """Evaluate a job; stored features that turn out to be damaged are removed and computed again."""
    damaged: set[Path] = set()
    task, settings = work.job.loaded_task, work.settings
    while True:
        try:
            return evaluate(StoredFeatures(work.store, work.encoder), task, work.dataset, fitting)
        except DamagedFeaturesError as error:
            if error.path in damaged:  # written anew and damaged again: the disk or the memory is at fault
                raise
            damaged.add(error.path)
            work.store.discard(error)
            readouts = frozenset(work.encoder.readouts(task.scope))
            extract(
                work.encoder,
                {Region.of(clip): readouts for clip in all_clips(work.dataset)},
                work.store,
                title=work.job.encoder.name,
                batch_size=settings.batch_size,
                workers=settings.workers,
            )


def described(encoder: Encoder, regions: Sequence[Region]) -> dict[str, Any]:
    """Return the error of features of another precision, relative to full precision; empty for full precision."""
    if not isinstance(encoder, Variant):
        return {}
    some = regions[:: max(1, len(regions) // N_COMPARED)][:N_COMPARED]
    return encoder.described(
        [audio.load(region.path, encoder.sample_rate, region.start, region.duration) for region in some]
    )


def all_clips(dataset: Dataset) -> list[Clip]:
    """Return the clips of all splits."""
    return [clip for split in SPLITS for clip in dataset.clips(split)]


def _about_folds(score: Score) -> dict[str, Any]:
    """Return the number of folds and the value of each (None where it is not defined); empty for one split."""
    if not score.of_folds:
        return {}
    values = {fold: value if math.isfinite(value) else None for fold, value in score.of_folds.items()}
    return {"n_folds": len(values), "folds": values}


def _results(work: Work, evaluation: Evaluation, fitting: Fitting) -> list[Result]:
    first = evaluation.choices[0]
    job, encoder, dataset = work.job, work.encoder, work.dataset
    references, code = digest_of(dataset), code_of(job.loaded_task, dataset)
    folds = evaluation.folds or ("",)
    of_choices = [fold for fold in folds for _ in range(len(evaluation.choices) // len(folds))]
    results = [
        Result(
            run=work.run,
            date=_now(),
            encoder=job.encoder.name,
            fingerprint=encoder.fingerprint,
            task=job.task.name,
            dataset=dataset.name,
            dataset_version=dataset.version,
            size=dataset.size,
            split=LEAVE_GROUP_OUT if fitting.leave_group_out else "test",
            options=dict(job.options),
            metric=score.metric.name,
            label=score.metric.label,
            is_headline=score is evaluation.scores[0],
            aggregate=score.metric.aggregate,
            value=score.value,
            low=score.low,
            high=score.high,
            deviation=score.deviation,
            n=score.n,
            n_groups=score.n_groups,
            n_train=evaluation.n_clips["train"],
            n_valid=evaluation.n_clips["valid"],
            protocol=fitting.protocol.name,
            n_seeds=fitting.protocol.n_seeds,
            train_fraction=fitting.fraction,
            readout=first.readout,
            layer=first.layer,
            setting=first.setting,
            seed=work.settings.seed,
            source=score.metric.source,
            selection={
                "split": "valid",
                "criterion": "cross-entropy",
                "constant": evaluation.constant,
                **_about_frames(evaluation),
                **_about_folds(score),
                "choices": [
                    {
                        **({"fold": fold} if fold else {}),
                        "readout": choice.readout,
                        "layer": choice.layer,
                        **({} if choice.view.rank is None else {"rank": choice.view.rank}),
                        "setting": choice.setting,
                        "decoder": decoder,
                        "marks": list(choice.marks),
                        "curve": choice.curve if score is evaluation.scores[0] else (),  # the same for all metrics
                    }
                    for fold, choice, decoder in zip(of_choices, evaluation.choices, evaluation.decoders, strict=True)
                ],
            },
            extraction=work.extraction,
            versions=versions(),
            seconds={"extract": work.extract_seconds, **evaluation.seconds},
            higher_is_better=score.metric.higher_is_better,
            references=references,
            code=code,
            scores=_kept(score, is_headline=score is evaluation.scores[0]),
        )
        for score in evaluation.scores
    ]
    predictions, estimates = _predictions(work, evaluation, results[0])
    return [replace(result, predictions=predictions, estimates=estimates) for result in results]


def _kept(score: Score, *, is_headline: bool) -> ClipScores | None:
    """Return the scores to store: of a set of clips, where the metric is no headline, fewer resamples.

    Resamples of sets cannot be computed from scores of clips; those of twenty metrics of a job take 0.5 MB.
    """
    if score.scores is None or is_headline or score.scores.aggregate != "set":
        return score.scores
    return replace(score.scores, resampled=score.scores.resampled[:N_RESAMPLES_KEPT])


def _predictions(work: Work, evaluation: Evaluation, result: Result) -> tuple[str, bytes | None]:
    """Return what the record says about the estimates of a job, and the content of their file."""
    if not work.settings.keeps:
        return f"{LEFT_OUT}run with --no-store", None
    if not evaluation.estimates:
        return f"{LEFT_OUT}several folds", None
    try:
        found = Predictions(job_of(result), evaluation.clips, evaluation.estimates)
        content = pack(found, work.job.loaded_task.with_labels_of(work.dataset).empty())
    except UnstorableError as error:
        return f"{LEFT_OUT}{error}", None
    return sha256_of(content), content


def _about_frames(evaluation: Evaluation) -> dict[str, Any]:
    """Return the score of a perfect probe at the encoder's frame rate, and how frames are stored."""
    return {} if evaluation.ceiling is None else {"oracle": evaluation.ceiling, "stored": evaluation.stored}
