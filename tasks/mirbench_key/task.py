"""Key: in which of the 24 major and minor keys is this clip?

Conventions
-----------
Keys are spelled as mir_eval spells them: ``"C# minor"``, ``"Bb major"``. Enharmonic names mean the same key; the
vocabulary has one of them.

Metrics
-------
- ``weighted_score`` (headline): the MIREX key score, `mir_eval.key.weighted_score`: 1 for the right key, 0.5 for a
  perfect fifth, 0.3 for the relative and 0.2 for the parallel key. Ascending fifths only: an estimate a fifth *above*
  the reference scores 0.5 (reference C major, estimate G major); a fifth below scores 0. The version of mir_eval is
  pinned because papers and releases differ in that rule.
- ``weighted_score_descending_fifths``: the same score where descending fifths count 0.5 too (reference C major,
  estimate F major). Compare published scores with the version that they used.
- ``key_signature``: STONE's key signature estimation accuracy (KSEA), of 12 classes, in which relative keys are one: 1
  for the right signature, 0.5 for one that is a fifth up or down.
- ``accuracy``: share of clips with the right key, `mir_eval` score of 1.
- ``fifth_errors``, ``relative_errors``, ``parallel_errors``: how many clips scored 0.5, 0.3 and 0.2;
  ``other_errors``: how many scored 0.

References
----------
Raffel et al., mir_eval: A transparent implementation of common MIR metrics, ISMIR 2014. Kong, Lostanlen,
Meseguer-Brocal, Wong, Lagrange and Hennequin, STONE: Self-supervised tonality estimator, ISMIR 2024.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mirbench.domain import ClipMetric, Confusion, Task

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SOURCE = "mir_eval 0.8.2 key.weighted_score"


def weighted_score(reference: str, estimate: str) -> float:
    """Score one estimate; an empty one counts as mir_eval's "X" (no key)."""
    from mir_eval.key import weighted_score

    return float(weighted_score(reference, estimate or "X"))


def weighted_score_descending_fifths(reference: str, estimate: str) -> float:
    """Score one estimate; a fifth below the reference counts as one above. All other relations are symmetric."""
    return max(weighted_score(reference, estimate), weighted_score(estimate, reference)) if estimate else 0.0


def has_score(reference: str, estimate: str, value: float) -> float:
    """Return whether an estimate has this weighted score: 1 or 0."""
    return float(weighted_score(reference, estimate) == value)


def key_signature(reference: str, estimate: str) -> float:
    """Score the key signature alone."""
    if not estimate:
        return 0.0
    fifths = (_fifths(estimate) - _fifths(reference)) % 12
    return {0: 1.0, 1: 0.5, 11: 0.5}.get(fifths, 0.0)


def _fifths(key: str) -> int:
    """Count the fifths from C to the major key of the same signature."""
    from mir_eval.key import split_key_string

    tonic, mode = split_key_string(key)
    return int(7 * (tonic + (3 if mode == "minor" else 0)) % 12)


class KeyTask(Task):
    """The key task; references and estimates are strings such as "C# minor"."""

    name = "key"
    scope = "clip"
    objective = "multiclass"
    label_column = "key"
    labels = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in TONICS)
    metrics = (
        ClipMetric("weighted_score", weighted_score, SOURCE),
        ClipMetric(
            "weighted_score_descending_fifths",
            weighted_score_descending_fifths,
            f"{SOURCE}, the larger of both directions",
        ),
        ClipMetric("key_signature", key_signature, "mirbench: KSEA of STONE"),
        ClipMetric("accuracy", partial(has_score, value=1.0), f"{SOURCE} = 1"),
        *(
            ClipMetric(
                f"{kind}_errors",
                partial(has_score, value=value),
                f"{SOURCE} = {value}",
                aggregate="sum",
                best=0.0,
                worst=float("inf"),
            )
            for kind, value in {"fifth": 0.5, "relative": 0.3, "parallel": 0.2, "other": 0.0}.items()
        ),
    )

    def read_reference(self, text: str, folder: Path) -> str:
        """Read a key; every spelling that mir_eval knows is taken."""
        from mir_eval.key import split_key_string, validate_key

        try:
            validate_key(text)
            tonic, mode = split_key_string(text)
        except ValueError as error:
            raise ValueError(f"key {text!r} is not spelled as 'C# minor' or 'Bb major'") from error
        if tonic is None or mode not in ("major", "minor"):
            raise ValueError(f"key {text!r}; expected a tonic and 'major' or 'minor'")
        return f"{TONICS[tonic]} {mode}"

    def target(self, reference: str, times: Float64[np.ndarray, "time"]) -> Int64[np.ndarray, ""]:
        """Return the index of the key."""
        return np.array(self.labels.index(self.read_reference(reference, Path())), dtype=np.int64)

    def decode(self, logits: Float32[np.ndarray, "label"], times: Float64[np.ndarray, "time"], duration: float) -> str:
        """Name the key with the largest logit."""
        return self.labels[int(logits.argmax())]

    def confusion(self, references: Sequence[str], estimates: Sequence[str]) -> Confusion:
        """Follow the circle of fifths from C; minor keys in the order of their relative major keys."""
        order = sorted(self.labels, key=lambda key: (key.endswith("minor"), _fifths(key)))
        counts = np.zeros((len(order), len(order)))
        for reference, estimate in zip(references, estimates, strict=True):
            counts[order.index(self.read_reference(reference, Path())), order.index(estimate)] += 1
        return Confusion(tuple(order), tuple(order), counts, "clips")

    def baselines(self, references: Sequence[str], durations: Sequence[float]) -> Mapping[str, Sequence[str]]:
        """Return the key that most training clips have."""
        majority, _ = Counter(self.read_reference(each, Path()) for each in references).most_common(1)[0]
        return {"majority": [majority] * len(durations)}

    def empty(self) -> str:
        """Return no key."""
        return ""

    def example(self, random: np.random.Generator) -> tuple[str, float]:
        """Draw a key."""
        return self.labels[random.integers(len(self.labels))], 20.0
