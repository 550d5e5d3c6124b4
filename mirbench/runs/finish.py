"""Remember the results of jobs: what is finished is not computed again, by no process and after no interruption.

A job is known by all that its results depend on: fingerprint of the encoder, audio, data set and its version, the
content of every reference, options, protocol, seed, the versions of libraries, and the source code of mirbench, of the
task and of the data set. A file whose checksum is wrong is not believed: the job is computed again.
"""

import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mirbench.data import audio
from mirbench.data.reference_hash import digest_of
from mirbench.domain import SPLITS, Clip, Dataset, Encoder, Result, Task
from mirbench.encoders.precision import Variant
from mirbench.errors import DamagedFeaturesError, first_line
from mirbench.evaluation.evaluate import Evaluation, Fitting, evaluate
from mirbench.features.extract import Region, extract
from mirbench.features.store import FeatureStore
from mirbench.files import write_atomically
from mirbench.results.records import as_json, from_json, scores_as_json, scores_from_json
from mirbench.runs.planning import Job, Settings

VERSIONED = ("mirbench-audio", "numpy", "scipy", "scikit-learn", "mir_eval", "sed_eval", "torch", "soxr", "soundfile")
N_COMPARED = 4  # clips of which features of two precisions are compared


class Finished:
    """Results of jobs in files named by what they depend on.

    Parameters
    ----------
    folder
        Several processes may use one at a time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str, run: str, date: str, encoder: str) -> list[Result] | None:
        """Give the results of a job as those of another run, or None if it is not finished."""
        path = self.folder / f"{key}.json"
        try:
            checksum, _, content = path.read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _not_believed(path, first_line(error))
            return None
        if checksum != hashlib.sha256(content.encode()).hexdigest():
            _not_believed(path, "its checksum is wrong")
            return None
        found = json.loads(content)
        return [
            replace(_recalled(each, scores), run=run, date=date, encoder=encoder)
            for each, scores in zip(found["records"], found["scores"], strict=True)
        ]

    def put(self, key: str, results: Sequence[Result]) -> None:
        """Remember results."""
        scores = [result.scores and scores_as_json(result.scores, result.value) for result in results]
        content = json.dumps({"records": [as_json(result) for result in results], "scores": scores})
        checksum = hashlib.sha256(content.encode()).hexdigest()
        write_atomically(self.folder / f"{key}.json", f"{checksum}\n{content}".encode())

    def purge(self, dataset: str) -> int:
        """Forget the jobs of a data set, and files that cannot be read; return how many files are removed."""
        n_removed = 0
        for path in sorted(self.folder.glob("*.json")):
            try:
                records = json.loads(path.read_text(encoding="utf-8").partition("\n")[2])["records"]
                is_other = records[0]["dataset"] != dataset
            except (OSError, ValueError, TypeError, KeyError, IndexError):
                is_other = False
            if not is_other:
                path.unlink(missing_ok=True)
                n_removed += 1
        return n_removed


def _not_believed(path: Path, problem: str) -> None:
    print(f"mirbench: finished job {path} is not believed: {problem}; it is computed again", file=sys.stderr)


def _recalled(values: dict[str, Any], scores: dict[str, Any] | None) -> Result:
    result = from_json(values)
    return replace(result, scores=None if scores is None else scores_from_json(scores, result.value))


def key_of(
    encoder: Encoder,
    task: Task,
    dataset: Dataset,
    fitting: Fitting,
    options: dict[str, str],
    versions: dict[str, str],
) -> str:
    """Name a job by all that its numbers depend on."""
    digest = hashlib.sha256()
    about: dict[str, Any] = {
        "encoder": encoder.fingerprint,
        "readouts": encoder.readouts(task.scope),
        "task": task.name,
        "options": options,
        "dataset": [dataset.name, dataset.version, dataset.size],
        "fitting": [fitting.protocol.name, fitting.seed, fitting.fraction],
        "versions": versions,
        "references": digest_of(dataset),
        "code": code_of(task, dataset),
    }
    digest.update(json.dumps(about, sort_keys=True).encode())
    for split in SPLITS:
        for clip in dataset.clips(split):
            digest.update(f"{split} {clip.id} {clip.group} {Region.of(clip).key(encoder, '').clip}\n".encode())
    return digest.hexdigest()[:40]


def code_of(task: Task, dataset: Dataset) -> str:
    """Return a hash of the source code that computes results: mirbench, the task and the data set."""
    packages = "mirbench", _package(task), _package(dataset)
    return hashlib.sha256(" ".join(map(_package_hash, packages)).encode()).hexdigest()[:16]


def _package(thing: object) -> str:
    return type(thing).__module__.partition(".")[0]


def finish(
    run: str,
    settings: Settings,
    job: Job,
    encoder: Encoder,
    dataset: Dataset,
    store: FeatureStore,
    fitting: Fitting,
    extraction: dict[str, Any],
    extract_seconds: float,
) -> list[Result]:
    """Evaluate a job, or recall its results."""
    task = job.load_task()
    finished = Finished(settings.home / "finished") if settings.keeps else None
    key = key_of(encoder, task, dataset, fitting, dict(job.options), _versions())
    date = datetime.now(UTC).isoformat(timespec="seconds")
    found = None if settings.fresh or finished is None else finished.get(key, run, date, job.encoder.name)
    if not found:
        evaluation = _evaluate_sound(settings, job, task, encoder, dataset, store, fitting)
        found = _results(run, settings, job, encoder, dataset, evaluation, fitting, extraction, extract_seconds)
        if finished is not None:
            finished.put(key, found)
    return found


def _evaluate_sound(
    settings: Settings, job: Job, task: Task, encoder: Encoder, dataset: Dataset, store: FeatureStore, fitting: Fitting
) -> Evaluation:
    """Evaluate a job; stored features that turn out to be damaged are removed and computed again."""
    damaged: set[Path] = set()
    while True:
        try:
            return evaluate(encoder, task, dataset, store, fitting)
        except DamagedFeaturesError as error:
            if error.path in damaged:  # written anew and damaged again: the disk or the memory is at fault
                raise
            damaged.add(error.path)
            store.discard(error)
            readouts = frozenset(encoder.readouts(task.scope))
            extract(
                encoder,
                {Region.of(clip): readouts for clip in all_clips(dataset)},
                store,
                title=job.encoder.name,
                batch_size=settings.batch_size,
                workers=settings.workers,
            )


def described(encoder: Encoder, regions: Sequence[Region]) -> dict[str, Any]:
    """Measure how far features of another precision are from those of the encoder as it is."""
    if not isinstance(encoder, Variant):
        return {}
    some = regions[:: max(1, len(regions) // N_COMPARED)][:N_COMPARED]
    return encoder.described(
        [audio.load(region.path, encoder.sample_rate, region.start, region.duration) for region in some]
    )


def all_clips(dataset: Dataset) -> list[Clip]:
    return [clip for split in SPLITS for clip in dataset.clips(split)]


def _results(
    run: str,
    settings: Settings,
    job: Job,
    encoder: Encoder,
    dataset: Dataset,
    evaluation: Evaluation,
    fitting: Fitting,
    extraction: dict[str, Any],
    extract_seconds: float,
) -> list[Result]:
    first = evaluation.choices[0]
    references, code = digest_of(dataset), code_of(job.load_task(), dataset)
    return [
        Result(
            run=run,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            encoder=job.encoder.name,
            fingerprint=encoder.fingerprint,
            task=job.task.name,
            dataset=dataset.name,
            dataset_version=dataset.version,
            size=dataset.size,
            split="test",
            options=dict(job.options),
            metric=score.metric.name,
            label=score.metric.label,
            is_headline=score is evaluation.scores[0],
            aggregate=score.metric.aggregate,
            value=score.value,
            low=score.low,
            high=score.high,
            deviation=score.deviation,
            n=evaluation.n_clips["test"],
            n_groups=evaluation.n_groups,
            n_train=evaluation.n_clips["train"],
            n_valid=evaluation.n_clips["valid"],
            protocol=fitting.protocol.name,
            n_seeds=fitting.protocol.n_seeds,
            train_fraction=fitting.fraction,
            readout=first.readout,
            layer=first.layer,
            setting=first.setting,
            seed=settings.seed,
            source=score.metric.source,
            selection={
                "split": "valid",
                "criterion": "cross-entropy",
                "constant": evaluation.constant,
                "choices": [
                    {
                        "readout": choice.readout,
                        "layer": choice.layer,
                        "setting": choice.setting,
                        "decoder": decoder,
                        "marks": list(choice.marks),
                        "curve": choice.curve,
                    }
                    for choice, decoder in zip(evaluation.choices, evaluation.decoders, strict=True)
                ],
            },
            extraction=extraction,
            versions=_versions(),
            seconds={"extract": extract_seconds, **evaluation.seconds},
            higher_is_better=score.metric.higher_is_better,
            references=references,
            code=code,
            scores=score.scores,
        )
        for score in evaluation.scores
    ]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def _package_hash(name: str) -> str:
    """Hash the source code of a package, or of a plugin that is a single file."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return name
    paths = sorted(Path(file).parent.rglob("*.py")) if Path(file).name == "__init__.py" else [Path(file)]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()
