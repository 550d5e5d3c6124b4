"""Regularised logistic regression by Newton's method, many problems at once.

Minimises, for every problem p with its own columns of weights,

    mean over rows of cross-entropy + penalty / 2 * sum of squared weights      (the bias is free)

Newton's steps are found by conjugate gradients, in single precision; what they lead to is judged in double, so that
an inexact step costs another one and no accuracy. The rows are first rotated by the eigenvectors of their Gram matrix:
the penalty does not change, and the Hessian of every problem comes close to a diagonal one, which preconditions the
gradients. A penalty after another starts from the solution before it. All problems share each product with the rows;
those that are solved drop out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float

MAX_STEPS = 100
MAX_GRADIENTS = 500  # conjugate gradients in a step
SMALLEST_STEP = 2.0**-20
Rows = Float[torch.Tensor, "row dim"]
Weights = Float[torch.Tensor, "dim problem column"]  # the last dim is the bias
Logits = Float[torch.Tensor, "row problem column"]
PerProblem = Float[torch.Tensor, "problem"]


class NotConvergedError(Exception):
    """The gradient did not become small enough."""


def solve_path(
    rows: Float[torch.Tensor, "row feature"], target: Logits, penalties: Sequence[float], tolerance: float
) -> Iterator[tuple[Float[torch.Tensor, "feature problem column"], Float[torch.Tensor, "problem column"]]]:
    """Solve for every penalty; yields weights and biases.

    Parameters
    ----------
    target
        0 or 1. One column: a binary problem. More: the classes of a multinomial one, of which one is 1 in every row.
    tolerance
        Largest entry of the gradient at a solution.

    Raises
    ------
    NotConvergedError
        If it is not reached.
    """
    gram = rows.T @ rows / len(rows)
    scales, rotation = torch.linalg.eigh(gram)
    ones = torch.ones(len(rows), 1, dtype=rows.dtype, device=rows.device)
    rotated = torch.cat([rows @ rotation, ones], dim=1)
    single_rows = rotated.float()
    curvature = torch.cat([scales.clamp(min=0), ones[0]])
    weights = torch.zeros(rotated.shape[1], *target.shape[1:], dtype=rows.dtype, device=rows.device)
    weights[-1] = _log_odds(target)
    for penalty in penalties:
        shrink = torch.full_like(curvature, penalty)
        shrink[-1] = 0  # the bias is free
        problem = _Problem(rotated, target, shrink[:, None, None], curvature[:, None, None])
        single = _Problem(single_rows, target, problem.shrink.float(), problem.curvature.float())
        weights = problem.minimise(weights, tolerance, single)
        yield torch.einsum("fd,dpc->fpc", rotation, weights[:-1]), weights[-1]


def _log_odds(target: Logits) -> Float[torch.Tensor, "problem column"]:
    """Give the biases that fit the frequencies alone."""
    share = target.mean(dim=0)
    return share.log() if target.shape[2] > 1 else share.logit()


@dataclass(frozen=True)
class _Problem:
    rows: Rows
    target: Logits
    shrink: Float[torch.Tensor, "dim 1 1"]
    curvature: Float[torch.Tensor, "dim 1 1"]

    def minimise(self, start: Weights, tolerance: float, single: "_Problem") -> Weights:
        """Take Newton's steps, which the same problem in single precision finds, until all gradients are small."""
        weights = start.clone()
        active = torch.arange(weights.shape[1], device=weights.device)
        for _ in range(MAX_STEPS):
            here = self.of(active)
            current = weights[:, active]
            value, gradient, probability = here.evaluate(current)
            size = gradient.abs().amax(dim=(0, 2))
            open_ = size > tolerance
            if not open_.any():
                return weights
            here, current, value = here.of(open_), current[:, open_], value[open_]
            active, gradient, probability = active[open_], gradient[:, open_], probability[:, open_]
            accuracy = size[open_].sqrt().clamp(max=0.1)
            step = single.newton_step(gradient.float(), probability.float(), accuracy.float()).to(gradient.dtype)
            weights[:, active] = here.search(current, step, value, (gradient * step).sum(dim=(0, 2)))
        raise NotConvergedError(f"gradient of {float(size.max()):.1e} after {MAX_STEPS} steps")

    def of(self, which: torch.Tensor) -> "_Problem":
        """Keep some of the problems."""
        return replace(self, target=self.target[:, which])

    def logits(self, weights: Weights) -> Logits:
        return (self.rows @ weights.flatten(1)).reshape(len(self.rows), *weights.shape[1:])

    def evaluate(self, weights: Weights) -> tuple[PerProblem, Weights, Logits]:
        """Compute the objective, its gradient, and the probabilities."""
        logits = self.logits(weights)
        value = self.loss(logits) + self.penalty(weights)
        probability = logits.sigmoid() if logits.shape[2] == 1 else logits.softmax(dim=2)
        return value, self.onto_rows(probability - self.target) + self.shrink * weights, probability

    def loss(self, logits: Logits) -> PerProblem:
        if logits.shape[2] == 1:
            return (torch.nn.functional.softplus(logits) - self.target * logits).mean(dim=(0, 2))
        return (logits.logsumexp(dim=2) - (self.target * logits).sum(dim=2)).mean(dim=0)

    def penalty(self, weights: Weights) -> PerProblem:
        return (self.shrink * weights.square()).sum(dim=(0, 2)) / 2

    def onto_rows(self, residual: Logits) -> Weights:
        return (self.rows.T @ residual.flatten(1)).reshape(self.rows.shape[1], *residual.shape[1:]) / len(self.rows)

    def curve(self, direction: Weights, probability: Logits) -> Weights:
        """Multiply the Hessian with a direction."""
        change = self.logits(direction) * probability
        if probability.shape[2] == 1:
            change = change * (1 - probability)
        else:
            change = change - probability * change.sum(dim=2, keepdim=True)
        return self.onto_rows(change) + self.shrink * direction

    def newton_step(self, gradient: Weights, probability: Logits, accuracy: PerProblem) -> Weights:
        """Solve Hessian x step = -gradient to a relative accuracy, by preconditioned conjugate gradients."""
        steepness = (probability * (1 - probability)).mean(dim=0)
        scale = 1 / (self.curvature * steepness + self.shrink).clamp(min=torch.finfo(gradient.dtype).tiny)
        step = torch.zeros_like(gradient)
        residual = -gradient
        scaled = scale * residual
        direction = scaled
        power = first = (residual * scaled).sum(dim=(0, 2))
        for _ in range(MAX_GRADIENTS):
            curved = self.curve(direction, probability)
            length = _ratio(power, (direction * curved).sum(dim=(0, 2)))
            step = step + length[:, None] * direction
            residual = residual - length[:, None] * curved
            scaled = scale * residual
            before, power = power, (residual * scaled).sum(dim=(0, 2))
            if bool((power <= accuracy.square() * first).all()):
                break
            direction = scaled + _ratio(power, before)[:, None] * direction
        return step

    def search(self, weights: Weights, step: Weights, value: PerProblem, slope: PerProblem) -> Weights:
        """Shorten the steps of problems whose objective does not fall enough."""
        logits, change = self.logits(weights), self.logits(step)
        length = torch.ones_like(value)
        noise = 8 * torch.finfo(value.dtype).eps * value.abs()
        while True:
            moved = weights + length[:, None] * step
            found = self.loss(logits + length[:, None] * change) + self.penalty(moved)
            short: Bool[torch.Tensor, "problem"] = found > value + 1e-4 * length * slope + noise
            if not bool(short.any()) or float(length.min()) < SMALLEST_STEP:
                return moved
            length = torch.where(short, length / 2, length)


def _ratio(above: PerProblem, below: PerProblem) -> PerProblem:
    """Divide; 0 where a problem is solved to the last digit."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(below.dtype).tiny), 0.0)
