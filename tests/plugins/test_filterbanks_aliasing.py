"""Theorems of arXiv 2507.06152 on alias terms, and the objectives made of them."""

import math

import pytest
import torch

from mirbench_filterbanks.aliasing import (
    alias_bounds,
    alias_coefficients,
    alias_ratio,
    alias_terms,
    parseval_error,
    power_spread_db,
    universal_bounds,
)
from mirbench_filterbanks.bounds import frame_bounds, shortest_signal
from mirbench_filterbanks.convolution import mean_bound
from mirbench_filterbanks.objectives import (
    alias_objective,
    coefficient_objective,
    kappa_penalty,
    smooth_objective,
    spectral_objective,
)
from mirbench_filterbanks.statistics import (
    alias_term_variance,
    energy_moments,
    expected_alias_ratio,
    expected_alias_terms,
    parseval_deviation,
)
from mirbench_filterbanks.tightening import normalised, tighten, tighten_canonically
from tests.plugins.test_filterbanks import dense_analysis, random_kernels

OBJECTIVES = (alias_objective, coefficient_objective, smooth_objective, kappa_penalty)


def random_layer(n_channels, n_taps, hop_length, seed=0, distribution="gaussian", n_layers=None):
    size = (n_channels, n_taps) if n_layers is None else (n_layers, n_channels, n_taps)
    generator = torch.Generator().manual_seed(seed)
    taps = torch.randn(size, generator=generator, dtype=torch.float64)
    if distribution == "uniform":
        taps = math.sqrt(3) * (2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1)
    return parseval_deviation(n_channels, n_taps, hop_length) * taps


@pytest.fixture(scope="module")
def nearly_tight():
    """A bank of 24 kernels of 8 taps at a hop of 2 with kappa of 1.05 or less."""
    return tighten(random_layer(24, 8, 2), 2, smooth_objective, until=0.05).kernels


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_the_frame_operator_is_the_sum_of_alias_terms_times_shifts(dtype):
    """The representation that all else rests on (Walnut)."""
    kernels, hop_length, n_samples = random_kernels(10, 6, dtype=dtype), 3, 18
    matrix = dense_analysis(kernels, hop_length, n_samples).roll(-3, 1)  # causal kernels, as the terms take them
    transform = torch.fft.fft(torch.eye(n_samples, dtype=torch.complex128))
    operator = transform @ (matrix.mH @ matrix).real.to(torch.complex128) @ transform.mH / n_samples
    bins = torch.arange(n_samples)
    for n, term in enumerate(alias_terms(kernels, hop_length, n_samples)):
        found = operator[bins, (bins - n * n_samples // hop_length) % n_samples]
        assert torch.allclose(found, term.conj(), atol=1e-12)


@pytest.mark.parametrize("hop_length", [1, 2, 4, 8])
@pytest.mark.parametrize("factor", [1, 3])
@pytest.mark.parametrize("distribution", ["gaussian", "uniform"])
def test_theorem_3_3_bounds_both_bounds_at_the_length_of_the_signal(hop_length, factor, distribution):
    kernels = random_layer(24, 16, hop_length, distribution=distribution)
    n_samples = factor * shortest_signal(16, hop_length)
    exact = frame_bounds(kernels, hop_length, n_samples)
    lower, upper = alias_bounds(alias_terms(kernels, hop_length, n_samples))
    assert lower <= exact.lower + 1e-12
    assert exact.upper <= upper + 1e-12
    if hop_length == 1:
        assert lower == pytest.approx(exact.lower)
        assert upper == pytest.approx(exact.upper)


def test_theorem_3_3_at_the_shortest_length_does_not_bound_longer_signals():
    kernels = random_layer(24, 16, 1)
    _, upper = alias_bounds(alias_terms(kernels, 1, shortest_signal(16, 1)))
    assert frame_bounds(kernels, 1, 31 * 20).upper > upper * 1.0001


def test_theorem_3_5_bounds_signals_of_every_length(nearly_tight):
    found = universal_bounds(nearly_tight, 2)
    assert found.lower is not None
    for n_samples in (16, 18, 34, 160, 1602):
        exact = frame_bounds(nearly_tight, 2, n_samples)
        assert found.lower <= exact.lower <= exact.upper <= found.upper


def test_theorem_3_5_with_unitary_coefficients_says_nothing_even_of_a_tight_bank():
    """They are printed over the root of L; with L, both bounds meet where the bank is tight."""
    kernels = tighten(random_layer(24, 8, 2), 2, smooth_objective, until=1e-13).kernels
    found, mean = universal_bounds(kernels, 2), float(mean_bound(kernels, 2))
    assert found.lower == pytest.approx(mean)
    assert found.upper == pytest.approx(mean)
    assert 2 * mean - math.sqrt(shortest_signal(8, 2)) * found.upper < 0


@pytest.mark.parametrize("hop_length", [2, 4, 8])
def test_theorem_3_5_says_nothing_of_random_layers(hop_length):
    assert universal_bounds(random_layer(24, 16, hop_length), hop_length).lower is None


def test_fourier_coefficients_of_alias_terms_are_those_of_longer_signals():
    kernels = random_layer(12, 6, 3)
    coefficients = alias_coefficients(kernels, 3)
    longer = torch.fft.fft(alias_terms(kernels, 3, 60)) / 60
    assert float(longer.abs().sum()) == pytest.approx(float(coefficients.abs().sum()))
    assert float(longer[0, 0].real) == pytest.approx(float(mean_bound(kernels, 3)))


def test_the_distance_to_the_identity_is_bounded_by_the_alias_terms():
    kernels = random_layer(40, 16, 4)
    distance = float(spectral_objective(kernels, 4, 64))
    matrix = dense_analysis(kernels, 4, 64)
    dense = torch.linalg.matrix_norm(matrix.T @ matrix - torch.eye(64, dtype=torch.float64), ord=2)
    assert distance == pytest.approx(float(dense))
    assert distance <= float(parseval_error(alias_terms(kernels, 4, 64)))


def test_a_bank_is_tight_where_its_first_term_is_constant_and_the_others_vanish():
    kernels = tighten(random_layer(24, 8, 2), 2, smooth_objective, until=1e-13).kernels
    terms = alias_terms(kernels, 2, 16)
    assert float(terms[0].real.std() / terms[0].real.mean()) < 1e-12
    assert alias_ratio(terms) < 1e-24
    assert power_spread_db(terms) < 1e-11
    assert frame_bounds(kernels, 2, 160).kappa == pytest.approx(1, abs=1e-12)
    for objective in OBJECTIVES:
        assert float(objective(kernels, 2)) < 1e-10


@pytest.mark.parametrize("objective", [*OBJECTIVES, spectral_objective])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_objectives_are_differentiable_and_positive_for_banks_that_are_not_tight(objective, dtype):
    kernels = random_kernels(8, 4, dtype=dtype).requires_grad_()
    assert float(objective(kernels, 2).detach()) > 0
    assert torch.autograd.gradcheck(lambda taps: objective(taps, 2), kernels)


def test_the_objective_on_coefficients_is_half_the_distance_of_the_universal_bounds(nearly_tight):
    found = universal_bounds(nearly_tight, 2)
    assert float(coefficient_objective(nearly_tight, 2)) == pytest.approx((found.upper - found.lower) / 2)
    assert float(kappa_penalty(nearly_tight, 2)) == pytest.approx(frame_bounds(nearly_tight, 2, 16).kappa - 1)


@pytest.mark.parametrize("objective", [alias_objective, coefficient_objective])
def test_both_objectives_of_the_paper_make_a_bank_tight_by_the_cumulative_rule_and_not_by_the_printed_one(objective):
    kernels = random_layer(64, 8, 2, seed=1) * math.sqrt(0.5)
    cumulative = tighten(kernels, 2, objective, step_rule="cumulative", learning_rate=1e-2)
    printed = tighten(kernels, 2, objective, step_rule="printed", learning_rate=1e-2)
    assert cumulative.kappas[-1] - 1 < 1e-7
    assert min(printed.kappas) - 1 > 1e-4
    assert len(cumulative.kappas) == len(cumulative.losses) + 1


@pytest.mark.parametrize("objective", [alias_objective, smooth_objective, kappa_penalty])
def test_the_polyak_step_needs_no_learning_rate(objective):
    end = tighten(random_layer(64, 8, 2), 2, objective, until=1e-9)
    assert end.kappas[-1] - 1 <= 1e-9
    assert len(end.losses) < 250


def test_a_tight_bank_is_not_parseval_until_it_is_normalised():
    """Neither objective asks for A = 1."""
    kernels = tighten(0.7 * random_layer(64, 8, 2), 2, alias_objective, until=1e-12).kernels
    assert frame_bounds(kernels, 2, 16).lower < 0.6
    bounds = frame_bounds(normalised(kernels, 2), 2, 16)
    assert bounds.lower == pytest.approx(1, abs=1e-10)
    assert bounds.upper == pytest.approx(1, abs=1e-10)


def test_canonical_tightening_tends_to_a_parseval_bank_near_the_given_one():
    kernels = random_layer(64, 8, 2)
    tightened = tighten_canonically(kernels, 2, n_rounds=15)
    bounds = frame_bounds(tightened, 2, 16)
    assert bounds.kappa - 1 < 0.01 < frame_bounds(kernels, 2, 16).kappa - 1
    assert bounds.upper == pytest.approx(1, abs=0.01)
    descended = normalised(tighten(kernels, 2, alias_objective).kernels, 2)
    assert float((tightened - kernels).norm()) <= float((descended - kernels).norm())


@pytest.mark.slow
def test_the_smooth_objective_makes_a_long_bank_tight_where_the_others_do_not_yet():
    kernels = random_layer(128, 64, 16)
    reached = {objective: tighten(kernels, 16, objective).kappas[-1] - 1 for objective in OBJECTIVES}
    assert reached.pop(smooth_objective) < 1e-12
    assert all(excess > 1e-3 for excess in reached.values())


def test_alias_terms_of_random_layers_have_the_published_mean():
    """Theorem 4.1: where the stride divides the taps, sigma^2 M K / d for n = 0 and 0 otherwise."""
    found = expected_alias_terms(40, 16, 4, parseval_deviation(40, 16, 4))
    assert torch.allclose(found, torch.tensor([1.0, 0, 0, 0], dtype=torch.complex128), atol=1e-6)
    odd = expected_alias_terms(40, 15, 4, 1.0)
    draws = sum(alias_terms(random_layer(40, 15, 4, seed), 4, 32) for seed in range(200)).mean(1) / 200
    assert torch.allclose(draws, odd * parseval_deviation(40, 15, 4) ** 2, atol=0.02)
    assert float(odd[1].abs()) > 1


@pytest.mark.parametrize("distribution", ["gaussian", "uniform"])
def test_alias_terms_of_random_layers_have_the_variance_of_the_formula(distribution):
    shape, n_samples, n_draws = (10, 8, 4), 16, 3000
    terms = torch.stack(
        [alias_terms(random_layer(*shape, seed, distribution), 4, n_samples) for seed in range(n_draws)]
    )
    expected = expected_alias_terms(*shape, parseval_deviation(*shape))[:, None]
    drawn = (terms - expected).abs().square().mean(0)
    variance = alias_term_variance(*shape, n_samples, parseval_deviation(*shape), distribution)
    assert float((drawn / variance - 1).abs().max()) < 0.15
    assert float((drawn / variance - 1).mean()) == pytest.approx(0, abs=0.02)
    other = alias_term_variance(*shape, n_samples, parseval_deviation(*shape), "gaussian")
    if distribution == "uniform":  # for which the published formula is too high
        assert float((drawn / other - 1).mean()) < -0.08
    else:
        assert float(variance.min()) >= 1 / 10 - 1e-9  # 1 / M to 2 / M at this deviation
        assert float(variance.max()) <= 2 / 10 + 1e-9
        assert float(variance[0, 0]) == pytest.approx(2 / 10)


@pytest.mark.parametrize("distribution", ["gaussian", "uniform"])
def test_the_energy_of_the_alias_terms_is_the_expected_one(distribution):
    ratios = [alias_ratio(alias_terms(random_layer(24, 16, 4, seed, distribution), 4, 32)) for seed in range(300)]
    assert sum(ratios) / 300 == pytest.approx(expected_alias_ratio(24, 16, 4, 32, distribution), rel=0.05)


@pytest.mark.parametrize("distribution", ["gaussian", "uniform"])
@pytest.mark.parametrize("mean", [0.0, 1.5])
def test_the_energy_of_random_and_residual_filters_has_the_published_moments(distribution, mean):
    generator = torch.Generator().manual_seed(0)
    signal = torch.cumsum(torch.randn(40, generator=generator, dtype=torch.float64), 0)
    signal -= signal.mean()
    n_taps, n_draws, n_channels, sigma, position = 5, 20_000, 3, 0.4, 2
    taps = random_layer(n_channels, n_taps, 1, 0, distribution, n_draws)
    taps *= sigma / parseval_deviation(n_channels, n_taps, 1)
    taps[:, :, position] += mean
    spectrum = torch.fft.fft(signal)
    energies = (torch.fft.fft(taps, 40) * spectrum).abs().square().sum((1, 2)) / 40
    expectation, variance = energy_moments(
        signal, n_channels, n_taps, sigma, mean=mean, position=position, distribution=distribution
    )
    assert expectation == pytest.approx(n_channels * (mean**2 + n_taps * sigma**2) * float(signal.square().sum()))
    assert float(energies.mean()) == pytest.approx(expectation, rel=0.02)
    assert float(energies.var()) == pytest.approx(variance, rel=0.06)
    if distribution == "gaussian":  # residual hybrid filterbanks, SSP 2025; one channel
        one, one_variance = energy_moments(signal, 1, n_taps, sigma, mean=mean, position=position)
        assert one_variance / one**2 <= 2 * (1 - mean**4 / (mean**2 + n_taps * sigma**2) ** 2) + 1e-12


def test_the_variance_of_the_energy_is_the_published_sum_over_lags():
    signal = random_kernels(32, seed=3)
    spectrum = torch.fft.fft(signal)
    correlation = torch.fft.ifft(spectrum.abs().square()).real
    published = 2 * 7 * 0.5**4 * sum((6 - abs(lag)) * float(correlation[lag]) ** 2 for lag in range(-5, 6))
    assert energy_moments(signal, 7, 6, 0.5)[1] == pytest.approx(published)
