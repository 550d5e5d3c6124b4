"""`mirbench filters`: the filters with which an encoder begins are found, and measured exactly."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from mirbench import Encoder, Features
from mirbench.errors import EncoderError
from mirbench.plugins import Plugins
from mirbench_filterbanks.bounds import frame_bounds
from mirbench_filterbanks.inspection import find_bank, measured, sensitivity


class Convolving(Encoder):
    """A convolution over the waveform behind a second one that looks like it."""

    sample_rate = 8000
    fingerprint = "convolving"

    def __init__(self, *, padding: int = 0, gain: float = 1.0, dilation: int = 1) -> None:
        torch.manual_seed(0)
        self.decoy = nn.Conv1d(1, 3, 5)
        self.layer = nn.Conv1d(1, 12, 16, stride=4, padding=padding, dilation=dilation)
        self.gain = gain

    def encode(self, audio):
        waveform = torch.from_numpy(audio)[None, None]
        self.decoy(waveform.abs().log1p() + torch.rand_like(waveform))  # not the waveform
        frames = self.layer(self.gain * waveform + 0.3)[0].T.detach().numpy()
        return Features(frames[None], (np.arange(len(frames)) * 4 + 8) / 8000)


class Framed(Convolving):
    """Frames of 64 samples, each of unit deviation, to a convolution along one axis of two."""

    def encode(self, audio):
        frames = torch.from_numpy(audio).unfold(0, 64, 32)
        frames = frames / frames.std(dim=1, keepdim=True)
        weight = self.layer.weight[..., None]
        found = nn.functional.conv2d(nn.functional.pad(frames, (7, 8))[:, None, :, None], weight, stride=(4, 1))
        found = found.flatten(1).detach().numpy()
        return Features(found[None], (np.arange(len(found)) * 32 + 32) / 8000)


class Spectral(Encoder):
    sample_rate = 8000
    fingerprint = "spectral"

    def encode(self, audio):
        window = torch.hann_window(200)
        found = torch.stft(torch.from_numpy(audio), 256, 64, 200, window, return_complex=True).abs().T.numpy()
        return Features(found[None], np.arange(len(found)) * 64 / 8000)


class Level(Encoder):
    sample_rate = 8000
    fingerprint = "level"

    def encode(self, audio):
        blocks = audio[: len(audio) // 100 * 100].reshape(-1, 100)
        return Features(blocks.std(axis=1)[None, :, None], (np.arange(len(blocks)) + 0.5) / 80)


@pytest.mark.parametrize("encoder", [Convolving(), Convolving(padding=8, gain=0.1), Framed()])
def test_the_convolution_over_the_waveform_is_found(encoder):
    bank = find_bank(encoder)
    assert (bank.hop_length, bank.dilation, bank.is_learned) == (4, 1, True)
    torch.testing.assert_close(bank.kernels, encoder.layer.weight.detach().double().flatten(1))


def test_numbers_are_those_of_a_dense_matrix():
    """A second computation: singular values of the matrix of the layer over circular signals."""
    bank = find_bank(Convolving())
    found = measured(bank)
    n = found["n_samples"]
    rows = [np.roll(np.pad(kernel, (0, n - 16)), 4 * step) for kernel in bank.kernels.numpy() for step in range(n // 4)]
    values = np.linalg.svd(np.array(rows), compute_uv=False) ** 2
    assert found["A"] == pytest.approx(values.min())
    assert found["B"] == pytest.approx(values.max())
    assert found["kappa_db"] == pytest.approx(10 * np.log10(values.max() / values.min()))
    assert 0 < found["alias_ratio"] < 1
    assert found["alias_ratio_random"] == pytest.approx(found["alias_ratio"], rel=0.6)  # torch's weights are random
    assert found["kappa_db_random"] == pytest.approx(found["kappa_db"], abs=4)


def test_a_dilated_layer_is_measured_without_alias_terms():
    found = measured(find_bank(Convolving(dilation=3)))
    assert found["dilation"] == 3
    assert "alias_ratio" not in found
    assert found["A"] >= 0


def test_the_bank_of_an_stft_is_its_window_at_all_frequencies():
    bank = find_bank(Spectral())
    assert (bank.layer, bank.hop_length, bank.kernels.shape, bank.is_learned) == ("STFT", 64, (129, 256), False)
    signal = torch.randn(256, dtype=torch.float64)
    window = torch.hann_window(200, dtype=torch.float64)
    expected = torch.stft(signal, 256, 64, 200, window, center=False, return_complex=True)[:, 0]
    torch.testing.assert_close(
        (bank.kernels.conj() @ signal.to(torch.complex128)).abs(), expected.abs(), atol=1e-5, rtol=0
    )
    found = measured(bank)
    assert found["kappa_db"] == pytest.approx(frame_bounds(bank.kernels, 64, bank.n_samples).kappa_db)
    assert "kappa_db_random" not in found


def test_an_encoder_without_filters_is_refused():
    with pytest.raises(EncoderError, match="neither convolves the waveform with torch nor calls torch.stft"):
        find_bank(Level())


def test_the_sensitivity_of_a_linear_layer_lies_between_the_bounds():
    encoder = Convolving()
    nn.init.zeros_(encoder.layer.bias)
    bounds = measured(find_bank(encoder))
    assert 0.3 < sensitivity(encoder) < np.sqrt(bounds["B"] / bounds["A"])


def test_the_command_prints_and_writes_the_numbers(mirbench, tmp_path):
    code, printed, error = mirbench("filters", "vit1d@random", "--out", tmp_path)
    assert code == 0, error
    assert "kappa_db            4.2 dB" in printed
    found = json.loads((tmp_path / "filters.json").read_text())
    assert (found["encoder"], found["channels"], found["taps"], found["hop"]) == ("vit1d@random", 513, 1024, 512)
    assert (tmp_path / "filters.png").stat().st_size > 5000


def test_training_makes_the_first_layer_of_crepe_selective(mirbench):
    """The condition number of 3,329 (35.2 dB) was measured independently; random weights have 2.3 to 2.6."""
    if Plugins().encoders["crepe-tiny"].missing() is not None:
        pytest.skip("its weights are in a package")
    code, printed, error = mirbench("filters", "crepe-tiny")
    assert code == 0, error
    assert "kappa_db            35.2 dB" in printed
    assert "kappa_db_random     3.6 dB" in printed
