"""Probes that are trained by gradient descent, many of them at once as one batched network.

The networks of a grid of learning rates, initialisations and seeds are its cells: their weights are stacked in one
tensor. Each cell draws batches in the order of its seed, and keeps the weights with the lowest cross-entropy on the
validation split.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64

from mirbench.probes.linear import Examples, Features, Probe
from mirbench.probes.objectives import Objective

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam; torch's defaults
NORM_MOMENTUM, NORM_EPSILON = 0.1, 1e-5  # of batch normalisation; torch's defaults
ROWS_AT_ONCE = 8192  # of validation; bounds memory
PerCell = Float32[torch.Tensor, "cell"]
Values = Float32[torch.Tensor, "cell row _dim"]


@dataclass(frozen=True)
class Recipe:
    """Settings of the training of networks.

    Attributes
    ----------
    n_epochs
        Largest number of epochs.
    n_steps
        Number of steps in an epoch; None for as many as it takes to use all rows.
    batch_size
        Number of rows in a batch.
    dropout
        Share of activations that are set to 0 in training.
    check_every
        Number of epochs between evaluations on the validation split.
    patience
        Number of evaluations without a lower cross-entropy after which training stops; None for no early stopping.
    plateau
        Number of evaluations without a lower cross-entropy after which the learning rate is halved; None for a constant
        learning rate.
    normalise
        Whether batch normalisation precedes each activation.
    """

    n_epochs: int
    n_steps: int | None
    batch_size: int
    dropout: float = 0.0
    check_every: int = 1
    patience: int | None = None
    plateau: int | None = None
    normalise: bool = False


@dataclass(frozen=True)
class Cell:
    """One network of a grid.

    Attributes
    ----------
    seed
        Seed of initial weights and of batches.
    learning_rate
        Learning rate of Adam.
    hidden
        Sizes of hidden layers.
    initial
        Initial weights: "uniform" or "normal" (both Glorot), or "default" (torch's).
    """

    seed: int
    learning_rate: float
    hidden: tuple[int, ...] = ()
    initial: str = "default"


@dataclass(frozen=True)
class NetworkProbe(Probe):
    """A multilayer perceptron: linear maps with rectifiers between them.

    Attributes
    ----------
    maps
        Weight and bias of each map.
    """

    maps: tuple[tuple[Float32[np.ndarray, "_in _out"], Float32[np.ndarray, "_out"]], ...]

    def logits(self, features: Features) -> Float32[np.ndarray, "*row label"]:
        """Return the output of the network for each row."""
        values = features
        for i, (weight, bias) in enumerate(self.maps):
            values = (np.maximum(values, 0) if i else values) @ weight + bias
        return np.asarray(values, dtype=np.float32)


def train(
    cells: Sequence[Cell],
    recipe: Recipe,
    examples: Examples,
    valid: Examples,
    objective: Objective,
    n_labels: int,
    device: str = "cpu",
) -> list[tuple[float, NetworkProbe]]:
    """Train cells of one architecture together; all rows are held in memory.

    Parameters
    ----------
    cells
        Networks to train; all have the same hidden layers.
    recipe
        How they are trained.
    examples, valid
        Rows of the training and of the validation split.
    objective
        Loss and layout of the targets.
    n_labels
        Size of the vocabulary.
    device
        "cpu" or "cuda".

    Returns
    -------
    list of tuple
        Lowest validation cross-entropy of each cell, and the probe that has it.
    """
    rows, target = _loaded(examples, objective, device)
    valid_rows, valid_target = _loaded(valid, objective, device)
    network = _Network(cells, recipe, rows.shape[1], n_labels, device)
    orders = [torch.Generator().manual_seed(cell.seed) for cell in cells]
    rates = torch.tensor([cell.learning_rate for cell in cells], device=device)
    lowest = torch.full((len(cells),), torch.inf, device=device)
    best = network.folded()
    worse = torch.zeros(len(cells), dtype=torch.int64, device=device)
    for epoch in range(1, recipe.n_epochs + 1):
        for chosen in _batches(orders, len(rows), recipe):
            network.learn(rows[chosen.to(device)], target[chosen.to(device)], objective, rates)
        if epoch % recipe.check_every:
            continue
        current = network.folded()
        loss = _cross_entropy(current, valid_rows, valid_target, objective)
        is_better = loss < lowest
        lowest = torch.where(is_better, loss, lowest)
        for kept, new in zip(best, current, strict=True):
            for old_part, new_part in zip(kept, new, strict=True):
                old_part[is_better] = new_part[is_better]
        worse = torch.where(is_better, 0, worse + 1)
        if recipe.plateau is not None:
            rates = torch.where((worse > 0) & (worse % recipe.plateau == 0), rates / 2, rates)
        if recipe.patience is not None and bool((worse >= recipe.patience).all()):
            break
    return [
        (float(lowest[i]), NetworkProbe(tuple((w[i].cpu().numpy(), b[i, 0].cpu().numpy()) for w, b in best)))
        for i in range(len(cells))
    ]


def _loaded(examples: Examples, objective: Objective, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    rows, target = examples.together(objective)
    return torch.from_numpy(rows).to(device), torch.from_numpy(target).to(device)


def _batches(orders: Sequence[torch.Generator], n_rows: int, recipe: Recipe) -> list[Int64[torch.Tensor, "cell _"]]:
    """Return the batches of an epoch; no row is drawn twice before all have been drawn once."""
    n_steps = recipe.n_steps if recipe.n_steps is not None else -(-n_rows // recipe.batch_size)
    needed = n_rows if recipe.n_steps is None else n_steps * recipe.batch_size
    drawn = [
        torch.cat([torch.randperm(n_rows, generator=order) for _ in range(-(-needed // n_rows))])[:needed]
        for order in orders
    ]
    return list(torch.stack(drawn).split(recipe.batch_size, dim=1))


Maps = list[tuple[torch.Tensor, torch.Tensor]]


@torch.no_grad()
def _cross_entropy(maps: Maps, rows: torch.Tensor, target: torch.Tensor, objective: Objective) -> PerCell:
    n_cells = len(maps[0][0])
    total = torch.zeros(n_cells, device=rows.device)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        values = rows[None, start : start + ROWS_AT_ONCE].expand(n_cells, -1, -1)
        own = target[None, start : start + ROWS_AT_ONCE]
        for i, (weight, bias) in enumerate(maps):
            values = torch.baddbmm(bias, values.relu() if i else values, weight)
        total += objective.losses(values, own.expand(n_cells, *own.shape[1:])).sum(dim=1)
    return total / len(rows)


class _Network:
    """Weights of all cells, and Adam's running averages of their gradients."""

    def __init__(self, cells: Sequence[Cell], recipe: Recipe, n_dims: int, n_labels: int, device: str) -> None:
        self._recipe = recipe
        sizes = [n_dims, *cells[0].hidden, n_labels]
        drawn = [_initial(cell, sizes) for cell in cells]
        self._weights = [torch.stack(parts).to(device) for parts in zip(*(w for w, _ in drawn), strict=True)]
        self._biases = [torch.stack(parts).to(device) for parts in zip(*(b for _, b in drawn), strict=True)]
        hidden = [torch.ones(len(cells), 1, size, device=device) for size in cells[0].hidden]
        self._gains = [one.clone() for one in hidden] if recipe.normalise else []
        self._shifts = [torch.zeros_like(one) for one in hidden] if recipe.normalise else []
        self._running = [(torch.zeros_like(one), one.clone()) for one in hidden]
        self._parameters = [*self._weights, *self._biases, *self._gains, *self._shifts]
        for parameter in self._parameters:
            parameter.requires_grad_()
        self._averages = [(torch.zeros_like(each), torch.zeros_like(each)) for each in self._parameters]
        self._noise = torch.Generator(device).manual_seed(cells[0].seed)
        self._n_steps = 0

    def learn(self, rows: Values, target: torch.Tensor, objective: Objective, rates: PerCell) -> None:
        """Update the weights by one step of Adam."""
        loss = objective.losses(self._forward(rows), target).mean(dim=1).sum()
        gradients = torch.autograd.grad(loss, self._parameters)
        self._n_steps += 1
        with torch.no_grad():
            for parameter, gradient, (mean, square) in zip(self._parameters, gradients, self._averages, strict=True):
                mean.lerp_(gradient, 1 - BETAS[0])
                square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
                unbiased = mean / (1 - BETAS[0] ** self._n_steps)
                size = (square / (1 - BETAS[1] ** self._n_steps)).sqrt() + EPSILON
                parameter -= rates[:, None, None] * unbiased / size

    def _forward(self, values: Values) -> Values:
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            values = torch.baddbmm(bias, values, weight)
            if i == len(self._weights) - 1:
                return values
            if self._gains:
                mean, variance = values.mean(dim=1, keepdim=True), values.var(dim=1, keepdim=True, unbiased=False)
                with torch.no_grad():
                    for kept, new in zip(self._running[i], (mean, variance), strict=True):
                        kept.lerp_(new, NORM_MOMENTUM)
                values = (values - mean) * (variance + NORM_EPSILON).rsqrt() * self._gains[i] + self._shifts[i]
            if self._recipe.dropout:
                kept_share = 1 - self._recipe.dropout
                values = values * torch.empty_like(values).bernoulli_(kept_share, generator=self._noise) / kept_share
            values = values.relu()
        raise AssertionError("a network has at least one map")

    @torch.no_grad()
    def folded(self) -> Maps:
        """Return a copy of the maps, with batch normalisation folded into them."""
        maps = []
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            if self._gains and i < len(self._gains):
                mean, variance = self._running[i]
                gain = self._gains[i] * (variance + NORM_EPSILON).rsqrt()
                maps.append((weight * gain, (bias - mean) * gain + self._shifts[i]))
            else:
                maps.append((weight.clone(), bias.clone()))
        return maps


def _initial(cell: Cell, sizes: Sequence[int]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    random = torch.Generator().manual_seed(cell.seed)
    weights, biases = [], []
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        weight, bias = torch.empty(n_in, n_out), torch.empty(1, n_out)
        gain = torch.nn.init.calculate_gain("relu" if i else "linear")  # of the activation before the map
        if cell.initial == "uniform":
            torch.nn.init.xavier_uniform_(weight, gain, generator=random)
        elif cell.initial == "normal":
            torch.nn.init.xavier_normal_(weight, gain, generator=random)
        else:
            torch.nn.init.uniform_(weight, -(n_in**-0.5), n_in**-0.5, generator=random)
        torch.nn.init.uniform_(bias, -(n_in**-0.5), n_in**-0.5, generator=random)
        weights.append(weight)
        biases.append(bias)
    return weights, biases
