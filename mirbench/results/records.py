"""Append results to records, and read them back.

Every run appends to a file of its own, `records/<date>-<host>-<process>.jsonl`, one line a result: any number of
processes may run at once, on a network file system too. A line is on disk before the run continues. Scores of single
clips and of bootstrap resamples lie in `scores/<date>-<host>-<process>.jsonl`, identified by the record's hash; the
estimates of a job lie in `predictions/`, see `mirbench.results.predictions`.
"""

import errno
import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mirbench.domain import ClipScores, Result
from mirbench.errors import RecordError
from mirbench.files import write_atomically
from mirbench.hookspecs import hookimpl
from mirbench.results.clip_scores import scores_as_json, scores_from_json
from mirbench.results.predictions import IN_RECORDS, write_predictions

SCHEMA = 3
FIELDS = tuple(field.name for field in fields(Result) if field.name not in ("scores", "estimates"))
SINCE = {
    **dict.fromkeys(FIELDS, 1),
    **dict.fromkeys(("higher_is_better", "references", "code", "schema"), 2),
    "predictions": 3,
}  # the schema that introduced each field
FIELDS_OF = {schema: tuple(name for name in FIELDS if SINCE[name] <= schema) for schema in range(1, SCHEMA + 1)}
LESS_IS_BETTER_IN_1 = ("_error", "_errors")  # ends of the names of metrics whose direction schema 1 did not record
NUMBERS, COUNTS = ("value", "low", "high", "deviation", "train_fraction"), (
    "n", "n_groups", "n_train", "n_valid", "n_seeds", "layer", "seed", "schema",
)  # fmt: skip
FLAGS, TABLES = ("is_headline", "higher_is_better"), ("options", "selection", "extraction", "versions", "seconds")


class RecordWriter:
    """Observer that writes every result of a run to disk as it becomes known.

    Parameters
    ----------
    folder
        Folder of records; scores and predictions are written to folders `scores` and `predictions` beside it.
    run
        Name of the run, which becomes the stem of its files.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self.path = folder / f"{run}.jsonl"
        self._scores = folder.parent / "scores" / f"{run}.jsonl"
        self._predictions = folder.parent / "predictions"

    @hookimpl(tryfirst=True)
    def mirbench_result(self, result: Result) -> None:
        """Append the result to its files, and wait until the data are on disk.

        Parameters
        ----------
        result
            Result to write.
        """
        if result.estimates is not None:  # before the record that names them
            with _advising(self._predictions):
                write_predictions(self._predictions, result.estimates)
        if result.scores is not None:
            append(self._scores, {"id": record_id(result), **scores_as_json(result.scores, result.value)})
        append(self.path, as_json(result))


def append(path: Path, values: Mapping[str, Any]) -> None:
    """Append a line of JSON.

    Parameters
    ----------
    path
        File to append to; it is created where it is missing.
    values
        Content of the line.

    Raises
    ------
    RecordError
        If the file cannot be written.
    """
    with _advising(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            _write_whole(handle, (as_line(values) + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _advising(path: Path) -> Iterator[None]:
    """Raise RecordError for an error of the operating system, with what to do about it."""
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"cannot write the record {path}: {error.strerror}; make room or name another folder with --out, and run "
            "the same command again: what is finished is not computed again"
        ) from error


def _write_whole(handle: int, line: bytes) -> None:
    """Write a line, or nothing of it: a disk that fills up takes a part and reports no error."""
    before, written = os.fstat(handle).st_size, 0
    try:
        while written < len(line):
            n_bytes = os.write(handle, line[written:])
            if n_bytes == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written += n_bytes
    except OSError:
        if written:
            os.ftruncate(handle, before)
        raise


def as_line(values: Mapping[str, Any]) -> str:
    """Return values as one line of JSON, always the same for the same values.

    Parameters
    ----------
    values
        Content of the line.
    """
    return json.dumps(values, sort_keys=True, allow_nan=False)


def as_json(result: Result) -> dict[str, Any]:
    """Return a result as a record of its schema.

    Parameters
    ----------
    result
        A result.
    """
    return {name: getattr(result, name) for name in FIELDS_OF[result.schema]}


def record_id(result: Result) -> str:
    """Return the identifier of a record: 16 hexadecimal digits, a hash of its content.

    Parameters
    ----------
    result
        A result.
    """
    return hashlib.sha256(as_line(as_json(result)).encode()).hexdigest()[:16]


def identity(result: Result) -> str:
    """Return the name of a record; of one with values that JSON does not have, a name of its own.

    Parameters
    ----------
    result
        A result.
    """
    try:
        return record_id(result)
    except ValueError:
        return hashlib.sha256(repr(as_json(result)).encode(errors="backslashreplace")).hexdigest()[:16]


def read_scores(folder: Path, results: Iterable[Result], *, strict: bool = False) -> dict[str, ClipScores]:
    """Return the clip scores of some results, by the identifiers of their records.

    Parameters
    ----------
    folder
        Folder of scores.
    results
        Results whose clip scores are read.
    strict
        If true, raise an error at a bad line instead of reporting and skipping it.

    Raises
    ------
    RecordError
        At the first bad line, if `strict`.
    """
    wanted = {record_id(result): result.value for result in results}
    found: dict[str, ClipScores] = {}

    def take(values: Any) -> None:
        if values["id"] in wanted:
            found[values["id"]] = scores_from_json(values, wanted[values["id"]])

    for path in _files(folder):
        for line in read_lines(path, take):
            _report(line, strict=strict)
    return found


def read_records(folder: Path, *, strict: bool = False) -> list[Result]:
    """Return all results recorded in a folder, or in one file.

    Parameters
    ----------
    folder
        Folder of records, or one file of them.
    strict
        If true, raise an error at a bad line instead of reporting and skipping it.

    Raises
    ------
    RecordError
        At the first bad line, if `strict`.
    """
    found: list[Result] = []
    for path in _files(folder):
        for line in read_lines(path, lambda values: found.append(from_json(values))):
            _report(line, strict=strict)
    return found


@dataclass(frozen=True)
class BadLine:
    """A line that is not a record.

    Attributes
    ----------
    path
        File that holds the line.
    number
        Number of the line, from 1; 0 where the whole file cannot be read.
    text
        Content of the line.
    problem
        Why it is not a record.
    """

    path: Path
    number: int
    text: bytes
    problem: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.number}" if self.number else str(self.path)
        return f"{where}: {self.problem}"


def _report(line: BadLine, *, strict: bool) -> None:
    if strict:
        raise RecordError(str(line))
    print(f"mirbench: {line}; left out ('mirbench records repair' moves bad lines aside)", file=sys.stderr)


def _files(folder: Path) -> list[Path]:
    return [folder] if folder.is_file() else sorted(folder.glob("*.jsonl"))


def read_lines(path: Path, take: Callable[[Any], object]) -> Iterator[BadLine]:
    """Call a function with the values of every line of a file.

    Parameters
    ----------
    path
        File of JSON lines.
    take
        Called with the values of a line; raises ValueError, TypeError or KeyError to refuse them.

    Yields
    ------
    BadLine
        Each line that is refused, or is not JSON.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        yield BadLine(path, 0, b"", f"cannot be read ({error.strerror})")
        return
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            yield BadLine(path, number, line, "unfinished line of a run that was killed")
            continue
        try:
            take(json.loads(line, parse_constant=_refuse_constant))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
            yield BadLine(path, number, line, f"not a record ({reason})")


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not a finite number")


def repair(folder: Path) -> list[tuple[BadLine, Path]]:
    """Move the bad lines of a folder's files into files beside them, whose names end in `.bad`.

    Parameters
    ----------
    folder
        Folder of results, with `records/` and `scores/` in it.

    Returns
    -------
    list of tuple
        Each bad line, and the file that holds it now. Files that cannot be read at all are left unchanged.
    """
    moved: list[tuple[BadLine, Path]] = []
    takers: dict[str, Callable[[Any], object]] = {"records": from_json, "scores": _check_scores}
    for kind, check in takers.items():
        for path in _files(folder / kind):
            bad = [line for line in read_lines(path, check) if line.number]
            if bad:
                aside = path.with_name(f"{path.name}.bad")
                kept = aside.read_bytes() if aside.exists() else b""
                lines = [line.text if line.text.endswith(b"\n") else line.text + b"\n" for line in bad]
                write_atomically(aside, kept + b"".join(lines))
                numbers = {line.number for line in bad}
                good = enumerate(path.read_bytes().splitlines(keepends=True), start=1)
                write_atomically(path, b"".join(line for number, line in good if number not in numbers))
                moved += [(line, aside) for line in bad]
    return moved


def _check_scores(values: Any) -> ClipScores:
    if not isinstance(values["id"], str):
        raise ValueError(f"id {values['id']!r}; expected a text")
    return scores_from_json(values, 0.0)


def from_json(values: Any) -> Result:
    """Return the result of a record, see `as_json`.

    Parameters
    ----------
    values
        Values of a line of JSON.

    Raises
    ------
    ValueError
        If these are not the fields of a record, or a field has a value of the wrong type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"a {type(values).__name__}; expected the fields of a record")
    schema = values.get("schema", 1)
    if isinstance(schema, bool) or not isinstance(schema, int) or schema not in FIELDS_OF:
        raise ValueError(f"schema {schema!r}; this mirbench reads {', '.join(map(str, FIELDS_OF))}: update mirbench")
    odd = sorted(set(FIELDS_OF[schema]).symmetric_difference(values), key=str)
    if odd:
        raise ValueError(f"fields missing or unknown: {odd}; is it of another version of mirbench?")
    for name, value in values.items():
        _check_field(name, value)
    if schema == 1:
        metric = values["metric"]
        return Result(**values, schema=1, higher_is_better=not metric.endswith(LESS_IS_BETTER_IN_1))
    return Result(**values)


def _check_field(name: str, value: Any) -> None:
    if name == "setting":
        return
    if name in NUMBERS:
        is_right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        expected = "a finite number"
    elif name in COUNTS:
        is_right, expected = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    elif name in FLAGS:
        is_right, expected = isinstance(value, bool), "true or false"
    elif name in TABLES:
        is_right, expected = isinstance(value, dict), "a table of names and values"
    elif name == "predictions":
        is_right = isinstance(value, str) and IN_RECORDS.fullmatch(value) is not None
        expected = "a SHA-256, or 'left out:' and the reason"
    else:
        is_right, expected = isinstance(value, str), "a text"
    if not is_right:
        raise ValueError(f"{name} is {json.dumps(value)[:80]}; expected {expected}")
