"""The bar-pointer model against a search of every state, and on beats that are known."""

import mir_eval
import numpy as np
import pytest

from mirbench.evaluation.decoders import pick_peaks
from mirbench_beat.bar_pointer import find_path, log_changes, track_beats


def steady(bpm, first=0.3, seconds=20.0):
    return np.arange(first, seconds, 60 / bpm)


def bumps(beats, times, width=0.04):
    """An activation of 0.95 at each beat that falls off on both sides, and 0.02 elsewhere."""
    near = np.exp(-0.5 * ((times[:, None] - beats) / width) ** 2).sum(axis=1)
    return np.clip(0.02 + 0.93 * near, 0, 0.95)


def centres(frame_rate, seconds=20.0, first=0.0):
    return first + np.arange(int(seconds * frame_rate)) / frame_rate


def path_by_all_states(log_odds, periods, widths, log_change):
    """The likeliest state in each frame, by Viterbi's algorithm over all pairs of states."""
    states = [(index, position) for index, period in enumerate(periods) for position in range(period)]
    transition = np.full((len(states), len(states)), -np.inf)
    for one, (index, position) in enumerate(states):
        for two, (next_index, next_position) in enumerate(states):
            if next_index == index and next_position == position + 1:
                transition[one, two] = 0
            if position == periods[index] - 1 and next_position == 0:
                transition[one, two] = log_change[index, next_index]
    is_beat = np.array([position < widths[index] for index, position in states])
    score, pointers = np.zeros(len(states)), []
    for odds in log_odds:
        arrived = score[:, None] + transition
        pointers.append(arrived.argmax(axis=0))
        score = arrived.max(axis=0) + odds * is_beat
    path = [int(score.argmax())]
    for pointer in pointers[:0:-1]:
        path.append(int(pointer[path[-1]]))
    return [states[state] for state in path[::-1]]


@pytest.mark.parametrize("n_frames", [1, 2, 5, 13, 60])
@pytest.mark.parametrize("shortest", [1, 3])
def test_the_path_is_that_of_a_search_of_every_state(n_frames, shortest):
    random = np.random.default_rng([n_frames, shortest])
    periods = np.arange(shortest, 10)
    widths = -(-periods // 4)
    log_change = log_changes(periods, 5.0)
    for _ in range(5):
        log_odds = random.normal(-0.5, 1.5, n_frames)
        starts, chosen = find_path(log_odds, periods, widths, log_change)
        states = [
            (index, position - start)
            for start, index in zip(starts, chosen, strict=True)
            for position in range(start, start + periods[index])
        ]
        first = -starts[0]
        assert states[first : first + n_frames] == path_by_all_states(log_odds, periods, widths, log_change)


@pytest.mark.parametrize("lambda_", [1.0, 100.0])
def test_changes_of_period_are_probabilities_that_fall_with_their_ratio(lambda_):
    change = np.exp(log_changes(np.arange(14, 56), lambda_))
    np.testing.assert_allclose(change.sum(axis=1), 1)
    assert (change.argmax(axis=1) == np.arange(42)).all()
    assert change[10, 11] / change[10, 10] == pytest.approx(np.exp(-lambda_ / 24))


@pytest.mark.parametrize("frame_rate", [20, 43.07, 50, 100])
@pytest.mark.parametrize("bpm", [60, 97, 140, 200])
def test_a_steady_beat_is_found_to_less_than_a_frame(bpm, frame_rate):
    times = centres(frame_rate, first=0.5 / frame_rate)
    beats = track_beats(bumps(steady(bpm), times), times)
    np.testing.assert_allclose(beats, steady(bpm), atol=0.8 / frame_rate)


def test_beats_are_centres_of_frames():
    times = centres(50, first=0.013)
    beats = track_beats(bumps(steady(97), times), times)
    assert len(beats) == len(steady(97))
    assert np.isin(beats, times).all()


def test_a_drifting_tempo_is_followed():
    expected = 0.3 + np.concatenate([[0], np.cumsum(np.linspace(0.6, 0.4, 40))])  # from 100 to 150 bpm
    times = centres(50)
    np.testing.assert_allclose(track_beats(bumps(expected, times), times), expected[expected < 20], atol=0.021)


def test_missing_beats_are_filled_in():
    expected = steady(120)
    is_heard = np.random.default_rng(0).random(len(expected)) > 0.3
    is_heard[[0, -1]] = True
    times = centres(100)
    beats = track_beats(bumps(expected[is_heard], times), times)
    assert is_heard.mean() < 0.8
    np.testing.assert_allclose(beats, expected, atol=0.03)
    np.testing.assert_allclose(beats[is_heard], expected[is_heard], atol=0.006)


def test_noise_harms_less_than_it_harms_peak_picking():
    random = np.random.default_rng(0)
    times = centres(50)
    peaks, pulse = [], []
    for bpm in (75, 100, 125, 150):
        expected = steady(bpm)
        noisy = np.clip(0.4 * bumps(expected, times) + random.normal(0.2, 0.2, len(times)), 0, 1)
        pulse.append(mir_eval.beat.f_measure(expected, track_beats(noisy, times)))
        picked = [pick_peaks(noisy, times, threshold, 0.2) for threshold in np.arange(0.1, 1, 0.1)]
        peaks.append(max(mir_eval.beat.f_measure(expected, beats) for beats in picked if len(beats)))
    assert min(pulse) > 0.95
    assert max(peaks) < 0.9


def test_the_range_of_tempi_decides_between_a_tempo_and_its_half():
    times = centres(100)
    activation = bumps(steady(100), times)
    np.testing.assert_allclose(track_beats(activation, times), steady(100), atol=0.006)
    np.testing.assert_allclose(track_beats(activation, times, min_bpm=40.0, max_bpm=70.0), steady(100)[::2], atol=0.006)


def test_quiet_ends_hold_no_beats():
    times = centres(50)
    activation = bumps(steady(120)[10:30], times) - 0.02
    np.testing.assert_allclose(track_beats(activation, times), steady(120)[10:30], atol=0.011)
    assert len(track_beats(activation, times, threshold=0.0)) > 20


@pytest.mark.parametrize("n_frames", [0, 1, 500])
@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_silence_holds_no_beats(n_frames, threshold):
    assert track_beats(np.zeros(n_frames), np.arange(n_frames) / 50, threshold=threshold).shape == (0,)


def test_one_frame_holds_no_beats():
    assert track_beats(np.ones(1), np.zeros(1)).shape == (0,)


@pytest.mark.parametrize("frame_rate", [2, 100])
def test_certainty_and_coarse_frames_are_no_trouble(frame_rate):
    times = centres(frame_rate)
    activation = np.random.default_rng(0).integers(0, 2, len(times)).astype(np.float64)
    beats = track_beats(activation, times)
    assert len(beats)
    assert (np.diff(beats) > 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
def test_what_is_no_probability_is_refused(value):
    with pytest.raises(ValueError, match="number from 0 to 1"):
        track_beats(np.array([0.1, value, 0.2]), np.arange(3) / 50)
