"""Auditory kernels, convolution and decoder, hybrid filters, exact frame bounds."""

import math

import numpy as np
import pytest
import torch

from mirbench_filterbanks.bounds import FrameBounds, frame_blocks, frame_bounds, shortest_signal
from mirbench_filterbanks.convolution import analyse, decode, mean_bound, n_frames_before, transpose
from mirbench_filterbanks.hybrid import compose, initial_filters, learned_kappa
from mirbench_filterbanks.kernels import as_real, audlet, isac
from mirbench_filterbanks.objectives import smooth_objective
from mirbench_filterbanks.scales import SCALES, scale_named
from mirbench_filterbanks.tightening import normalised, tighten, tighten_canonically

RATE = 16_000


def random_kernels(*size, seed=0, dtype=torch.float64):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def dense_analysis(kernels, hop_length, n_samples, dilation=1):
    """The matrix of a strided circular convolution, entry by entry; columns are inputs, samples within."""
    kernels = kernels[:, None] if kernels.ndim == 2 else kernels
    n_channels, n_inputs, n_taps = kernels.shape
    matrix = torch.zeros(n_channels, n_samples // hop_length, n_inputs, n_samples, dtype=kernels.dtype)
    for frame in range(n_samples // hop_length):
        for tap in range(n_taps):
            sample = (frame * hop_length + n_taps // 2 - tap * dilation) % n_samples
            matrix[:, frame, :, sample] += kernels[:, :, tap]
    return matrix.flatten(2).flatten(0, 1)


def dense_bounds(kernels, hop_length, n_samples, dilation=1):
    matrix = dense_analysis(kernels, hop_length, n_samples, dilation)
    eigenvalues = torch.linalg.eigvalsh((matrix.mH @ matrix).real)  # of real signals
    return float(eigenvalues[0]), float(eigenvalues[-1])


@pytest.fixture(scope="module")
def tight():
    """A tight bank of 12 complex kernels of 9 taps at a hop of 3."""
    kernels = random_kernels(12, 9, dtype=torch.complex128)
    return tighten(kernels, 3, smooth_objective, until=1e-13).kernels


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_is_inverted_and_its_bandwidths_follow_its_slope(name):
    scale = scale_named(name)
    frequencies = np.geomspace(20, 8000, 50)
    assert np.allclose(scale.to_hz(scale.from_hz(frequencies)), frequencies)
    slope = (scale.from_hz(frequencies * 1.0001) - scale.from_hz(frequencies)) / (frequencies * 0.0001)
    product = scale.bandwidth(frequencies) * slope
    assert np.allclose(product, product[0], rtol=1e-3)
    assert scale.frequency_of(float(scale.bandwidth(np.array([440.0]))[0])) == pytest.approx(440)


def test_scales_have_the_published_values():
    at = {
        name: scale.from_hz(np.array([1000.0]))[0] - scale.from_hz(np.array([1e-9]))[0]
        for name, scale in SCALES.items()
    }
    assert at["mel"] == pytest.approx(1000)
    assert at["erb"] == pytest.approx(9.265 * math.log(1 + 1000 / 228.8455))
    assert SCALES["erb"].bandwidth(np.array([1000.0]))[0] == pytest.approx(24.7 + 1000 / 9.265)


def test_an_unknown_scale_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown scale 'bark'; expected one of erb, mel, log10"):
        scale_named("bark")


@pytest.mark.parametrize(
    ("n_channels", "kernel_length", "kappa"),
    [(40, 32, 1.000), (40, 128, 1.030), (40, 512, 1.036), (512, 32, 1.000), (512, 128, 1.027), (512, 512, 1.027)],
)
@pytest.mark.parametrize("hop_length", [1, 4])
def test_isac_has_the_condition_numbers_of_the_authors_package(n_channels, kernel_length, kappa, hop_length):
    bank = isac(RATE, n_channels, kernel_length, hop_length=hop_length)
    assert frame_bounds(bank.kernels, hop_length, 2048).kappa == pytest.approx(kappa, abs=6e-4)


def test_few_channels_need_wider_filters():
    assert frame_bounds(isac(RATE, 16, 128).kernels, 1, 2048).kappa == pytest.approx(3.9, abs=0.05)  # as hybra's
    assert frame_bounds(isac(RATE, 16, 128, widening=3.0).kernels, 1, 2048).kappa < 1.17  # the paper's, at gamma 3


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel_length", [33, 128])
def test_isac_kernels_peak_at_their_frequencies_and_in_their_middle(scale, kernel_length):
    bank = isac(RATE, 24, kernel_length, scale)
    n_taps = bank.kernels.shape[1]
    spectrum = torch.fft.fft(bank.kernels, RATE).abs()
    assert np.abs(spectrum.argmax(1).numpy() - bank.frequencies).max() <= 1
    assert (np.diff(bank.frequencies) > 0).all()
    assert (bank.frequencies[0], bank.frequencies[-1]) == (0, RATE / 2)
    energy = bank.kernels.abs().square()
    middle = (energy * torch.arange(n_taps)).sum(1) / energy.sum(1)
    assert float((middle - n_taps // 2).abs().max()) <= 0.5 + 1e-9
    assert ((bank.kernels != 0).sum(1).numpy() <= bank.lengths).all()


def test_audlets_are_nearly_tight_and_canonical_tightening_brings_them_closer():
    bank = audlet(RATE, 40, 128)
    bounds = frame_bounds(bank.kernels, 1, 2048)
    assert 1.01 < bounds.kappa < 1.05
    assert bounds.lower < 1 < bounds.upper
    tightened = tighten_canonically(bank.kernels, 1, n_rounds=5)
    assert frame_bounds(tightened, 1, 2048).kappa - 1 < 0.5 * (bounds.kappa - 1)
    assert tightened.shape == bank.kernels.shape


@pytest.mark.slow
def test_the_published_audlet_aliases_at_its_hop_until_it_is_tightened_with_it():
    """256 channels of 512 taps, 128 samples apart: nearly tight without stride, far from it with."""
    kernels = audlet(RATE, 256, 512, hop_length=128).kernels
    assert frame_bounds(kernels, 1, 2048).kappa < 1.03
    assert frame_bounds(kernels, 128, 2048).kappa > 7
    tightened = tighten_canonically(kernels, 128, n_rounds=5)
    assert frame_bounds(tightened, 128, 2048).kappa < 1.02
    assert 0.1 < float((tightened - kernels).norm() / kernels.norm()) < 0.15


def test_audlets_have_a_low_pass_filter_below_their_lowest_frequency():
    bank = audlet(RATE, 40, 256, "log10", lowest_hz=200.0)
    assert bank.frequencies[:2].tolist() == pytest.approx([0, 200])
    power = torch.fft.fft(bank.kernels, 1600).abs().square()[:, :20]  # 0 to 190 Hz
    assert bool((power[0, :10] > 20 * power[2:, :10].sum(0)).all())
    assert frame_bounds(bank.kernels, 1, 2048).kappa < 1.15


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: isac(RATE, 2, 32), "2 channels of 32 taps; expected three or more"),
        (lambda: isac(0, 20, 32), "expected positive numbers"),
        (lambda: isac(RATE, 20, 32, widening=0.0), "expected a positive factor"),
        (lambda: audlet(RATE, 20, 64, lowest_hz=9000.0), "expected a frequency below half the sample rate"),
        (lambda: audlet(RATE, 20, 64, "log10"), "above 0 for log10"),
        (lambda: initial_filters(4, 11, "zeros"), "unknown initialisation 'zeros'"),
        (lambda: frame_bounds(random_kernels(4, 8), 3, 16), "a multiple of the hop"),
        (lambda: analyse(torch.zeros(1, 17).double(), random_kernels(4, 8), 4), "expected a multiple, or use 'zeros'"),
        (lambda: analyse(torch.zeros(1, 4).double(), random_kernels(4, 8), 4), "expected longer ones"),
        (lambda: analyse(torch.zeros(1, 4).double(), random_kernels(4, 8), 4, "reflect"), "cannot be mirrored for 4"),
        (lambda: transpose(torch.zeros(1, 4, 3).double(), random_kernels(4, 8), 4, 16), "3 frames; expected 4"),
        (lambda: tighten_canonically(random_kernels(4, 8), 8), "are no frame"),
        (
            lambda: tighten(random_kernels(4, 8), 2, smooth_objective, step_rule="printed", learning_rate=1e200),
            "diverged; use a smaller rate",
        ),
    ],
)
def test_errors_say_what_was_found_and_expected(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize(
    ("n_taps", "hop_length", "n_samples"), [(8, 4, 32), (7, 3, 24), (5, 8, 16), (6, 1, 6), (16, 4, 16)]
)
def test_convolution_and_transpose_are_the_dense_matrix(dtype, n_taps, hop_length, n_samples):
    kernels = random_kernels(6, n_taps, dtype=dtype)
    signal = random_kernels(2, n_samples, seed=1)
    matrix = dense_analysis(kernels, hop_length, n_samples)
    coefficients = analyse(signal, kernels, hop_length)
    assert torch.allclose(coefficients.flatten(1), signal.to(dtype) @ matrix.T, atol=1e-12)
    other = torch.randn(coefficients.shape, dtype=dtype, generator=torch.Generator().manual_seed(2))
    expected = (other.flatten(1) @ matrix.conj()).real
    assert torch.allclose(transpose(other, kernels, hop_length, n_samples), expected, atol=1e-12)


@pytest.mark.parametrize("padding", ["circular", "zeros", "reflect"])
@pytest.mark.parametrize("n_samples", [60, 61])
def test_the_decoder_of_a_tight_bank_returns_the_signal_its_ends_included(tight, padding, n_samples):
    n_samples = 60 if padding == "circular" else n_samples
    signal = random_kernels(2, n_samples, seed=1)
    coefficients = analyse(signal, tight, 3, padding)
    assert coefficients.is_complex()
    assert torch.allclose(decode(coefficients, tight, 3, n_samples, padding), signal, atol=1e-12)
    decoded_in_single = decode(
        analyse(signal.float(), tight.to(torch.complex64), 3, padding), tight.to(torch.complex64), 3, n_samples, padding
    )
    assert torch.allclose(decoded_in_single, signal.float(), atol=1e-5)


def test_the_decoder_of_other_banks_errs_by_less_than_kappa_minus_one():
    bank = isac(RATE, 40, 128, hop_length=4)
    signal = random_kernels(1, 2048, seed=1)
    decoded = decode(analyse(signal, bank.kernels, 4), bank.kernels, 4, 2048)
    error = float((decoded - signal).norm() / signal.norm())
    assert 1e-4 < error < frame_bounds(bank.kernels, 4, 2048).kappa - 1


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_a_frame_is_centred_on_its_sample(padding):
    kernels = torch.zeros(1, 9, dtype=torch.float64)
    kernels[0, 4] = 1
    signal = random_kernels(1, 50, seed=1)
    before = n_frames_before(9, 3, padding)
    coefficients = analyse(signal, kernels, 3, padding)[0, 0]
    assert torch.equal(coefficients[before : before + 17], signal[0, ::3])
    outside = coefficients[before - 1]
    assert float(outside) == (0 if padding == "zeros" else float(signal[0, 3]))


@pytest.mark.parametrize("padding", ["circular", "zeros", "reflect"])
def test_analysis_and_decoder_are_differentiable(padding):
    kernels = random_kernels(3, 5, dtype=torch.complex128).requires_grad_()
    signal = random_kernels(1, 12, seed=1).requires_grad_()
    there_and_back = lambda x, w: decode(analyse(x, w, 2, padding), w, 2, 12, padding)  # noqa: E731
    assert torch.autograd.gradcheck(there_and_back, (signal, kernels))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize(("hop_length", "n_samples"), [(1, 30), (2, 30), (3, 33), (5, 40)])
def test_frame_bounds_are_those_of_the_dense_matrix(dtype, hop_length, n_samples):
    kernels = random_kernels(12, 7, dtype=dtype)
    found = frame_bounds(kernels, hop_length, n_samples)
    lower, upper = dense_bounds(kernels, hop_length, n_samples)
    assert abs(found.lower - lower) < 1e-12 * upper
    assert abs(found.upper - upper) < 1e-12 * upper
    assert found.kappa == pytest.approx(upper / lower)
    assert found.kappa_db == pytest.approx(10 * math.log10(upper / lower))


@pytest.mark.parametrize(("n_inputs", "hop_length", "dilation"), [(2, 1, 1), (2, 3, 1), (1, 2, 3), (3, 2, 2)])
def test_frame_bounds_with_several_inputs_and_dilation_are_those_of_the_dense_matrix(n_inputs, hop_length, dilation):
    kernels = random_kernels(14, n_inputs, 4)
    found = frame_bounds(kernels, hop_length, 24, dilation)
    lower, upper = dense_bounds(kernels, hop_length, 24, dilation)
    assert abs(found.lower - lower) < 1e-12 * upper
    assert abs(found.upper - upper) < 1e-12 * upper
    mean = torch.linalg.eigvalsh(frame_blocks(kernels, hop_length, 24, dilation)).mean()
    assert float(mean_bound(kernels, hop_length)) == pytest.approx(float(mean))


def test_too_few_channels_are_no_frame_and_have_bounds_in_their_range():
    kernels = random_kernels(3, 8)
    found = frame_bounds(kernels, 5, 20)
    matrix = dense_analysis(kernels, 5, 20)
    singular = torch.linalg.svdvals(matrix).square()
    assert (found.lower, found.kappa) == (0, math.inf)
    assert found.lower_in_range == pytest.approx(float(singular.min()))
    assert FrameBounds(0.5, 2.0, 0.5).kappa_db == pytest.approx(6.02, abs=0.01)


def test_channels_that_miss_a_frequency_are_no_frame():
    kernels = torch.tensor([[1.0, -1.0], [2.0, -2.0]], dtype=torch.float64)  # nothing passes at 0 Hz
    assert frame_bounds(kernels, 1, 8).lower == 0


def test_real_and_imaginary_parts_are_a_bank_with_the_bounds_of_the_complex_one(tight):
    real = as_real(tight)
    assert real.shape == (24, 9)
    assert not real.is_complex()
    found, expected = frame_bounds(real, 3, 51), frame_bounds(tight, 3, 51)
    assert found.lower == pytest.approx(expected.lower)
    assert found.upper == pytest.approx(expected.upper)


def test_a_signal_of_the_shortest_length_holds_the_correlations_of_the_kernels():
    assert shortest_signal(8, 2) == 16
    assert shortest_signal(16, 4) == 32
    assert shortest_signal(1, 1) == 1


def test_normalised_tight_kernels_are_parseval(tight):
    bounds = frame_bounds(normalised(tight, 3), 3, 30)
    assert bounds.lower == pytest.approx(1, abs=1e-12)
    assert bounds.upper == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("n_taps", [11, 23])
def test_a_hybrid_channel_is_the_convolution_of_its_two_filters(n_taps):
    auditory = isac(RATE, 8, 64).kernels
    learned = initial_filters(8, n_taps, generator=torch.Generator().manual_seed(0)).to(torch.complex128)
    composed = compose(auditory, learned)
    assert composed.shape == (8, 64 + n_taps - 1)
    for channel in range(8):
        expected = np.convolve(auditory[channel].numpy(), learned[channel].numpy())
        assert np.allclose(composed[channel].numpy(), expected)


def test_real_hybrids_stay_real_and_an_impulse_leaves_the_bank_as_it_is():
    real = compose(random_kernels(4, 16), random_kernels(4, 5, seed=1))
    assert not real.is_complex()
    auditory = isac(RATE, 8, 64).kernels
    composed = compose(auditory, initial_filters(8, 11, "impulse").to(torch.complex128))
    assert torch.allclose(composed[:, 5:-5], auditory, atol=1e-12)


@pytest.mark.parametrize("initialisation", ["gaussian", "uniform", "residual", "impulse"])
def test_a_tight_bank_keeps_its_bound_in_expectation(tight, initialisation):
    """E |Phi x|^2 = A T sigma^2 |x|^2, with filters of unit energy."""
    signal = random_kernels(1, 60, seed=1)
    generator = torch.Generator().manual_seed(0)
    energies = torch.stack(
        [
            analyse(
                signal, compose(tight, initial_filters(12, 11, initialisation, generator=generator).to(tight.dtype)), 3
            )
            .abs()
            .square()
            .sum()
            for _ in range(400)
        ]
    )
    expected = float(mean_bound(tight, 3) * signal.square().sum())
    error = float(energies.std()) / 20
    assert abs(float(energies.mean()) - expected) < 3.5 * error + 1e-6 * expected


def test_residual_filters_leave_channels_closer_to_their_kernels_than_random_ones():
    generator = torch.Generator().manual_seed(0)
    near = initial_filters(2000, 11, "residual", generator=generator)
    plain = initial_filters(2000, 11, "gaussian", generator=generator)
    assert float(near[:, 5].mean().real) == pytest.approx(2.5 / math.sqrt(2.5**2 + 1), abs=0.02)
    response = [torch.fft.fft(filters, 64).abs().square() for filters in (near, plain)]
    assert float(response[0].std(0).mean()) < 0.6 * float(response[1].std(0).mean())


def test_kappa_of_learned_filters_can_be_one_at_the_bins_and_not_between():
    learned = torch.zeros(1, 4, dtype=torch.complex128)
    learned[0] = torch.fft.ifft(torch.tensor([1.0, -1, 1, 1], dtype=torch.float64))
    assert float(learned_kappa(learned, n_bins=4)) == pytest.approx(1)
    assert float(learned_kappa(learned)) > 1.5


def test_kappa_of_learned_filters_is_one_for_impulses_and_differentiable():
    assert float(learned_kappa(initial_filters(4, 11, "impulse"))) == pytest.approx(1)
    learned = initial_filters(4, 11, generator=torch.Generator().manual_seed(0)).to(torch.complex128).requires_grad_()
    (gradient,) = torch.autograd.grad(learned_kappa(learned), learned)
    with torch.no_grad():
        assert float(learned_kappa(learned - 1e-4 * gradient)) < float(learned_kappa(learned))


def test_kappa_of_learned_filters_says_little_of_the_hybrid_bank():
    """The sum of the learned responses is flat, that of their products with the kernels' is not."""
    auditory = isac(RATE, 40, 128).kernels
    learned = torch.zeros(40, 2, dtype=torch.complex128)
    learned[:, 0] = 1
    learned[:, 1] = torch.tensor([1.0, -1.0]).repeat(20)
    assert float(learned_kappa(learned)) == pytest.approx(1)
    assert frame_bounds(compose(auditory, learned), 1, 2048).kappa > 1.3
