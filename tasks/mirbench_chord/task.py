"""Chord: which chord sounds when?

Conventions
-----------
Chords are spelled as mir_eval spells them (Harte's syntax): ``"C:maj"``, ``"Bb:min7"``, ``"N"`` for none, ``"X"`` for
no telling. References keep their full vocabulary; the probe learns 25 classes: a chord counts as major or minor if
`mir_eval.chord.majmin` takes it for one (so ``C:7`` is major), and frames of all others are left out of training. The
option ``vocabulary`` makes that 49 classes (triads: also diminished and augmented) or 121 (sevenths: also 7, maj7,
min7, minmaj7, hdim7 and dim7, where extensions beyond the seventh are dropped); the metrics stay the same.
In a CSV file the column `chords` names a text file with start, end and label on each line. Chords do not overlap; where
there is a gap between two of them, it is ``"X"``: not annotated, neither learned nor scored.

The path of labels is the likeliest under a chain in which a label lasts with a probability that is tuned on the
validation split; equal neighbours are merged.

Metrics
-------
All by `mir_eval.chord` 0.8.2. Each clip's score is weighted by the duration of its reference that the comparison
takes into account, so that the sum is the score of the whole set: ``majmin`` (headline), ``root``, ``thirds``,
``triads``, ``sevenths``, ``mirex``. ``seg`` is the smaller of over- and under-segmentation, weighted by duration.
``frame_accuracy`` is the share of time with the right one of the classes, as in CoJEPA (25 classes).
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.special import log_softmax

from mirbench.data.annotations import read_intervals, refuse_overlap
from mirbench.domain import SHORTEST_PART, ClipMetric, Confusion, LabelledIntervals, Prediction, Task
from mirbench.evaluation.decoders import as_intervals, viterbi

ROOTS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
TRIADS = ("maj", "min", "dim", "aug")
VOCABULARIES = {
    "majmin": TRIADS[:2],
    "triads": TRIADS,
    "sevenths": (*TRIADS, "7", "maj7", "min7", "minmaj7", "hdim7", "dim7"),
}
UP_TO_THE_FIFTH = 8  # semitones that tell triads apart in mir_eval's comparisons
UNKNOWN = -1
UNANNOTATED = "X"
EXPECTED = "start, end and chord on each line, such as '0.0 1.5 C:maj', in seconds"
INTERVALS = (
    "unison",
    "5th",
    "2nd",
    "6th",
    "3rd",
    "7th",
    "tritone",
    "b2nd",
    "b6th",
    "b3rd",
    "b7th",
    "4th",
)  # up by fifths
STAYS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)  # probabilities that a label lasts from frame to frame
SOURCE = "mir_eval 0.8.2 chord."
COMPARISONS = ("majmin", "root", "thirds", "triads", "sevenths", "mirex")


@cache
def class_of(label: str, vocabulary: str = "majmin") -> int:
    """Reduce a chord to one of the classes, as mir_eval's comparisons do; -1 where it is none of them."""
    from mir_eval.chord import QUALITIES, encode

    root, semitones, _ = encode(label)
    qualities = VOCABULARIES[vocabulary]
    if root < 0:  # no chord at all, or no telling: mir_eval marks the second with semitones of -1
        return len(ROOTS) * len(qualities) if not any(semitones) else UNKNOWN
    compared = slice(None) if vocabulary == "sevenths" else slice(UP_TO_THE_FIFTH)
    for place, quality in enumerate(qualities):
        if list(semitones[compared]) == list(QUALITIES[quality][compared]):
            return len(ROOTS) * place + int(root)
    return UNKNOWN


def labels_of(vocabulary: str) -> tuple[str, ...]:
    """Spell the classes of a vocabulary."""
    return (*(f"{root}:{quality}" for quality in VOCABULARIES[vocabulary] for root in ROOTS), "N")


def compare(reference: LabelledIntervals, estimate: LabelledIntervals, comparison: str) -> tuple[float, float]:
    """Score a clip with one of mir_eval's comparisons; returns the score and the duration that it is over."""
    import mir_eval

    start, end = reference.intervals.min(), reference.intervals.max()
    intervals, labels = mir_eval.util.adjust_intervals(
        estimate.intervals, list(estimate.labels), start, end, mir_eval.chord.NO_CHORD, mir_eval.chord.NO_CHORD
    )
    merged, references, estimates = mir_eval.util.merge_labeled_intervals(
        reference.intervals, list(reference.labels), intervals, labels
    )
    durations = mir_eval.util.intervals_to_durations(merged)
    matches = np.array([_match(*pair, comparison) for pair in zip(references, estimates, strict=True)])
    weight = float(durations[matches >= 0].sum())
    return (float(mir_eval.chord.weighted_accuracy(matches, durations)) if weight else 0.0), weight


@cache
def _match(reference: str, estimate: str, comparison: str) -> float:
    """Compare two chords; remembered, because songs repeat a few."""
    import mir_eval

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mir_eval remarks on a reference that cannot be compared: it weighs nothing
        return float(getattr(mir_eval.chord, comparison)([reference], [estimate])[0])


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


def frame_accuracy(
    reference: LabelledIntervals, estimate: LabelledIntervals, vocabulary: str = "majmin"
) -> tuple[float, float]:
    """Measure the share of the time with a known class in which the estimate has it."""
    right = total = 0.0
    for (start, end), label in zip(reference.intervals, reference.labels, strict=True):
        if class_of(label, vocabulary) != UNKNOWN:
            total += end - start
            for (first, last), guess in zip(estimate.intervals, estimate.labels, strict=True):
                if class_of(guess, vocabulary) == class_of(label, vocabulary):
                    right += max(0.0, min(end, last) - max(start, first))
    return (float(right / total) if total else 0.0), float(total)


class ChordTask(Task):
    """The chord task."""

    name = "chord"
    scope = "frame"
    objective = "multiclass"
    label_column = "chords"

    def __init__(self, vocabulary: str = "majmin", stay: float = 0.9) -> None:
        self.vocabulary = vocabulary
        self.stay = stay
        self.labels = labels_of(vocabulary)
        self.metrics = (
            *(ClipMetric(name, partial(compare, comparison=name), SOURCE + name) for name in COMPARISONS),
            ClipMetric("seg", segmentation, SOURCE + "seg"),
            ClipMetric(
                "frame_accuracy",
                partial(frame_accuracy, vocabulary=vocabulary),
                f"mirbench: share of time, {len(self.labels)} classes",
            ),
        )

    def read_reference(self, text: str, folder: Path) -> LabelledIntervals:
        """Read a file of chords."""
        path = folder / text
        chords, lines = read_intervals(path, EXPECTED)
        if not lines:
            raise ValueError(f"{path}: no chords; expected {EXPECTED}")
        refuse_overlap(path, chords, lines)
        for label, line in zip(chords.labels, lines, strict=True):
            _refuse_unknown(label, path, line)
        return without_gaps(chords)

    def cut(self, reference: LabelledIntervals, start: float, end: float) -> LabelledIntervals:
        """Return the chords of a clip.

        Raises
        ------
        ValueError
            If there are none.
        """
        chords: LabelledIntervals = super().cut(reference, start, end)
        if not chords.labels:
            raise ValueError(f"no chord is annotated between {start:g} and {end:g} s; leave this row out")
        return chords

    def target(self, reference: LabelledIntervals, times: Float64[np.ndarray, "time"]) -> Int64[np.ndarray, "time"]:
        """Return the class at each time; -1 outside the vocabulary and the annotation."""
        classes = np.array([class_of(label, self.vocabulary) for label in reference.labels], dtype=np.int64)
        place = np.searchsorted(reference.intervals[:, 0], times, side="right") - 1
        inside = (place >= 0) & (times < reference.intervals[place, 1])
        return np.where(inside, classes[place], UNKNOWN)

    def decode(
        self, logits: Float32[np.ndarray, "time label"], times: Float64[np.ndarray, "time"], duration: float
    ) -> LabelledIntervals:
        """Find the likeliest path and merge equal neighbours."""
        path = viterbi(log_softmax(logits.astype(np.float64), axis=1), self.stay)
        return as_intervals(path, times, duration, self.labels)

    def tuned(self, examples: Sequence[Prediction]) -> "ChordTask":
        """Choose the probability of staying with the highest share of right time."""

        def accuracy(stay: float) -> float:
            task = ChordTask(self.vocabulary, stay)
            found = [task.decode(example.logits, example.times, example.duration) for example in examples]
            scored = [
                frame_accuracy(example.reference, chords, self.vocabulary)
                for example, chords in zip(examples, found, strict=True)
            ]
            return sum(value * weight for value, weight in scored)

        return ChordTask(self.vocabulary, max(STAYS, key=accuracy))

    @property
    def decoder(self) -> Mapping[str, Any]:
        """Name the decoder and what was tuned."""
        return {"name": "viterbi", "vocabulary": self.vocabulary, "stay": self.stay}

    def restored(self, decoder: Mapping[str, Any]) -> "ChordTask":
        """Return the task with the probability of staying that was tuned."""
        return ChordTask(self.vocabulary, float(decoder["stay"]))

    def confusion(self, references: Sequence[LabelledIntervals], estimates: Sequence[LabelledIntervals]) -> Confusion:
        """Go by the interval from the right root to the root that was said, along the circle of fifths."""
        qualities = [*VOCABULARIES[self.vocabulary], "N"]
        columns = tuple(f"{interval} {quality}" for quality in qualities[:-1] for interval in INTERVALS)
        none, some = len(columns), len(columns) + 1
        counts = np.zeros((len(qualities), len(columns) + 2))
        for reference, estimate in zip(references, estimates, strict=True):
            for (start, end), label in zip(reference.intervals, reference.labels, strict=True):
                row, root = divmod(class_of(label, self.vocabulary), len(ROOTS))
                for (first, last), said in zip(estimate.intervals, estimate.labels, strict=True):
                    place, said_root = divmod(class_of(said, self.vocabulary), len(ROOTS))
                    seconds = max(0.0, min(end, last) - max(start, first))
                    if row >= 0 and seconds > 0:
                        column = place * len(ROOTS) + 7 * (said_root - root) % 12 if qualities[row] != "N" else some
                        counts[row, none if qualities[place] == "N" else column] += seconds
        return Confusion(tuple(qualities), (*columns, "N", "any chord"), counts, "seconds")

    def baselines(
        self, references: Sequence[LabelledIntervals], durations: Sequence[float]
    ) -> Mapping[str, Sequence[LabelledIntervals]]:
        """Return the class that sounds longest in the training clips."""
        seconds = np.zeros(len(self.labels))
        for reference in references:
            for (start, end), label in zip(reference.intervals, reference.labels, strict=True):
                place = class_of(label, self.vocabulary)
                if place != UNKNOWN:
                    seconds[place] += end - start
        label = self.labels[int(seconds.argmax())]
        return {"longest chord": [LabelledIntervals(np.array([[0.0, each]]), (label,)) for each in durations]}

    def empty(self) -> LabelledIntervals:
        """Return "no chord" for 0.1 s."""
        return LabelledIntervals(np.array([[0.0, 0.1]]), ("N",))

    def example(self, random: np.random.Generator) -> tuple[LabelledIntervals, float]:
        """Draw chords of half a second to two seconds, most of them major or minor."""
        borders = np.concatenate([[0], np.cumsum(random.choice([0.5, 1.0, 2.0], size=10))])
        labels = [f"{random.choice(ROOTS)}:{random.choice(['maj', 'min'])}" for _ in range(10)]
        return LabelledIntervals(np.stack([borders[:-1], borders[1:]], axis=1), tuple(labels)), float(borders[-1])


def without_gaps(chords: LabelledIntervals) -> LabelledIntervals:
    """Return chords of which each begins where the one before ends; what was not annotated between them is "X"."""
    rows: list[tuple[float, float, str]] = []
    for (start, end), label in zip(chords.intervals.tolist(), chords.labels, strict=True):
        if rows and start > rows[-1][1] + SHORTEST_PART:
            rows.append((rows[-1][1], start, UNANNOTATED))
        rows.append((rows[-1][1] if rows else start, end, label))
    return LabelledIntervals(np.array([row[:2] for row in rows], dtype=np.float64), tuple(row[2] for row in rows))


def _refuse_unknown(label: str, path: Path, line: int) -> None:
    from mir_eval.chord import InvalidChordException

    try:
        class_of(label)
    except InvalidChordException as error:
        raise ValueError(f"{path}:{line}: chord {label!r} is not spelled as 'C:maj' or 'Bb:min7' ({error})") from error
