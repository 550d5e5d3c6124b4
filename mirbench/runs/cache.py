"""Remember the results of jobs: what is finished is not computed again, by no process and after no interruption.

A job is known by all that its results depend on: fingerprint of the encoder, audio, data set and its version, the
content of every reference, options, protocol, seed, the versions of libraries, and the source code that computes
results: the packages `COMPUTING` of mirbench, the task and the data set. A file whose checksum is wrong is not
believed: the job is computed again. The estimates of the test clips are kept with the results.
"""

import base64
import hashlib
import importlib.util
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mirbench.data.reference_hash import digest_of
from mirbench.domain import SPLITS, Dataset, Encoder, Result, Task
from mirbench.errors import first_line
from mirbench.evaluation.evaluate import Fitting
from mirbench.features.region import Region
from mirbench.files import write_atomically
from mirbench.results.clip_scores import scores_as_json, scores_from_json
from mirbench.results.records import as_json, from_json

VERSIONED = ("mirbench-audio", "numpy", "scipy", "scikit-learn", "mir_eval", "sed_eval", "torch", "soxr", "soundfile")
COMPUTING = ("domain", "data", "features", "probes", "evaluation")  # packages of mirbench that compute results


class FinishedJobs:
    """Results of jobs in files named by what they depend on.

    Parameters
    ----------
    folder
        Several processes may use one at a time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str, run: str, date: str, encoder: str) -> list[Result] | None:
        """Return the stored results of a job as results of this run; None if it is not finished."""
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
        estimates = base64.b64decode(found["predictions"]) if found.get("predictions") else None
        return [
            replace(_recalled(each, scores), run=run, date=date, encoder=encoder, estimates=estimates)
            for each, scores in zip(found["records"], found["scores"], strict=True)
        ]

    def put(self, key: str, results: Sequence[Result]) -> None:
        """Remember results."""
        scores = [result.scores and scores_as_json(result.scores, result.value) for result in results]
        estimates = results[0].estimates  # of the whole job
        content = json.dumps(
            {
                "records": [as_json(result) for result in results],
                "scores": scores,
                "predictions": None if estimates is None else base64.b64encode(estimates).decode(),
            }
        )
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


def key_of(encoder: Encoder, task: Task, dataset: Dataset, fitting: Fitting, options: Mapping[str, str]) -> str:
    """Return a hash of all that the results of a job depend on.

    Parameters
    ----------
    encoder
        Its fingerprint and the names of its readouts count; it is not called.
    task, dataset
        What it is evaluated on, with the content of all references and of all audio.
    fitting
        How probes are fitted.
    options
        Options of the task that are not its defaults.
    """
    digest = hashlib.sha256()
    about: dict[str, Any] = {
        "encoder": encoder.fingerprint,
        "readouts": encoder.readouts(task.scope),
        "task": task.name,
        "options": dict(options),
        "dataset": [dataset.name, dataset.version, dataset.size],
        "fitting": [fitting.protocol.name, fitting.seed, fitting.fraction, fitting.leave_group_out],
        "versions": versions(),
        "references": digest_of(dataset),
        "code": code_of(task, dataset),
    }
    digest.update(json.dumps(about, sort_keys=True).encode())
    for split in SPLITS:
        for clip in dataset.clips(split):
            digest.update(f"{split} {clip.id} {clip.group} {Region.of(clip).key(encoder, '').clip}\n".encode())
    return digest.hexdigest()[:40]


def code_of(task: Task, dataset: Dataset) -> str:
    """Return a hash of the source code that computes results: of mirbench, of the task and of the data set."""
    modules = [*(f"mirbench.{name}" for name in COMPUTING), _package(task), _package(dataset)]
    return hashlib.sha256(" ".join(map(_source_hash, modules)).encode()).hexdigest()[:16]


def _package(thing: object) -> str:
    return type(thing).__module__.partition(".")[0]


@cache
def _source_hash(name: str) -> str:
    """Hash the source code of a package, or of a plugin that is a single file."""
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    file = spec.origin if spec is not None else getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return name
    paths = sorted(Path(file).parent.rglob("*.py")) if Path(file).name == "__init__.py" else [Path(file)]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
