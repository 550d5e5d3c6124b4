"""Export results into a folder, and merge such a folder into other results; duplicates are recognised by content."""

import hashlib
import json
import platform
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path

from mirbench.domain import ClipScores, Result
from mirbench.errors import RecordError, UsageError
from mirbench.files import content_hash, write_atomically
from mirbench.results.clip_scores import scores_as_json
from mirbench.results.predictions import is_stored, read_predictions, write_predictions
from mirbench.results.records import append, as_json, as_line, read_records, read_scores, record_id
from mirbench.results.withdrawals import FILE as WITHDRAWN
from mirbench.results.withdrawals import read_withdrawals

MANIFEST, ENVIRONMENT = "manifest.json", "environment.txt"
EXPECTED = ("records/*.jsonl", "scores/*.jsonl", "predictions/*.npz", WITHDRAWN, "leaderboard.csv", ENVIRONMENT)
EXPORTED = re.compile(
    r"(records|scores)/[^/\\\x00-\x1f]+\.jsonl|predictions/[0-9a-f]{16}\.npz|withdrawn\.jsonl|leaderboard\.csv"
    r"|environment\.txt"
)
FORMAT = 2
READABLE = (1, FORMAT)  # format 1 has no predictions


@dataclass(frozen=True)
class Merged:
    """Outcome of an import.

    Attributes
    ----------
    n_new, n_known
        Number of records that were added, and of those that were there.
    n_scores
        Number of records whose scores of clips were added.
    """

    n_new: int
    n_known: int
    n_scores: int


def export(out: Path, folder: Path, leaderboard: str) -> int:
    """Write records, scores, predictions, leaderboard and environment into a new folder.

    Parameters
    ----------
    out
        Folder of results.
    folder
        New folder.
    leaderboard
        Content of `leaderboard.csv`.

    Returns
    -------
    int
        Number of records.

    Raises
    ------
    UsageError
        If there are no records, or the folder is not empty.
    RecordError
        If a file of predictions is not the one that records name.
    """
    results = read_records(out / "records")
    if not results:
        raise UsageError(f"no records in {out / 'records'}; 'mirbench run' writes them")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name a new folder")
    _write(folder, "records", results, read_scores(out / "scores", results))
    _copy_predictions(results, out, folder)
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
    """Add the new records, scores and predictions of an exported folder to results.

    Parameters
    ----------
    folder
        Exported folder.
    out
        Folder of results.

    Raises
    ------
    UsageError
        If the folder was not exported.
    RecordError
        If a file is not listed in the manifest, or its hash differs.
    """
    files = read_manifest(folder)
    theirs, ours = read_records(folder / "records", strict=True), read_records(out / "records")
    known = {record_id(result) for result in ours}
    new = [result for result in theirs if record_id(result) not in known]
    scores = read_scores(folder / "scores", theirs, strict=True)
    have = read_scores(out / "scores", theirs)
    missing = {name: each for name, each in scores.items() if name not in have}
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
    _copy_predictions(theirs, folder, out)
    _write(out, f"imported-{digest}", new, missing, theirs)
    withdrawn = {each.id for each in read_withdrawals(out)}
    if WITHDRAWN in files:
        for each in read_withdrawals(folder):
            if each.id not in withdrawn:
                append(out / WITHDRAWN, asdict(each))
    return Merged(len(new), len(theirs) - len(new), len(missing))


def read_manifest(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of an exported folder by name, after comparing the files with it.

    Parameters
    ----------
    folder
        Exported folder.

    Raises
    ------
    UsageError
        If the folder was not exported.
    RecordError
        If a file is not listed in the manifest, or its hash differs.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files, version = manifest["sha256"], manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder} is not what 'mirbench export' writes ({error})") from error
    if version not in READABLE:
        expected = " and ".join(map(str, READABLE))
        raise UsageError(f"{folder} has format {version}, this mirbench reads formats {expected}; update mirbench")
    return _require_exported(folder, files)


def _copy_predictions(results: Iterable[Result], source: Path, target: Path) -> None:
    """Copy the predictions of some results; 'mirbench verify' reports those that the source lacks."""
    for sha256 in dict.fromkeys(result.predictions for result in results if is_stored(result.predictions)):
        content = read_predictions(source / "predictions", sha256)
        if content is not None:
            write_predictions(target / "predictions", content)


def _require_exported(folder: Path, files: object) -> dict[str, str]:
    """Compare the hash of each file that the manifest lists, and return the manifest."""
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
    for kind in ("records", "scores", "predictions"):
        for path in sorted((folder / kind).glob("*")):
            if f"{kind}/{path.name}" not in files:
                raise RecordError(f"{path} is not listed in {where}; remove it, or export again")
    return files


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
    packages = {f"{each.metadata['Name']}=={each.version}" for each in distributions()}
    lines = [f"# python {platform.python_version()}, {platform.platform()}", *sorted(packages, key=str.lower)]
    return "\n".join(lines) + "\n"
