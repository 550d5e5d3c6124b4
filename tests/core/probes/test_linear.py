"""The linear probe reaches the optimum of a convex problem."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from mirbench import MirbenchError
from mirbench.probes.linear import MEMORY, STRENGTHS, Examples, LinearFit, Probe, constant_cross_entropy, cross_entropy
from mirbench.probes.objectives import OBJECTIVES
from mirbench.probes.rows import MARGIN


def blobs(n_rows=120, n_labels=3, seed=0):
    random = np.random.default_rng(seed)
    target = random.integers(0, n_labels, n_rows)
    centres = random.standard_normal((n_labels, 5))
    features = centres[target] + random.standard_normal((n_rows, 5))
    return (features * [1, 10, 100, 1e-3, 1] + [0, 5, -1000, 0, 0]).astype(np.float32), target


def standardised(features):
    return (features - features.mean(0, dtype=np.float64)) / features.std(0, dtype=np.float64)


def unfolded(probe, features):
    """Weights and biases of standardised features."""
    mean, deviation = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    return probe.weight * deviation[:, None], probe.bias + mean @ probe.weight


def fit_path(features, target, objective, n_labels, strengths=STRENGTHS, memory=MEMORY):
    return LinearFit(Examples([features], target), OBJECTIVES[objective], n_labels, memory).path(strengths)


def fit(features, target, objective, n_labels, strength, memory=MEMORY):
    return LinearFit(Examples([features], target), OBJECTIVES[objective], n_labels, memory).exact(strength)


def objective(weight, bias, rows, target, strength):
    losses = -log_softmax(rows @ weight + bias, axis=1)[np.arange(len(target)), target]
    return strength * losses.sum() + 0.5 * (weight**2).sum()


@pytest.mark.parametrize("strength", [1e-3, 1e-1, 1.0])
def test_the_solution_is_the_optimum_of_the_stated_objective(strength):
    features, target = blobs()
    rows = (features - features.mean(0, dtype=np.float64)) / features.std(0, dtype=np.float64)
    probe = fit(features, target, "multiclass", 3, strength)

    def unpacked(flat):
        return objective(flat[:15].reshape(5, 3), flat[15:], rows, target, strength)

    reference = minimize(unpacked, np.zeros(18), method="BFGS", options={"gtol": 1e-6}).fun
    own_weight = probe.weight * features.std(0, dtype=np.float64)[:, None]
    own_bias = probe.bias + features.mean(0, dtype=np.float64) @ probe.weight
    assert objective(own_weight, own_bias, rows, target, strength) <= reference * (1 + 1e-6)


@pytest.mark.parametrize("n_labels", [3, 7])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_probe_is_as_good_as_scikit_learns_at_1e_8(n_labels, strength):
    features, target = blobs(300, n_labels)
    rows = standardised(features)
    theirs = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(rows, target)
    expected = objective(theirs.coef_.T, theirs.intercept_, rows, target, strength)
    found = fit(features, target, "multiclass", n_labels, strength)
    assert objective(*unfolded(found, features), rows, target, strength) == pytest.approx(expected, rel=1e-7)


def test_while_strengths_are_compared_the_objective_is_a_thousandth_off_at_most():
    features, target = blobs(300, 7)
    rows = standardised(features)
    for strength, probe in fit_path(features, target, "multiclass", 7):
        exact = objective(*unfolded(fit(features, target, "multiclass", 7, strength), features), rows, target, strength)
        assert exact <= objective(*unfolded(probe, features), rows, target, strength) <= exact * (1 + 1e-3)


def test_a_binary_label_is_as_good_as_scikit_learns():
    features, target = blobs(300)
    rows = standardised(features)
    both = (target[:, None] == [0, 1]).astype(np.float32)
    for strength in STRENGTHS:
        probe = fit(features, both, "multilabel", 2, strength)
        for label in range(2):
            theirs = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(rows, both[:, label])
            np.testing.assert_allclose(probe.logits(features)[:, label], theirs.decision_function(rows), atol=2e-3)


def frames(n_rows=6000, n_dims=24, n_labels=5):
    """Rows of condition 1e8 that follow each other as frames do."""
    random = np.random.default_rng(0)
    state = np.cumsum(random.standard_normal((n_rows, n_dims)), axis=0) % 7
    mixed = state * 10.0 ** -np.linspace(0, 4, n_dims) @ random.standard_normal((n_dims, n_dims))
    logits = state @ random.standard_normal((n_dims, n_labels))
    return mixed.astype(np.float32), (logits + 3 * random.standard_normal(logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("objective_name", ["multiclass", "multilabel"])
@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_a_sample_of_the_rows_leads_to_the_optimum_of_all(monkeypatch, objective_name, strength):
    features, target = frames()
    if objective_name == "multilabel":
        target = np.eye(5, dtype=np.float32)[target]
    exact = fit(features, target, objective_name, 5, strength)
    monkeypatch.setattr("mirbench.probes.newton.SAMPLE", 500)
    sampled = fit(features, target, objective_name, 5, strength)
    np.testing.assert_allclose(sampled.logits(features), exact.logits(features), atol=5e-3)


def sparse(n_rows, seed):
    """Features in three classes; one of them is zero but for rounding until it is not, as activations of peaks are."""
    random = np.random.default_rng(seed)
    target = np.arange(n_rows) % 3
    features = np.eye(3, 8)[target] + 0.5 * random.standard_normal((n_rows, 8))
    features[:, 7] = 1e-12 * random.random(n_rows)
    return features.astype(np.float32), target


def test_a_feature_that_was_zero_while_training_does_not_decide_when_it_wakes():
    features, target = sparse(300, 0)
    others, asked = sparse(300, 1)
    probe = fit(features, target, "multiclass", 3, 1.0)
    asleep = cross_entropy(probe, Examples([others], asked), OBJECTIVES["multiclass"])
    others[::2, 7] = 1.0
    assert cross_entropy(probe, Examples([others], asked), OBJECTIVES["multiclass"]) == pytest.approx(asleep, abs=1e-3)


def test_what_lies_far_outside_the_training_range_counts_as_its_edge():
    features, target = sparse(300, 0)
    probe = fit(features, target, "multiclass", 3, 1.0)
    far, edge = features[:5].copy(), features[:5].copy()
    far[:, 3] = 1e6
    edge[:, 3] = features[:, 3].max() + MARGIN * np.ptp(features[:, 3])
    np.testing.assert_allclose(probe.logits(far), probe.logits(edge), rtol=1e-4, atol=1e-5)
    inside = features.astype(np.float64) @ probe.weight + probe.bias
    np.testing.assert_allclose(probe.logits(features), inside, atol=1e-5)  # training rows are not touched


def test_scales_of_features_do_not_matter():
    """Features have units of their own: a centroid in Hz beside a rate of zero crossings."""
    features, target = blobs(200)
    scaled = (features * [1e-1, 10, 1, 1, 10]).astype(np.float32)
    for strength in (1e-3, 1.0):
        one, other = (fit(each, target, "multiclass", 3, strength).logits(each) for each in (features, scaled))
        np.testing.assert_allclose(one, other, atol=5e-3)


@pytest.mark.parametrize("objective_name", ["multiclass", "multilabel"])
@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_fewer_rows_than_features_are_solved_in_the_smaller_dimension(objective_name, strength):
    random = np.random.default_rng(0)
    features, target = random.standard_normal((60, 400)).astype(np.float32) * 3 + 1, np.arange(60) % 3
    if objective_name == "multilabel":
        target = np.eye(3, dtype=np.float32)[target]
    found = fit(features, target, objective_name, 3, strength)
    rows, bias_free = standardised(features), LogisticRegression(C=strength, tol=1e-10, max_iter=100_000)
    if objective_name == "multiclass":
        theirs = bias_free.fit(rows, target).decision_function(rows)
        own = found.logits(features)
        np.testing.assert_allclose(own - own.mean(1, keepdims=True), theirs - theirs.mean(1, keepdims=True), atol=2e-3)
        assert objective(*unfolded(found, features), rows, target, strength) <= 1.0000001 * objective(
            bias_free.coef_.T, bias_free.intercept_, rows, target, strength
        )
    else:
        for label in range(3):
            theirs = bias_free.fit(rows, target[:, label]).decision_function(rows)
            np.testing.assert_allclose(found.logits(features)[:, label], theirs, atol=2e-3)


def test_a_probe_can_be_told_from_a_constant():
    features, target = blobs(300)
    train, valid = Examples([features[:200]], target[:200]), Examples([features[200:]], target[200:])
    frequencies = np.bincount(target[:200]) / 200
    expected = -np.log(frequencies[target[200:]]).mean()
    assert constant_cross_entropy(train, valid, OBJECTIVES["multiclass"], 3) == pytest.approx(expected)
    both = np.eye(3, dtype=np.float32)[target]
    expected = -(both[200:] * np.log(frequencies) + (1 - both[200:]) * np.log(1 - frequencies)).mean()
    train, valid = Examples([features[:200]], both[:200]), Examples([features[200:]], both[200:])
    assert constant_cross_entropy(train, valid, OBJECTIVES["multilabel"], 3) == pytest.approx(expected, rel=1e-6)


def heavy_tailed(n_rows=20_000, n_labels=4, *, power):
    """Features that are zero nearly everywhere and large elsewhere, as those of a softmax are."""
    random = np.random.default_rng(3)
    features = random.standard_normal((n_rows, 40)) ** power * (random.random((n_rows, 40)) < 0.01)
    logits = np.sign(features) @ random.standard_normal((40, n_labels)) + random.gumbel(size=(n_rows, n_labels))
    return features.astype(np.float32), logits.argmax(1)


def test_few_long_rows_are_in_the_sample(monkeypatch):
    monkeypatch.setattr("mirbench.probes.newton.SAMPLE", 2000)
    monkeypatch.setattr("mirbench.probes.newton.LARGEST_SAMPLE", 2000)
    monkeypatch.setattr("mirbench.probes.newton.MAX_STEPS", 20)
    features, target = heavy_tailed(power=5)
    strengths = [strength for strength, _ in fit_path(features, target, "multiclass", 4)]
    assert strengths == list(STRENGTHS)


def test_what_single_precision_cannot_solve_is_solved_in_double(monkeypatch):
    monkeypatch.setattr("mirbench.probes.newton.SAMPLE", 2000)
    monkeypatch.setattr("mirbench.probes.newton.LARGEST_SAMPLE", 2000)
    features, target = heavy_tailed(power=9)
    assert len(list(fit_path(features, target, "multiclass", 4))) == len(STRENGTHS)


def test_a_sample_that_is_too_small_grows(monkeypatch):
    monkeypatch.setattr("mirbench.probes.newton.SAMPLE", 60)
    features, target = blobs(3000, 20)
    features = np.hstack([features, np.random.default_rng(0).standard_normal((3000, 40)).astype(np.float32)])
    monkeypatch.setattr("mirbench.probes.newton.MAX_STEPS", 30)
    assert len(list(fit_path(features, target, "multiclass", 20))) == len(STRENGTHS)
    monkeypatch.setattr("mirbench.probes.newton.LARGEST_SAMPLE", 60)
    with pytest.raises(MirbenchError, match="did not converge"):
        list(fit_path(features, target, "multiclass", 20))


def test_directions_that_are_left_to_the_diagonal_are_taken_up_where_that_does_not_do(monkeypatch):
    monkeypatch.setattr("mirbench.probes.newton.NEGLIGIBLE", 1e3)
    monkeypatch.setattr("mirbench.probes.newton.MAX_STEPS", 30)
    features, target = blobs(200, 6)
    assert len(list(fit_path(features, target, "multiclass", 6))) == len(STRENGTHS)


def test_rows_that_do_not_fit_into_memory_give_the_same_probe():
    features, target = frames()
    parts = np.array_split(features, [0, 1, 700, 3000, 5999])
    whole = LinearFit(Examples([features], target), OBJECTIVES["multiclass"], 5).exact(0.1)
    streamed = LinearFit(Examples(parts, target), OBJECTIVES["multiclass"], 5, memory=0.0).exact(0.1)
    np.testing.assert_array_equal(streamed.weight, whole.weight)
    np.testing.assert_array_equal(streamed.bias, whole.bias)


def test_the_search_for_a_strength_gives_the_same_numbers_every_time():
    features, target = frames()
    first, second = (list(fit_path(features, target, "multiclass", 5)) for _ in range(2))
    for (_, one), (_, other) in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)


def test_rows_that_a_probe_separates_perfectly_have_an_optimum_too():
    target = np.repeat([0, 1], 50)
    features = (target[:, None] + 0.01 * np.random.default_rng(0).standard_normal((100, 4))).astype(np.float32)
    for _, probe in fit_path(features, target, "multiclass", 2):
        assert np.isfinite(probe.weight).all()
    assert (probe.logits(features).argmax(1) == target).all()


def test_the_grid_has_at_least_eight_strengths_over_six_decades():
    assert len(STRENGTHS) >= 8
    assert max(STRENGTHS) / min(STRENGTHS) >= 1e6 * (1 - 1e-9)


def test_scale_and_offset_of_a_feature_do_not_matter():
    features, target = blobs()
    one = fit(features, target, "multiclass", 3, 0.1)
    other = fit(features * 8 + 3, target, "multiclass", 3, 0.1)
    np.testing.assert_allclose(one.logits(features), other.logits(features * 8 + 3), atol=1e-2)


def test_a_constant_feature_does_no_harm():
    features, target = blobs()
    features[:, 0] = 7.0
    probe = fit(features, target, "multiclass", 3, 1.0)
    assert np.isfinite(probe.logits(features)).all()
    assert not probe.weight[0].any()


def test_a_label_that_training_never_shows_is_never_chosen():
    features, target = blobs()
    probe = fit(features, target, "multiclass", 5, 1.0)
    assert set(probe.logits(features).argmax(1)) <= {0, 1, 2}


def test_two_classes_are_told_apart():
    features, target = blobs(n_labels=2)
    probe = fit(features, target, "multiclass", 4, 1.0)
    assert (probe.logits(features).argmax(1) == target).mean() > 0.9


def test_rows_without_a_target_are_left_out():
    features, target = blobs()
    marked = np.concatenate([target, np.full(10, -1)])
    probe = fit(np.concatenate([features, 1e6 * features[:10]]), marked, "multiclass", 3, 1.0)
    expected = fit(features, target, "multiclass", 3, 1.0)
    np.testing.assert_array_equal(probe.weight, expected.weight)


def test_labels_of_a_multilabel_problem_are_independent():
    features, target = blobs()
    both = np.stack([target == 0, target == 1], axis=1).astype(np.float32)
    together = fit(features, both, "multilabel", 2, 0.1)
    alone = fit(features, both[:, 1:], "multilabel", 1, 0.1)
    np.testing.assert_allclose(together.weight[:, 1], alone.weight[:, 0], rtol=1e-5, atol=1e-9)


def test_a_label_that_is_never_or_always_there_is_predicted_so():
    features, _ = blobs()
    both = np.stack([np.zeros(120), np.ones(120)], axis=1).astype(np.float32)
    probe = fit(features, both, "multilabel", 2, 0.1)
    assert (probe.logits(features) > 0).tolist() == [[False, True]] * 120


def test_one_class_is_too_few():
    features, _ = blobs()
    with pytest.raises(MirbenchError, match="hold 1 class"):
        list(fit_path(features, np.zeros(120, np.int64), "multiclass", 3))


class Constant(Probe):
    def __init__(self, n_labels):
        self.n_labels = n_labels

    def logits(self, features):
        return np.zeros((len(features), self.n_labels), np.float32)


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_number_of_labels():
    rows = [np.zeros((1, 2), np.float32), np.zeros((3, 2), np.float32)]
    classes = Examples(rows, np.array([0, 1, 2, -1]))
    assert cross_entropy(Constant(3), classes, OBJECTIVES["multiclass"]) == pytest.approx(np.log(3))
    labels = Examples(rows, np.eye(4, 3, dtype=np.float32))
    assert cross_entropy(Constant(3), labels, OBJECTIVES["multilabel"]) == pytest.approx(np.log(2))


def test_a_gram_matrix_on_which_single_precision_fails_is_solved_in_double(monkeypatch):
    """LAPACK's single precision does not converge for some matrices with hundreds of rows of zeros."""
    random = np.random.default_rng(0)
    rows, target = random.standard_normal((300, 8)).astype(np.float32), random.integers(0, 3, 300)
    expected = LinearFit(Examples([rows], target), OBJECTIVES["multiclass"], 3).exact(0.1)
    eigh = torch.linalg.eigh

    def failing(matrix):
        if matrix.dtype == torch.float32:
            raise torch.linalg.LinAlgError("the algorithm failed to converge")
        return eigh(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", failing)
    found = LinearFit(Examples([rows], target), OBJECTIVES["multiclass"], 3).exact(0.1)
    np.testing.assert_allclose(found.weight, expected.weight, atol=1e-6)
