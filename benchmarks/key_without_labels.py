"""Compare keys found without any label: S-KEY against templates of the chroma, on the test split of rendered-scores.

Run ``python benchmarks/key_without_labels.py [WEIGHTS...] [--data FILE.csv]``: S-KEY as shipped, and with each of the
given weights (such as its published skey.pt); on the test split of rendered-scores, or of a CSV file. Nothing is
fitted. S-KEY's classes get their names from one synthesised chord a mode (`mirbench_stone.calibration`); the templates
are

- the mean chroma of these same two chords, rotated to the twelve tonics;
- the probe-tone ratings of Krumhansl and Kessler (1982).

The key is the template with the highest correlation with the clip's mean chroma.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mirbench.data import audio
from mirbench.data.csv import CsvDataset
from mirbench.evaluation.bootstrap import score
from mirbench.files import find_home
from mirbench.plugins import Plugins
from mirbench.progress import Progress
from mirbench.runs.planning import load_dataset
from mirbench.specs import DatasetRequest
from mirbench_baseline.encoder import Chroma
from mirbench_ssl.weights import shipped_weights
from mirbench_stone import WEIGHTS
from mirbench_stone.calibration import TONICS, chord, key_names
from mirbench_stone.encoder import load

NAMES = [f"{tonic} {mode}" for mode in ("major", "minor") for tonic in TONICS[mode]]
KRUMHANSL_KESSLER = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)
METRICS = ("weighted_score", "accuracy", "key_signature")
Estimator = Callable[[np.ndarray], str]


def by_templates(profiles: Sequence[Sequence[float]]) -> Estimator:
    """Correlate the mean chroma with a major and a minor profile on C, at twelve tonics."""
    chroma = Chroma()
    templates = np.array([np.roll(profile, tonic) for profile in profiles for tonic in range(12)])
    return lambda samples: NAMES[int(np.corrcoef(chroma.encode(samples).readout("mean"), templates)[0, 1:].argmax())]


def by_s_key(weights: Path) -> Estimator:
    """Take the most probable class of S-KEY."""
    encoder = load("skey", "cpu", weights)
    names = key_names(encoder.header.calibration)
    return lambda samples: names[int(encoder.posteriors(samples).argmax())]


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, help="a CSV file as for mirbench run, instead of rendered-scores")
    given = parser.parse_args()
    chords = [Chroma().encode(chord(mode)).readout("mean")[0] for mode in ("major", "minor")]
    estimators = {
        "chroma, templates of the two chords": by_templates(chords),
        "chroma, Krumhansl and Kessler": by_templates(KRUMHANSL_KESSLER),
        "S-KEY, shipped": by_s_key(shipped_weights(WEIGHTS, "skey")),
        **{f"S-KEY, {path}": by_s_key(path) for path in given.weights},
    }
    plugins = Plugins()
    request = DatasetRequest(task="key", size="default", home=find_home(None), workers=os.cpu_count() or 1)
    task = plugins.tasks["key"].load()
    data = CsvDataset(given.data, task) if given.data else load_dataset(plugins.datasets["rendered-scores"], request)
    clips = data.clips("test")
    estimates: dict[str, list[str]] = {name: [] for name in estimators}
    with Progress("keys", len(clips)) as progress:
        for clip in clips:
            samples = audio.load(clip.path, 22050, clip.start, clip.duration)
            for name, estimate in estimators.items():
                estimates[name].append(estimate(samples))
            progress.advance(len(samples) / 22050)
    print(f"| without labels | {' | '.join(METRICS)} |\n|---|---|---|---|")
    for name, found in estimates.items():
        scores = {each.metric.name: each for each in score([task], clips, [found], 0)}
        cells = [f"{scores[m].value:.3f} [{scores[m].low:.3f}, {scores[m].high:.3f}]" for m in METRICS]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
