"""Chord: which chord sounds when?

Conventions
-----------
Chords are spelled as mir_eval spells them (Harte's syntax): ``"C:maj"``, ``"Bb:min7"``, ``"N"`` for none, ``"X"`` for
no telling. References keep their full vocabulary; the probe learns 25 classes: a chord counts as major or minor if
`mir_eval.chord.majmin` takes it for one (so ``C:7`` is major), and frames of all others are left out of training.
In a CSV file the column `chords` names a text file with start, end and label on each line.

The path of labels is the likeliest under a chain in which a label lasts with a probability that is tuned on the
validation split; equal neighbours are merged.

Metrics
-------
All by `mir_eval.chord` 0.8.2. Each clip's score is weighted by the duration of its reference that the comparison
takes into account, so that the sum is the score of the whole set: ``majmin`` (headline), ``root``, ``thirds``,
``triads``, ``sevenths``, ``mirex``. ``seg`` is the smaller of over- and under-segmentation, weighted by duration.
``frame_accuracy`` is the share of time with the right one of the 25 classes, as in CoJEPA.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.special import log_softmax

from mirbench.decode import as_intervals, viterbi
from mirbench.domain import Answer, ClipMetric, LabelledIntervals, Task

ROOTS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
LABELS = (*(f"{root}:{quality}" for quality in ("maj", "min") for root in ROOTS), "N")
NO_CHORD = LABELS.index("N")
UNKNOWN = -1
STAYS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)  # probabilities that a label lasts from frame to frame
SOURCE = "mir_eval 0.8.2 chord."
COMPARISONS = ("majmin", "root", "thirds", "triads", "sevenths", "mirex")


@cache
def class_of(label: str) -> int:
    """Reduce a chord to one of the 25 classes, as `mir_eval.chord.majmin` does; -1 where it takes it for neither."""
    from mir_eval.chord import QUALITIES, encode

    root, semitones, _ = encode(label)
    if root < 0:  # no chord at all, or no telling: mir_eval marks the second with semitones of -1
        return NO_CHORD if not any(semitones) else UNKNOWN
    for place, quality in enumerate(("maj", "min")):
        if root >= 0 and list(semitones[:8]) == list(QUALITIES[quality][:8]):
            return 12 * place + int(root)
    return UNKNOWN


def compare(reference: LabelledIntervals, estimate: LabelledIntervals, comparison: str) -> tuple[float, float]:
    """Score a clip with one of mir_eval's comparisons; returns the score and the duration that it is over."""
    import mir_eval

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mir_eval remarks on clips without a comparable chord: they weigh nothing
        start, end = reference.intervals.min(), reference.intervals.max()
        intervals, labels = mir_eval.util.adjust_intervals(
            estimate.intervals, list(estimate.labels), start, end, mir_eval.chord.NO_CHORD, mir_eval.chord.NO_CHORD
        )
        merged, references, estimates = mir_eval.util.merge_labeled_intervals(
            reference.intervals, list(reference.labels), intervals, labels
        )
        durations = mir_eval.util.intervals_to_durations(merged)
        matches = getattr(mir_eval.chord, comparison)(references, estimates)
        weight = float(durations[matches >= 0].sum())
        return (float(mir_eval.chord.weighted_accuracy(matches, durations)) if weight else 0.0), weight


def segmentation(reference: LabelledIntervals, estimate: LabelledIntervals) -> tuple[float, float]:
    """Score where chords change."""
    import mir_eval

    start, end = reference.intervals.min(), reference.intervals.max()
    intervals, labels = mir_eval.util.adjust_intervals(
        estimate.intervals, list(estimate.labels), start, end, mir_eval.chord.NO_CHORD, mir_eval.chord.NO_CHORD
    )
    merged = mir_eval.chord.merge_chord_intervals(reference.intervals, list(reference.labels))
    return float(mir_eval.chord.seg(merged, mir_eval.chord.merge_chord_intervals(intervals, labels))), float(
        end - start
    )


def frame_accuracy(reference: LabelledIntervals, estimate: LabelledIntervals) -> tuple[float, float]:
    """Measure the share of the time with a known class in which the estimate has it."""
    right = total = 0.0
    for (start, end), label in zip(reference.intervals, reference.labels, strict=True):
        if class_of(label) != UNKNOWN:
            total += end - start
            for (first, last), guess in zip(estimate.intervals, estimate.labels, strict=True):
                if class_of(guess) == class_of(label):
                    right += max(0.0, min(end, last) - max(start, first))
    return (float(right / total) if total else 0.0), float(total)


class ChordTask(Task):
    """The chord task."""

    name = "chord"
    scope = "frame"
    objective = "multiclass"
    label_column = "chords"
    labels = LABELS
    metrics = (
        *(ClipMetric(name, partial(compare, comparison=name), SOURCE + name) for name in COMPARISONS),
        ClipMetric("seg", segmentation, SOURCE + "seg"),
        ClipMetric("frame_accuracy", frame_accuracy, "mirbench: share of time, 25 classes"),
    )

    def __init__(self, stay: float = 0.9) -> None:
        self.stay = stay

    def read_reference(self, text: str, folder: Path) -> LabelledIntervals:
        """Read a file of chords."""
        path = folder / text
        try:
            rows = [line.split(maxsplit=2) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            intervals = np.array([[float(row[0]), float(row[1])] for row in rows], dtype=np.float64)
            labels = tuple(row[2].strip() for row in rows)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}; expected a file with start, end and chord a line") from error
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path}: {error}; expected start, end and chord on each line") from error
        if not len(labels) or (intervals[:, 1] <= intervals[:, 0]).any() or (np.diff(intervals[:, 0]) <= 0).any():
            raise ValueError(f"{path}: expected intervals that rise and last")
        for label in labels:
            _refuse_unknown(label, path)
        return LabelledIntervals(intervals, labels)

    def target(self, reference: LabelledIntervals, times: Float64[np.ndarray, "time"]) -> Int64[np.ndarray, "time"]:
        """Give the class at each time; -1 outside the vocabulary and the annotation."""
        classes = np.array([class_of(label) for label in reference.labels], dtype=np.int64)
        place = np.searchsorted(reference.intervals[:, 0], times, side="right") - 1
        inside = (place >= 0) & (times < reference.intervals[place, 1])
        return np.where(inside, classes[place], UNKNOWN)

    def decode(
        self, logits: Float32[np.ndarray, "time 25"], times: Float64[np.ndarray, "time"], duration: float
    ) -> LabelledIntervals:
        """Find the likeliest path and merge equal neighbours."""
        path = viterbi(log_softmax(logits.astype(np.float64), axis=1), self.stay)
        return as_intervals(path, times, duration, self.labels)

    def tuned(self, examples: Sequence[Answer]) -> "ChordTask":
        """Choose the probability of staying with the highest share of right time."""

        def accuracy(stay: float) -> float:
            task = ChordTask(stay)
            found = [task.decode(example.logits, example.times, example.duration) for example in examples]
            scored = [
                frame_accuracy(example.reference, chords) for example, chords in zip(examples, found, strict=True)
            ]
            return sum(value * weight for value, weight in scored)

        return ChordTask(max(STAYS, key=accuracy))

    @property
    def decoder(self) -> Mapping[str, Any]:
        """Name the decoder and what was tuned."""
        return {"name": "viterbi", "stay": self.stay}

    def empty(self) -> LabelledIntervals:
        """Give "no chord" for a while."""
        return LabelledIntervals(np.array([[0.0, 0.1]]), ("N",))

    def example(self, random: np.random.Generator) -> tuple[LabelledIntervals, float]:
        """Draw chords of half a second to two seconds, most of them major or minor."""
        borders = np.concatenate([[0], np.cumsum(random.choice([0.5, 1.0, 2.0], size=10))])
        labels = [f"{random.choice(ROOTS)}:{random.choice(['maj', 'min'])}" for _ in range(10)]
        return LabelledIntervals(np.stack([borders[:-1], borders[1:]], axis=1), tuple(labels)), float(borders[-1])


def _refuse_unknown(label: str, path: Path) -> None:
    from mir_eval.chord import InvalidChordException

    try:
        class_of(label)
    except InvalidChordException as error:
        raise ValueError(f"{path}: chord {label!r} is not spelled as 'C:maj' or 'Bb:min7' ({error})") from error
