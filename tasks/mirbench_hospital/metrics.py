"""Metrics of detected events: counts by sed_eval, per clip; see the docstring of the task."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64

from mirbench.domain import ClipMetric, Counts, LabelledIntervals, Metric, SetMetric
from mirbench.evaluation.multilabel import (
    average_precision,
    macro_f1,
    resampled_average_precision,
    resampled_macro_f1,
)

SEGMENT = 1.0  # seconds
COLLAR = 0.2  # seconds
OFFSET_SHARE = 0.2  # of an event's length
SOURCE = "sed_eval 0.2.1 "
Kind = Literal["segment", "event"]
KINDS: dict[Kind, str] = {
    "segment": "SegmentBasedMetrics (1 s)",
    "event": "EventBasedMetrics (onset 200 ms, offset 200 ms or 20 %)",
}
PerResample = Float64[np.ndarray, "resample"]
Events = Sequence[LabelledIntervals]


@dataclass(frozen=True, eq=False)
class DetectedEvents(LabelledIntervals):
    """Events, and how sure it is that each label is heard at all in the clip.

    Attributes
    ----------
    duration
        Of the clip.
    """

    presence: Float32[np.ndarray, "label"]
    duration: float


@lru_cache(maxsize=100_000)  # every metric asks for it
def clip_counts(
    kind: Kind, labels: tuple[str, ...], reference: LabelledIntervals, estimate: LabelledIntervals
) -> Float64[np.ndarray, "label 3"]:
    """Count hits, references and claims of every label in one clip, by sed_eval."""
    counter = _counter(kind, labels)
    _add(counter, kind, reference, estimate)
    return np.array([[counter.class_wise[label][n] for n in ("Ntp", "Nref", "Nsys")] for label in labels], float)


def overall_f1(references: Events, estimates: Events, *, kind: Kind, labels: tuple[str, ...]) -> float:
    """Let sed_eval work out its overall F-measure; 0 where it has none because nothing is claimed."""
    counter = _counter(kind, labels)
    for pair in zip(references, estimates, strict=True):
        _add(counter, kind, *pair)
    value = float(counter.overall_f_measure()["f_measure"])
    return 0.0 if np.isnan(value) and any(len(reference.labels) for reference in references) else value


def label_f1(references: Events, estimates: Events, *, kind: Kind, labels: tuple[str, ...], places: list[int]) -> float:
    """Average F1 over some of the labels, from sed_eval's counts; those neither there nor claimed are left out."""
    one = np.ones((1, len(references)), dtype=np.int64)
    totals = _totals(references, estimates, one, kind, labels)[:, places]
    return float(macro_f1(totals[..., 0], totals[..., 1], totals[..., 2])[0])


def _resampled_overall_f1(
    references: Events, estimates: Events, counts: Counts, *, kind: Kind, labels: tuple[str, ...]
) -> PerResample:
    totals = _totals(references, estimates, counts, kind, labels).sum(axis=1, keepdims=True)
    return macro_f1(totals[..., 0], totals[..., 1], totals[..., 2])


def _resampled_label_f1(
    references: Events, estimates: Events, counts: Counts, *, kind: Kind, labels: tuple[str, ...], places: list[int]
) -> PerResample:
    totals = _totals(references, estimates, counts, kind, labels)[:, places]
    is_annotated = np.array([any(labels[place] in each.labels for each in references) for place in places])
    return resampled_macro_f1(totals[..., 0], totals[..., 1], totals[..., 2], is_annotated)


def _totals(
    references: Events, estimates: Events, counts: Counts, kind: Kind, labels: tuple[str, ...]
) -> Float64[np.ndarray, "resample label 3"]:
    of_clips = np.stack([clip_counts(kind, labels, *pair) for pair in zip(references, estimates, strict=True)])
    return np.asarray(np.einsum("rc,clk->rlk", counts.astype(np.float64), of_clips))


def presence(events: LabelledIntervals, labels: tuple[str, ...]) -> Float32[np.ndarray, "label"]:
    """Return which labels are there: 0 or 1 for references, how sure it is for what was detected."""
    if isinstance(events, DetectedEvents):
        return events.presence
    return np.array([label in events.labels for label in labels], dtype=np.float32)


def presence_error(reference: LabelledIntervals, estimate: LabelledIntervals, *, of: tuple[str, ...]) -> float:
    """Compare the shares of the clip's time in which labels are there and are heard; averaged over some labels."""
    duration = _length(reference, estimate)
    seconds = [
        sum(
            float(end - start)
            for (start, end), found in zip(each.intervals, each.labels, strict=True)
            if found == label
        )
        for label in of
        for each in (reference, estimate)
    ]
    return float(np.abs(np.diff(np.reshape(seconds, (-1, 2)), axis=1)).mean() / duration)


def event_metrics(labels: tuple[str, ...]) -> tuple[Metric, ...]:
    everywhere = list(range(len(labels)))
    counted = "counts; a label that is never claimed scores 0"
    of_each: list[Metric] = []
    for place, label in enumerate(labels):
        of_each += [_label_metric(f"{kind}_f1", kind, labels, [place], SOURCE + KINDS[kind], label) for kind in KINDS]
        of_each += [_precision("average_precision", labels, [place], label), _presence_error((label,), label)]
    return (
        *(
            SetMetric(
                f"{kind}_f1",
                partial(overall_f1, kind=kind, labels=labels),
                SOURCE + described,
                resample=partial(_resampled_overall_f1, kind=kind, labels=labels),
            )
            for kind, described in KINDS.items()
        ),
        *(
            _label_metric(f"macro_{kind}_f1", kind, labels, everywhere, f"{SOURCE}{described}: {counted}")
            for kind, described in KINDS.items()
        ),
        _precision("macro_average_precision", labels, everywhere),
        _presence_error(labels),
        *of_each,
    )


def _label_metric(
    name: str, kind: Kind, labels: tuple[str, ...], places: list[int], source: str, label: str = ""
) -> SetMetric:
    return SetMetric(
        name,
        partial(label_f1, kind=kind, labels=labels, places=places),
        source,
        resample=partial(_resampled_label_f1, kind=kind, labels=labels, places=places),
        label=label,
    )


def _precision(name: str, labels: tuple[str, ...], places: list[int], label: str = "") -> SetMetric:
    def vectors(events: Events) -> list[Float32[np.ndarray, "label"]]:
        return [presence(each, labels) for each in events]

    return SetMetric(
        name,
        lambda references, estimates: average_precision(vectors(references), vectors(estimates), places=places),
        "scikit-learn average_precision_score of presence in clips",
        resample=lambda references, estimates, counts: resampled_average_precision(
            vectors(references), vectors(estimates), counts, places=places
        ),
        label=label,
    )


def _presence_error(of: tuple[str, ...], label: str = "") -> ClipMetric:
    return ClipMetric(
        "presence_error",
        partial(presence_error, of=of),
        "mirbench: difference of shares of time",
        best=0.0,
        worst=1.0,
        label=label,
    )


def _counter(kind: Kind, labels: Sequence[str]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies use what other packages will drop
        from sed_eval.sound_event import EventBasedMetrics, SegmentBasedMetrics
    if kind == "segment":
        return SegmentBasedMetrics(list(labels), time_resolution=SEGMENT)
    return EventBasedMetrics(list(labels), t_collar=COLLAR, percentage_of_length=OFFSET_SHARE)


def _add(counter: Any, kind: Kind, reference: LabelledIntervals, estimate: LabelledIntervals) -> None:
    """Show one clip to sed_eval."""
    length = {"evaluated_length_seconds": _length(reference, estimate)} if kind == "segment" else {}
    counter.evaluate(_as_list(reference), _as_list(estimate), **length)


def _length(reference: LabelledIntervals, estimate: LabelledIntervals) -> float:
    duration = estimate.duration if isinstance(estimate, DetectedEvents) else 0.0
    ends = [float(each.intervals[:, 1].max()) for each in (reference, estimate) if len(each.labels)]
    return max([duration, *ends, SEGMENT])


def _as_list(events: LabelledIntervals) -> list[dict[str, Any]]:
    return [
        {"event_label": label, "onset": float(onset), "offset": float(offset)}
        for (onset, offset), label in zip(events.intervals, events.labels, strict=True)
    ]
