"""Spectrograms against librosa and against their definitions."""

import numpy as np
import pytest
import torch

from mirbench_spectra.spectrograms import ConstantQ, MelSpectrogram, mel_filters, n_frames

RATE = 22050
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.standard_normal(3 * RATE).astype(np.float32)


@pytest.mark.filterwarnings("ignore")
def test_mel_equals_librosa():
    import librosa

    expected = librosa.feature.melspectrogram(
        y=NOISE, sr=RATE, n_fft=2048, hop_length=512, n_mels=128, pad_mode="constant"
    )
    found = MelSpectrogram(RATE, 2048, 512, 128)(torch.from_numpy(NOISE)[None])[0].numpy()
    np.testing.assert_allclose(found, expected[:, : found.shape[1]], atol=1e-6 * expected.max())


@pytest.mark.filterwarnings("ignore")
def test_mel_filters_equal_librosa():
    import librosa

    np.testing.assert_allclose(
        mel_filters(16000, 1024, 80), librosa.filters.mel(sr=16000, n_fft=1024, n_mels=80), atol=1e-7
    )


def direct_constant_q(audio, transform, place, frame):
    """The definition: a windowed sum over samples around the frame's centre."""
    frequency = transform.frequencies[place]
    length = transform.q * RATE / frequency
    offsets = np.arange(-int(length / 2), int(length / 2) + 1)
    window = (1 + np.cos(2 * np.pi * offsets / length)) / length
    samples = frame * transform.hop_length + offsets
    inside = (samples >= 0) & (samples < len(audio))
    phases = np.exp(-2j * np.pi * frequency * offsets / RATE)
    return abs((audio[samples[inside]] * (window * phases)[inside]).sum())


@pytest.mark.parametrize("bins_per_octave", [12, 36])
@pytest.mark.parametrize("hop_length", [512, 1000])
def test_constant_q_equals_its_definition(bins_per_octave, hop_length):
    transform = ConstantQ(RATE, hop_length, 55.0, 5 * bins_per_octave, bins_per_octave)
    found = transform(torch.from_numpy(NOISE)[None])[0].numpy()
    assert found.shape == (5 * bins_per_octave, n_frames(len(NOISE), hop_length))
    for place in (0, 17, 5 * bins_per_octave - 1):
        for frame in (0, 20, found.shape[1] - 1):
            expected = direct_constant_q(NOISE, transform, place, frame)
            assert found[place, frame] == pytest.approx(expected, abs=2e-3 * float(found[place].max()))


def test_a_sinusoid_of_amplitude_1_has_magnitude_one_half():
    transform = ConstantQ(RATE, 512, 55.0, 60, 12)
    time = np.arange(3 * RATE) / RATE
    sound = torch.from_numpy(np.sin(2 * np.pi * 440 * time).astype(np.float32))[None]
    found = transform(sound)[0, :, 60]
    assert int(found.argmax()) == 36
    assert float(found.max()) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("lowest", [27.5, 4000.0])
def test_bins_that_do_not_fit_are_refused(lowest):
    with pytest.raises(ValueError, match="expected 12 or more|too close to half"):
        ConstantQ(RATE, 512, lowest, 60, 6 if lowest < 100 else 12)
