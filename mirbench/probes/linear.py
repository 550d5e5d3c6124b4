"""The linear probe: convex, solved to its optimum, its strength chosen on validation.

Features are standardised by mean and deviation of the training rows, where a small deviation counts as a share of the
typical one (`mirbench.probes.rows.SMALLEST_DEVIATION`), and cut at bounds well outside their training range. The probe
minimises

    strength * sum of cross-entropies + 1 / 2 * sum of squared weights      (the bias is free)

multinomial for multiclass targets (biases sum to zero, which the softmax leaves open), one binary problem a label for
multilabel ones, for every strength of a fixed grid (scikit-learn's C: the larger, the weaker the regularisation). The
optimum is unique, so there is no learning rate, no number of epochs and no seed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64

from mirbench.domain import Target
from mirbench.errors import MirbenchError
from mirbench.probes.newton import NotConvergedError, Solver
from mirbench.probes.objectives import Objective
from mirbench.probes.rows import Part, Rows, in_chunks

STRENGTHS: tuple[float, ...] = tuple(float(10**power) for power in np.linspace(-5, 1, 9))
SEARCH_TOLERANCE = 1e-5  # largest entry of the gradient (of the mean over rows) while strengths are compared
TOLERANCE = 1e-7  # and at the probe that is kept, in double precision
SMALLEST = 1e-300  # keeps a division finite whose result is not used
MEMORY = 2 * 2.0**30  # bytes of standardised rows
Features = Float32[np.ndarray, "*row dim"]


@dataclass(frozen=True)
class Examples:
    """Rows of features and what they are.

    Attributes
    ----------
    parts
        Clip by clip; may be memory-mapped.
    target
        Targets of all rows, as the task's objective lays them out.
    measured
        Rows from whose means, deviations and ranges these are standardised and bounded; None for the rows themselves.
    """

    parts: Sequence[Part]
    target: Target
    measured: Sequence[Part] | None = None

    def together(self, objective: Objective) -> tuple[Float32[np.ndarray, "row dim"], Target]:
        """Return all rows that have a target in one array, and their targets."""
        rows = np.concatenate([np.asarray(part, dtype=np.float32) for part in self.parts])
        known = objective.known(self.target)
        return (rows, self.target) if known is None else (rows[known], self.target[known])

    def __add__(self, other: "Examples") -> "Examples":
        return Examples([*self.parts, *other.parts], np.concatenate([self.target, other.target]))


class Probe(ABC):
    """A linear map from features to logits."""

    @abstractmethod
    def logits(self, features: Features) -> Float32[np.ndarray, "*row label"]:
        """Score every label."""


@dataclass(frozen=True)
class LinearProbe(Probe):
    """A linear map from features to logits; standardisation is folded into it.

    Attributes
    ----------
    low, high
        Bounds that features are cut at before they are mapped; None for none. They lie outside the range of the
        training rows (see `mirbench.probes.rows.MARGIN`).
    """

    weight: Float64[np.ndarray, "dim label"]
    bias: Float64[np.ndarray, "label"]
    low: Float64[np.ndarray, "dim"] | None = None
    high: Float64[np.ndarray, "dim"] | None = None

    def logits(self, features: Features) -> Float32[np.ndarray, "*row label"]:
        """Apply the map."""
        if self.low is not None and self.high is not None:
            features = np.clip(features, self.low, self.high)
        return np.asarray(features @ self.weight + self.bias, dtype=np.float32)


class LinearFit:
    """Fits linear probes to training rows.

    Parameters
    ----------
    memory
        In bytes: what standardised rows may take. More of them are standardised anew in every pass.

    Raises
    ------
    MirbenchError
        If there are fewer than two classes to tell apart.
    """

    def __init__(
        self, examples: Examples, objective: Objective, n_labels: int, memory: float = MEMORY, device: str = "cpu"
    ) -> None:
        known = objective.known(examples.target)
        rows = Rows(examples.parts, known, measured=examples.measured, memory=memory, device=device)
        self._rows = rows.reduced() if rows.n_rows < rows.n_dims else rows
        target = _with_target(examples, objective)
        self._learned, self._targets = objective.laid_out(target, device)
        self._bias = objective.bias_of_others(target, n_labels)
        self._solver = Solver(self._rows, self._targets)

    def path(
        self, strengths: Sequence[float] = STRENGTHS, tolerance: float = SEARCH_TOLERANCE
    ) -> Iterator[tuple[float, LinearProbe]]:
        """Fit a probe for every strength, smallest first, well enough to compare them.

        Raises
        ------
        MirbenchError
            If the solver does not reach the tolerance.
        """
        penalties = [self._penalty(strength) for strength in strengths]
        solutions = self._solver.path(penalties, tolerance)
        for strength in strengths:
            try:
                yield strength, self._folded(next(solutions))
            except NotConvergedError as error:
                raise MirbenchError(f"the probe of strength {strength:g} did not converge: {error}") from error

    def exact(self, strength: float, near: LinearProbe | None = None) -> LinearProbe:
        """Fit one probe to the last digit that matters.

        Parameters
        ----------
        near
            Where to start from.

        Raises
        ------
        MirbenchError
            If the solver does not reach `TOLERANCE`.
        """
        if near is None:
            *_, (_, near) = self.path([*(each for each in STRENGTHS if each < strength), strength])
        try:
            found = self._solver.solve(self._penalty(strength), TOLERANCE, self._unfolded(near))
        except NotConvergedError as error:
            raise MirbenchError(f"the probe of strength {strength:g} did not converge: {error}") from error
        return self._folded(found)

    def _penalty(self, strength: float) -> float:
        return 1 / (self._rows.n_rows * strength)

    def _folded(self, found: Float64[torch.Tensor, "problem column dim"]) -> LinearProbe:
        columns = found.flatten(0, 1).cpu().numpy()
        rows = self._rows
        weight, bias = np.zeros((len(rows.mean), len(self._bias))), self._bias.copy()
        learned = columns[:, :-1].T if rows.basis is None else rows.basis @ columns[:, :-1].T
        weight[:, self._learned] = rows.scale[:, None] * learned
        bias[self._learned] = columns[:, -1] - (columns[:, -1].mean() if self._targets.n_columns > 1 else 0)
        return LinearProbe(weight, bias - rows.mean @ weight, rows.low, rows.high)

    def _unfolded(self, probe: LinearProbe) -> Float64[torch.Tensor, "problem column dim"]:
        weight, bias = probe.weight[:, self._learned], probe.bias[self._learned]
        deviation = np.where(self._rows.scale > 0, 1 / np.maximum(self._rows.scale, SMALLEST), 0)
        standardised = weight.T * deviation
        if self._rows.basis is not None:
            standardised = standardised @ self._rows.basis
        columns = np.concatenate([standardised, (bias + self._rows.mean @ weight)[:, None]], axis=1)
        shape = self._targets.n_problems, self._targets.n_columns, columns.shape[1]
        return torch.from_numpy(columns.reshape(shape)).to(self._rows.device)


def constant_cross_entropy(train: Examples, valid: Examples, objective: Objective, n_labels: int) -> float:
    """Return the cross-entropy on validation of a constant: the frequencies of the training targets.

    Parameters
    ----------
    train, valid
        Only their targets are used; rows without a target are left out.
    objective
        What probes of these rows are trained for.
    n_labels
        Size of the vocabulary. A class that no training row has gets the logit of an unseen label, as in a probe.

    Returns
    -------
    float
        Averaged over rows (and labels), like `cross_entropy`; a probe that is worse has learned nothing that helps.
    """
    logits = objective.constant(_with_target(train, objective), n_labels)
    asked = _with_target(valid, objective)
    return objective.loss(np.broadcast_to(logits, (len(asked), n_labels)), asked) / asked.size


def _with_target(examples: Examples, objective: Objective) -> Target:
    known = objective.known(examples.target)
    return examples.target if known is None else examples.target[known]


def cross_entropy(probe: Probe, examples: Examples, objective: Objective) -> float:
    """Return the negative log-likelihood of the targets, averaged over rows (and labels).

    Parameters
    ----------
    probe
        The probe that predicts them.
    examples
        Rows and targets; rows without a target are left out.
    objective
        What the probe is trained for.
    """
    target = _with_target(examples, objective)
    total, position = 0.0, 0
    for features in in_chunks(examples.parts, objective.known(examples.target)):
        logits = probe.logits(features).astype(np.float64)
        total += objective.loss(logits, target[position : position + len(features)])
        position += len(features)
    return float(total / target.size)
