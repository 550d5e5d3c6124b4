import warnings

import numpy as np
import pytest
import torch

from mirbench_ssl.frontends import MT2_FRONT_END, STONE_FRONT_END, MelLevels, VqtLevels, crop, crops, mel_of, vqt_of
from mirbench_ssl.vqt import Vqt

SAMPLE_RATES = (22050, 16000)


def noise(n_samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(2, n_samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
@pytest.mark.parametrize("n_samples", [5001, 6000, 22051, 100_000])
def test_the_vqt_has_the_numbers_of_nnaudio(sample_rate: int, n_samples: int) -> None:
    vqt = pytest.importorskip("nnAudio.features.vqt")
    reference = vqt.VQT(sr=sample_rate, fmin=27.5, n_bins=99, bins_per_octave=12, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nnAudio remarks on clips too short to be mirrored in each octave
        expected = reference(noise(n_samples))
    found = Vqt(sample_rate)(noise(n_samples))
    assert found.shape == expected.shape == (2, 99, 1 + n_samples // 512)
    assert torch.allclose(found, expected, rtol=1e-4, atol=2e-6 * float(expected.max()))


def test_a_tone_is_loudest_in_its_bin() -> None:
    for semitone in (0, 12, 48, 69, 98):
        frequency = 27.5 * 2 ** (semitone / 12)
        tone = torch.sin(2 * torch.pi * frequency * torch.arange(44100) / 22050)[None]
        assert VqtLevels(22050)(tone)[0].mean(dim=1).argmax() == semitone


def test_the_vqt_refuses_what_its_highest_bin_does_not_fit() -> None:
    with pytest.raises(ValueError, match="15804"):
        Vqt(11025)


def test_eleven_mel_bands_lie_above_half_the_sample_rate_as_published() -> None:
    filters = MelLevels().get_buffer("filters")
    assert filters.shape == (128, 513)
    assert int((filters.sum(dim=1) == 0).sum()) == 11


def test_four_seconds_are_126_frames_on_both_grids() -> None:
    levels = MT2_FRONT_END.levels(noise(64000)[0].numpy())
    assert levels.shape == (126, 99 + 128 + 1)
    batch = torch.from_numpy(levels.T[None].copy())
    assert vqt_of(batch).shape == (1, 99, 126)
    assert mel_of(batch).shape == (1, 128, 126)


def test_levels_do_not_depend_on_the_loudness_of_a_track() -> None:
    audio = noise(66150)[0].numpy()
    assert np.allclose(STONE_FRONT_END.levels(audio), STONE_FRONT_END.levels(0.01 * audio), atol=1e-3)


def test_the_input_spans_80_decibels_below_the_loudest() -> None:
    levels = torch.full((1, 99, 5), -100.0)
    levels[0, 40, 2] = -20.0
    scaled = vqt_of(levels)
    assert float(scaled.max()) == pytest.approx(0.75)
    assert float(scaled.min()) == pytest.approx(-0.25)


def test_cropping_higher_moves_the_sound_down() -> None:
    spectrogram = torch.zeros(1, 99, 3)
    spectrogram[:, 50] = 1
    assert crop(spectrogram, 0)[0, :, 0].argmax() == 50
    assert crop(spectrogram, 4)[0, :, 0].argmax() == 46
    both = crops(spectrogram.expand(2, -1, -1), torch.tensor([0, 15]))
    assert both[:, :, 0].argmax(dim=1).tolist() == [50, 35]
    with pytest.raises(ValueError, match="84 bins from 16"):
        crop(spectrogram, 16)
