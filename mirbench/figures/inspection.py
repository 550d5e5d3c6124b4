"""Inspect an encoder on one file: self-similarity of the frames, layer by layer, and attention.

After the analysis of ViT-1D (ISMIR 2025, arXiv 2506.23873): self-similarity matrices of every layer beside boundaries,
and the attention that frames receive against onsets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, Float64

from mirbench.domain import Audio, Encoder
from mirbench.errors import UsageError
from mirbench.evaluation.decoders import pick_peaks
from mirbench.figures.plots import COLOURS, draw_spectrogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_BINS = 400  # of a self-similarity matrix; frames of longer files are averaged
ONSET_WINDOW = 0.05  # seconds; mir_eval.onset's default
CLOSEST = 0.05  # smallest distance of two peaks of attention in seconds
DEVIATIONS = 1.0  # standard deviations above the mean from which a maximum is a peak; not tuned on the file
Events = Float64[np.ndarray, "_event"]


@dataclass(frozen=True)
class Inspection:
    """Results of inspecting one file.

    Attributes
    ----------
    encoder
        Name of the encoder.
    similarity
        Cosine similarity of averaged frames, after the mean over the file is subtracted.
    bins
        Start of each averaged frame, and the end of the last, in seconds.
    attention
        Attention that each frame receives; None where the encoder has none.
    times
        Times of `attention`, or of the frames where there is none, in seconds.
    """

    encoder: str
    similarity: Float32[np.ndarray, "layer bin bin"]
    bins: Float64[np.ndarray, "edge"]
    attention: Float32[np.ndarray, "block time head"] | None
    times: Float64[np.ndarray, "time"]


def inspect(encoder: Encoder, name: str, samples: Audio) -> Inspection:
    """Encode a file, and compute the self-similarity of its frames.

    Parameters
    ----------
    encoder
        The encoder.
    name
        Name of the encoder.
    samples
        Audio of the file, at the encoder's sample rate.
    """
    with torch.inference_mode():
        features = encoder.encode(samples)
        attending = encoder.attention()
        attention = None if attending is None else attending.encode(samples)
    n_frames = len(features.times)
    edges = np.unique(np.linspace(0, n_frames, min(n_frames, MAX_BINS) + 1).astype(int))
    counts = np.diff(edges)[None, :, None]
    means = np.add.reduceat(features.frames, edges[:-1], axis=1) / counts
    centred = means - means.mean(axis=1, keepdims=True)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=2, keepdims=True), 1e-12)
    ends = np.append(features.times, len(samples) / encoder.sample_rate)
    return Inspection(
        encoder=name,
        similarity=np.einsum("lid,ljd->lij", unit, unit).astype(np.float32),
        bins=ends[edges],
        attention=None if attention is None else attention.frames,
        times=features.times if attention is None else attention.times,
    )


def read_times(path: Path) -> Events:
    """Return the times in seconds at the beginning of each line.

    Raises
    ------
    UsageError
        If a line does not begin with a number.
    """
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(float(line.replace(",", " ").split()[0]))
            except ValueError as error:
                raise UsageError(f"{path}:{number}: {line!r}; expected a time in seconds") from error
    return np.array(sorted(found), dtype=np.float64)


def numbers(found: Inspection, onsets: Events | None, boundaries: Events | None) -> dict[str, Any]:
    """Measure, layer by layer.

    Returns
    -------
    dict
        ``contrast``: similarity within segments less that between them, of each layer, if there are boundaries.
        ``onset_f_measure``: of the peaks of attention, of each block and head, by mir_eval within 50 ms, if there are
        onsets; ``onset_f_measure_by_chance``: of the same peaks, moved by half the file.
    """
    result: dict[str, Any] = {"encoder": found.encoder, "layers": len(found.similarity)}
    if boundaries is not None:
        segment = np.searchsorted(boundaries, (found.bins[:-1] + found.bins[1:]) / 2)
        alike = segment[:, None] == segment
        other = ~np.eye(len(segment), dtype=bool)
        if alike.all() or not (alike & other).any():
            raise UsageError("boundaries leave no two segments to compare")
        result["contrast"] = [float(each[alike & other].mean() - each[~alike].mean()) for each in found.similarity]
    if found.attention is not None:
        result["blocks"], result["heads"] = found.attention.shape[0], found.attention.shape[2]
        if onsets is not None:
            length = float(found.bins[-1])
            peaks = [[_peaks(head, found.times) for head in block.T] for block in found.attention]
            result["onset_f_measure"] = [[_f_measure(onsets, each) for each in block] for block in peaks]
            result["onset_f_measure_by_chance"] = [
                [_f_measure(onsets, np.sort((each + length / 2) % length)) for each in block] for block in peaks
            ]
    return result


def _peaks(received: Float32[np.ndarray, "time"], times: Float64[np.ndarray, "time"]) -> Events:
    activation = received.astype(np.float64)
    return pick_peaks(activation, times, float(activation.mean() + DEVIATIONS * activation.std()), CLOSEST)


def _f_measure(onsets: Events, estimate: Events) -> float:
    import mir_eval

    if not len(onsets) or not len(estimate):
        return 0.0
    return float(mir_eval.onset.f_measure(onsets, estimate, window=ONSET_WINDOW)[0])


def draw_similarity(found: Inspection, boundaries: Events | None) -> "Figure":
    """Draw the self-similarity matrix of every layer."""
    from matplotlib.figure import Figure

    n_layers = len(found.similarity)
    n_columns = min(5, n_layers)
    n_rows = -(-n_layers // n_columns)
    figure = Figure(figsize=(3.1 * n_columns, 3.2 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    end = float(found.bins[-1])
    for layer, (axes, matrix) in enumerate(zip(panels, found.similarity, strict=False)):
        axes.imshow(matrix, cmap="cividis", vmin=-1, vmax=1, origin="lower", extent=(0, end, 0, end))
        for place in [] if boundaries is None else boundaries:
            axes.axvline(place, color="white", linewidth=0.7)
            axes.axhline(place, color="white", linewidth=0.7)
        axes.set(title=f"layer {layer}", xlim=(0, end), ylim=(0, end))
    for axes in panels[n_layers:]:
        axes.axis("off")
    figure.suptitle(f"{found.encoder}: similarity of moments (seconds)")
    return figure


def draw_attention(found: Inspection, samples: Audio, sample_rate: int, onsets: Events | None) -> "Figure":
    """Draw the attention that frames receive, a panel for each block, a line for each head, under the spectrogram."""
    from matplotlib.figure import Figure

    assert found.attention is not None
    n_blocks = len(found.attention)
    figure = Figure(figsize=(12, 2.2 * (n_blocks + 1)), layout="constrained")
    above, *below = figure.subplots(n_blocks + 1, 1, sharex=True)
    draw_spectrogram(above, samples, sample_rate)
    above.set_title(f"{found.encoder}: attention received by each frame (1: even)")
    for block, (axes, heads) in enumerate(zip(below, found.attention, strict=True)):
        for place in _shown(onsets):
            axes.axvline(place, color="grey", linewidth=0.6)
        for head, received in enumerate(heads.T):
            axes.plot(found.times, received, color=COLOURS[head % len(COLOURS)], linewidth=1, label=f"head {head}")
        axes.set_ylabel(f"block {block + 1}")
    below[0].legend(loc="upper right", fontsize=7)
    below[-1].set_xlabel("seconds" + ("" if onsets is None else " (grey: onsets)"))
    return figure


def _shown(onsets: Events | None) -> Sequence[float]:
    return [] if onsets is None else onsets.tolist()
