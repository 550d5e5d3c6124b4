"""Hash references, so that a result shows which annotations it was scored against."""

import dataclasses
import hashlib
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mirbench.domain import SPLITS, Dataset

DIGITS = 16  # hexadecimal; 64 bits


def digest_of(dataset: Dataset) -> str:
    """Return a hash of all clips of a data set: splits, folds, groups, regions and references, not the audio."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for clip in dataset.clips(split):
            about = [split, clip.id, clip.group, clip.start, clip.duration]
            digest.update(as_bytes(about) + as_bytes(clip.reference))
    for fold in dataset.folds:
        digest.update(as_bytes([fold.fold, *(f"{split} {clip.id}" for split in SPLITS for clip in fold.clips(split))]))
    return digest.hexdigest()[:DIGITS]


def as_bytes(reference: Any) -> bytes:
    """Return bytes that are equal for equal references and differ for others.

    Parameters
    ----------
    reference
        Text, numbers, arrays, and sequences, mappings or dataclasses of these; anything else is pickled, so that equal
        objects may differ.
    """
    if isinstance(reference, np.ndarray) and reference.dtype != object:
        return f"array {reference.dtype.str} {reference.shape} ".encode() + np.ascontiguousarray(reference).tobytes()
    if dataclasses.is_dataclass(reference) and not isinstance(reference, type):
        values = {each.name: getattr(reference, each.name) for each in dataclasses.fields(reference)}
        return type(reference).__qualname__.encode() + as_bytes(values)
    if isinstance(reference, Mapping):
        return b"{" + b"".join(sorted(as_bytes(key) + as_bytes(value) for key, value in reference.items())) + b"}"
    if isinstance(reference, set | frozenset):
        return b"<" + b"".join(sorted(map(as_bytes, reference))) + b">"
    if isinstance(reference, Sequence) and not isinstance(reference, str | bytes):
        return b"(" + b"".join(map(as_bytes, reference)) + b")"
    if reference is None or isinstance(reference, str | bytes | bool | int | float | np.generic):
        text = f"{type(reference).__name__} {reference!r}".encode()
        return f"{len(text)}:".encode() + text
    return pickle.dumps(reference)
