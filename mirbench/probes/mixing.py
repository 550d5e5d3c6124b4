"""Mixtures of training rows: Manifold Mixup, MultiMix, and the random mixture of both of Mix2.

The formulas are those of Mix2 (arXiv 2403.09598), where the rows are the embeddings of a batch. The encoder is frozen
here, so that they are computed once, before a convex probe is fitted to them:

- manifold: for each row x with labels y, another row x' with y' and lam from U(0, 1):
  lam x + (1 - lam) x', with the labels lam y + (1 - lam) y'.
- multimix: blocks of 128 rows X with labels Y, and as many rows of weights L, each from Dirichlet(0.2, ..., 0.2):
  L X, with the labels L Y.
- mix2: each pass over the rows is one of the two. Mix2 draws Manifold Mixup with a probability of 0.5, and MultiMix and
  Mixup (of the network's input) with 0.25 each; on frozen rows the formula of Mixup is that of Manifold Mixup, so that
  its share is 0.75.

The binary cross-entropy is linear in the labels: that of a mixture of labels is the mixture of the cross-entropies.
"""

import numpy as np
from jaxtyping import Float32

from mirbench.errors import MirbenchError

MIXES = ("manifold", "multimix", "mix2")
N_PASSES = 8  # over the rows of clips; fewer where there are many rows, such as frames
MOST_ROWS = 2**16
BLOCK, CONCENTRATION = 128, 0.2  # rows that MultiMix combines, and the parameter of its Dirichlet distribution
MANIFOLD_SHARE = 0.75
Rows = Float32[np.ndarray, "row dim"]
Labels = Float32[np.ndarray, "row label"]
Mixtures = Float32[np.ndarray, "made dim"]
MixedLabels = Float32[np.ndarray, "made label"]


def mixed(rows: Rows, labels: Labels, mix: str, seed: int) -> tuple[Mixtures, MixedLabels]:
    """Return mixtures of training rows and of their labels, without the rows themselves.

    Parameters
    ----------
    rows
        Training rows, in any unit: mixing them and standardising them commute.
    labels
        Labels of the rows, from 0 to 1.
    mix
        One of `MIXES`.
    seed
        Seed of all that is drawn.

    Returns
    -------
    tuple of numpy.ndarray
        As many rows as `n_mixed` returns, and their labels.

    Raises
    ------
    MirbenchError
        If there are fewer than two rows.
    """
    if len(rows) < 2:
        raise MirbenchError(f"{len(rows)} training row; mixing needs two or more")
    random = np.random.default_rng([seed, len(rows)])
    both = np.concatenate([rows, labels], axis=1)
    made = [_pass(both, mix, random) for _ in range(n_mixed(len(rows)) // len(rows))]
    together = np.concatenate(made)
    return np.ascontiguousarray(together[:, : rows.shape[1]]), np.ascontiguousarray(together[:, rows.shape[1] :])


def n_mixed(n_rows: int) -> int:
    """Return the number of mixtures of `n_rows` rows: whole passes over them, as long as there are few rows."""
    return n_rows * max(1, min(N_PASSES, MOST_ROWS // n_rows))


def _pass(both: Mixtures, mix: str, random: np.random.Generator) -> Mixtures:
    """Mix every row once; rows and labels in one array, because they are mixed alike."""
    order = random.permutation(len(both))
    if mix == "manifold" or (mix == "mix2" and random.random() < MANIFOLD_SHARE):
        share = random.random((len(both), 1), dtype=np.float32)
        return np.asarray(share * both + (1 - share) * both[order])
    blocks = [both[order[start : start + BLOCK]] for start in range(0, len(both), BLOCK)]
    return np.concatenate([_weights(len(block), random) @ block for block in blocks])


def _weights(n_rows: int, random: np.random.Generator) -> Float32[np.ndarray, "made row"]:
    weights = random.standard_gamma(CONCENTRATION, (n_rows, n_rows))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
