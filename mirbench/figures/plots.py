"""Figures of a probe: confusions, calibration, scores of labels by frequency, one clip over time, and layers."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64
from scipy.special import expit, softmax

from mirbench.data import audio
from mirbench.domain import Audio, LabelledIntervals, Result
from mirbench.errors import UsageError
from mirbench.figures.refit import Refitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Palette of Okabe and Ito (2008), which colour-blind readers can distinguish
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#808080")
N_BINS = 15
HIGHEST_SHOWN = 8000.0  # Hz
SPECTROGRAM_RATE = 22050
RANGE = 80.0  # dB


def _figure(width: float, height: float, n_rows: int = 1) -> "tuple[Figure, Any]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(n_rows, 1, squeeze=False)[:, 0]


def confusion(refitted: Refitted, clip: str | None = None) -> "Figure":
    """Draw a confusion matrix, each row normalised to 1.

    Raises
    ------
    UsageError
        If the task has no confusion matrix.
    """
    found = refitted.task.confusion([clip.reference for clip in refitted.clips], refitted.estimates)
    if found is None:
        raise UsageError(f"task {refitted.task.name!r} has no confusions to show")
    totals = found.counts.sum(axis=1, keepdims=True)
    shares = np.divide(found.counts, totals, out=np.zeros_like(found.counts), where=totals > 0)
    figure, (axes,) = _figure(3 + 0.3 * len(found.columns), 2.2 + 0.3 * len(found.rows))
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(found.columns)), found.columns, rotation=90)
    axes.set_yticks(range(len(found.rows)), found.rows)
    for (i, j), count in np.ndenumerate(found.counts):
        if shares[i, j] >= 0.005:
            text = f"{count:.0f}" if found.unit != "seconds" else f"{100 * shares[i, j]:.0f}"
            axes.text(
                j, i, text, ha="center", va="center", fontsize=7, color="black" if shares[i, j] > 0.5 else "white"
            )
    axes.set(xlabel="estimate", ylabel="reference", title=_title(refitted.record))
    figure.colorbar(image, ax=axes, label="share of the reference")
    return figure


def calibration(refitted: Refitted, clip: str | None = None) -> "Figure":
    """Draw the probe's accuracy against its confidence, with the expected calibration error (ECE).

    A multiclass task contributes the most probable class, a multilabel task every label, and each frame counts. ECE as
    in Guo et al., On Calibration of Modern Neural Networks, ICML 2017, with 15 bins of equal width.
    """
    sure, right = _certainty(refitted)
    places = np.minimum((sure * N_BINS).astype(int), N_BINS - 1)
    counts = np.bincount(places, minlength=N_BINS)
    used = counts > 0
    mean_sure = np.bincount(places, sure, N_BINS)[used] / counts[used]
    mean_right = np.bincount(places, right, N_BINS)[used] / counts[used]
    error = float((counts[used] * np.abs(mean_sure - mean_right)).sum() / counts.sum())
    figure, (above, below) = _figure(5.5, 6.5, n_rows=2)
    above.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect")
    above.plot(mean_sure, mean_right, "o-", color=COLOURS[0], label=refitted.record.encoder)
    above.set(ylabel="accuracy", title=f"{_title(refitted.record)}\nECE {error:.3f}", xlim=(0, 1), ylim=(0, 1))
    above.legend()
    below.bar((np.arange(N_BINS) + 0.5) / N_BINS, counts, width=0.9 / N_BINS, color=COLOURS[0])
    below.set(xlabel="confidence of the probe", ylabel="predictions", xlim=(0, 1))
    return figure


def _certainty(refitted: Refitted) -> tuple[Float64[np.ndarray, "prediction"], Float64[np.ndarray, "prediction"]]:
    sure, right = [], []
    for each in refitted.predictions:
        target = np.atleast_1d(refitted.task.target(each.reference, each.times))
        logits = each.logits.astype(np.float64)
        if refitted.task.objective == "multilabel":
            sure.append(expit(logits).ravel())
            right.append(target.astype(np.float64).ravel())
            continue
        probability = softmax(logits.reshape(len(target), -1), axis=1)
        known = target >= 0
        sure.append(probability.max(axis=1)[known])
        right.append((probability.argmax(axis=1) == target)[known].astype(np.float64))
    return np.concatenate(sure), np.concatenate(right)


def labels(refitted: Refitted, clip: str | None = None) -> "Figure":
    """Draw the F1 of each label, at a threshold of 0.5, against the number of its training clips.

    Raises
    ------
    UsageError
        If the references are not label vectors of clips.
    """
    from sklearn.metrics import f1_score

    if not refitted.n_training:
        raise UsageError(f"task {refitted.task.name!r} has no vectors of labels to show")
    truth = np.array([clip.reference for clip in refitted.clips]) > 0.5
    said = np.array([each.logits for each in refitted.predictions]) > 0
    scores = np.atleast_1d(f1_score(truth, said, average=None, zero_division=0))
    figure, (axes,) = _figure(7.5, 5.0)
    axes.scatter(refitted.n_training, scores, color=COLOURS[0])
    for name, count, value in zip(refitted.task.labels, refitted.n_training, scores, strict=True):
        axes.annotate(name, (count, value), fontsize=8, xytext=(3, 3), textcoords="offset points")
    axes.set(
        xlabel="training clips", ylabel="F1 on test", xscale="log", ylim=(-0.03, 1.03), title=_title(refitted.record)
    )
    return figure


def timeline(refitted: Refitted, clip: str | None = None) -> "Figure":
    """Draw reference and estimate of a clip under its spectrogram."""
    place = refitted.clip(clip)
    chosen = refitted.clips[place]
    samples = audio.load(chosen.path, SPECTROGRAM_RATE, chosen.start, chosen.duration)
    figure, (above, *below) = _figure(12.0, 5.5, n_rows=3)
    draw_spectrogram(above, samples, SPECTROGRAM_RATE)
    above.set(title=f"{_title(refitted.record)}: {chosen.id}")
    duration = len(samples) / SPECTROGRAM_RATE
    names = _names(refitted.task.labels, [chosen.reference, refitted.estimates[place]])
    for axes, title, what in zip(
        below, ("reference", "estimate"), (chosen.reference, refitted.estimates[place]), strict=True
    ):
        _draw_annotation(axes, what, duration, names, refitted.task.labels)
        axes.set(xlim=(0, duration), ylabel=title)
    below[-1].set_xlabel("seconds")
    return figure


def draw_spectrogram(axes: "Axes", samples: Audio, sample_rate: int) -> None:
    """Draw a spectrogram in decibels, with a range of 80 dB."""
    with np.errstate(divide="ignore"):  # silence
        power, _, _, image = axes.specgram(samples, NFFT=2048, noverlap=1536, Fs=sample_rate, cmap="cividis")
    highest = 10 * float(np.log10(power.max() + 1e-30))
    image.set_clim(highest - RANGE, highest)
    axes.set(xlim=(0, len(samples) / sample_rate), ylim=(0, min(HIGHEST_SHOWN, sample_rate / 2)), ylabel="Hz")


def _names(vocabulary: Sequence[str], annotations: Sequence[Any]) -> list[str]:
    used = {label for each in annotations if isinstance(each, LabelledIntervals) for label in each.labels}
    return [*(name for name in vocabulary if name in used), *sorted(used.difference(vocabulary))]


def _draw_annotation(axes: "Axes", what: Any, duration: float, names: Sequence[str], vocabulary: Sequence[str]) -> None:
    """Draw events as lines, intervals as bars, and labels of the whole clip as text."""
    axes.set_yticks([])
    if isinstance(what, LabelledIntervals) and (what.intervals[1:, 0] >= what.intervals[:-1, 1] - 1e-6).all():
        for (start, end), label in zip(what.intervals, what.labels, strict=True):
            axes.broken_barh([(start, end - start)], (0, 1), color=COLOURS[names.index(label) % len(COLOURS)])
            axes.text((start + end) / 2, 0.5, label, ha="center", va="center", fontsize=7, rotation=90, clip_on=True)
    elif isinstance(what, LabelledIntervals):
        for (start, end), label in zip(what.intervals, what.labels, strict=True):
            row = names.index(label)
            axes.broken_barh([(start, end - start)], (-row, 0.9), color=COLOURS[row % len(COLOURS)])
        axes.set_yticks([0.45 - row for row in range(len(names))], names, fontsize=7)
        axes.set_ylim(-len(names) + 1, 1)
    elif isinstance(what, str):
        axes.text(0.01, 0.4, what or "none", transform=axes.transAxes)
    elif len(what) == len(vocabulary) > 0:
        shown = [f"{name} {value:.2f}" for name, value in zip(vocabulary, what, strict=True) if value >= 0.1]
        axes.text(0.01, 0.4, ", ".join(shown) or "none", transform=axes.transAxes, wrap=True)
    else:
        axes.vlines(what, 0, 1, color=COLOURS[1])


def layers(results: Sequence[Result]) -> "Figure":
    """Draw the validation cross-entropy of every layer at its best strength, one panel for each task.

    Raises
    ------
    UsageError
        If no encoder has several layers.
    """
    curves: dict[str, dict[str, dict[int, float]]] = {}
    for result in results:
        for readout, layer, _, loss in result.selection["choices"][0]["curve"]:
            lowest = curves.setdefault(result.task, {}).setdefault(f"{result.encoder}, {readout}", {})
            lowest[layer] = min(loss, lowest.get(layer, loss))
    curves = {task: {name: own for name, own in lines.items() if len(own) > 1} for task, lines in curves.items()}
    curves = {task: lines for task, lines in curves.items() if lines}
    if not curves:
        raise UsageError("no curve over layers: these encoders have one layer each")
    figure, panels = _figure(8.0, 3.0 * len(curves), n_rows=len(curves))
    for axes, (task, lines) in zip(panels, curves.items(), strict=True):
        for i, (name, own) in enumerate(lines.items()):
            style = ("-", "--", ":", "-.")[i // len(COLOURS) % 4]
            axes.plot(list(own), list(own.values()), "o" + style, color=COLOURS[i % len(COLOURS)], label=name)
        axes.set(xlabel="layer", ylabel="cross-entropy (valid)", title=task)
        axes.legend(fontsize=7, bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def _title(record: Result) -> str:
    return f"{record.encoder} on {record.task} ({record.dataset}), {record.metric} {record.value:.3f}"


KINDS: dict[str, Callable[[Refitted, str | None], "Figure"]] = {
    "confusion": confusion,
    "calibration": calibration,
    "labels": labels,
    "timeline": timeline,
}
