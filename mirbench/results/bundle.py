"""Bundle results into a folder that a colleague can merge into theirs; what both have is recognised by its content."""

import hashlib
import json
import platform
import re
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path

from mirbench.domain import ClipScores, Result
from mirbench.errors import RecordError, UsageError
from mirbench.files import content_hash, write_atomically
from mirbench.results.records import append, as_json, as_line, read_records, read_scores, record_id, scores_as_json
from mirbench.results.withdrawals import FILE as WITHDRAWN
from mirbench.results.withdrawals import read_withdrawals

MANIFEST, ENVIRONMENT = "manifest.json", "environment.txt"
EXPECTED = ("records/*.jsonl", "scores/*.jsonl", WITHDRAWN, "leaderboard.csv", ENVIRONMENT)
EXPORTED = re.compile(r"(records|scores)/[^/\\\x00-\x1f]+\.jsonl|withdrawn\.jsonl|leaderboard\.csv|environment\.txt")
FORMAT = 1


@dataclass(frozen=True)
class Merged:
    """Outcome of an import."""

    n_new: int
    n_known: int
    n_scores: int


def export(out: Path, folder: Path, leaderboard: str) -> int:
    """Write records, scores of clips, leaderboard and environment into a new folder; returns how many records.

    Raises
    ------
    UsageError
        If there are no records, or the folder holds something already.
    """
    results = read_records(out / "records")
    if not results:
        raise UsageError(f"no records in {out / 'records'}; 'mirbench run' writes them")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name a new folder")
    _write(folder, "records", results, read_scores(out / "scores", results))
    if (out / WITHDRAWN).is_file():
        write_atomically(folder / WITHDRAWN, (out / WITHDRAWN).read_bytes())
    write_atomically(folder / "leaderboard.csv", leaderboard.encode())
    write_atomically(folder / ENVIRONMENT, _environment().encode())
    files = {
        path.relative_to(folder).as_posix(): content_hash(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    write_atomically(folder / MANIFEST, json.dumps({"format": FORMAT, "sha256": files}, indent=1).encode())
    return len(results)


def merge(folder: Path, out: Path) -> Merged:
    """Add the records and scores of a bundle that are not there yet.

    Raises
    ------
    UsageError
        If the folder is no bundle.
    RecordError
        If a file is not one that was exported, or not as it was.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files, found = manifest["sha256"], manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder} is not what 'mirbench export' writes ({error})") from error
    if found != FORMAT:
        raise UsageError(f"{folder} has format {found}, this mirbench reads format {FORMAT}; update mirbench")
    _require_exported(folder, files)
    theirs, ours = read_records(folder / "records", strict=True), read_records(out / "records")
    known = {record_id(result) for result in ours}
    new = [result for result in theirs if record_id(result) not in known]
    scores = read_scores(folder / "scores", theirs, strict=True)
    have = read_scores(out / "scores", theirs)
    missing = {name: each for name, each in scores.items() if name not in have}
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
    _write(out, f"imported-{digest}", new, missing, theirs)
    withdrawn = {each.id for each in read_withdrawals(out)}
    if WITHDRAWN in files:
        for each in read_withdrawals(folder):
            if each.id not in withdrawn:
                append(out / WITHDRAWN, asdict(each))
    return Merged(len(new), len(theirs) - len(new), len(missing))


def _require_exported(folder: Path, files: object) -> None:
    """Check every file that is read against the manifest; nothing else is looked at."""
    where = folder / MANIFEST
    if not isinstance(files, dict) or not any(name.startswith("records/") for name in files):
        raise UsageError(f"{where} lists no records; expected what 'mirbench export' writes; export again")
    for name, sha256 in files.items():
        if not EXPORTED.fullmatch(name):
            raise UsageError(f"{where} lists {name!r}; expected {', '.join(EXPECTED)}")
        path = folder / name
        if path.is_symlink() or path.parent.is_symlink():
            raise UsageError(f"{path} is a link; expected the files themselves; export again")
        if not path.is_file() or content_hash(path) != sha256:
            raise RecordError(f"{path} is missing or not the file that was exported; export again")
    for kind in ("records", "scores"):
        for path in sorted((folder / kind).glob("*")):
            if f"{kind}/{path.name}" not in files:
                raise RecordError(f"{path} is not listed in {where}; remove it, or export again")


def _write(
    folder: Path,
    stem: str,
    results: list[Result],
    scores: dict[str, ClipScores],
    owners: list[Result] | None = None,
) -> None:
    values = {record_id(result): result.value for result in owners or results}
    lines = {
        "records": [as_line(as_json(result)) for result in results],
        "scores": [as_line({"id": name, **scores_as_json(each, values[name])}) for name, each in scores.items()],
    }
    for kind, some in lines.items():
        if some:
            write_atomically(folder / kind / f"{stem}.jsonl", "".join(f"{line}\n" for line in some).encode())


def _environment() -> str:
    found = {f"{each.metadata['Name']}=={each.version}" for each in distributions()}
    lines = [f"# python {platform.python_version()}, {platform.platform()}", *sorted(found, key=str.lower)]
    return "\n".join(lines) + "\n"
