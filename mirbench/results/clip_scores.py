"""Scores of clips and resamples in the compact form in which files of scores hold them."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mirbench.domain import ClipScores
from mirbench.domain.resampling import draw, resampled_aggregate

HALF, SINGLE = "<f2", "<f4"  # offsets of resamples from their number, to 1e-5; scores of clips
NUMBER = "<u4"  # of a group


def scores_as_json(scores: ClipScores, value: float) -> dict[str, Any]:
    """Return clip scores in compact form: resamples as 16-bit offsets from the result, where clips do not give them.

    Where the groups of clips are known, equal resamples are stored once, and resamples that follow from the scores of
    clips are not stored at all.

    Parameters
    ----------
    scores
        Scores of clips and resamples.
    value
        Value of the result to which they belong.
    """
    found = {
        "clips": scores.clips,
        "values": None if scores.values is None else _packed(scores.values, SINGLE),
        "weights": None if scores.weights is None else _packed(scores.weights, SINGLE),
    }
    if scores.groups is None:
        return {**found, "resampled": _packed(scores.resampled - value, HALF)}
    draws = draw(int(scores.groups.max()) + 1, scores.seed, len(scores.resampled))
    again = _from_clips(scores, len(scores.resampled))
    is_known = again is not None and np.allclose(again, scores.resampled, rtol=1e-5, atol=1e-6, equal_nan=True)
    return {
        **found,
        "groups": _packed(scores.groups, NUMBER),
        "seed": scores.seed,
        "aggregate": scores.aggregate,
        "n_resamples": len(scores.resampled),
        "resampled": None if is_known else _packed(scores.resampled[draws.first] - value, HALF),
        "draws": "" if is_known else draws.digest,
    }


def _from_clips(scores: ClipScores, n_resamples: int) -> np.ndarray | None:
    """Return the value in each resample, from the scores of clips as they are stored; None if they do not tell."""
    if scores.values is None or scores.weights is None or scores.groups is None or scores.aggregate == "set":
        return None
    values, weights = (each.astype(SINGLE).astype(np.float64) for each in (scores.values, scores.weights))
    draws = draw(int(scores.groups.max()) + 1, scores.seed, n_resamples)
    resampled = resampled_aggregate(values, weights, scores.groups, draws, scores.aggregate)
    return np.asarray(resampled[draws.places])


def scores_from_json(found: Mapping[str, Any], value: float) -> ClipScores:
    """Return clip scores from their compact form, see `scores_as_json`.

    Parameters
    ----------
    found
        Scores in compact form.
    value
        Value of the result to which they belong.

    Raises
    ------
    ValueError
        If resamples are stored that this version of numpy would draw otherwise, or another number of them.
    """
    values, weights = (
        None if found[name] is None else _unpacked(found[name], SINGLE) for name in ("values", "weights")
    )
    if "groups" not in found:
        return ClipScores(found["clips"], value + _unpacked(found["resampled"], HALF), values, weights)
    groups, seed, n_resamples = _unpacked(found["groups"], NUMBER).astype(np.int64), found["seed"], found["n_resamples"]
    scores = ClipScores(found["clips"], np.zeros(0), values, weights, groups, seed, found["aggregate"])
    if found["resampled"] is None:
        resampled = _from_clips(scores, n_resamples)
        if resampled is None:
            raise ValueError("neither resamples nor scores of clips")
        return replace(scores, resampled=resampled)
    draws = draw(int(groups.max()) + 1, seed, n_resamples)
    if draws.digest != found["draws"]:
        raise ValueError(f"its resamples {found['draws']!r} are not those of numpy {np.__version__}; run it again")
    distinct = _unpacked(found["resampled"], HALF)
    if len(distinct) != len(draws.first):
        raise ValueError(f"{len(distinct)} resamples; expected {len(draws.first)} distinct ones of {n_resamples}")
    return replace(scores, resampled=value + distinct[draws.places])


def _packed(array: np.ndarray, kind: str) -> str:
    return base64.b64encode(array.astype(kind).tobytes()).decode()


def _unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind).astype(np.float64)
