"""Regularised logistic regression: Newton's method on a sample of the rows, made exact by all of them.

Minimises, for every problem p with its own columns of weights,

    mean over rows of cross-entropy + penalty / 2 * sum of squared weights      (the bias is free)

The objective and its gradient are computed from all rows. Steps come from the Hessian of a sample of them (of all,
where there are few): conjugate gradients solve it in the basis of the Gram matrix's eigenvectors, where the Hessian is
close to a diagonal one, and only along the eigenvectors that matter at this penalty; along the others the diagonal is
taken at its word. What sample and basis leave out, the differences of the gradients met so far put back (L-BFGS:
J. Nocedal, Math. Comp. 35, 1980, with the sample's Hessian in the place of its initial matrix).

A penalty after another starts from where the solutions before it point. All problems share each product with the rows;
those that are solved drop out. Weights are laid out column by column: products of few columns with many rows are
several times slower the other way round.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from jaxtyping import Float, Float32, Float64, Int64

from mirbench.probes.rows import Rows

MAX_STEPS = 100
MAX_GRADIENTS = 500  # conjugate gradients in a step
SMALLEST_STEP = 2.0**-20
SAMPLE = 16384  # rows of which the Hessian is computed
NEGLIGIBLE = 0.1  # eigenvalue of the Hessian, over the penalty, below which a direction is left to the diagonal
TRUSTING = 10  # steps after which the sample is made larger, and no direction left to the diagonal any more
LARGEST_SAMPLE = 1 << 17  # rows: 0.8 GiB for 768 dims, with its rotated copy
COARSEST = 0.1  # accuracy of a step, relative to its gradient, far from the solution
MEMORY = 8  # differences of gradients
LAST_ACCURACY = 0.3  # accuracy of the last step, as a share of the tolerance: it then lands inside
SUFFICIENT_DECREASE = 1e-4  # share of the predicted decrease that a step must reach (Armijo's condition)
ROUNDING = 8  # machine epsilons by which a computed objective may be off
Weights = Float[torch.Tensor, "problem column dim"]  # the last dim is the bias
Outputs = Float[torch.Tensor, "problem column row"]
PerProblem = Float[torch.Tensor, "problem"]


class NotConvergedError(Exception):
    """The gradient did not become small enough."""


class Targets(ABC):
    """Targets of the training rows.

    Attributes
    ----------
    n_problems, n_columns
        Problems that are solved side by side; columns of weights in each.
    """

    n_problems: int
    n_columns: int

    @abstractmethod
    def log_odds(self) -> Float64[torch.Tensor, "problem column"]:
        """Return the biases that fit the frequencies of the classes or labels alone."""

    @abstractmethod
    def probability(self, logits: Outputs) -> Outputs:
        """Return the probabilities of logits."""

    @abstractmethod
    def loss(self, logits: Outputs, problems: torch.Tensor, rows: slice) -> PerProblem:
        """Return the sum of the cross-entropy over rows."""

    @abstractmethod
    def residual(self, probability: Outputs, problems: torch.Tensor, rows: slice) -> Outputs:
        """Return probabilities minus targets, the gradient of the cross-entropy with respect to logits."""

    @abstractmethod
    def curve(self, change: Outputs, probability: Outputs) -> Outputs:
        """Return the product of the cross-entropy's second derivative and a change of the logits."""


class Classes(Targets):
    """One class for each row: one multinomial problem."""

    def __init__(self, classes: Int64[torch.Tensor, "row"], n_classes: int) -> None:
        self.n_problems, self.n_columns = 1, n_classes
        self._classes = classes

    def log_odds(self) -> Float64[torch.Tensor, "problem column"]:
        return (self._classes.bincount(minlength=self.n_columns) / len(self._classes)).double().log()[None]

    def probability(self, logits: Outputs) -> Outputs:
        return logits.softmax(dim=1)

    def loss(self, logits: Outputs, problems: torch.Tensor, rows: slice) -> PerProblem:
        own = logits.gather(1, self._classes[None, None, rows])[:, 0]
        return (logits.logsumexp(dim=1) - own).sum(dim=1, dtype=torch.float64)

    def residual(self, probability: Outputs, problems: torch.Tensor, rows: slice) -> Outputs:
        own = self._classes[None, None, rows]
        return probability.scatter_add(1, own, torch.full_like(own, -1, dtype=probability.dtype))

    def curve(self, change: Outputs, probability: Outputs) -> Outputs:
        weighted = change * probability
        return weighted - probability * weighted.sum(dim=1, keepdim=True)


class Labels(Targets):
    """Any number of labels for each row: a binary problem each."""

    def __init__(self, labels: Float32[torch.Tensor, "label row"]) -> None:
        self.n_problems, self.n_columns = len(labels), 1
        self._labels = labels[:, None]

    def log_odds(self) -> Float64[torch.Tensor, "problem column"]:
        return self._labels.mean(dim=2, dtype=torch.float64).logit()

    def probability(self, logits: Outputs) -> Outputs:
        return logits.sigmoid()

    def loss(self, logits: Outputs, problems: torch.Tensor, rows: slice) -> PerProblem:
        each = torch.nn.functional.softplus(logits) - self._labels[problems, :, rows] * logits
        return each.sum(dim=(1, 2), dtype=torch.float64)

    def residual(self, probability: Outputs, problems: torch.Tensor, rows: slice) -> Outputs:
        return probability - self._labels[problems, :, rows]

    def curve(self, change: Outputs, probability: Outputs) -> Outputs:
        return change * probability * (1 - probability)


class Solver:
    """Solves problems on the same rows; what is known of their Hessian serves all penalties."""

    def __init__(self, rows: Rows, targets: Targets) -> None:
        self._rows, self._targets = rows, targets

    @cached_property
    def _hessian(self) -> "_SampledHessian":
        return _SampledHessian(self._rows, self._targets)

    def path(
        self, penalties: Sequence[float], tolerance: float
    ) -> Iterator[Float64[torch.Tensor, "problem column dim"]]:
        """Solve for every penalty.

        Parameters
        ----------
        tolerance
            Largest entry of the gradient at a solution, in single precision (sums over rows in double); in double where
            single does not reach it.

        Raises
        ------
        NotConvergedError
            If it is not reached.
        """
        weights = before = _at_frequencies(self._rows, self._targets)
        for penalty in penalties:
            ahead = weights + (weights - before)
            before = weights
            try:
                weights = self._minimise(penalty, torch.float32, ahead, tolerance)
            except NotConvergedError:
                weights = self._minimise(penalty, torch.float64, before, tolerance)
            yield weights

    def solve(self, penalty: float, tolerance: float, start: Weights) -> Float64[torch.Tensor, "problem column dim"]:
        """Solve for one penalty, judged in double precision.

        Raises
        ------
        NotConvergedError
            If the tolerance is not reached.
        """
        return self._minimise(penalty, torch.float64, start, tolerance)

    def _minimise(self, penalty: float, precision: torch.dtype, start: Weights, tolerance: float) -> Weights:
        return _minimise(_Objective(self._rows, self._targets, penalty, precision), self._hessian, start, tolerance)


def _at_frequencies(rows: Rows, targets: Targets) -> Weights:
    log_odds = targets.log_odds()
    weights = torch.zeros(*log_odds.shape, rows.n_dims + 1, dtype=torch.float64, device=log_odds.device)
    weights[..., -1] = log_odds
    return weights


class _Objective:
    """The objective and its gradient over all rows."""

    def __init__(self, rows: Rows, targets: Targets, penalty: float, precision: torch.dtype) -> None:
        self.rows, self.targets, self.penalty, self.precision = rows, targets, penalty, precision

    def __call__(self, weights: Weights, problems: torch.Tensor) -> tuple[PerProblem, Weights]:
        flat = weights.flatten(0, 1).to(self.precision)
        value = torch.zeros(len(weights), dtype=torch.float64, device=weights.device)
        gradient = torch.zeros_like(weights).flatten(0, 1)
        for place, chunk in self.rows.chunks():
            features = chunk.to(self.precision)
            logits = (flat @ features.T).unflatten(0, weights.shape[:2])
            value += self.targets.loss(logits, problems, place)
            residual = self.targets.residual(self.targets.probability(logits), problems, place)
            gradient += residual.flatten(0, 1) @ features
        shrunk = self.penalty * weights
        shrunk[..., -1] = 0  # the bias is free
        return (
            value / self.rows.n_rows + (shrunk * weights).sum(dim=(1, 2)) / 2,
            gradient.unflatten(0, weights.shape[:2]) / self.rows.n_rows + shrunk,
        )

    @property
    def noise(self) -> float:
        """Relative rounding error of a value."""
        return ROUNDING * torch.finfo(self.precision).eps


def _minimise(objective: _Objective, hessian: "_SampledHessian", start: Weights, tolerance: float) -> Weights:
    weights = start.clone()
    active = torch.arange(len(weights), device=weights.device)
    value, gradient = objective(weights, active)
    past: deque[tuple[Weights, Weights]] = deque(maxlen=MEMORY)
    for n_steps in range(MAX_STEPS):
        size = gradient.abs().amax(dim=(1, 2))
        is_open = size > tolerance
        if not is_open.any():
            return weights
        active, value, gradient, size = active[is_open], value[is_open], gradient[is_open], size[is_open]
        past = deque(((moved[is_open], turned[is_open]) for moved, turned in past), maxlen=MEMORY)
        here = weights[active]
        # A forcing term of sqrt(gradient) converges superlinearly (Dembo, Eisenstat and Steihaug, 1982).
        accuracy = torch.maximum(size.sqrt(), LAST_ACCURACY * tolerance / size).clamp(max=COARSEST)
        negligible = NEGLIGIBLE * objective.penalty if n_steps < TRUSTING else 0.0
        if n_steps and n_steps % TRUSTING == 0:
            hessian.grow()
        solver = hessian.at(here, objective.penalty, accuracy, negligible)
        step = _corrected(solver, gradient, past)
        there, value, turned = _search(objective, here, step, active, value, gradient)
        if hessian.is_partial:  # with all rows, curvature is exact and needs no correction
            past.append((there - here, turned - gradient))
        weights[active], gradient = there, turned
    raise NotConvergedError(f"gradient of {float(size.max()):.1e} after {MAX_STEPS} steps, not {tolerance:.0e}")


def _corrected(solver: "_NewtonSolver", gradient: Weights, past: "deque[tuple[Weights, Weights]]") -> Weights:
    """Take Newton's step with a Hessian that also explains how the gradient has changed (the two-loop recursion)."""
    rest, taken = gradient, []
    for moved, turned in reversed(past):
        share = _ratio(_dot(moved, rest), _dot(moved, turned))
        rest = rest - share[:, None, None] * turned
        taken.append(share)
    step = solver.step(rest.float()).double()
    for (moved, turned), share in zip(past, reversed(taken), strict=True):
        step = step - (share + _ratio(_dot(turned, step), _dot(moved, turned)))[:, None, None] * moved
    return step


def _search(
    objective: _Objective, here: Weights, step: Weights, active: torch.Tensor, value: PerProblem, gradient: Weights
) -> tuple[Weights, PerProblem, Weights]:
    """Shorten the steps of problems whose objective does not fall enough; also returns the new value and gradient."""
    slope = _dot(gradient, step)
    there, found, turned = here + step, value.clone(), gradient.clone()
    length = torch.ones_like(value)
    searching = torch.arange(len(value), device=value.device)
    while True:
        found[searching], turned[searching] = objective(there[searching], active[searching])
        # Values that differ by less than their rounding cannot be compared: such a step is accepted.
        wanted = value + SUFFICIENT_DECREASE * length * slope + objective.noise * value.abs()
        searching = searching[(found > wanted)[searching]]
        if not len(searching) or float(length[searching].min()) < SMALLEST_STEP:
            return there, found, turned
        length[searching] /= 2
        there[searching] = here[searching] + length[searching, None, None] * step[searching]


def _eigenvectors(
    gram: Float32[torch.Tensor, "dim dim"],
) -> tuple[Float32[torch.Tensor, "dim"], Float32[torch.Tensor, "dim dim"]]:
    """Return eigenvalues, rising, and eigenvectors; in double precision where LAPACK's single one does not converge.

    It does not for some matrices with hundreds of zero rows, such as of a readout whose dimensions are mostly constant.
    """
    try:
        values, vectors = torch.linalg.eigh(gram)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        values, vectors = torch.linalg.eigh(gram.double())
    return values.float(), vectors.float()


class _SampledHessian:
    """A sample of the rows, in the basis of its Gram matrix's eigenvectors, the largest first."""

    def __init__(self, rows: Rows, targets: Targets) -> None:
        self.targets = targets
        self._rows = rows
        self._take(SAMPLE)

    def _take(self, n_rows: int) -> None:
        self.n_rows = min(n_rows, self._rows.n_rows)
        self.is_partial = self.n_rows < self._rows.n_rows
        self.sample, self.weights = self._rows.sample(self.n_rows)
        features = self.sample[:, :-1]
        scales, basis = _eigenvectors(features.T @ (self.weights[:, None] * features) / self.n_rows)
        self.scales, self.basis = scales.flip(0).clamp(min=0), basis.flip(1).contiguous()
        self._rotated = features.new_empty(0, self.n_rows)

    def grow(self) -> None:
        """Enlarge the sample to four times as many rows."""
        if self.is_partial and self.n_rows < LARGEST_SAMPLE:
            self._take(min(4 * self.n_rows, LARGEST_SAMPLE))

    def rotated(self, n_dims: int) -> Float32[torch.Tensor, "dim row"]:
        """Rotate the sample; only as many dims as were ever asked for."""
        done = len(self._rotated)
        if n_dims > done:
            more = self.basis[:, done:n_dims].T @ self.sample[:, :-1].T
            self._rotated = torch.cat([self._rotated, more])
        return self._rotated[:n_dims]

    def at(self, weights: Weights, penalty: float, accuracy: PerProblem, negligible: float) -> "_NewtonSolver":
        logits = weights.flatten(0, 1).float() @ self.sample.T
        probability = self.targets.probability(logits.unflatten(0, weights.shape[:2]))
        return _NewtonSolver(self, probability, penalty, accuracy.float(), negligible)


class _NewtonSolver:
    """Solves Hessian x step = -gradient by preconditioned conjugate gradients, to a relative accuracy."""

    def __init__(
        self,
        hessian: _SampledHessian,
        probability: Outputs,
        penalty: float,
        accuracy: PerProblem,
        negligible: float,
    ) -> None:
        self._hessian, self._probability, self._penalty, self._accuracy = hessian, probability, penalty, accuracy
        tiny = torch.finfo(probability.dtype).tiny
        steepness = (hessian.weights * probability * (1 - probability)).mean(dim=2, keepdim=True).clamp(min=tiny)
        self._n_dims = int((hessian.scales * steepness.max() > negligible).sum())
        self._diagonal = torch.cat([hessian.scales * steepness + penalty, steepness], dim=2)

    def step(
        self, gradient: Float32[torch.Tensor, "problem column dim"]
    ) -> Float32[torch.Tensor, "problem column dim"]:
        basis, bias = self._hessian.basis, gradient[..., -1:]
        if gradient.shape[1] > 1:
            bias = bias - bias.mean(dim=1, keepdim=True)  # all classes' biases together change nothing
        turned = torch.cat([gradient[..., :-1] @ basis, bias], dim=2)
        step = -turned / self._diagonal  # along directions that the penalty dominates the Hessian is taken as diagonal
        solved = self._solve(self._kept(turned), self._kept(self._diagonal))
        step[..., : self._n_dims], step[..., -1] = solved[..., :-1], solved[..., -1]
        return torch.cat([step[..., :-1] @ basis.T, step[..., -1:]], dim=2)

    def _kept(self, weights: Weights) -> Float32[torch.Tensor, "problem column kept"]:
        return torch.cat([weights[..., : self._n_dims], weights[..., -1:]], dim=2)

    def _curve(self, direction: Weights) -> Weights:
        """Multiply the Hessian with a direction."""
        rows = self._hessian.rotated(self._n_dims)
        flat = direction.flatten(0, 1)
        change = torch.addmm(flat[:, -1:], flat[:, :-1], rows).unflatten(0, direction.shape[:2])
        turned = self._hessian.weights * self._hessian.targets.curve(change, self._probability)
        slope = (turned.flatten(0, 1) @ rows.T).unflatten(0, direction.shape[:2]) / self._hessian.n_rows
        return torch.cat([slope + self._penalty * direction[..., :-1], turned.mean(dim=2, keepdim=True)], dim=2)

    def _solve(self, gradient: Weights, diagonal: Weights) -> Weights:
        step = torch.zeros_like(gradient)
        residual = -gradient
        direction = scaled = residual / diagonal
        power = first = _dot(residual, scaled)
        for _ in range(MAX_GRADIENTS):
            curved = self._curve(direction)
            length = _ratio(power, _dot(direction, curved))[:, None, None]
            step = step + length * direction
            residual = residual - length * curved
            scaled = residual / diagonal
            before, power = power, _dot(residual, scaled)
            if bool((power <= self._accuracy.square() * first).all()):
                break
            direction = scaled + _ratio(power, before)[:, None, None] * direction
        return step


def _dot(one: Weights, other: Weights) -> PerProblem:
    return (one * other).sum(dim=(1, 2))


def _ratio(above: PerProblem, below: PerProblem) -> PerProblem:
    """Divide; 0 where a problem is solved to the last digit."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(below.dtype).tiny), 0.0)
