"""The linear probe: convex, solved to its optimum, its strength chosen on validation.

Protocol `convex`: features are standardised by mean and deviation of the training rows; the probe minimises

    strength * sum of cross-entropies + 1 / 2 * sum of squared weights      (the bias is free)

multinomial for multiclass targets, one binary problem a label for multilabel ones, for every strength of a fixed
grid (scikit-learn's C: the larger, the weaker the regularisation). The optimum is unique, so there is no learning
rate, no number of epochs and no seed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64
from scipy.special import log_expit, log_softmax

from mirbench.domain import Objective, Target
from mirbench.errors import MirbenchError
from mirbench.newton import NotConvergedError, solve_path

PROTOCOL = "convex"
STRENGTHS: tuple[float, ...] = tuple(float(10**power) for power in np.linspace(-5, 1, 9))
GRADIENT_TOLERANCE = 1e-6  # largest entry of the gradient at the solution, per training row and unit of strength
UNSEEN_LOGIT = -100.0  # of a label without a training row: never chosen
SMALLEST_DEVIATION = 1e-8


@dataclass(frozen=True)
class Probe:
    """A linear map from features to logits; standardisation is folded into it."""

    weight: Float64[np.ndarray, "dim label"]
    bias: Float64[np.ndarray, "label"]

    def logits(self, features: Float32[np.ndarray, "*row dim"]) -> Float32[np.ndarray, "*row label"]:
        """Apply the map."""
        return np.asarray(features @ self.weight + self.bias, dtype=np.float32)


def fit_path(
    features: Float32[np.ndarray, "row dim"],
    target: Target,
    objective: Objective,
    n_labels: int,
    strengths: Sequence[float] = STRENGTHS,
) -> Iterator[tuple[float, Probe]]:
    """Fit one probe for every strength, smallest first.

    Parameters
    ----------
    target
        Multiclass: a class a row, rows of -1 are left out. Multilabel: 0 or 1 for every label.

    Raises
    ------
    MirbenchError
        If the solver does not reach its tolerance, or there are fewer than two classes to tell apart.
    """
    if objective == "multiclass":
        known = target >= 0
        features, target = features[known], target[known]
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > SMALLEST_DEVIATION * np.maximum(1, np.abs(mean)), 1 / np.maximum(deviation, 1e-30), 0)
    rows = torch.from_numpy((features - mean) * scale)
    learned, columns = _columns(target, n_labels, objective)
    known_target = torch.from_numpy(columns.astype(np.float64))
    penalties = [1 / (len(rows) * strength) for strength in strengths]
    solutions = solve_path(rows, known_target, penalties, GRADIENT_TOLERANCE)
    for strength in strengths:
        try:
            own_weight, own_bias = (part.flatten(-2).numpy() for part in next(solutions))
        except NotConvergedError as error:
            raise MirbenchError(f"the probe of strength {strength:g} did not converge: {error}") from error
        weight = np.zeros((rows.shape[1], n_labels))
        bias = _constant_bias(target, n_labels, objective)
        weight[:, learned], bias[learned] = scale[:, None] * own_weight, own_bias
        yield strength, Probe(weight, bias - mean @ weight)


def _columns(target: Target, n_labels: int, objective: Objective) -> tuple[np.ndarray, np.ndarray]:
    """Name the labels that there is something to learn of, and lay out their targets: row, problem, column."""
    if objective == "multilabel":
        learned = np.flatnonzero((target.max(axis=0) > 0) & (target.min(axis=0) < 1))
        return learned, target[:, learned, None]
    classes = np.unique(target)
    if len(classes) < 2:
        raise MirbenchError(f"the training rows hold {len(classes)} class; a probe needs two or more")
    return classes, (target[:, None] == classes)[:, None]


def _constant_bias(target: Target, n_labels: int, objective: Objective) -> np.ndarray:
    """Give a label that no row has, or that every row has, a logit that says so."""
    if objective == "multiclass":
        return np.full(n_labels, UNSEEN_LOGIT)
    return np.where(target.min(axis=0) > 0, -UNSEEN_LOGIT, UNSEEN_LOGIT)


def cross_entropy(logits: Float32[np.ndarray, "row label"], target: Target, objective: Objective) -> float:
    """Average the negative log-likelihood of the targets, over rows (and labels); rows of -1 are left out."""
    exact = logits.astype(np.float64)
    if objective == "multiclass":
        known = target >= 0
        log_probabilities = log_softmax(exact[known], axis=1)
        return float(-log_probabilities[np.arange(len(log_probabilities)), target[known]].mean())
    return float(-(target * log_expit(exact) + (1 - target) * log_expit(-exact)).mean())
