"""What the baselines hear."""

import numpy as np
import pytest
import torch

from mirbench.plugins import Plugins
from mirbench_key.task import TONICS
from tests.samples import triad

ENCODERS = Plugins().encoders


@pytest.mark.parametrize("pitch_class", range(12), ids=TONICS)
def test_chroma_of_a_tone_is_its_pitch_class(pitch_class):
    chroma = ENCODERS["chroma"].load("cpu").encode(triad((pitch_class,) * 3, seed=0, seconds=2.0))
    assert chroma.readout("mean")[0].argmax() == pitch_class


def test_chroma_moves_with_transposition():
    encoder = ENCODERS["chroma"].load("cpu")
    means = [
        encoder.encode(triad((shift, shift + 4, shift + 7), seed=1, seconds=2.0)).readout("mean")[0] for shift in (0, 5)
    ]
    assert np.corrcoef(np.roll(means[0], 5), means[1])[0, 1] > 0.9


@pytest.mark.parametrize("detune", [-0.3, 0.3])
def test_chroma_forgives_mistuning(detune):
    time = np.arange(2 * 22050) / 22050
    tone = (0.3 * np.sin(2 * np.pi * 440 * 2 ** (detune / 12) * time)).astype(np.float32)
    assert ENCODERS["chroma"].load("cpu").encode(tone).readout("mean")[0].argmax() == 9


def test_mfcc_is_the_cosine_transform_of_logmel():
    from scipy.fft import dct

    clip = triad((0, 4, 7), seed=0)
    mfcc = ENCODERS["mfcc"].load("cpu").encode(clip).frames[0]
    expected = dct(ENCODERS["logmel"].load("cpu").encode(clip).frames[0], norm="ortho", axis=1)[:, :20]
    np.testing.assert_allclose(mfcc, expected, atol=1e-4)


def test_the_random_network_is_the_same_everywhere_in_a_process():
    torch.manual_seed(123)
    state = torch.random.get_rng_state()
    one, other = ENCODERS["random"].load("cpu"), ENCODERS["random"].load("cpu")
    assert one.fingerprint == other.fingerprint
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_random_network_says_that_it_is_not_trained():
    assert "NOT TRAINED" in ENCODERS["random"].description
