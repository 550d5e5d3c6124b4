"""Frames beside the means of what lies around them."""

import numpy as np
import pytest

from mirbench.probes.context import ContextRows, Projection, in_context, offsets_of


def times_at(rate, n_frames=100):
    return np.arange(n_frames) / rate + 0.01


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (100.0, ((-25, -13), (-12, -1), (1, 12), (13, 25))),
        (8.0, ((-2, -2), (-1, -1), (1, 1), (2, 2))),
        (5.38, ((-1, -1), (1, 1))),  # frames 0.186 s apart: none within 0.125 s
        (4.0, ((-1, -1), (1, 1))),
        (2.0, ()),
    ],
)
def test_windows_hold_the_frames_of_an_eighth_of_a_second(rate, expected):
    assert offsets_of(times_at(rate)) == expected


def test_windows_are_symmetric_at_every_frame_rate():
    for rate in np.linspace(2, 120, 300):
        offsets = offsets_of(times_at(rate))
        assert offsets == tuple((-last, -first) for first, last in offsets[::-1])


def test_one_frame_has_no_context():
    assert offsets_of(np.array([0.5])) == ()


def test_means_equal_those_of_a_loop():
    values = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    offsets = offsets_of(times_at(30.0))
    found = in_context(values, offsets)
    for place in range(40):
        expected = [values[place]]
        for first, last in offsets:
            inside = [k for k in range(place + first, place + last + 1) if 0 <= k < 40] or [0 if first < 0 else 39]
            expected.append(values[inside].mean(axis=0))
        np.testing.assert_allclose(found[place], np.concatenate(expected), atol=1e-6)


def test_context_does_not_look_beyond_a_quarter_of_a_second():
    values = np.zeros((200, 1), dtype=np.float32)
    values[100] = 1
    touched = np.flatnonzero(in_context(values, offsets_of(times_at(50.0, 200))).any(axis=1))
    assert (touched.min(), touched.max()) == (88, 112)


def test_rows_are_made_when_they_are_read():
    values = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float16)
    offsets = ((-1, -1), (1, 1))
    rows = ContextRows(values, offsets, None)
    assert (rows.shape, len(rows)) == ((20, 12), 20)
    np.testing.assert_array_equal(np.asarray(rows), in_context(values.astype(np.float32), offsets))


def test_a_projection_keeps_the_directions_of_highest_variance():
    random = np.random.default_rng(2)
    hidden = random.normal(size=(500, 2))
    mixed = (hidden @ random.normal(size=(2, 10)) + 5).astype(np.float32)
    projection = Projection.fitted([mixed[:200], mixed[200:]], 2)
    found = projection(mixed)
    assert projection.rank == 2
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    predicted = np.linalg.lstsq(found, mixed - mixed.mean(axis=0), rcond=None)[1]
    assert predicted.sum() < 1e-3  # both hidden directions are in it
    assert found[:, 0].var() >= found[:, 1].var()


def test_features_that_do_not_vary_get_no_weight():
    values = np.random.default_rng(3).normal(size=(50, 3)).astype(np.float32)
    values[:, 1] = 7
    assert not Projection.fitted([values], 2).components[1].any()
