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
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.special import log_expit, log_softmax, logit

from mirbench.domain import Objective, Target
from mirbench.errors import MirbenchError
from mirbench.probes.newton import Classes, Labels, NotConvergedError, Solver, Targets
from mirbench.probes.rows import Rows, in_chunks

STRENGTHS: tuple[float, ...] = tuple(float(10**power) for power in np.linspace(-5, 1, 9))
SEARCH_TOLERANCE = 1e-5  # largest entry of the gradient (of the mean over rows) while strengths are compared
TOLERANCE = 1e-7  # and at the probe that is kept, in double precision
MEMORY = 2 * 2.0**30  # bytes of standardised rows
UNSEEN_LOGIT = -100.0  # of a label without a training row: never chosen
Features = Float32[np.ndarray, "*row dim"]


@dataclass(frozen=True)
class Examples:
    """Rows of features and what they are.

    Attributes
    ----------
    parts
        Clip by clip; may be memory-mapped.
    target
        Of all rows. Multiclass: a class a row, rows of -1 are left out. Multilabel: 0 or 1 for every label.
    """

    parts: Sequence[Float32[np.ndarray, "_row dim"]]
    target: Target

    @property
    def known(self) -> Bool[np.ndarray, "row"] | None:
        """Tell which rows have a target; None if all have."""
        known = self.target >= 0 if self.target.ndim == 1 else np.ones(0, dtype=bool)
        return None if known.all() else known

    def __add__(self, other: "Examples") -> "Examples":
        return Examples([*self.parts, *other.parts], np.concatenate([self.target, other.target]))


class Probe(ABC):
    """What turns features into logits."""

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
        rows = Rows(examples.parts, examples.known, memory=memory, device=device)
        self._rows = rows.reduced() if rows.n_rows < rows.n_dims else rows
        known = examples.target if examples.known is None else examples.target[examples.known]
        self._learned, self._targets = _targets(known, objective, device)
        self._bias = _constant_bias(known, n_labels, objective)
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
        deviation = np.where(self._rows.scale > 0, 1 / np.maximum(self._rows.scale, 1e-300), 0)
        standardised = weight.T * deviation
        if self._rows.basis is not None:
            standardised = standardised @ self._rows.basis
        columns = np.concatenate([standardised, (bias + self._rows.mean @ weight)[:, None]], axis=1)
        shape = self._targets.n_problems, self._targets.n_columns, columns.shape[1]
        return torch.from_numpy(columns.reshape(shape)).to(self._rows.device)


def _targets(target: Target, objective: Objective, device: str) -> tuple[Int64[np.ndarray, "learned"], Targets]:
    """Name the labels that there is something to learn of, and lay out their targets."""
    if objective == "multilabel":
        learned = np.flatnonzero((target.max(axis=0) > 0) & (target.min(axis=0) < 1))
        return learned, Labels(torch.from_numpy(np.ascontiguousarray(target[:, learned].T)).to(device))
    learned, classes = np.unique(target, return_inverse=True)
    if len(learned) < 2:
        raise MirbenchError(f"the training rows hold {len(learned)} class; a probe needs two or more")
    return learned, Classes(torch.from_numpy(classes).to(device), len(learned))


def _constant_bias(target: Target, n_labels: int, objective: Objective) -> Float64[np.ndarray, "label"]:
    """Give a label that no row has, or that every row has, a logit that says so."""
    if objective == "multiclass":
        return np.full(n_labels, UNSEEN_LOGIT)
    return np.where(target.min(axis=0) > 0, -UNSEEN_LOGIT, UNSEEN_LOGIT)


def constant_cross_entropy(train: Examples, valid: Examples, objective: Objective, n_labels: int) -> float:
    """Return the cross-entropy on validation of a constant: the frequencies of the training targets.

    Parameters
    ----------
    train, valid
        Only their targets are used; rows of -1 are left out.
    n_labels
        Size of the vocabulary. A class that no training row has gets the logit `UNSEEN_LOGIT`, as in a probe.

    Returns
    -------
    float
        Averaged over rows (and labels), like `cross_entropy`; a probe that is worse has learned nothing that helps.
    """
    learned, asked = train.target, valid.target
    if objective == "multiclass":
        counts = np.bincount(learned[learned >= 0], minlength=n_labels).astype(np.float64)
        with np.errstate(divide="ignore"):
            logits = np.where(counts > 0, np.log(counts / counts.sum()), UNSEEN_LOGIT)
        return float(-logits[asked[asked >= 0]].mean())
    with np.errstate(divide="ignore"):
        logits = np.clip(logit(learned.mean(axis=0, dtype=np.float64)), UNSEEN_LOGIT, -UNSEEN_LOGIT)
    return float(-(asked * log_expit(logits) + (1 - asked) * log_expit(-logits)).mean())


def cross_entropy(probe: Probe, examples: Examples, objective: Objective) -> float:
    """Average the negative log-likelihood of the targets, over rows (and labels); rows of -1 are left out."""
    known = examples.known
    target = examples.target if known is None else examples.target[known]
    total, position = 0.0, 0
    for features in in_chunks(examples.parts, known):
        logits = probe.logits(features).astype(np.float64)
        own = target[position : position + len(features)]
        position += len(features)
        if objective == "multiclass":
            total -= log_softmax(logits, axis=1)[np.arange(len(own)), own].sum()
        else:
            total -= (own * log_expit(logits) + (1 - own) * log_expit(-logits)).sum()
    return float(total / target.size)
