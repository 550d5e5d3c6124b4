"""Append results to records, and read them back.

Every run appends to a file of its own, `records/<date>-<host>-<process>.jsonl`, one line a number: any number of
processes may run at once, on a network file system too. A line is on disk before the run goes on. What numbers are made
of, clip by clip, lies beside them in `scores/<date>-<host>-<process>.jsonl`, found by the record's hash.
"""

import base64
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from mirbench.domain import ClipScores, Result
from mirbench.errors import RecordError
from mirbench.hookspecs import hookimpl

FIELDS = tuple(field.name for field in fields(Result) if field.name != "scores")
HALF, SINGLE = "<f2", "<f4"  # offsets of resamples from their number, to 1e-5; scores of clips


class RecordWriter:
    """Write every result of a run as it becomes known.

    Parameters
    ----------
    folder
        Of records; scores go into a folder `scores` beside it.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self.path = folder / f"{run}.jsonl"
        self._scores = folder.parent / "scores" / f"{run}.jsonl"

    @hookimpl(tryfirst=True)
    def mirbench_result(self, result: Result) -> None:
        """Append one line, or two, and wait until the disk has them."""
        if result.scores is not None:
            append(self._scores, {"id": record_id(result), **scores_as_json(result.scores, result.value)})
        append(self.path, as_json(result))


def append(path: Path, values: Mapping[str, Any]) -> None:
    """Append a line of JSON.

    Raises
    ------
    RecordError
        If the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, (as_line(values) + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise RecordError(f"cannot write the record {path}: {error.strerror}") from error


def as_line(values: Mapping[str, Any]) -> str:
    """Write a line of JSON, always the same for the same values."""
    return json.dumps(values, sort_keys=True, allow_nan=False)


def as_json(result: Result) -> dict[str, Any]:
    """Lay a result out as a record."""
    return {name: getattr(result, name) for name in FIELDS}


def record_id(result: Result) -> str:
    """Name a record by its content: 16 hexadecimal digits."""
    return hashlib.sha256(as_line(as_json(result)).encode()).hexdigest()[:16]


def scores_as_json(scores: ClipScores, value: float) -> dict[str, Any]:
    """Pack scores; what they pack into depends on the number that they belong to."""
    return {
        "clips": scores.clips,
        "resampled": _packed(scores.resampled - value, HALF),
        "values": None if scores.values is None else _packed(scores.values, SINGLE),
        "weights": None if scores.weights is None else _packed(scores.weights, SINGLE),
    }


def scores_from_json(found: Mapping[str, Any], value: float) -> ClipScores:
    """Undo `scores_as_json`."""
    return ClipScores(
        clips=found["clips"],
        resampled=value + _unpacked(found["resampled"], HALF),
        values=None if found["values"] is None else _unpacked(found["values"], SINGLE),
        weights=None if found["weights"] is None else _unpacked(found["weights"], SINGLE),
    )


def _packed(array: np.ndarray, kind: str) -> str:
    return base64.b64encode(array.astype(kind).tobytes()).decode()


def _unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind).astype(np.float64)


def read_scores(folder: Path, results: Iterable[Result]) -> dict[str, ClipScores]:
    """Read what is known clip by clip about some results, by the hash of their records.

    Parameters
    ----------
    folder
        Of scores.
    """
    wanted = {record_id(result): result.value for result in results}
    found = {}
    for path in sorted(folder.glob("*.jsonl")):
        for number, values in _lines(path):
            try:
                if values["id"] in wanted:
                    found[values["id"]] = scores_from_json(values, wanted[values["id"]])
            except (ValueError, TypeError, KeyError) as error:
                raise RecordError(f"{path}:{number}: no scores ({error!r})") from error
    return found


def read_records(folder: Path) -> list[Result]:
    """Read all records of a folder, or of one file.

    Raises
    ------
    RecordError
        If a line is no record. A last line that a killed run left unfinished is reported and passed over.
    """
    return [result for path in _files(folder) for result in _read_file(path)]


def _files(folder: Path) -> list[Path]:
    return [folder] if folder.is_file() else sorted(folder.glob("*.jsonl"))


def _read_file(path: Path) -> Iterator[Result]:
    for number, values in _lines(path):
        try:
            yield from_json(values)
        except (ValueError, TypeError) as error:
            raise RecordError(f"{path}:{number}: not a record ({error})") from error


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if number == len(lines) and not line.endswith("\n"):
            print(f"{path}:{number}: unfinished line of a run that was killed; passed over", file=sys.stderr)
            return
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise RecordError(f"{path}:{number}: not a record ({error})") from error


def from_json(values: Any) -> Result:
    """Undo `as_json`.

    Raises
    ------
    ValueError
        If these are not the fields of a record.
    """
    if not isinstance(values, dict) or set(values) != set(FIELDS):
        odd = sorted(set(FIELDS).symmetric_difference(values)) if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"fields missing or unknown: {odd}; is it of another version of mirbench?")
    return Result(**values)
