"""Results: one number each, and all that is needed to dispute it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, eq=False)
class ClipScores:
    """What a number on the test split is made of, so that two encoders can be compared on the same clips.

    Attributes
    ----------
    clips
        Hash of the test clips and their groups, in order: numbers with the same hash and seed pair up.
    resampled
        The number in each resample of the bootstrap, which draws the same groups for every encoder.
    values, weights
        Score of each clip, and how much it counts; None where clips can only be scored together.
    """

    clips: str
    resampled: Float64[np.ndarray, "resample"]
    values: Float64[np.ndarray, "clip"] | None = None
    weights: Float64[np.ndarray, "clip"] | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number, and all that is needed to dispute it.

    Attributes
    ----------
    options
        Of the task, where they are not its defaults, such as the decoder.
    label
        The one label that the number is about; empty for all.
    aggregate
        How clips make the value: "mean", "sum" (a count), or "set" (scored together).
    low, high
        The 95 % interval by bootstrap over groups.
    deviation
        Of the value, over the seeds of a protocol that has them.
    n, n_groups
        Clips and groups of the test split.
    train_fraction
        The share of the training clips that was asked for; `n_train` says how many they are.
    setting
        Strength of a convex probe; what tells the probes of another protocol apart.
    selection
        What the validation split chose, and from what: for each seed of the protocol the readout, layer, setting and
        decoder, and the cross-entropy of every readout, layer and setting. The first one's are repeated in the
        result's own fields.
    extraction
        Speed, in times real time from files to store, where enough was encoded in this run. How networks ran where they
        did not run as they are: precision, and the relative error of the features.
    higher_is_better
        Direction of the metric.
    references
        Hash of the clips of all splits: groups, regions and references (see `mirbench.data.reference_hash`); empty
        where the record is of schema 1.
    code
        Hash of the source code that computed the value; empty where the record is of schema 1.
    schema
        Version of the record's fields.
    scores
        Clip by clip; kept beside the record. None for a single label's number.
    """

    run: str
    date: str
    encoder: str
    fingerprint: str
    task: str
    dataset: str
    dataset_version: str
    size: str
    split: str
    options: Mapping[str, str]
    metric: str
    label: str
    is_headline: bool
    aggregate: str
    value: float
    low: float
    high: float
    deviation: float
    n: int
    n_groups: int
    n_train: int
    n_valid: int
    protocol: str
    n_seeds: int
    train_fraction: float
    readout: str
    layer: int
    setting: Any
    seed: int
    source: str
    selection: Mapping[str, Any]
    extraction: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    higher_is_better: bool = True
    references: str = ""
    code: str = ""
    schema: int = 2
    scores: ClipScores | None = field(default=None, compare=False, repr=False)

    @property
    def rank_value(self) -> float:
        """The value with its sign such that a larger one is better: the one way in which results are ordered."""
        return self.value if self.higher_is_better else -self.value
