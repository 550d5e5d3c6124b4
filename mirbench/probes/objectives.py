"""Objectives of probes: layout of the targets, loss, and meaning of the logits.

An objective is all that tells one kind of target from another. Tasks name theirs (`Task.objective`); a task of another
kind brings an object of its own.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.special import log_expit, log_softmax, logit
from torch.nn import functional

from mirbench.domain import Target
from mirbench.errors import MirbenchError
from mirbench.probes.newton import Classes, Labels, Targets

UNSEEN_LOGIT = -100.0  # of a label without a training row: never chosen
CERTAIN = 20.0  # logit of a probability of 1 - 2e-9
Logits = Float64[np.ndarray, "row label"]


class Objective(ABC):
    """An objective of probes.

    Attributes
    ----------
    name
        As tasks name it.
    """

    name: str

    def known(self, target: Target) -> Bool[np.ndarray, "row"] | None:
        """Return which rows have a target; None if all have."""
        return None

    @abstractmethod
    def masses(self, target: Target, n_labels: int) -> Float64[np.ndarray, "label"]:
        """Return the sum of the targets of each label; training subsets keep these in proportion."""

    @abstractmethod
    def laid_out(self, target: Target, device: str) -> tuple[Int64[np.ndarray, "learned"], Targets]:
        """Return the labels that there is something to learn about, and the targets for the solver.

        Raises
        ------
        MirbenchError
            If there is nothing to learn.
        """

    @abstractmethod
    def bias_of_others(self, target: Target, n_labels: int) -> Float64[np.ndarray, "label"]:
        """Return the logits of labels that there is nothing to learn about."""

    @abstractmethod
    def constant(self, target: Target, n_labels: int) -> Float64[np.ndarray, "label"]:
        """Return the logits of a constant: the frequencies in the targets."""

    @abstractmethod
    def certain(self, target: Target, n_labels: int) -> Float64[np.ndarray, "row label"]:
        """Return the logits of a probe that is certain of the targets."""

    @abstractmethod
    def loss(self, logits: Logits, target: Target) -> float:
        """Return the sum of the losses of all rows (and labels, where each row has several)."""

    @abstractmethod
    def losses(
        self, logits: Float32[torch.Tensor, "cell row label"], target: torch.Tensor
    ) -> Float32[torch.Tensor, "cell row"]:
        """Return the loss of each row, for networks."""

    @abstractmethod
    def votes(self, target: Target, n_labels: int) -> Float32[np.ndarray, "row label"]:
        """Return what each training row votes for as a neighbour."""

    @abstractmethod
    def elected(self, votes: Float32[np.ndarray, "row label"], n_voters: int) -> Float32[np.ndarray, "row label"]:
        """Return logits from sums of votes, with one vote shared by all labels."""


class Multiclass(Objective):
    """One class a row, by its index; rows of -1 have no target."""

    name = "multiclass"

    def known(self, target: Target) -> Bool[np.ndarray, "row"] | None:
        known = target >= 0
        return None if known.all() else known

    def masses(self, target: Target, n_labels: int) -> Float64[np.ndarray, "label"]:
        target = np.atleast_1d(target)
        return np.bincount(target[target >= 0], minlength=n_labels).astype(np.float64)

    def laid_out(self, target: Target, device: str) -> tuple[Int64[np.ndarray, "learned"], Targets]:
        learned, classes = np.unique(target, return_inverse=True)
        if len(learned) < 2:
            raise MirbenchError(f"the training rows hold {len(learned)} class; a probe needs two or more")
        return learned, Classes(torch.from_numpy(classes).to(device), len(learned))

    def bias_of_others(self, target: Target, n_labels: int) -> Float64[np.ndarray, "label"]:
        return np.full(n_labels, UNSEEN_LOGIT)

    def constant(self, target: Target, n_labels: int) -> Float64[np.ndarray, "label"]:
        counts = self.masses(target, n_labels)
        with np.errstate(divide="ignore"):
            return np.where(counts > 0, np.log(counts / counts.sum()), UNSEEN_LOGIT)

    def certain(self, target: Target, n_labels: int) -> Float64[np.ndarray, "row label"]:
        return np.asarray(CERTAIN * (np.arange(n_labels) == target[:, None]))

    def loss(self, logits: Logits, target: Target) -> float:
        return float(-log_softmax(logits, axis=1)[np.arange(len(target)), target].sum())

    def losses(
        self, logits: Float32[torch.Tensor, "cell row label"], target: torch.Tensor
    ) -> Float32[torch.Tensor, "cell row"]:
        return functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")

    def votes(self, target: Target, n_labels: int) -> Float32[np.ndarray, "row label"]:
        return np.eye(n_labels, dtype=np.float32)[target]

    def elected(self, votes: Float32[np.ndarray, "row label"], n_voters: int) -> Float32[np.ndarray, "row label"]:
        return np.asarray(np.log((votes + 1 / votes.shape[1]) / (n_voters + 1)), dtype=np.float32)


class Multilabel(Objective):
    """Any number of labels a row: from 0 (absent) to 1 (present) for each; between them for soft labels."""

    name = "multilabel"

    def masses(self, target: Target, n_labels: int) -> Float64[np.ndarray, "label"]:
        return np.asarray(target.reshape(-1, n_labels).sum(axis=0), dtype=np.float64)

    def laid_out(self, target: Target, device: str) -> tuple[Int64[np.ndarray, "learned"], Targets]:
        learned = np.flatnonzero((target.max(axis=0) > 0) & (target.min(axis=0) < 1))
        return learned, Labels(torch.from_numpy(np.ascontiguousarray(target[:, learned].T)).to(device))

    def bias_of_others(self, target: Target, n_labels: int) -> Float64[np.ndarray, "label"]:
        return np.where(target.min(axis=0) > 0, -UNSEEN_LOGIT, UNSEEN_LOGIT)

    def constant(self, target: Target, n_labels: int) -> Float64[np.ndarray, "label"]:
        with np.errstate(divide="ignore"):
            return np.asarray(np.clip(logit(target.mean(axis=0, dtype=np.float64)), UNSEEN_LOGIT, -UNSEEN_LOGIT))

    def certain(self, target: Target, n_labels: int) -> Float64[np.ndarray, "row label"]:
        return np.asarray(np.clip(logit(target.astype(np.float64)), -CERTAIN, CERTAIN))

    def loss(self, logits: Logits, target: Target) -> float:
        return float(-(target * log_expit(logits) + (1 - target) * log_expit(-logits)).sum())

    def losses(
        self, logits: Float32[torch.Tensor, "cell row label"], target: torch.Tensor
    ) -> Float32[torch.Tensor, "cell row"]:
        return functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=2)

    def votes(self, target: Target, n_labels: int) -> Float32[np.ndarray, "row label"]:
        return np.asarray(target, dtype=np.float32)

    def elected(self, votes: Float32[np.ndarray, "row label"], n_voters: int) -> Float32[np.ndarray, "row label"]:
        return np.asarray(np.log((votes + 0.5) / (n_voters - votes + 0.5)), dtype=np.float32)


OBJECTIVES: dict[str, Objective] = {objective.name: objective for objective in (Multiclass(), Multilabel())}


def objective_of(objective: object) -> Objective:
    """Return the objective that a task names, or brings.

    Raises
    ------
    MirbenchError
        If there is none of that name.
    """
    if isinstance(objective, Objective):
        return objective
    if objective not in OBJECTIVES:
        raise MirbenchError(f"unknown objective {objective!r}; expected {' or '.join(OBJECTIVES)}, or an Objective")
    return OBJECTIVES[str(objective)]
