"""Features and their readouts."""

import numpy as np
import pytest

from mirbench import EncoderError, Features

RANDOM = np.random.default_rng(0)
FRAMES = RANDOM.standard_normal((2, 5, 3)).astype(np.float32)
TOKENS = {name: RANDOM.standard_normal((2, 3)).astype(np.float32) for name in ("equivariant", "contrastive")}
FEATURES = Features(frames=FRAMES, times=np.arange(5) / 10, tokens=TOKENS)


@pytest.mark.parametrize(
    ("readout", "expected"),
    [
        ("frames", FRAMES),
        ("mean", FRAMES.mean(axis=1)),
        ("mean and deviation", np.concatenate([FRAMES.mean(axis=1), FRAMES.std(axis=1)], axis=1)),
        ("contrastive", TOKENS["contrastive"]),
        ("mean of class tokens", (TOKENS["equivariant"] + TOKENS["contrastive"]) / 2),
    ],
)
def test_readout(readout, expected):
    np.testing.assert_allclose(FEATURES.readout(readout), expected, rtol=1e-6)


def test_an_unknown_readout_lists_those_there_are():
    with pytest.raises(EncoderError, match="no readout 'cls'; there are frames, mean, .*equivariant"):
        FEATURES.readout("cls")


def test_frames_without_times_are_refused():
    with pytest.raises(Exception, match=r"(?s)time"):
        Features(frames=FRAMES, times=np.arange(4) / 10)


def test_no_frames_at_all_are_refused():
    with pytest.raises(EncoderError, match="none of them empty"):
        Features(frames=np.zeros((1, 0, 3), np.float32), times=np.zeros(0))
