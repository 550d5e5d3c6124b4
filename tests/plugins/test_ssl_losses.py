import math

import pytest
import torch

from mirbench_ssl.losses import (
    concentration,
    cpsd,
    equivariance,
    major,
    mode_agreement,
    mode_balance,
    mode_entropy,
    nt_xent,
    pairing_at,
    pseudo_mode,
    signature,
    turned_back,
    turned_by,
)

OMEGAS = (7, 1)


def classes(indices: list[int]) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(indices), 12).float()


def profiles(seed: int = 0, n: int = 8, width: int = 12) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).softmax(-1)


@pytest.mark.parametrize("omega", OMEGAS)
def test_cpsd_is_zero_for_a_perfectly_equivariant_output(omega: int) -> None:
    shift = torch.tensor([0, 1, -3, 11, -11])
    first = classes([4, 4, 4, 4, 4])
    moved = classes([(4 - int(k)) % 12 for k in shift])  # cropped k bins higher, the sound lies k semitones lower
    assert float(cpsd(first, moved, shift, omega)) == pytest.approx(0, abs=1e-10)
    assert float(equivariance(first, moved, first, shift, omega)) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("omega", OMEGAS)
def test_cpsd_does_not_change_under_a_common_transposition(omega: int) -> None:
    first, second, shift = profiles(0), profiles(1), torch.arange(8) - 4
    value = cpsd(first, second, shift, omega)
    for k in range(12):
        assert torch.allclose(cpsd(first.roll(k, 1), second.roll(k, 1), shift, omega), value, atol=1e-6)


def test_cpsd_grows_with_the_error_along_the_circle_of_fifths() -> None:
    still = torch.tensor([0])
    errors = [float(cpsd(classes([0]), classes([k * 7 % 12]), still, 7)) for k in range(7)]
    assert errors == sorted(errors)
    assert errors[6] == pytest.approx(4)  # the modulus of a difference of 2, squared


def test_cpsd_of_a_flat_profile_is_one() -> None:
    flat = torch.full((3, 12), 1 / 12)
    assert float(cpsd(flat, flat, torch.zeros(3, dtype=torch.int64), 7)) == pytest.approx(1)


def test_nt_xent_is_the_published_formula() -> None:
    first, second = torch.randn(5, 16), torch.randn(5, 16)
    vectors = torch.nn.functional.normalize(torch.cat([first, second]), dim=1)
    expected = 0.0
    for i in range(10):
        pair = (i + 5) % 10
        all_others = sum(math.exp(float(vectors[i] @ vectors[j]) / 0.1) for j in range(10) if j != i)
        expected -= math.log(math.exp(float(vectors[i] @ vectors[pair]) / 0.1) / all_others) / 10
    assert float(nt_xent(first, second)) == pytest.approx(expected, rel=1e-5)


def test_nt_xent_does_not_see_the_length_of_vectors_and_prefers_right_pairs() -> None:
    first = torch.eye(6)
    assert torch.allclose(nt_xent(first, first), nt_xent(3 * first, 0.5 * first))
    assert float(nt_xent(first, first)) < 0.01 < float(nt_xent(first, first.roll(1, 0)))


@pytest.mark.parametrize("relative", [-3, 3])
def test_the_pseudo_mode_is_major_where_the_tonic_outweighs_the_relative(relative: int) -> None:
    signatures = classes([0, 0, 7])
    chroma = torch.zeros(3, 12)
    chroma[0, 0], chroma[1, relative % 12], chroma[2, 7] = 1, 1, 1
    found = pseudo_mode(signatures, chroma, relative)
    assert found.tolist() == [1, 0, 1]
    for k in range(12):
        assert pseudo_mode(signatures.roll(k, 1), chroma.roll(k, 1), relative).tolist() == [1, 0, 1]


def test_the_mode_entropy_is_cut_and_least_for_the_truth() -> None:
    truth = torch.tensor([1.0, 0.0])
    assert float(mode_entropy(truth, truth)) == 0
    assert float(mode_entropy(truth, 1 - truth)) == pytest.approx(100)


def test_the_balance_is_zero_for_half_major_and_a_quarter_for_one_mode() -> None:
    assert float(mode_balance(torch.tensor([1.0, 0.0]), torch.tensor([0.3, 0.7]))) == pytest.approx(0)
    assert float(mode_balance(torch.ones(3), torch.ones(3))) == pytest.approx(0.25)


def test_the_mode_is_invariant_and_the_signature_equivariant() -> None:
    profile = profiles(width=24)
    moved = torch.cat([profile[:, :12].roll(3, 1), profile[:, 12:].roll(3, 1)], dim=1)
    assert torch.allclose(signature(moved), signature(profile).roll(3, 1))
    assert torch.allclose(major(moved), major(profile))


def test_views_that_agree_on_the_mode_cost_least() -> None:
    sure, unsure = torch.tensor([1.0, 0.0, 1.0]), torch.full((3,), 0.5)
    assert float(mode_agreement(sure, sure, sure)) == 0 < float(mode_agreement(sure, unsure, sure))


def test_two_segments_are_compared_only_after_a_while() -> None:
    assert [pairing_at(step, 100) for step in (0, 99, 100, 150, 200, 1000)] == [0, 0, 0, 0.5, 1, 1]
    assert pairing_at(0, 0) == 1
    first, moved, second, shift = profiles(0), profiles(1), profiles(2), torch.full((8,), 3)
    assert torch.equal(equivariance(first, moved, second, shift, pairing=0.0), cpsd(first, moved, shift))


def test_one_profile_for_everything_is_better_than_none_unless_compared_with_itself_moved() -> None:
    """Why training begins with a segment against itself, moved (`pairing_at`)."""
    shift = torch.tensor([k for k in range(-11, 12) if k])
    flat = torch.full((22, 12), 1 / 12)
    constant = 0.52 * classes([0] * 22) + 0.48 * flat
    assert float(equivariance(flat, flat, flat, shift)) == pytest.approx(3)
    assert float(equivariance(constant, constant, constant, shift)) < 2.8
    assert float(equivariance(constant, constant, constant, shift, pairing=0.0)) > 1


def test_a_circle_of_fifths_is_turned_by_the_angle_between_scale_and_signature() -> None:
    scale = torch.zeros(12).index_fill(0, torch.tensor([0, 2, 4, 5, 7, 9, 11]), 1.0)  # C major
    tonics = [0, 3, 7, 8, 2]
    scales = torch.stack([scale.roll(tonic) for tonic in tonics])
    for steps in (0, 1, 3, 6, 11):
        turned = classes([(tonic + 7 * steps) % 12 for tonic in tonics])
        found = float(turned_by(turned, scales))
        assert found == pytest.approx(1 - math.cos(math.pi / 6 * steps) / 1.1, abs=1e-6)
    assert torch.isfinite(turned_by(profiles(), torch.zeros(8, 12)))


def test_the_concentration_is_one_where_the_crop_alone_decides_and_small_where_keys_do() -> None:
    crop = torch.randint(1, 13, (256,))
    keys = torch.randint(0, 12, (256,))
    by_crop = torch.nn.functional.one_hot((5 - crop) % 12, 12).float()
    by_key = torch.nn.functional.one_hot((keys - crop) % 12, 12).float()
    assert concentration(by_crop, crop) == pytest.approx(1, abs=1e-5)
    assert concentration(by_key, crop) < 0.2  # 256 ** -0.5 = 0.06 in the mean


def test_a_profile_is_turned_back_by_the_known_transposition() -> None:
    """Of a sound 3 semitones higher, the profile is 3 places further on."""
    profile = torch.rand(4, 12).softmax(dim=-1)
    relation = torch.tensor([3, -4, 0, 11])
    higher = torch.stack([one.roll(int(k)) for one, k in zip(profile, relation, strict=True)])
    assert torch.equal(turned_back(higher, relation), profile)
