"""The linear probe: convex, solved to its optimum, its strength chosen on validation.

Protocol `convex`: features are standardised by mean and deviation of the training rows; the probe minimises

    strength * sum of cross-entropies + 1 / 2 * sum of squared weights      (the bias is free)

multinomial for multiclass targets, one binary problem a label for multilabel ones, for every strength of a fixed
grid (scikit-learn's C: the larger, the weaker the regularisation). The optimum is unique, so there is no learning
rate, no number of epochs and no seed.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy.special import log_expit, log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from mirbench.domain import Objective, Target
from mirbench.errors import MirbenchError

PROTOCOL = "convex"
STRENGTHS: tuple[float, ...] = tuple(float(10**power) for power in np.linspace(-5, 1, 9))
GRADIENT_TOLERANCE = 1e-6  # largest entry of the gradient at the solution, per training row and unit of strength
MAX_ITERATIONS = 20_000
LARGEST_HESSIAN = 512  # dims of a binary problem; measured: at 100,000 x 128, 9 times faster than conjugate gradients
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
    rows = (features - mean) * scale
    solve = _multiclass_path if objective == "multiclass" else _multilabel_path
    for strength, (weight, bias) in zip(strengths, solve(rows, target, n_labels, strengths), strict=True):
        weight = weight * scale[:, None]
        yield strength, Probe(weight, bias - mean @ weight)


def cross_entropy(logits: Float32[np.ndarray, "row label"], target: Target, objective: Objective) -> float:
    """Average the negative log-likelihood of the targets, over rows (and labels); rows of -1 are left out."""
    exact = logits.astype(np.float64)
    if objective == "multiclass":
        known = target >= 0
        log_probabilities = log_softmax(exact[known], axis=1)
        return float(-log_probabilities[np.arange(len(log_probabilities)), target[known]].mean())
    return float(-(target * log_expit(exact) + (1 - target) * log_expit(-exact)).mean())


Solution = tuple[np.ndarray, np.ndarray]


def _multiclass_path(
    rows: np.ndarray, target: np.ndarray, n_labels: int, strengths: Sequence[float]
) -> Iterator[Solution]:
    classes = np.unique(target)
    if len(classes) < 2:
        raise MirbenchError(f"the training rows hold {len(classes)} class; a probe needs two or more")
    for own_weight, own_bias in _solve(rows, target, strengths):
        if len(classes) == 2:  # scikit-learn fits one logit: the difference of the two
            own_weight = np.stack([np.zeros_like(own_weight[0]), own_weight[0]])
            own_bias = np.array([0.0, own_bias[0]])
        weight = np.zeros((rows.shape[1], n_labels))
        bias = np.full(n_labels, UNSEEN_LOGIT)
        weight[:, classes], bias[classes] = own_weight.T, own_bias
        yield weight, bias


def _multilabel_path(
    rows: np.ndarray, target: np.ndarray, n_labels: int, strengths: Sequence[float]
) -> Iterator[Solution]:
    columns = [list(_binary_path(rows, target[:, label], strengths)) for label in range(n_labels)]
    for place in range(len(strengths)):
        yield (
            np.stack([column[place][0] for column in columns], axis=1),
            np.array([column[place][1] for column in columns]),
        )


def _binary_path(
    rows: np.ndarray, target: np.ndarray, strengths: Sequence[float]
) -> Iterator[tuple[np.ndarray, float]]:
    if len(np.unique(target)) < 2:
        always = -UNSEEN_LOGIT if target[0] else UNSEEN_LOGIT
        yield from [(np.zeros(rows.shape[1]), always)] * len(strengths)
    else:
        for weight, bias in _solve(rows, target, strengths):
            yield weight[0], float(bias[0])


def _solve(rows: np.ndarray, target: np.ndarray, strengths: Sequence[float]) -> Iterator[Solution]:
    """Run Newton's method: by Cholesky where the Hessian is small, else by conjugate gradients.

    Where its line search fails, L-BFGS takes over (ten times slower).
    """
    is_small = len(np.unique(target)) == 2 and rows.shape[1] <= LARGEST_HESSIAN
    model = LogisticRegression(tol=GRADIENT_TOLERANCE, max_iter=MAX_ITERATIONS, warm_start=True)
    for strength in strengths:
        model.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                model.set_params(solver="newton-cholesky" if is_small else "newton-cg").fit(rows, target)
            except Warning:
                _solve_slowly(model, rows, target)
        yield model.coef_.copy(), model.intercept_.copy()


def _solve_slowly(model: LogisticRegression, rows: np.ndarray, target: np.ndarray) -> None:
    try:
        model.set_params(solver="lbfgs").fit(rows, target)
    except ConvergenceWarning as warning:
        raise MirbenchError(f"the probe of strength {model.C:g} did not converge: {warning}") from warning
