"""Windows, batches across clips and stitching, with a network whose output tells what it heard."""

import numpy as np
import pytest
import torch

from mirbench import WindowedEncoder, WindowFeatures

RATE, HOP, N_FRAMES = 1000, 100, 10


class Centres(WindowedEncoder):
    """Frame features are the mean of the frame's samples: on a ramp, the time of the frame's centre."""

    sample_rate = RATE
    fingerprint = "centres"
    window_length = HOP * N_FRAMES
    hop_length = HOP
    offset = HOP / 2
    n_frames = N_FRAMES
    tokens = ("mean",)

    def __init__(self, overlap=0):
        self.overlap = overlap
        self.batches = []

    def encode_windows(self, windows):
        self.batches.append(len(windows))
        frames = windows.reshape(len(windows), 1, N_FRAMES, HOP).mean(-1, keepdim=True)
        return WindowFeatures(frames=frames, tokens={"mean": frames.mean(2)})


def ramp(seconds):
    return (np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


@pytest.mark.parametrize("overlap", [0, 3, 5])
@pytest.mark.parametrize("seconds", [1.0, 2.0, 3.7, 5.05])
def test_every_frame_hears_its_own_time(seconds, overlap):
    features = Centres(overlap).encode(ramp(seconds))
    np.testing.assert_allclose(features.frames[0, :, 0], features.times - 0.5 / RATE, atol=1e-5)
    np.testing.assert_allclose(np.diff(features.times), HOP / RATE)
    assert seconds - features.times[-1] < 2 * HOP / RATE


def test_frames_in_the_padding_of_a_short_clip_are_dropped():
    features = Centres().encode(ramp(0.42))
    np.testing.assert_allclose(features.times, [0.05, 0.15, 0.25, 0.35])


def test_a_token_is_the_mean_over_windows():
    assert Centres().encode(ramp(2.0)).tokens["mean"][0, 0] == pytest.approx(1.0, abs=1e-3)


def test_batches_are_filled_across_clips():
    encoder = Centres()
    list(encoder.encode_all([ramp(seconds) for seconds in (1.0, 2.0, 1.0, 3.0)], batch_size=4))
    assert encoder.batches == [4, 3]


def test_batches_do_not_change_features():
    clips = [ramp(seconds) for seconds in (1.3, 0.4, 2.9)]
    for together, clip in zip(Centres().encode_all(clips, batch_size=3), clips, strict=True):
        np.testing.assert_array_equal(together.frames, Centres().encode(clip).frames)


def test_a_clip_is_given_out_as_soon_as_it_is_complete():
    given = []

    def clips():
        for number in range(100):
            given.append(number)
            yield ramp(1.0)

    next(iter(Centres().encode_all(clips(), batch_size=4)))
    assert len(given) == 4


def test_a_network_that_returns_another_number_of_frames_is_refused():
    class Wrong(Centres):
        def encode_windows(self, windows):
            return WindowFeatures(frames=torch.zeros(len(windows), 1, N_FRAMES - 1, 1))

    with pytest.raises(Exception, match="expected \\[batch, layer, 10, dim\\]"):
        Wrong().encode(ramp(1.0))


class AnyLength(Centres):
    shortest = 2 * HOP

    def prepared(self, audio):
        return audio - 1

    def encode_windows(self, windows):
        self.batches.append(windows.shape)
        n_frames = windows.shape[1] // HOP
        frames = windows[:, : n_frames * HOP].reshape(len(windows), 1, n_frames, HOP).mean(-1, keepdim=True)
        return WindowFeatures(frames=frames, tokens={"mean": frames.mean(2)})


def test_a_short_clip_is_a_window_of_its_own_where_the_network_takes_any_length():
    encoder = AnyLength()
    clips = [ramp(1.0), ramp(0.42), ramp(2.0), ramp(0.06)]
    long, short, longer, shortest = encoder.encode_all(clips, batch_size=3)
    assert encoder.batches == [(1, 420), (3, 1000), (1, 200)]
    for features in (long, short, longer):
        np.testing.assert_allclose(features.frames[0, :, 0] + 1, features.times - 0.5 / RATE, atol=1e-5)
    assert (len(long.times), len(short.times)) == (10, 4)
    np.testing.assert_allclose(shortest.times, [0.05])
    np.testing.assert_allclose(encoder.encode(ramp(0.04)).times, [0.02])  # shorter than the first centre
