"""Results: the value of a metric, with all that is needed to reproduce it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

LOWEST_CEILING = 0.9  # of a perfect probe; below, the frame rate limits a result more than the features do
LEAVE_GROUP_OUT = "leave-group-out"  # the split of a result for which each group was tested in turn


@dataclass(frozen=True, eq=False)
class ClipScores:
    """Scores of single clips and bootstrap resamples behind one result, from which two encoders are compared in pairs.

    Attributes
    ----------
    clips
        Hash of the test clips and their groups, in order. Results with the same hash and seed can be paired.
    resampled
        Value of the metric in each bootstrap resample. The same groups are drawn for every encoder.
    values
        Score of each clip; None where clips can only be scored together.
    weights
        Weight of each clip in the average; None where clips can only be scored together.
    groups
        Number of the group of each clip; None in scores of mirbench before 10,000 resamples.
    seed
        Seed of the bootstrap; with `groups` it determines which groups each resample draws.
    aggregate
        How clips are combined: "mean", "sum" (a count), or "set" (scored together).
    """

    clips: str
    resampled: Float64[np.ndarray, "resample"]
    values: Float64[np.ndarray, "clip"] | None = None
    weights: Float64[np.ndarray, "clip"] | None = None
    groups: Int64[np.ndarray, "clip"] | None = None
    seed: int = 0
    aggregate: str = "set"


@dataclass(frozen=True, kw_only=True)
class Result:
    """The value of one metric for one encoder on one data set, with all that is needed to reproduce it.

    Attributes
    ----------
    run
        Name of the run: date, host and process.
    date
        Date and time of the result (UTC, ISO 8601).
    encoder
        Name of the encoder, with its weights and precision where they are not the default.
    fingerprint
        Fingerprint of the encoder.
    task
        Name of the task.
    dataset
        Name of the data set.
    dataset_version
        Version of the data set.
    size
        Size of the data set: "default" or "small".
    split
        Split on which the metric is computed: "test"; "leave-group-out" where each group was tested in turn.
    options
        Options of the task that differ from its defaults, such as the decoder.
    metric
        Name of the metric.
    label
        Label, or part of the data set, to which the metric is restricted; empty for all labels and clips.
    is_headline
        Whether this is the task's headline metric.
    aggregate
        How clips are combined: "mean", "sum" (a count), or "set" (scored together).
    value
        Value of the metric.
    low, high
        Bounds of the 95 % bootstrap interval, resampled over groups.
    deviation
        Standard deviation of the value over the seeds of the protocol; 0 for a protocol with one.
    n, n_groups
        Number of clips and of groups in the test split.
    n_train, n_valid
        Number of clips used for training and for validation; of several folds, the mean.
    protocol
        Name of the protocol by which probes are trained and chosen.
    n_seeds
        Number of seeds over which the protocol averages.
    train_fraction
        Share of the training clips that was requested; `n_train` is their number.
    readout
        Readout chosen on validation; of several folds, in the first.
    layer
        Layer chosen on validation, counted from 0.
    setting
        Regularisation strength of a convex probe; hyperparameters of the probe in other protocols.
    seed
        Seed of the bootstrap and of training subsets.
    source
        Library, version and function that computes the metric.
    selection
        Model selection on the validation split, for each seed of the protocol: the chosen readout, layer, setting and
        decoder, and the cross-entropy of every readout, layer and setting. The choices of the first seed are repeated
        in the result's own fields. Of a cross-validation also the number of folds, the value in each of them, and the
        choices in each. Cross-entropies are with the headline only: they are the same for all metrics of a job.
    extraction
        Speed of extraction as a multiple of real time, from files to store, where enough was encoded in this run. For
        networks that ran at another precision, that precision and the relative error of the features.
    versions
        Versions of mirbench and of the libraries that were used, by name.
    seconds
        Time spent on each step, in seconds.
    higher_is_better
        Direction of the metric.
    references
        Hash of the clips of all splits: groups, regions and references (see `mirbench.data.reference_hash`); empty
        where the record is of schema 1.
    code
        Hash of the source code that computed the value; empty where the record is of schema 1.
    predictions
        SHA-256 of the file of the estimates of all test clips, which the results of a job share; its first 16 digits
        name the file. "left out: REASON" where there is none; empty before schema 3.
    schema
        Version of the record's fields.
    scores
        Scores of single clips, stored beside the record; None where the metric is restricted to one label.
    estimates
        Content of the file of predictions (see `mirbench.results.predictions`), stored beside the record; None where
        it is left out, or the result was read from a record.
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
    predictions: str = ""
    schema: int = 3
    scores: ClipScores | None = field(default=None, compare=False, repr=False)
    estimates: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def rank_value(self) -> float:
        """The value with its sign such that a larger one is better: the one way in which results are ordered."""
        return self.value if self.higher_is_better else -self.value
