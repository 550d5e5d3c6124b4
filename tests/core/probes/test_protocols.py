"""Protocols by name: what they promise on small problems with a known answer."""

import itertools

import numpy as np
import pytest

from mirbench.cli.options import MIXES as MIX_NAMES
from mirbench.cli.options import PROTOCOLS as NAMES
from mirbench.probes.linear import Examples
from mirbench.probes.networks import Cell, NetworkProbe, Recipe, train
from mirbench.probes.objectives import OBJECTIVES
from mirbench.probes.protocols import PROTOCOLS, NeighbourProbe, ProbeData, Trained
from mirbench.probes.subsets import subset


def examples(n, seed, objective="multiclass"):
    """Three blobs in six dims, or labels by the sign of two of them."""
    random = np.random.default_rng(seed)
    centres = 2 * np.random.default_rng(0).standard_normal((3, 6))
    target = random.integers(0, 3, n)
    rows = (centres[target] + 0.7 * random.standard_normal((n, 6))).astype(np.float32)
    if objective == "multilabel":
        return Examples([rows], (rows[:, :2] > 0).astype(np.float32))
    return Examples(np.array_split(rows, 7), target)


def probe_data(objective="multiclass", n=200):
    n_labels = 3 if objective == "multiclass" else 2
    return ProbeData(examples(n, 1, objective), examples(80, 2, objective), OBJECTIVES[objective], n_labels, memory=1e9)


def quick(protocol):
    """The same protocol with as many epochs as a test can wait for."""
    if not isinstance(protocol, Trained):
        return protocol
    recipe = protocol._recipe
    epochs = min(recipe.n_epochs, 15)
    fast = Recipe(
        epochs, recipe.n_steps and 20, recipe.batch_size, recipe.dropout, recipe.check_every, recipe.patience,
        recipe.plateau, recipe.normalise,
    )  # fmt: skip
    return Trained(protocol.name, fast, protocol._grid, protocol._n_points)


def best(protocol, task):
    return min(protocol.candidates(task), key=lambda candidate: candidate.loss)


def accuracy(probe, task):
    rows, target = np.concatenate(list(task.valid.parts)), task.valid.target
    logits = probe.logits(rows)
    return float(((logits > 0) == target).mean() if target.ndim == 2 else (logits.argmax(1) == target).mean())


def test_the_command_line_offers_every_protocol():
    """Those with mixed rows by --mix."""
    assert tuple(name for name in PROTOCOLS if "+" not in name) == NAMES
    assert {name.partition("+")[2] for name in PROTOCOLS if "+" in name} == set(MIX_NAMES) - {"none", "mixup"}


@pytest.mark.parametrize("objective", ["multiclass", "multilabel"])
@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_learns_what_is_easy(name, objective):
    task, protocol = probe_data(objective), quick(PROTOCOLS[name])
    chosen = best(protocol, task)
    assert accuracy(protocol.finished(task, chosen), task) > 0.85


@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_gives_the_same_numbers_every_time(name):
    protocol = quick(PROTOCOLS[name])
    first, second = ([c.loss for c in protocol.candidates(probe_data(n=60))] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ["sgd", "marble", "hear"])
def test_networks_have_three_seeds(name):
    protocol = quick(PROTOCOLS[name])
    found = list(protocol.candidates(probe_data(n=60)))
    assert {candidate.seed for candidate in found} == {0, 1, 2}
    by_seed = {seed: [c.loss for c in found if c.seed == seed] for seed in range(3)}
    assert by_seed[0] != by_seed[1] != by_seed[2]


def test_the_published_grids():
    """Sizes from the peers' own configurations."""
    assert len(PROTOCOLS["sgd"].cells(0)) == 1
    assert len(PROTOCOLS["marble"].cells(0)) == 5
    assert len(PROTOCOLS["hear"].cells(0)) == 8
    assert PROTOCOLS["hear"].cells(0) != PROTOCOLS["hear"].cells(1)
    assert {cell.hidden for cell in PROTOCOLS["marble"].cells(2)} == {(512,)}


def test_cells_trained_together_are_those_trained_alone():
    task = probe_data()
    recipe = Recipe(n_epochs=3, n_steps=None, batch_size=32, normalise=True)
    cells = [Cell(0, 1e-2, (16,)), Cell(1, 1e-3, (16,), "normal"), Cell(0, 1e-3, (16,), "uniform")]
    together = train(cells, recipe, task.train, task.valid, OBJECTIVES["multiclass"], 3)
    for cell, (loss, _) in zip(cells, together, strict=True):
        [(alone, _)] = train([cell], recipe, task.train, task.valid, OBJECTIVES["multiclass"], 3)
        assert loss == pytest.approx(alone, rel=2e-3)


def test_the_weights_with_the_lowest_loss_are_kept():
    """A learning rate that is far too high: later epochs are worse than the best one."""
    task = probe_data(n=40)
    recipe = Recipe(n_epochs=40, n_steps=None, batch_size=8)
    [(loss, probe)] = train([Cell(0, 0.5, (32,))], recipe, task.train, task.valid, OBJECTIVES["multiclass"], 3)
    rows, target = np.concatenate(list(task.valid.parts)), task.valid.target
    logits = probe.logits(rows).astype(np.float64)
    own = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1) - logits[np.arange(80), target]
    assert own.mean() == pytest.approx(loss, rel=1e-3)


def test_a_network_of_one_map_is_linear():
    probe = NetworkProbe(((np.eye(2, dtype=np.float32), np.ones(2, np.float32)),))
    np.testing.assert_array_equal(probe.logits(np.array([[-3.0, 2.0]], np.float32)), [[-2, 3]])


def test_refitting_hears_the_validation_rows_too():
    task = probe_data(n=12)
    plain, refit = PROTOCOLS["convex"], PROTOCOLS["convex-refit"]
    chosen = best(plain, task)
    assert not np.allclose(plain.finished(task, chosen).weight, refit.finished(task, chosen).weight)
    assert accuracy(refit.finished(task, chosen), task) >= accuracy(plain.finished(task, chosen), task) - 0.02


def test_the_nearest_rows_vote():
    rows = np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
    votes = np.eye(2, dtype=np.float32)[[0, 0, 1]]
    probe = NeighbourProbe(rows, votes, np.zeros(2, np.float32), np.ones(2, np.float32), 2, OBJECTIVES["multiclass"])
    logits = probe.logits(np.array([1, 0], np.float32))
    assert logits.shape == (2,)
    np.testing.assert_allclose(np.exp(logits), [2.5 / 3, 0.5 / 3], rtol=1e-6)


def masses(n, n_labels, seed=0):
    return np.eye(n_labels)[np.random.default_rng(seed).integers(0, n_labels, n)]


def test_subsets_are_nested():
    groups = [str(i // 3) for i in range(300)]
    found = [set(subset(masses(300, 5), groups, share, 0)) for share in (0.01, 0.05, 0.1, 0.5, 1.0)]
    assert all(small < large for small, large in itertools.pairwise(found))
    assert len(found[-1]) == 300


def test_subsets_are_of_whole_groups_and_of_the_asked_size():
    groups = np.array([str(i // 4) for i in range(400)])
    chosen = subset(masses(400, 5), groups.tolist(), 0.1, 0)
    assert 40 <= len(chosen) < 44
    assert set(np.flatnonzero(np.isin(groups, groups[chosen]))) == set(chosen)


def test_subsets_have_the_labels_in_their_proportions():
    everything = masses(1000, 8)
    chosen = subset(everything, [str(i) for i in range(1000)], 0.05, 0)
    by_chance = np.random.default_rng(1).permutation(1000)[: len(chosen)]
    share = everything.mean(0)
    assert np.abs(everything[chosen].mean(0) - share).sum() < 0.5 * np.abs(everything[by_chance].mean(0) - share).sum()


def test_another_seed_is_another_subset():
    groups = [str(i) for i in range(200)]
    first, second = (set(subset(masses(200, 4), groups, 0.1, seed)) for seed in (0, 1))
    assert first != second
