"""Hospital: what happens in this room, and when?

Conventions
-----------
The vocabulary is the data set's. A reference is a list of events with onset and offset; events of different labels may
overlap, those of one label are joined. In a CSV file the column `events` names a text file with onset, offset and label
on each line (seconds, separated by tabs, commas or blanks, as Audacity exports labels); an empty file says that nothing
happens.

The probe learns one logit for every frame and label. Its sigmoid passes a median filter and a threshold, both chosen
for each label on the validation split by segment-based F1; what lasts above the threshold is an event.

Metrics
-------
``segment_f1`` (headline) and ``event_f1`` are the overall F-measures of `sed_eval` 0.2.1, over 1 s segments, and over
events with a collar of 200 ms at the onset and of 200 ms or a fifth of the event's length at the offset.
``macro_segment_f1`` and ``macro_event_f1`` average over labels, from sed_eval's counts: its own average leaves out
labels that are never claimed (so that not to claim a hard label pays), here they score 0. ``presence_error`` is the
difference between the shares of a clip's time in which a label is heard and is there, averaged over labels and clips.
``macro_average_precision`` asks which labels are heard at all in a clip, scored by the highest filtered probability; it
needs no threshold. ``segment_f1``, ``event_f1``, ``presence_error`` and ``average_precision`` are also given for each
label.

References
----------
Mesaros, Heittola and Virtanen, Metrics for polyphonic sound event detection, Applied Sciences 2016 (segments of 1 s,
collar of 200 ms). The offset's collar of a fifth of the length is that of DCASE's task 4 since 2018.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from scipy.ndimage import median_filter

from mirbench.data.annotations import read_intervals
from mirbench.domain import Dataset, LabelledIntervals, Prediction, Task
from mirbench.evaluation.decoders import sigmoid
from mirbench_hospital.metrics import SEGMENT, DetectedEvents, event_metrics

EXPECTED = "onset, offset and label on each line, in seconds; an empty file says that nothing happens"
FILTERS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)  # seconds
THRESHOLDS = np.round(np.arange(0.05, 1, 0.05), 2)


@dataclass(frozen=True)
class Rule:
    """Decoder of the probabilities of one label into events: a median filter of so many seconds, and a threshold."""

    seconds: float = 0.25
    threshold: float = 0.5


class HospitalTask(Task):
    """The hospital task, with the labels of a data set."""

    name = "hospital"
    scope = "frame"
    objective = "multilabel"
    label_column = "events"

    def __init__(self, labels: tuple[str, ...] = (), rules: tuple[Rule, ...] = ()) -> None:
        self.labels = labels
        self.rules = rules or (Rule(),) * len(labels)
        self.metrics = event_metrics(labels)

    def labels_in(self, text: str, folder: Path) -> tuple[str, ...]:
        """Name the labels in a file of events."""
        return _read_events(folder / text).labels

    def with_labels_of(self, dataset: Dataset) -> "HospitalTask":
        """Return the task with the vocabulary of a data set."""
        return HospitalTask(dataset.labels)

    def read_reference(self, text: str, folder: Path) -> LabelledIntervals:
        """Read a file of events."""
        events = _read_events(folder / text)
        unknown = sorted(set(events.labels) - set(self.labels))
        if unknown:
            raise ValueError(f"{folder / text}: unknown label {', '.join(unknown)}; expected {', '.join(self.labels)}")
        return events

    def target(
        self, reference: LabelledIntervals, times: Float64[np.ndarray, "time"]
    ) -> Float32[np.ndarray, "time label"]:
        """Mark the frames whose centre lies in an event; an event between two centres marks the nearer one."""
        marked = np.zeros((len(times), len(self.labels)), dtype=np.float32)
        for (onset, offset), label in zip(reference.intervals, reference.labels, strict=True):
            inside = (times >= onset) & (times < offset)
            if not inside.any():
                inside[np.abs(times - (onset + offset) / 2).argmin()] = True
            marked[inside, self.labels.index(label)] = 1
        return marked

    def decode(
        self, logits: Float32[np.ndarray, "time label"], times: Float64[np.ndarray, "time"], duration: float
    ) -> DetectedEvents:
        """Filter, compare with the thresholds, and join frames into events."""
        probabilities = sigmoid(logits)
        filtered = np.stack(
            [_filtered(probabilities[:, place], times, rule.seconds) for place, rule in enumerate(self.rules)], axis=1
        )
        borders = np.concatenate([[0.0], (times[1:] + times[:-1]) / 2, [max(duration, float(times[-1]))]])
        found: list[tuple[float, float, str]] = []
        for place, rule in enumerate(self.rules):
            steps = np.diff(filtered[:, place] >= rule.threshold, prepend=False, append=False)
            changes = borders[np.flatnonzero(steps)]
            found += [(onset, offset, self.labels[place]) for onset, offset in changes.reshape(-1, 2)]
        found.sort()
        intervals = np.array([event[:2] for event in found], dtype=np.float64).reshape(-1, 2)
        presence = filtered.max(axis=0).astype(np.float32)
        return DetectedEvents(intervals, tuple(event[2] for event in found), presence, float(duration))

    def tuned(self, examples: Sequence[Prediction]) -> "HospitalTask":
        """Choose filter and threshold of each label with the highest segment-based F1."""
        probabilities = [sigmoid(example.logits) for example in examples]
        references = [self.target(example.reference, example.times) for example in examples]
        return HospitalTask(
            self.labels,
            tuple(
                _best_rule(
                    [each[:, place] for each in probabilities],
                    [each[:, place] for each in references],
                    [example.times for example in examples],
                )
                for place in range(len(self.labels))
            ),
        )

    @property
    def decoder(self) -> Mapping[str, Any]:
        """Name filters and thresholds."""
        return {label: vars(rule) for label, rule in zip(self.labels, self.rules, strict=True)}

    def restored(self, decoder: Mapping[str, Any]) -> "HospitalTask":
        """Return the task with the filters and thresholds that were tuned."""
        return HospitalTask(self.labels, tuple(Rule(**decoder[label]) for label in self.labels))

    def baselines(
        self, references: Sequence[LabelledIntervals], durations: Sequence[float]
    ) -> Mapping[str, Sequence[DetectedEvents]]:
        """Return no event, and the event that lasts longest in the training clips, all the time."""
        seconds = np.zeros(len(self.labels))
        for reference in references:
            for (onset, offset), label in zip(reference.intervals, reference.labels, strict=True):
                seconds[self.labels.index(label)] += offset - onset
        place = int(seconds.argmax())
        presence = np.eye(len(self.labels), dtype=np.float32)[place]
        always = [DetectedEvents(np.array([[0.0, each]]), (self.labels[place],), presence, each) for each in durations]
        nothing = [DetectedEvents(np.zeros((0, 2)), (), np.zeros_like(presence), each) for each in durations]
        return {"nothing": nothing, f"always {self.labels[place]}": always}

    def empty(self) -> DetectedEvents:
        """Return no events."""
        return DetectedEvents(np.zeros((0, 2)), (), np.zeros(len(self.labels), dtype=np.float32), 0.0)

    def example(self, random: np.random.Generator) -> tuple[LabelledIntervals, float]:
        """Draw some events."""
        events = []
        for label in self.labels:
            if random.random() < 0.6:
                onset = random.uniform(0, 7)
                events.append((onset, onset + random.uniform(0.5, 3), label))
        events.sort()
        intervals = np.array([event[:2] for event in events], dtype=np.float64).reshape(-1, 2)
        return LabelledIntervals(intervals, tuple(event[2] for event in events)), 10.0


def _read_events(path: Path) -> LabelledIntervals:
    return joined(read_intervals(path, EXPECTED)[0])


def joined(events: LabelledIntervals) -> LabelledIntervals:
    """Join events of one label that overlap or touch: a label sounds or does not, however often it is written down."""
    rows: list[tuple[float, float, str]] = []
    latest: dict[str, int] = {}
    for (onset, offset), label in zip(events.intervals.tolist(), events.labels, strict=True):
        place = latest.get(label)
        if place is not None and onset <= rows[place][1]:
            rows[place] = rows[place][0], max(rows[place][1], offset), label
        else:
            latest[label] = len(rows)
            rows.append((onset, offset, label))
    return LabelledIntervals(
        np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2), tuple(row[2] for row in rows)
    )


def _filtered(
    probability: Float64[np.ndarray, "time"], times: Float64[np.ndarray, "time"], seconds: float
) -> Float64[np.ndarray, "time"]:
    step = float(times[1] - times[0]) if len(times) > 1 else np.inf
    length = 2 * int(seconds / step / 2) + 1  # odd, and at most as long
    return probability if length == 1 else np.asarray(median_filter(probability, length, mode="nearest"))


def _best_rule(
    probabilities: Sequence[Float64[np.ndarray, "_time"]],
    references: Sequence[Float32[np.ndarray, "_time"]],
    times: Sequence[Float64[np.ndarray, "_time"]],
) -> Rule:
    truth = np.concatenate([_in_segments(*pair) for pair in zip(references, times, strict=True)]) > 0.5
    if not truth.any():
        return Rule()
    scored = []
    for seconds in FILTERS:
        filtered = [_filtered(probability, at, seconds) for probability, at in zip(probabilities, times, strict=True)]
        claims = np.concatenate([_in_segments(*pair) for pair in zip(filtered, times, strict=True)])
        for threshold in THRESHOLDS:
            claimed = claims >= threshold
            f1 = 2 * (claimed & truth).sum() / (claimed.sum() + truth.sum())
            scored.append((f1, Rule(seconds, float(threshold))))
    default = Rule()
    return max(scored, key=lambda one: (one[0], -abs(one[1].threshold - default.threshold), -one[1].seconds))[1]


def _in_segments(
    values: Float64[np.ndarray, "time"] | Float32[np.ndarray, "time"], times: Float64[np.ndarray, "time"]
) -> Float64[np.ndarray, "segment"]:
    """Return the largest value in every second."""
    places = (times / SEGMENT).astype(np.int64)
    largest = np.zeros(places[-1] + 1)
    np.maximum.at(largest, places, values)
    return largest
