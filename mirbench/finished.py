"""Remember the results of jobs: what is finished is not computed again, by no process and after no interruption.

A job is known by all that its numbers depend on: fingerprint of the encoder, audio, data set and its version, options,
protocol, seed, the versions of libraries, and the source code of mirbench, of the task and of the data set.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from mirbench.domain import SPLITS, Dataset, Encoder, Result, Task
from mirbench.evaluate import Fitting
from mirbench.extract import Region
from mirbench.files import write_atomically


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
        try:
            found = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
            return [replace(Result(**each), run=run, date=date, encoder=encoder) for each in found]
        except (OSError, ValueError, TypeError):
            return None

    def put(self, key: str, results: Sequence[Result]) -> None:
        """Remember results."""
        write_atomically(self.folder / f"{key}.json", json.dumps([asdict(result) for result in results]).encode())


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
        "code": [_package_hash("mirbench"), _package_hash(_package(task)), _package_hash(_package(dataset))],
    }
    digest.update(json.dumps(about, sort_keys=True).encode())
    for split in SPLITS:
        for clip in dataset.clips(split):
            digest.update(f"{split} {clip.id} {clip.group} {Region.of(clip).key(encoder, '').clip}\n".encode())
    return digest.hexdigest()[:40]


def _package(thing: object) -> str:
    return type(thing).__module__.partition(".")[0]


@cache
def _package_hash(name: str) -> str:
    """Hash the source code of a package, or of a plugin that is a single file."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return name
    paths = sorted(Path(file).parent.rglob("*.py")) if Path(file).name == "__init__.py" else [Path(file)]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()
