"""Decoders: from logits on a time axis to events and intervals."""

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mirbench.domain import LabelledIntervals


def pick_peaks(
    activation: Float64[np.ndarray, "time"], times: Float64[np.ndarray, "time"], threshold: float, distance: float
) -> Float64[np.ndarray, "event"]:
    """Return the times of the local maxima of an activation.

    Parameters
    ----------
    activation
        Activation of every frame.
    times
        Frame centres in seconds, evenly spaced.
    threshold
        Smallest activation of a peak.
    distance
        Smallest distance between peaks in seconds; of two closer peaks the higher one is kept.

    Returns
    -------
    events
        Times of the peaks in seconds.
    """
    from scipy.signal import find_peaks  # a second to import

    if len(times) < 2:
        return np.asarray(times[activation >= threshold])
    frames = max(1, round(distance / float(times[1] - times[0])))
    padded = np.concatenate([[-np.inf], activation, [-np.inf]])  # the first and last frame can be peaks too
    peaks, _ = find_peaks(padded, height=threshold, distance=frames)
    return np.asarray(times[peaks - 1])


def viterbi(log_probabilities: Float64[np.ndarray, "time label"], stay: float) -> Int64[np.ndarray, "time"]:
    """Return the most probable path of labels, under a uniform probability of change.

    Parameters
    ----------
    log_probabilities
        Log probability of every label in every frame.
    stay
        Probability that a label is kept from one frame to the next, at least 1 / number of labels; the other labels
        share the rest equally.

    Returns
    -------
    path
        Index of the label of every frame.

    Raises
    ------
    ValueError
        If `stay` is out of range.
    """
    n_frames, n_labels = log_probabilities.shape
    if not 1 / n_labels <= stay < 1:
        raise ValueError(f"a label of {n_labels} lasts with probability {stay}; expected {1 / n_labels:.3f} to 1")
    move = np.log((1 - stay) / max(1, n_labels - 1))
    hold = np.log(stay)
    score = log_probabilities[0].copy()
    came_from = np.zeros((n_frames, n_labels), dtype=np.int64)
    own = np.arange(n_labels)
    for frame in range(1, n_frames):
        best = int(score.argmax())  # leaving the best label beats leaving any other
        is_held = score + hold >= score[best] + move
        came_from[frame] = np.where(is_held, own, best)
        score = np.where(is_held, score + hold, score[best] + move) + log_probabilities[frame]
    path = np.empty(n_frames, dtype=np.int64)
    path[-1] = score.argmax()
    for frame in range(n_frames - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path


def as_intervals(
    path: Int64[np.ndarray, "time"], times: Float64[np.ndarray, "time"], duration: float, labels: tuple[str, ...]
) -> LabelledIntervals:
    """Return a path of labels as intervals that cover the whole clip.

    Equal neighbours are merged; borders lie halfway between frame centres.

    Parameters
    ----------
    path
        Index of the label of every frame.
    times
        Frame centres in seconds.
    duration
        Length of the clip in seconds.
    labels
        Vocabulary to which the path refers.
    """
    changes = np.flatnonzero(np.diff(path)) + 1
    borders = np.concatenate([[0.0], (times[changes - 1] + times[changes]) / 2, [max(duration, times[-1])]])
    first = np.concatenate([[0], changes])
    return LabelledIntervals(
        np.stack([borders[:-1], borders[1:]], axis=1), tuple(labels[label] for label in path[first])
    )


def sigmoid(logits: Float32[np.ndarray, "*time label"]) -> Float64[np.ndarray, "*time label"]:
    """Return the logistic function of each logit, in double precision.

    Parameters
    ----------
    logits
        Log odds.
    """
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64))))
