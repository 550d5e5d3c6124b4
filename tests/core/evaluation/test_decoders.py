"""Decoders: from logits over time to events."""

import itertools

import numpy as np
import pytest

from mirbench.evaluation.decoders import as_intervals, pick_peaks, sigmoid, viterbi

TIMES = np.arange(10) / 10


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ([0, 0, 1, 0, 0, 0, 0, 0.9, 0, 0], [0.2, 0.7]),
        ([1, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0.0, 0.9]),  # the first and last frame can be peaks
        ([0, 1, 1, 1, 0, 0, 0, 0, 0, 0], [0.2]),  # the middle of a plateau
        ([0, 0, 0.3, 0, 0, 0, 0, 0, 0, 0], []),  # below the threshold
        ([0, 0.8, 0, 0.9, 0, 0, 0, 0, 0, 0], [0.3]),  # too close: the higher stays
    ],
)
def test_peaks(activation, expected):
    np.testing.assert_allclose(pick_peaks(np.array(activation, float), TIMES, threshold=0.5, distance=0.3), expected)


@pytest.mark.parametrize("stay", [0.4, 0.5, 0.9])
def test_viterbi_finds_the_likeliest_of_all_paths(stay):
    logs = np.log(np.random.default_rng(0).dirichlet(np.ones(3), size=6))

    def likelihood(path):
        moves = [np.log(stay) if a == b else np.log((1 - stay) / 2) for a, b in itertools.pairwise(path)]
        return sum(moves) + sum(logs[frame, label] for frame, label in enumerate(path))

    best = max(itertools.product(range(3), repeat=6), key=likelihood)
    assert tuple(viterbi(logs, stay)) == best


@pytest.mark.parametrize("stay", [0.2, 1.0])
def test_a_chain_that_rather_moves_is_refused(stay):
    with pytest.raises(ValueError, match=r"expected 0\.333 to 1"):
        viterbi(np.zeros((4, 3)), stay)


def test_intervals_cover_the_clip_and_merge_neighbours():
    found = as_intervals(np.array([0, 0, 1, 1, 1, 0, 0, 0, 0, 0]), TIMES, 1.0, ("a", "b"))
    assert found.labels == ("a", "b", "a")
    np.testing.assert_allclose(found.intervals, [[0, 0.15], [0.15, 0.45], [0.45, 1.0]])


def test_sigmoid_of_large_logits_does_not_overflow():
    np.testing.assert_allclose(sigmoid(np.array([[-1e4, 0, 1e4]], np.float32)), [[0, 0.5, 1]])
