"""What two choices of the harness move: context of frame tasks, and frames in half precision.

    python benchmarks/choices.py --encoder chroma,logmel,random --home HOME

For every encoder and frame task of the suite core, the headline is computed three times on the embedded data: as
`mirbench run` does; without context; and from frames that are stored in single precision. Printed are the headline,
both differences, and what context costs in CPU seconds of fitting, decoding and scoring.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from mirbench.domain import SPLITS, Dataset, Encoder, Task
from mirbench.evaluation.evaluate import Fitting, evaluate
from mirbench.features import store as stores
from mirbench.features.extract import extract
from mirbench.features.region import Region
from mirbench.features.stored import StoredFeatures
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.probes.protocols import Convex
from mirbench.runs.planning import load_dataset, make_plan

TASKS = ("chord", "beat", "hospital")


class WithoutContext(Convex):
    """The standard protocol without context."""

    has_context = False


@dataclass(frozen=True)
class Row:
    """Headlines of one encoder and task."""

    encoder: str
    task: str
    standard: float
    readout: str
    stored: str
    without_context: float
    single: float
    seconds: float
    seconds_without: float

    def __str__(self) -> str:
        context = f"{self.without_context:.3f} ({self.standard - self.without_context:+.3f})"
        single = f"{self.single:.4f} ({self.standard - self.single:+.4f})"
        cost = f"{self.seconds:.0f} ({self.seconds_without:.0f})"
        cells = (self.encoder, self.task, f"{self.standard:.3f}", self.readout, context, self.stored, single, cost)
        return f"| {' | '.join(cells)} |"


HEADS = (
    "encoder", "task", "headline", "chosen", "without context (gain)", "stored in", "single precision (change)",
    "CPU s (without context)",
)  # fmt: skip


def rows(encoders: list[str], tasks: list[str], settings: Settings) -> Iterator[Row]:
    """Yield a row for each encoder and task."""
    for job in make_plan(Plugins(), encoders, tasks, settings).jobs:
        dataset, encoder = load_dataset(job.dataset, settings.request(job.task)), job.encoder.load("cpu")
        task = job.loaded_task.with_labels_of(dataset)
        kept = _store(encoder, task, dataset, settings.home / "features", settings)
        started = time.process_time()
        standard = evaluate(StoredFeatures(kept, encoder), task, dataset, Fitting())
        between = time.process_time()
        narrow = evaluate(StoredFeatures(kept, encoder), task, dataset, Fitting(WithoutContext()))
        ended = time.process_time()
        with TemporaryDirectory() as folder:
            with patch.object(stores, "fits_half", lambda values: False):
                single = _store(encoder, task, dataset, Path(folder), settings)
            wide = evaluate(StoredFeatures(single, encoder), task, dataset, Fitting())
        yield Row(
            job.encoder.name,
            task.name,
            standard.scores[0].value,
            f"{standard.choices[0].readout}, {standard.choices[0].layer}",
            standard.stored,
            narrow.scores[0].value,
            wide.scores[0].value,
            between - started,
            ended - between,
        )


def _store(encoder: Encoder, task: Task, dataset: Dataset, folder: Path, settings: Settings) -> stores.FeatureStore:
    """Return a store that holds the features of all clips."""
    store = stores.FeatureStore(folder)
    readouts = frozenset(encoder.readouts(task.scope))
    wanted = {Region.of(clip): readouts for split in SPLITS for clip in dataset.clips(split)}
    extract(encoder, wanted, store, title=task.name, workers=settings.workers)
    return store


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="chroma,logmel,random")
    parser.add_argument("--task", default=",".join(TASKS))
    parser.add_argument("--home", type=Path, required=True, help="folder with the prepared data")
    parser.add_argument("--size", default="default")
    given = parser.parse_args()
    settings = Settings(home=given.home, out=given.home, size=given.size)
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    for row in rows(given.encoder.split(","), given.task.split(","), settings):
        print(row, flush=True)


if __name__ == "__main__":
    main()
