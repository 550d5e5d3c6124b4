"""Beat: at which times are the beats of this clip?

Conventions
-----------
References and estimates are rising times in seconds. In a CSV file the column `beats` names a text file with one beat
a line; what follows the time on its line (such as the position in the bar) is passed over.

The probe learns one logit a frame: 1 at the frame nearest to a beat, less with distance to .5 at 35 ms from one (half
of the tolerance of the F-measure), 0 elsewhere, whatever the frame rate. A bar-pointer model of tempo and position
decodes them (see `mirbench_beat.bar_pointer`); it has nothing to tune. With the option ``decoder=peaks``, peaks of
the sigmoid at least 0.2 s apart (300 beats a minute) are beats if they reach a threshold, which is tuned on the
validation split for the F-measure: onsets that stand out are then beats, whether they lie on the pulse or not.

Metrics
-------
All by `mir_eval.beat` 0.8.2 with its own parameters, per clip, then averaged. ``f_measure`` (headline) counts hits
within 70 ms over the whole clip; ``f_measure_trimmed`` leaves out the first 5 s as `mir_eval.beat.evaluate` and MIREX
do; ``cemgil``, ``p_score``, ``cmlt`` and ``amlt`` are over the whole clip.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from mirbench.data.annotations import read_times
from mirbench.domain import ClipMetric, Prediction, Task
from mirbench.evaluation.decoders import pick_peaks, sigmoid
from mirbench_beat.bar_pointer import track_beats

Beats = Float64[np.ndarray, "_beat"]
EXPECTED = "one beat a line, its time in seconds first"
SHORTEST_PERIOD, LONGEST_PERIOD = 0.1, 10.0  # seconds: 600 and 6 beats a minute; outside, the unit is another one
HALF_WIDTH = 0.035  # seconds around a beat in which frames are positive
DISTANCE = 0.2  # seconds; 300 beats a minute
STEADY_PERIOD = 0.5  # seconds; 120 beats a minute, of a baseline
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
SOURCE = "mir_eval 0.8.2 beat."


def _quiet(score: Callable[[Any, Beats, Beats], float]) -> Callable[[Beats, Beats], float]:
    @wraps(score)
    def quiet(reference: Beats, estimate: Beats) -> float:
        import mir_eval.beat

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mir_eval remarks on empty estimates, which score 0
            return float(score(mir_eval.beat, reference, estimate))

    return quiet


@_quiet
def f_measure(beat: Any, reference: Beats, estimate: Beats) -> float:
    """Balance precision and recall within 70 ms."""
    return float(beat.f_measure(reference, estimate))


@_quiet
def f_measure_trimmed(beat: Any, reference: Beats, estimate: Beats) -> float:
    """Leave out the first 5 s."""
    return float(beat.f_measure(beat.trim_beats(reference), beat.trim_beats(estimate)))


@_quiet
def cemgil(beat: Any, reference: Beats, estimate: Beats) -> float:
    """Weigh hits by a Gaussian of 40 ms."""
    return float(beat.cemgil(reference, estimate)[0])


@_quiet
def p_score(beat: Any, reference: Beats, estimate: Beats) -> float:
    """Correlate the two pulses within a fifth of the median beat.

    Counts pairs of pulses at the lags that `mir_eval.beat.p_score` adds up, where mir_eval correlates trains of a
    sample every 10 ms: the same number to the last digit (tested), in a hundredth of the time for a song.
    """
    beat.validate(reference, estimate)
    if min(len(reference), len(estimate)) <= 1:
        return 0.0
    first = min(reference.min(), estimate.min())
    ours, theirs = (np.unique(np.ceil((beats - first) * 100).astype(np.int64)) for beats in (reference, estimate))
    if len(ours) == 1:
        return float(beat.p_score(reference, estimate))
    last = int(np.ceil(max(reference.max() - first, estimate.max() - first))) * 100
    window = int(np.round(0.2 * np.median(np.diff(ours))))
    lags = range(-last, last + 1)[last - window : last + window + 1]  # a negative start counts from the end, as there
    if not lags:
        return 0.0
    pairs = np.searchsorted(theirs, ours - lags[0], side="right") - np.searchsorted(
        theirs, ours - lags[-1], side="left"
    )
    return float(pairs.sum() / max(len(reference), len(estimate)))


@_quiet
def cmlt(beat: Any, reference: Beats, estimate: Beats) -> float:
    """Share of beats in continuity at the right level, in total."""
    return float(beat.continuity(reference, estimate)[1])


@_quiet
def amlt(beat: Any, reference: Beats, estimate: Beats) -> float:
    """Share of beats in continuity at any level allowed, in total."""
    return float(beat.continuity(reference, estimate)[3])


class BeatTask(Task):
    """The beat task."""

    name = "beat"
    scope = "frame"
    objective = "multilabel"
    label_column = "beats"
    labels = ("beat",)
    metrics = (
        ClipMetric("f_measure", f_measure, SOURCE + "f_measure"),
        ClipMetric("f_measure_trimmed", f_measure_trimmed, SOURCE + "f_measure after trim_beats (5 s)"),
        ClipMetric("cemgil", cemgil, SOURCE + "cemgil[0]"),
        ClipMetric("p_score", p_score, SOURCE + "p_score"),
        ClipMetric("cmlt", cmlt, SOURCE + "continuity[1]"),
        ClipMetric("amlt", amlt, SOURCE + "continuity[3]"),
    )

    def __init__(self, decoder: str = "dbn", threshold: float = 0.5) -> None:
        self.decoder_name = decoder
        self.threshold = threshold

    def read_reference(self, text: str, folder: Path) -> Beats:
        """Read a file of beats."""
        path = folder / text
        beats = read_times(path, EXPECTED)
        if len(beats) > 1:
            period = float(np.median(np.diff(beats)))
            if not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
                raise ValueError(
                    f"{path}: beats lie {period:g} s apart in the median ({60 / period:.3g} beats a minute); expected "
                    f"{SHORTEST_PERIOD:g} to {LONGEST_PERIOD:g} s: are the times in seconds?"
                )
        return beats

    def cut(self, reference: Beats, start: float, end: float) -> Beats:
        """Return the beats of a clip.

        Raises
        ------
        ValueError
            If there are none: mir_eval scores 0 there whatever is estimated.
        """
        beats: Beats = super().cut(reference, start, end)
        if not len(beats):
            raise ValueError(f"no beat is annotated between {start:g} and {end:g} s; leave this row out")
        return beats

    def target(self, reference: Beats, times: Float64[np.ndarray, "time"]) -> Float32[np.ndarray, "time 1"]:
        """Mark the frame nearest to each beat with 1, and all within 35 ms with .5 to 1, the nearer the higher."""
        marked = np.zeros((len(times), 1), dtype=np.float32)
        inside = reference[reference <= times[-1] + 0.5 * (times[-1] - times[0]) / max(1, len(times) - 1)]
        for beat in inside:
            distances = np.abs(times - beat)
            near = distances <= HALF_WIDTH
            marked[near, 0] = np.maximum(marked[near, 0], 1 - distances[near] / (2 * HALF_WIDTH))
            marked[distances.argmin()] = 1
        return marked

    def decode(
        self, logits: Float32[np.ndarray, "time 1"], times: Float64[np.ndarray, "time"], duration: float
    ) -> Beats:
        """Pick the peaks of the beat activation, or follow its pulse."""
        activation = sigmoid(logits)[:, 0]
        if self.decoder_name == "dbn":
            return track_beats(activation, times)
        return pick_peaks(activation, times, self.threshold, DISTANCE)

    def tuned(self, examples: Sequence[Prediction]) -> "BeatTask":
        """Choose the threshold with the highest F-measure."""
        if self.decoder_name == "dbn":
            return self

        def mean_f_measure(threshold: float) -> float:
            task = BeatTask("peaks", threshold)
            found = [task.decode(example.logits, example.times, example.duration) for example in examples]
            return float(
                np.mean([f_measure(example.reference, beats) for example, beats in zip(examples, found, strict=True)])
            )

        return BeatTask("peaks", max(THRESHOLDS, key=mean_f_measure))

    @property
    def decoder(self) -> Mapping[str, Any]:
        """Name the decoder and what was tuned."""
        if self.decoder_name == "dbn":
            return {"name": "dbn"}
        return {"name": "peaks", "threshold": self.threshold, "distance": DISTANCE}

    def restored(self, decoder: Mapping[str, Any]) -> "BeatTask":
        """Return the task with the threshold that was tuned."""
        return self if self.decoder_name == "dbn" else BeatTask(threshold=float(decoder["threshold"]))

    def baselines(self, references: Sequence[Beats], durations: Sequence[float]) -> Mapping[str, Sequence[Beats]]:
        """Return steady beats from the beginning of a clip: at 120 beats a minute, and at the training median."""
        periods = [float(np.median(np.diff(beats))) for beats in references if len(beats) > 1]
        grids = {"120 bpm": STEADY_PERIOD} | ({"median tempo": float(np.median(periods))} if periods else {})
        return {name: [np.arange(0.0, each, period) for each in durations] for name, period in grids.items()}

    def empty(self) -> Beats:
        """Return no beats."""
        return np.zeros(0)

    def example(self, random: np.random.Generator) -> tuple[Beats, float]:
        """Draw a steady beat that drifts a little."""
        steps = random.uniform(0.4, 0.9) * random.uniform(0.95, 1.05, size=40)
        beats = random.uniform(0, 0.5) + np.concatenate([[0], np.cumsum(steps)])
        return beats[beats < 20], 20.0
