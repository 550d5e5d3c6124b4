"""Mixtures of training rows: the formulas, on rows whose labels follow from them."""

import numpy as np
import pytest

from mirbench.errors import MirbenchError, UsageError
from mirbench.probes.linear import Examples, LinearFit
from mirbench.probes.mixing import CONCENTRATION, MIXES, MOST_ROWS, N_PASSES, mixed, n_mixed
from mirbench.probes.objectives import OBJECTIVES
from mirbench.probes.protocols import PROTOCOLS, Mixed, ProbeData
from mirbench_anuran.task import AnuranTask
from mirbench_key.task import KeyTask

RANDOM = np.random.default_rng(0)
LABELS = (RANDOM.random((300, 4)) < 0.3).astype(np.float32)
ROWS = np.concatenate([LABELS @ RANDOM.standard_normal((4, 6)), np.ones((300, 1))], axis=1).astype(np.float32)


@pytest.mark.parametrize("mix", MIXES)
def test_rows_and_labels_are_mixed_alike_by_weights_that_sum_to_one(mix):
    """The rows are a linear map of the labels: so are their mixtures."""
    rows, labels = mixed(ROWS, LABELS, mix, seed=0)
    assert len(rows) == len(labels) == N_PASSES * len(ROWS)
    weight = np.linalg.lstsq(LABELS, ROWS[:, :6], rcond=None)[0]
    np.testing.assert_allclose(labels @ weight, rows[:, :6], atol=1e-4)
    np.testing.assert_allclose(rows[:, 6], 1, atol=1e-5)
    assert labels.min() >= 0
    assert labels.max() <= 1 + 1e-6


def test_manifold_mixup_has_the_moments_of_a_uniform_share():
    """With independent rows: the mean of x, and E[lam^2 + (1 - lam)^2] = 2/3 of its variance."""
    rows, _ = mixed(ROWS, LABELS, "manifold", seed=1)
    np.testing.assert_allclose(rows[:, 0].mean(), ROWS[:, 0].mean(), atol=0.05)
    assert rows[:, 0].var() / ROWS[:, 0].var() == pytest.approx(2 / 3, abs=0.05)


def test_multimix_has_the_moments_of_a_dirichlet_distribution():
    """The sum of squared weights has the mean (a + 1) / (n a + 1): of n = 128 rows and a = 0.2 it is 0.0451."""
    rows, _ = mixed(np.tile(ROWS, (2, 1))[:512], np.tile(LABELS, (2, 1))[:512], "multimix", seed=1)
    expected = (CONCENTRATION + 1) / (128 * CONCENTRATION + 1)
    assert rows[:, 0].var() / ROWS[:, 0].var() == pytest.approx(expected, rel=0.2)


def test_the_random_mixture_holds_passes_of_both():
    shares = [mixed(ROWS, LABELS, "mix2", seed)[0][:, 0].reshape(N_PASSES, -1).var(axis=1) / ROWS[:, 0].var()
              for seed in range(20)]  # fmt: skip
    assert np.mean(np.array(shares) > 0.3) == pytest.approx(0.75, abs=0.1)


def test_a_seed_gives_the_same_rows_and_another_seed_gives_others():
    first, again, other = (mixed(ROWS, LABELS, "mix2", seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_many_rows_are_mixed_in_fewer_passes():
    assert n_mixed(100) == 800
    assert n_mixed(MOST_ROWS // 2) == MOST_ROWS
    assert n_mixed(3 * MOST_ROWS) == 3 * MOST_ROWS
    with pytest.raises(MirbenchError, match="1 training row; mixing needs two or more"):
        mixed(ROWS[:1], LABELS[:1], "mix2", seed=0)


def test_bounds_and_deviations_are_those_of_the_rows_that_are_not_mixed():
    """MultiMix shrinks the range of a feature: a probe with its bounds would cut off what test clips are."""
    objective = OBJECTIVES["multilabel"]
    rows, labels = mixed(ROWS[:, :6], LABELS, "multimix", seed=0)
    plain = LinearFit(Examples([ROWS[:, :6]], LABELS), objective, 4)
    made = LinearFit(Examples([rows], labels, measured=[ROWS[:, :6]]), objective, 4)
    [(_, before)], [(_, after)] = plain.path((0.1,)), made.path((0.1,))
    np.testing.assert_array_equal(before.low, after.low)
    np.testing.assert_array_equal(before.high, after.high)


@pytest.mark.parametrize("mix", MIXES)
def test_the_protocol_fits_soft_labels_to_their_optimum_with_three_seeds(mix):
    """A second computation: the gradient of the penalised cross-entropy of the mixed rows is zero at the probe."""
    data = ProbeData(Examples([ROWS[:200, :6]], LABELS[:200]), Examples([ROWS[200:, :6]], LABELS[200:]),
                     OBJECTIVES["multilabel"], 4, memory=1e9)  # fmt: skip
    protocol = Mixed(mix)
    assert (protocol.name, protocol.n_seeds) == (f"convex+{mix}", 3)
    candidates = list(protocol.candidates(data))
    assert {candidate.seed for candidate in candidates} == {0, 1, 2}
    chosen = min((each for each in candidates if each.seed == 1), key=lambda each: each.loss)
    probe = protocol.finished(data, chosen)
    rows, labels = mixed(ROWS[:200, :6], LABELS[:200], mix, seed=1)
    errors = 1 / (1 + np.exp(-(rows @ probe.weight + probe.bias))) - labels
    deviation = ROWS[:200, :6].std(axis=0, dtype=np.float64)
    standardised = (rows - ROWS[:200, :6].mean(axis=0)) / deviation
    gradient = standardised.T @ errors + probe.weight * deviation[:, None] / chosen.setting
    np.testing.assert_allclose(gradient / len(rows), 0, atol=1e-5)
    np.testing.assert_allclose(errors.sum(axis=0) / len(rows), 0, atol=1e-5)


def test_tasks_with_one_label_each_are_refused():
    PROTOCOLS["convex+mix2"].require(AnuranTask())
    with pytest.raises(UsageError, match="task 'key' is multiclass: leave it out"):
        PROTOCOLS["last-layer+manifold"].require(KeyTask())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--mix", "mixup"], "its formula is that of --mix manifold"),
        (["--mix", "mix2", "--protocol", "knn"], "--mix goes with --protocol convex or last-layer, not with knn"),
        (["--mix", "mix2", "--dry-run"], "task 'key' is multiclass: leave it out"),
    ],
)
def test_what_cannot_be_mixed_is_refused(arguments, expected, mirbench):
    code, _, printed = mirbench("run", "--encoder", "chroma", "--task", "key", *arguments)
    assert code == 2
    assert expected in " ".join(printed.split())


def test_mixed_rows_that_do_not_fit_into_memory_are_refused():
    data = ProbeData(Examples([ROWS], LABELS), Examples([ROWS], LABELS), OBJECTIVES["multilabel"], 4, memory=1e4)
    with pytest.raises(MirbenchError, match="mixtures of 300 rows take"):
        next(Mixed("mix2").candidates(data))
