"""Decode beats with a bar-pointer model: a hidden Markov model of tempo and of the position inside the beat.

A state is a beat period (in frames) and a position inside it. The position advances by one each frame; the period may
change only where a beat ends, all the less likely the larger the change. The first part of each beat should see a high
activation and the rest a low one. Only the beats' starts are free, so the Viterbi search visits them alone: the score
of a path is the sum of the log odds of the frames that it calls beats and of the logs of its changes of period.

References
----------
Krebs, Böck and Widmer, An efficient state-space model for joint tempo and meter tracking, ISMIR 2015: states, and
changes of period at the ends of beats. Böck, Krebs and Widmer, A multi-model approach to beat tracking considering
heterogeneous music styles, ISMIR 2014: observations, and the shift of beats to the highest activation. Parameters and
details are those of `madmom.features.beats.DBNBeatTrackingProcessor` (with ``correct=True``).
"""

import numpy as np
from jaxtyping import Float64, Int64

Beats = Float64[np.ndarray, "_beat"]
COARSE = 50.0  # frames per second, where the shortest beat has 14 frames; with fewer, periods are too far apart
FINE = 100.0  # frames per second; those of madmom's activations


def track_beats(
    activation: Float64[np.ndarray, "time"],
    times: Float64[np.ndarray, "time"],
    *,
    min_bpm: float = 55.0,
    max_bpm: float = 215.0,
    transition_lambda: float = 100.0,
    observation_lambda: int = 16,
    threshold: float = 0.05,
) -> Beats:
    """Find the beats of the likeliest course of tempo.

    An activation of fewer than 50 frames per second is interpolated linearly to the highest multiple of its rate that
    is at most 100, and beats may lie between frames: at 10 frames per second the frames are too far apart to place a
    beat.

    Parameters
    ----------
    activation
        Probability of a beat in each frame.
    times
        Evenly spaced centres of the frames in seconds.
    min_bpm, max_bpm
        Range of tempi in beats per minute; 55 to 215 as in madmom.
    transition_lambda
        The higher, the steadier the tempo; 100 as in madmom.
    observation_lambda
        The first of that many parts of a beat is where the activation is expected to be high; at least 2, 16 as in
        madmom.
    threshold
        Frames before the first and after the last activation that reaches it hold no beats; 0.05 as in madmom's
        tracker of downbeats (0 in that of beats).

    Returns
    -------
    beats
        Rising times in seconds, each of a frame (of an interpolated one, where the activation is interpolated). None
        if there are fewer than two frames, or if no activation reaches the threshold.

    Raises
    ------
    ValueError
        If an activation is not a number from 0 to 1.
    """
    if not ((activation >= 0) & (activation <= 1)).all():
        raise ValueError("an activation is not a number from 0 to 1; expected the probability of a beat in each frame")
    if len(times) < 2:
        return np.zeros(0)
    activation, times, frame_rate = _refine(activation, times)
    heard = np.flatnonzero(activation >= threshold)
    if not len(heard) or not activation.any():
        return np.zeros(0)
    inside = slice(heard[0], heard[-1] + 1)
    activation, times = activation[inside], times[inside]

    shortest, longest = (max(1, round(60 * frame_rate / bpm)) for bpm in (max_bpm, min_bpm))
    periods = np.arange(shortest, longest + 1)
    widths = -(-periods // observation_lambda)  # rounded up
    starts, chosen = find_path(
        _log_odds(activation, observation_lambda), periods, widths, log_changes(periods, transition_lambda)
    )
    stops = starts + widths[chosen]
    windows = [(max(0, start), stop) for start, stop in zip(starts, stops, strict=True) if stop > 0]
    return np.array([times[start + activation[start:stop].argmax()] for start, stop in windows], dtype=np.float64)


def _refine(
    activation: Float64[np.ndarray, "time"], times: Float64[np.ndarray, "time"]
) -> tuple[Float64[np.ndarray, "_fine"], Float64[np.ndarray, "_fine"], float]:
    """Interpolate what is coarse; return the frame rate too."""
    frame_rate = round((len(times) - 1) / float(times[-1] - times[0]), 6)  # without the rounding errors of times
    if frame_rate >= COARSE:
        return activation, times, frame_rate
    n_steps = int(FINE // frame_rate)
    frames = np.arange(n_steps * (len(times) - 1) + 1) / n_steps
    known = np.arange(len(times))
    return np.interp(frames, known, activation), np.interp(frames, known, times), n_steps * frame_rate


def _log_odds(activation: Float64[np.ndarray, "time"], observation_lambda: int) -> Float64[np.ndarray, "time"]:
    """Compare the density of a frame of a beat, a, with that of another frame, (1 - a) / (observation_lambda - 1)."""
    tiny = np.finfo(np.float64).tiny  # keeps logarithms of 0 finite: a path is found whatever is certain
    other = np.maximum(1 - activation, tiny) / (observation_lambda - 1)
    return np.asarray(np.log(np.maximum(activation, tiny)) - np.log(other))


def log_changes(periods: Int64[np.ndarray, "period"], transition_lambda: float) -> Float64[np.ndarray, "period period"]:
    """Weigh each change from one period (row) to the next (column): exp(-lambda |next / one - 1|), rows sum to 1."""
    weights = np.exp(-transition_lambda * np.abs(periods / periods[:, None] - 1))
    weights[weights <= np.spacing(1)] = 0
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(weights / weights.sum(axis=1, keepdims=True)))


def find_path(
    log_odds: Float64[np.ndarray, "time"],
    periods: Int64[np.ndarray, "period"],
    widths: Int64[np.ndarray, "period"],
    log_change: Float64[np.ndarray, "period period"],
) -> tuple[Int64[np.ndarray, "_beat"], Int64[np.ndarray, "_beat"]]:
    """Find the likeliest sequence of beats that covers all frames.

    All states are as likely just before the first frame. No beat that starts in a stretch of frames as long as the
    shortest period ends in it, so that such a stretch is searched in one go.

    Parameters
    ----------
    log_odds
        Of each frame, for a frame of a beat against another.
    periods
        In frames, rising.
    widths
        How many frames at the start of a beat of each period are frames of a beat.
    log_change
        Logarithm of the probability that a period (row) is followed by another (column).

    Returns
    -------
    starts
        Frames where the beats start; the first may be negative.
    chosen
        Which period each of them has.
    """
    n_frames, before = len(log_odds), int(periods[-1])  # frames that the array of scores has before frame 0
    each = np.arange(len(periods))
    sums = np.concatenate([np.zeros(before + 1), np.cumsum(log_odds)])
    frames = np.arange(before + n_frames)[:, None]
    # best score of all paths with a beat that starts at this frame, up to and with its own frames of a beat
    score = sums[np.minimum(frames + widths, before + n_frames)] - sums[frames]
    for first in range(before, before + n_frames, int(periods[0])):
        ended = score[frames[first : first + periods[0]] - periods, each]
        score[first : first + periods[0]] += (ended[:, :, None] + log_change).max(axis=1)

    ages = np.arange(1, before + 1)  # frames since the last beat started
    last = np.where(ages <= periods[:, None], score[before + n_frames - ages].T, -np.inf)
    period, age = divmod(int(last.argmax()), before)
    path = [(before + n_frames - 1 - age, period)]
    while path[-1][0] > before:
        start, period = path[-1]
        previous = int((score[start - periods, each] + log_change[:, period]).argmax())
        path.append((start - int(periods[previous]), previous))
    starts, chosen = np.array(path[::-1]).T
    return starts - before, chosen
