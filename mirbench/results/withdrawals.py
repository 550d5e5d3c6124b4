"""Records that no longer count: withdrawn by somebody, or replaced by a later run; always by what, and why.

Records are never edited. A withdrawal is a line of its own in the file `withdrawn.jsonl` beside `records/`; tables and
comparisons leave the record out, and a run of the same encoder does not bring it back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirbench.domain import Result
from mirbench.errors import RecordError, UsageError
from mirbench.results.leaderboard import board_of, latest
from mirbench.results.records import append, identity, read_lines, read_records

FILE = "withdrawn.jsonl"
CAUSES = {  # fields that change a value, in words
    "fingerprint": "fingerprint of the encoder",
    "references": "references",
    "code": "source code",
    "versions": "versions of libraries",
}


@dataclass(frozen=True)
class Withdrawal:
    """A record that does not count any more.

    Attributes
    ----------
    id
        Hash of the record.
    by
        Hash of the record that stands for it; empty where none does.
    why
        The reason.
    date
        Date and time (UTC, ISO 8601).
    """

    id: str
    by: str
    why: str
    date: str

    def __str__(self) -> str:
        return f"{self.id} on {self.date[:10]}{f', replaced by {self.by}' if self.by else ''}: {self.why}"


def withdraw(out: Path, start: str, why: str, by: str = "") -> list[Withdrawal]:
    """Withdraw a record of a folder, with all metrics of its run, task and encoder.

    Parameters
    ----------
    out
        Folder of results.
    start
        Beginning of the record's hash.
    why
        The reason.
    by
        Beginning of the hash of the record that stands for it.

    Raises
    ------
    UsageError
        If there is no reason, or not one record that a hash begins with.
    """
    if not why.strip():
        raise UsageError("the reason is empty; say why the record does not count any more")
    records = {identity(result): result for result in read_records(out / "records")}
    gone = records[_found(records, start, out)]
    replacement = _found(records, by, out) if by else ""
    known = {each.id for each in read_withdrawals(out)}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    made = [
        Withdrawal(name, replacement, why.strip(), date)
        for name, result in records.items()
        if _of_one_job(result, gone) and name not in known
    ]
    for each in made:
        append(out / FILE, asdict(each))
    return made


def _found(records: Iterable[str], start: str, out: Path) -> str:
    matching = [name for name in records if start and name.startswith(start)]
    if len(matching) != 1:
        raise UsageError(
            f"{len(matching)} records of {out / 'records'} have a hash that begins with {start!r}; expected one "
            "('mirbench leaderboard --format json' lists hashes)"
        )
    return matching[0]


def _of_one_job(one: Result, other: Result) -> bool:
    return _job(one) == _job(other)


def _job(result: Result) -> tuple[Any, ...]:
    return result.run, result.encoder, *board_of(result)


def read_withdrawals(out: Path) -> list[Withdrawal]:
    """Return the withdrawals of a folder; none, where it has no such file.

    Parameters
    ----------
    out
        Folder of results.

    Raises
    ------
    RecordError
        If a line is damaged: a record would count again in silence.
    """
    found: list[Withdrawal] = []
    if (out / FILE).is_file():
        for line in read_lines(out / FILE, lambda values: found.append(_from_json(values))):
            raise RecordError(f"{line}; mend the line, or remove it if the record is to count again")
    return found


def _from_json(values: Any) -> Withdrawal:
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError("expected id, by, why and date, each a text")
    return Withdrawal(**values)


def counted(results: Iterable[Result], out: Path) -> list[Result]:
    """Return the results of a folder that are not withdrawn.

    Parameters
    ----------
    results
        Results of the folder.
    out
        Folder of results.
    """
    gone = {each.id for each in read_withdrawals(out)}
    return [result for result in results if not gone or identity(result) not in gone]


def replaced(results: Sequence[Result]) -> list[Withdrawal]:
    """Return the headlines that a later run of the same encoder replaces: by which record, and what differs.

    Parameters
    ----------
    results
        Results that are not withdrawn.
    """
    headlines = [result for result in results if result.is_headline]
    newest = {_place(result): result for result in latest(headlines)}
    pairs = [(result, newest[_place(result)]) for result in headlines]
    return [
        Withdrawal(identity(old), identity(new), _difference(old, new), new.date)
        for old, new in pairs
        if identity(old) != identity(new)
    ]


def _place(result: Result) -> tuple[Any, ...]:
    return result.encoder, *board_of(result), result.metric


def _difference(old: Result, new: Result) -> str:
    differs = [text for name, text in CAUSES.items() if getattr(old, name) != getattr(new, name)]
    return f"a later run; {' and '.join(differs) if differs else 'nothing that is recorded'} differs"
