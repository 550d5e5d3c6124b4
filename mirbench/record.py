"""Append results to records, and read them back.

Every run appends to a file of its own, `records/<date>-<host>-<process>.jsonl`, one line a number: any number of
processes may run at once, on a network file system too. A line is on disk before the run goes on.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mirbench.domain import Result
from mirbench.errors import RecordError
from mirbench.hookspecs import hookimpl


class RecordWriter:
    """Write every result of a run as it becomes known."""

    def __init__(self, folder: Path, run: str) -> None:
        self.path = folder / f"{run}.jsonl"

    @hookimpl(tryfirst=True)
    def mirbench_result(self, result: Result) -> None:
        """Append one line and wait until the disk has it."""
        line = json.dumps(asdict(result), sort_keys=True, allow_nan=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise RecordError(f"cannot write the record {self.path}: {error.strerror}") from error


def read_records(folder: Path) -> list[Result]:
    """Read all records below a folder.

    Raises
    ------
    RecordError
        If a line is no record. A last line that a killed run left unfinished is reported and passed over.
    """
    return [result for path in sorted(folder.glob("*.jsonl")) for result in _read_file(path)]


def _read_file(path: Path) -> Iterator[Result]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if number == len(lines) and not line.endswith("\n"):
            print(f"{path}:{number}: unfinished line of a run that was killed; passed over", file=sys.stderr)
            return
        try:
            yield _as_result(json.loads(line))
        except (ValueError, TypeError) as error:
            raise RecordError(f"{path}:{number}: not a record ({error})") from error


def _as_result(values: Any) -> Result:
    names = {field.name for field in fields(Result)}
    if not isinstance(values, dict) or set(values) != names:
        odd = sorted(names.symmetric_difference(values)) if isinstance(values, dict) else type(values).__name__
        raise ValueError(f"fields missing or unknown: {odd}")
    return Result(**values)
