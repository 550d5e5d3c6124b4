"""The linear probe reaches the optimum of a convex problem."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from mirbench import MirbenchError
from mirbench.probes import STRENGTHS, cross_entropy, fit_path


def blobs(n_rows=120, n_labels=3, seed=0):
    random = np.random.default_rng(seed)
    target = random.integers(0, n_labels, n_rows)
    centres = random.standard_normal((n_labels, 5))
    features = centres[target] + random.standard_normal((n_rows, 5))
    return (features * [1, 10, 100, 1e-3, 1] + [0, 5, -1000, 0, 0]).astype(np.float32), target


def objective(weight, bias, rows, target, strength):
    losses = -log_softmax(rows @ weight + bias, axis=1)[np.arange(len(target)), target]
    return strength * losses.sum() + 0.5 * (weight**2).sum()


@pytest.mark.parametrize("strength", [1e-3, 1e-1, 1.0])
def test_the_solution_is_the_optimum_of_the_stated_objective(strength):
    features, target = blobs()
    rows = (features - features.mean(0, dtype=np.float64)) / features.std(0, dtype=np.float64)
    [(_, probe)] = fit_path(features, target, "multiclass", 3, [strength])

    def unpacked(flat):
        return objective(flat[:15].reshape(5, 3), flat[15:], rows, target, strength)

    reference = minimize(unpacked, np.zeros(18), method="BFGS", options={"gtol": 1e-6}).fun
    own_weight = probe.weight * features.std(0, dtype=np.float64)[:, None]
    own_bias = probe.bias + features.mean(0, dtype=np.float64) @ probe.weight
    assert objective(own_weight, own_bias, rows, target, strength) <= reference * (1 + 1e-4)


@pytest.mark.parametrize("n_labels", [3, 7])
def test_the_whole_path_is_as_good_as_scikit_learns(n_labels):
    features, target = blobs(300, n_labels)
    rows = (features - features.mean(0, dtype=np.float64)) / features.std(0, dtype=np.float64)
    for strength, probe in fit_path(features, target, "multiclass", n_labels):
        theirs = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(rows, target)
        own_weight = probe.weight * features.std(0, dtype=np.float64)[:, None]
        own_bias = probe.bias + features.mean(0, dtype=np.float64) @ probe.weight
        expected = objective(theirs.coef_.T, theirs.intercept_, rows, target, strength)
        assert objective(own_weight, own_bias, rows, target, strength) == pytest.approx(expected, rel=1e-6)


def test_a_binary_label_is_as_good_as_scikit_learns():
    features, target = blobs(300)
    rows = (features - features.mean(0, dtype=np.float64)) / features.std(0, dtype=np.float64)
    both = (target[:, None] == [0, 1]).astype(np.float32)
    for strength, probe in fit_path(features, both, "multilabel", 2):
        for label in range(2):
            theirs = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(rows, both[:, label])
            np.testing.assert_allclose(probe.logits(features)[:, label], theirs.decision_function(rows), atol=2e-3)


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
    [(_, one)] = fit_path(features, target, "multiclass", 3, [0.1])
    [(_, other)] = fit_path(features * 8 + 3, target, "multiclass", 3, [0.1])
    np.testing.assert_allclose(one.logits(features), other.logits(features * 8 + 3), atol=1e-2)


def test_a_constant_feature_does_no_harm():
    features, target = blobs()
    features[:, 0] = 7.0
    [(_, probe)] = fit_path(features, target, "multiclass", 3, [1.0])
    assert np.isfinite(probe.logits(features)).all()
    assert not probe.weight[0].any()


def test_a_label_that_training_never_shows_is_never_chosen():
    features, target = blobs()
    [(_, probe)] = fit_path(features, target, "multiclass", 5, [1.0])
    assert set(probe.logits(features).argmax(1)) <= {0, 1, 2}


def test_two_classes_are_told_apart():
    features, target = blobs(n_labels=2)
    [(_, probe)] = fit_path(features, target, "multiclass", 4, [1.0])
    assert (probe.logits(features).argmax(1) == target).mean() > 0.9


def test_rows_without_a_target_are_left_out():
    features, target = blobs()
    marked = np.concatenate([target, np.full(10, -1)])
    [(_, probe)] = fit_path(np.concatenate([features, 1e6 * features[:10]]), marked, "multiclass", 3, [1.0])
    [(_, expected)] = fit_path(features, target, "multiclass", 3, [1.0])
    np.testing.assert_array_equal(probe.weight, expected.weight)


def test_labels_of_a_multilabel_problem_are_independent():
    features, target = blobs()
    both = np.stack([target == 0, target == 1], axis=1).astype(np.float32)
    [(_, together)] = fit_path(features, both, "multilabel", 2, [0.1])
    [(_, alone)] = fit_path(features, both[:, 1:], "multilabel", 1, [0.1])
    np.testing.assert_allclose(together.weight[:, 1], alone.weight[:, 0], rtol=1e-5, atol=1e-9)


def test_a_label_that_is_never_or_always_there_is_predicted_so():
    features, _ = blobs()
    both = np.stack([np.zeros(120), np.ones(120)], axis=1).astype(np.float32)
    [(_, probe)] = fit_path(features, both, "multilabel", 2, [0.1])
    assert (probe.logits(features) > 0).tolist() == [[False, True]] * 120


def test_one_class_is_too_few():
    features, _ = blobs()
    with pytest.raises(MirbenchError, match="hold 1 class"):
        list(fit_path(features, np.zeros(120, np.int64), "multiclass", 3))


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_number_of_labels():
    target = np.array([0, 1, 2, -1])
    assert cross_entropy(np.zeros((4, 3), np.float32), target, "multiclass") == pytest.approx(np.log(3))
    assert cross_entropy(np.zeros((4, 3), np.float32), np.eye(4, 3, dtype=np.float32), "multilabel") == pytest.approx(
        np.log(2)
    )
