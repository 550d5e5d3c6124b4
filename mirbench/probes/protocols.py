"""Protocols by name: how probes are fitted to training rows, and how one is chosen on validation rows.

`convex` is the standard protocol; the others serve comparisons with published tables. Results of different protocols
never share a column of a leaderboard.
"""

import itertools
import math
import random
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from mirbench.domain import Task
from mirbench.errors import MirbenchError, UsageError
from mirbench.probes.linear import STRENGTHS, Examples, Features, LinearFit, LinearProbe, Probe, cross_entropy
from mirbench.probes.mixing import MIXES, mixed, n_mixed
from mirbench.probes.networks import Cell, Recipe, train
from mirbench.probes.objectives import Objective, objective_of
from mirbench.probes.rows import inverse_deviations

LAST_LAYER = "last-layer"
PATIENCE = 2  # consecutive strengths that are worse on validation, after which no weaker regularisation is tried


@dataclass(frozen=True)
class ProbeData:
    """Training and validation rows of one readout and layer, with all that probes depend on."""

    train: Examples
    valid: Examples
    objective: Objective
    n_labels: int
    memory: float
    device: str = "cpu"


@dataclass(frozen=True)
class Candidate:
    """A fitted probe, among which validation chooses.

    Attributes
    ----------
    setting
        Hyperparameter by which it differs from the others: regularisation strength or learning rate.
    loss
        Cross-entropy on the validation split.
    origin
        Weak reference to the fit that it comes from; None for protocols without one.
    """

    seed: int
    setting: Any
    loss: float
    probe: Probe
    origin: "weakref.ref[LinearFit] | None" = None


class ProbeProtocol(ABC):
    """Settings of probes.

    Attributes
    ----------
    setting
        Name of the hyperparameter that `Candidate.setting` holds.
    n_seeds
        Number of repetitions with different seeds; 0 where nothing is random.
    has_context
        Whether probes of frame tasks may use context (see `mirbench.probes.context`).
    last_layer
        Whether only the last layer of each readout is tried.
    """

    name: str
    setting: str
    n_seeds: int = 0
    has_context: bool = False
    last_layer: bool = False

    def require(self, task: Task) -> None:  # noqa: B027
        """Raise UsageError if the protocol cannot fit probes of a task."""

    def marks(self, setting: Any) -> tuple[str, ...]:
        """Return reasons for caution about a chosen setting, such as that it lies at an edge of its grid."""
        return ()

    @abstractmethod
    def candidates(self, data: ProbeData) -> Iterator[Candidate]:
        """Yield the probes that are fitted to one readout and layer."""

    def finished(self, data: ProbeData, chosen: Candidate) -> Probe:
        """Return the final probe of the chosen candidate, which is evaluated on the test split."""
        return chosen.probe


class Convex(ProbeProtocol):
    """A linear probe at the optimum of a convex problem, for every strength of a grid (see `mirbench.probes.linear`).

    Strengths are tried from the strongest regularisation to the weakest, until two in a row are worse on validation
    than the best before them: weaker regularisation costs most and fits the training clips alone.

    Parameters
    ----------
    name
        Name of the protocol.
    refit
        Whether the chosen strength is fitted once more, to train and valid together.
    last_layer
        Whether only the last layer of each readout is tried.
    """

    setting = "strength"
    has_context = True

    def __init__(self, name: str = "convex", *, refit: bool = False, last_layer: bool = False) -> None:
        self.name, self.last_layer = name, last_layer
        self._refit = refit
        self._last: LinearFit | None = None  # its rows and their Hessian: most encoders have one layer

    def candidates(self, data: ProbeData) -> Iterator[Candidate]:
        lowest, n_worse = math.inf, 0
        self._last = None  # before the next takes its memory
        self._last = _fit(data, data.train)
        origin = weakref.ref(self._last)
        for strength, probe in self._last.path(STRENGTHS):
            loss = cross_entropy(probe, data.valid, data.objective)
            yield Candidate(0, strength, loss, probe, origin)
            lowest, n_worse = min(lowest, loss), n_worse + 1 if loss > lowest else 0
            if n_worse == PATIENCE:
                return

    def marks(self, setting: Any) -> tuple[str, ...]:
        """Mark a strength at an edge of the grid: beyond it, validation might have chosen another one."""
        edges = {STRENGTHS[0]: "strongest regularisation", STRENGTHS[-1]: "weakest regularisation"}
        return (f"{edges[setting]} of the grid",) if setting in edges else ()

    def finished(self, data: ProbeData, chosen: Candidate) -> Probe:
        assert isinstance(chosen.probe, LinearProbe)
        fit = None if self._refit or chosen.origin is None else chosen.origin()
        self._last = None
        if fit is None:
            fit = _fit(data, data.train + data.valid if self._refit else data.train)
        return fit.exact(chosen.setting, chosen.probe)


class Mixed(Convex):
    """The convex probe, fitted to mixtures of the training rows (see `mirbench.probes.mixing`) of three seeds.

    Strengths are chosen by validation rows, which are not mixed.

    Parameters
    ----------
    mix
        Name of the mix; the name of the protocol ends in it.
    last_layer
        Whether only the last layer of each readout is tried.
    """

    n_seeds = 3

    def __init__(self, mix: str, *, last_layer: bool = False) -> None:
        super().__init__(f"{LAST_LAYER if last_layer else 'convex'}+{mix}", last_layer=last_layer)
        self._mix = mix

    def require(self, task: Task) -> None:
        if objective_of(task.objective).name != "multilabel":
            raise UsageError(
                f"--mix {self._mix} is for multilabel tasks, because mixed rows have labels between 0 and 1; task "
                f"{task.name!r} is {objective_of(task.objective).name}: leave it out"
            )

    def candidates(self, data: ProbeData) -> Iterator[Candidate]:
        for seed in range(self.n_seeds):
            for candidate in super().candidates(self._mixed(data, seed)):
                yield replace(candidate, seed=seed)

    def finished(self, data: ProbeData, chosen: Candidate) -> Probe:
        return super().finished(self._mixed(data, chosen.seed), chosen)

    def _mixed(self, data: ProbeData, seed: int) -> ProbeData:
        n_rows = sum(len(part) for part in data.train.parts)
        size = 4 * (n_rows + n_mixed(n_rows)) * data.train.parts[0].shape[1]
        if size > data.memory:
            raise MirbenchError(
                f"mixtures of {n_rows:,} rows take {size / 2**30:.1f} GiB, more than the {data.memory / 2**30:.1f} GiB "
                "of --memory; raise it"
            )
        rows, target = data.train.together(data.objective)
        made, labels = mixed(rows, np.asarray(target, dtype=np.float32), self._mix, seed)
        return replace(data, train=Examples([made], labels, measured=data.train.parts))


def _fit(data: ProbeData, rows: Examples) -> LinearFit:
    return LinearFit(rows, data.objective, data.n_labels, data.memory, data.device)


class Trained(ProbeProtocol):
    """Networks trained by gradient descent, repeated with several seeds.

    Parameters
    ----------
    grid
        Cells of a seed.
    n_points
        How many of them are tried, drawn anew for every seed; None for all.
    """

    setting = "network"

    def __init__(self, name: str, recipe: Recipe, grid: tuple[Cell, ...], n_points: int | None = None) -> None:
        self.name, self.n_seeds = name, 3
        self._recipe, self._grid, self._n_points = recipe, grid, n_points

    def cells(self, seed: int) -> list[Cell]:
        """Name the networks of one seed."""
        chosen = list(self._grid)
        if self._n_points is not None:
            chosen = random.Random(seed).sample(chosen, self._n_points)
        return [Cell(seed, cell.learning_rate, cell.hidden, cell.initial) for cell in chosen]

    def candidates(self, data: ProbeData) -> Iterator[Candidate]:
        cells = sorted(
            (cell for seed in range(self.n_seeds) for cell in self.cells(seed)), key=lambda cell: cell.hidden
        )
        for _, group in itertools.groupby(cells, key=lambda cell: cell.hidden):
            together = list(group)
            rows = data.train, data.valid
            found = train(together, self._recipe, *rows, data.objective, data.n_labels, data.device)
            for cell, (loss, probe) in zip(together, found, strict=True):
                setting = {"learning rate": cell.learning_rate, "hidden": cell.hidden, "initial": cell.initial}
                yield Candidate(cell.seed, setting, loss, probe)


@dataclass(frozen=True)
class NeighbourProbe(Probe):
    """Votes of the nearest training rows by cosine, with one vote shared by all labels."""

    rows: Float32[np.ndarray, "row dim"]
    votes: Float32[np.ndarray, "row label"]
    mean: Float32[np.ndarray, "dim"]
    scale: Float32[np.ndarray, "dim"]
    n_neighbours: int
    objective: Objective

    def logits(self, features: Features) -> Float32[np.ndarray, "*row label"]:
        """Turn votes into log-probabilities (multiclass) or log-odds (multilabel)."""
        rows = _directions((np.atleast_2d(features) - self.mean) * self.scale)
        nearest = np.argpartition(-rows @ self.rows.T, self.n_neighbours - 1, axis=1)[:, : self.n_neighbours]
        votes = self.votes[nearest].sum(axis=1)
        return self.objective.elected(votes, self.n_neighbours).reshape(*features.shape[:-1], -1)


def _directions(rows: Float32[np.ndarray, "row dim"]) -> Float32[np.ndarray, "row dim"]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


class Neighbours(ProbeProtocol):
    """The nearest training rows, standardised, by cosine; how many is chosen on validation."""

    name, setting = "knn", "neighbours"
    grid = (1, 3, 5, 10, 20, 50)

    def candidates(self, data: ProbeData) -> Iterator[Candidate]:
        rows, target = data.train.together(data.objective)
        mean = rows.mean(axis=0)
        scale = inverse_deviations(rows.std(axis=0, dtype=np.float64), mean.astype(np.float64)).astype(np.float32)
        votes = data.objective.votes(target, data.n_labels)
        rows = _directions((rows - mean) * scale)
        for n_neighbours in (n for n in self.grid if n <= len(rows)):
            probe = NeighbourProbe(rows, votes, mean, scale, n_neighbours, data.objective)
            yield Candidate(0, n_neighbours, cross_entropy(probe, data.valid, data.objective), probe)


PROTOCOLS: dict[str, ProbeProtocol] = {
    protocol.name: protocol
    for protocol in (
        Convex(),
        Convex("convex-refit", refit=True),
        Convex(LAST_LAYER, last_layer=True),  # what the papers of most encoders report
        *(Mixed(mix, last_layer=last_layer) for mix in MIXES for last_layer in (False, True)),
        # one linear layer as in CoJEPA (arXiv 2608.30974): Adam 1e-3, 50 epochs of 128 steps of 128 rows
        Trained("sgd", Recipe(n_epochs=50, n_steps=128, batch_size=128), (Cell(0, 1e-3),)),
        # MARBLE (v1, configuration of GTZAN): MLP of 512, dropout .2, Adam, batches of 64, 100 epochs, patience 20,
        # its five learning rates; the plateau is v2's (halved after 5 checks). Selection on validation, as v1 has it.
        Trained(
            "marble",
            Recipe(n_epochs=100, n_steps=None, batch_size=64, dropout=0.2, patience=20, plateau=5),
            tuple(Cell(0, rate, (512,)) for rate in (1e-2, 5e-3, 1e-3, 5e-4, 1e-4)),
        ),
        # heareval 2021.1.3, its default grid: 8 of 16 points, at most 500 epochs, every third is looked at
        Trained(
            "hear",
            Recipe(
                n_epochs=500, n_steps=None, batch_size=1024, dropout=0.1, check_every=3, patience=20, normalise=True
            ),
            tuple(
                Cell(0, rate, (1024,) * depth, initial)
                for depth in (1, 2)
                for rate in (3.2e-3, 1e-3, 3.2e-4, 1e-4)
                for initial in ("uniform", "normal")
            ),
            n_points=8,
        ),
        Neighbours(),
    )
}
