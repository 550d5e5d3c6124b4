"""Beat: at which times are the beats of this clip?

Conventions
-----------
References and estimates are rising times in seconds. In a CSV file the column `beats` names a text file with one beat
a line; what follows the time on its line (such as the position in the bar) is passed over.

The probe learns one logit a frame: 1 at the frame nearest to a beat and at its two neighbours, 0 elsewhere. Peaks of
its sigmoid at least 0.2 s apart (300 beats a minute) are beats if they reach a threshold, which is tuned on the
validation split for the F-measure. With the option ``decoder=dbn`` a bar-pointer model of tempo and position decodes
them instead (see `mirbench_beat.bar_pointer`); it has nothing to tune.

Metrics
-------
All by `mir_eval.beat` 0.8.2 with its own parameters, per clip, then averaged. ``f_measure`` (headline) counts hits
within 70 ms over the whole clip; ``f_measure_trimmed`` leaves out the first 5 s as `mir_eval.beat.evaluate` and MIREX
do; ``cemgil``, ``p_score``, ``cmlt`` and ``amlt`` are over the whole clip.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from mirbench.decode import pick_peaks, sigmoid
from mirbench.domain import Answer, ClipMetric, Task
from mirbench_beat.bar_pointer import track_beats

Beats = Float64[np.ndarray, "_beat"]
DISTANCE = 0.2  # seconds; 300 beats a minute
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
SOURCE = "mir_eval 0.8.2 beat."


def _with_mir_eval(score: Callable[[Any, Beats, Beats], float]) -> Callable[[Beats, Beats], float]:
    def quiet(reference: Beats, estimate: Beats) -> float:
        import mir_eval.beat

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mir_eval remarks on empty estimates, which score 0
            return float(score(mir_eval.beat, reference, estimate))

    return quiet


f_measure = _with_mir_eval(lambda beat, reference, estimate: beat.f_measure(reference, estimate))
f_measure_trimmed = _with_mir_eval(
    lambda beat, reference, estimate: beat.f_measure(beat.trim_beats(reference), beat.trim_beats(estimate))
)
cemgil = _with_mir_eval(lambda beat, reference, estimate: beat.cemgil(reference, estimate)[0])
p_score = _with_mir_eval(lambda beat, reference, estimate: beat.p_score(reference, estimate))
cmlt = _with_mir_eval(lambda beat, reference, estimate: beat.continuity(reference, estimate)[1])
amlt = _with_mir_eval(lambda beat, reference, estimate: beat.continuity(reference, estimate)[3])


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

    def __init__(self, decoder: str = "peaks", threshold: float = 0.5) -> None:
        self.decoder_name = decoder
        self.threshold = threshold

    def read_reference(self, text: str, folder: Path) -> Beats:
        """Read a file of beats."""
        path = folder / text
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            beats = np.array([float(line.replace(",", " ").split()[0]) for line in lines if line.strip()])
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}; expected a file with one beat a line") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}; expected a time in seconds at the start of each line") from error
        if not np.isfinite(beats).all() or (np.diff(beats) <= 0).any() or (beats < 0).any():
            raise ValueError(f"{path}: beat times must rise from 0")
        return beats.astype(np.float64)

    def target(self, reference: Beats, times: Float64[np.ndarray, "time"]) -> Float32[np.ndarray, "time 1"]:
        """Mark the frame nearest to each beat and its neighbours."""
        marked = np.zeros((len(times), 1), dtype=np.float32)
        inside = reference[reference <= times[-1] + 0.5 * (times[-1] - times[0]) / max(1, len(times) - 1)]
        for beat in inside:
            nearest = int(np.abs(times - beat).argmin())
            marked[max(0, nearest - 1) : nearest + 2] = 1
        return marked

    def decode(
        self, logits: Float32[np.ndarray, "time 1"], times: Float64[np.ndarray, "time"], duration: float
    ) -> Beats:
        """Pick the peaks of the beat activation, or follow its pulse."""
        activation = sigmoid(logits)[:, 0]
        if self.decoder_name == "dbn":
            return track_beats(activation, times)
        return pick_peaks(activation, times, self.threshold, DISTANCE)

    def tuned(self, examples: Sequence[Answer]) -> "BeatTask":
        """Choose the threshold with the highest F-measure."""
        if self.decoder_name == "dbn":
            return self

        def mean_f_measure(threshold: float) -> float:
            task = BeatTask(threshold=threshold)
            found = [task.decode(example.logits, example.times, example.duration) for example in examples]
            return float(
                np.mean([f_measure(example.reference, beats) for example, beats in zip(examples, found, strict=True)])
            )

        return BeatTask(threshold=max(THRESHOLDS, key=mean_f_measure))

    @property
    def decoder(self) -> Mapping[str, Any]:
        """Name the decoder and what was tuned."""
        if self.decoder_name == "dbn":
            return {"name": "dbn"}
        return {"name": "peaks", "threshold": self.threshold, "distance": DISTANCE}

    def empty(self) -> Beats:
        """Give no beats."""
        return np.zeros(0)

    def example(self, random: np.random.Generator) -> tuple[Beats, float]:
        """Draw a steady beat that drifts a little."""
        steps = random.uniform(0.4, 0.9) * random.uniform(0.95, 1.05, size=40)
        beats = random.uniform(0, 0.5) + np.concatenate([[0], np.cumsum(steps)])
        return beats[beats < 20], 20.0
