"""Run a record again, from its own fields, and compare the values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mirbench.domain import LEAVE_GROUP_OUT, Result
from mirbench.encoders.references import is_named_elsewhere, suffix
from mirbench.errors import MirbenchError, UsageError
from mirbench.hookspecs import hookimpl
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.results.records import as_line, read_records, record_id
from mirbench.runs.planning import make_plan
from mirbench.runs.run import run

TOLERANCE = 1e-9  # absolute, of metrics that lie in [0, 1]


@dataclass(frozen=True)
class Reproduction:
    """A record, its rerun, and what differs between them.

    Attributes
    ----------
    differences
        What could explain a difference, by name: what was recorded, and what it is now.
    """

    recorded: Result
    found: Result
    differences: Mapping[str, tuple[object, object]]

    @property
    def is_equal(self) -> bool:
        """Whether value and interval are reproduced to the last digit."""
        return _numbers(self.recorded) == _numbers(self.found)

    @property
    def is_close(self) -> bool:
        """Whether value and interval are reproduced within `TOLERANCE`: linear algebra rounds differently."""
        pairs = zip(_numbers(self.recorded), _numbers(self.found), strict=True)
        return self.is_equal or all(abs(before - now) <= TOLERANCE for before, now in pairs)


def _numbers(result: Result) -> tuple[float, float, float]:
    return result.value, result.low, result.high


def find_record(name: str, out: Path) -> Result:
    """Find a record.

    Parameters
    ----------
    name
        The beginning of its hash (in the records of a folder), FILE:LINE, or FILE for its first headline.

    Raises
    ------
    UsageError
        If there is none, or more than one.
    """
    file, colon, line = name.rpartition(":")
    path = Path(file if colon and line.isdigit() else name)
    if path.is_file():
        results = read_records(path)
        if colon and line.isdigit():
            if not 1 <= int(line) <= len(results):
                raise UsageError(f"{path} has {len(results)} records; there is none on line {line}")
            return results[int(line) - 1]
        return next((result for result in results if result.is_headline), results[0])
    found = {record_id(result): result for result in read_records(out / "records")}
    matching = [result for key, result in found.items() if key.startswith(name)]
    if len(matching) != 1:
        raise UsageError(
            f"{len(matching)} records of {out / 'records'} have a hash that begins with {name!r}; "
            "'mirbench leaderboard --format json' lists hashes; FILE:LINE names a record, too"
        )
    return matching[0]


class _Collected:
    def __init__(self) -> None:
        self.results: list[Result] = []

    @hookimpl
    def mirbench_result(self, result: Result) -> None:
        self.results.append(result)


def trusted_encoder(recorded: Result, checkpoint: str | None = None, *, is_trusted: bool = False) -> str:
    """Return the reference of a record's encoder, if it may be loaded.

    A record may come from anybody. What it names is loaded only where that needs neither a file nor a download nor the
    import of code that the record names.

    Parameters
    ----------
    checkpoint
        The user's own weights, instead of those that the record names.
    is_trusted
        Whether the user trusts the record.

    Raises
    ------
    UsageError
        If the record is not trusted and names weights or code.
    """
    reference = recorded.encoder.removesuffix(suffix(precision_of(recorded)))
    name = reference.partition("@")[0]
    named_by_record = name if checkpoint else reference
    if is_named_elsewhere(named_by_record) and not is_trusted:
        kind = "code or weights" if ":" in name else "weights"
        advice = "" if checkpoint or ":" in name else ", or give the weights with --checkpoint FILE"
        raise UsageError(
            f"the record names {kind} to load: {named_by_record!r}; if you trust whoever made the record, add "
            f"--trust-record{advice}"
        )
    return f"{name}@{checkpoint}" if checkpoint else reference


def precision_of(recorded: Result) -> str:
    """Return the precision of a record's encoder."""
    return str(recorded.extraction.get("precision", "fp32"))


def reproduce(
    recorded: Result, plugins: Plugins, settings: Settings, encoder: str, csv: Path | None = None
) -> Reproduction:
    """Run a record again; features that are stored count, finished jobs do not.

    Parameters
    ----------
    settings
        Where, and on which device; what the record says replaces the rest.
    encoder
        What to run: the recorded name (see `trusted_encoder`), or NAME@FILE where the file lies elsewhere now.
    csv
        Of a data set of the user's own.

    Raises
    ------
    MirbenchError
        If it cannot be run here.
    """
    own = replace(
        settings,
        size=recorded.size,
        seed=recorded.seed,
        protocol=recorded.protocol,
        train_fractions=(recorded.train_fraction,),
        leave_group_out=recorded.split == LEAVE_GROUP_OUT,
        options=dict(recorded.options),
        precision=precision_of(recorded),
        fresh=True,
    )
    datasets: Sequence[str] = () if csv else (recorded.dataset,)
    plan = make_plan(plugins, [encoder], [recorded.task], own, datasets=datasets, csv=csv)
    collected = _Collected()
    plugins.observe(collected)
    failures = run(plan, plugins)
    if failures:
        raise MirbenchError(f"{failures[0].job} fails now: {failures[0].reason}\n{failures[0].trace}".rstrip())
    wanted = recorded.metric, recorded.label
    found = [result for result in collected.results if (result.metric, result.label) == wanted]
    if not found:
        raise MirbenchError(f"task {recorded.task!r} has no metric {recorded.metric!r} any more")
    return Reproduction(recorded, found[0], _differences(recorded, found[0]))


def _differences(recorded: Result, found: Result) -> dict[str, tuple[object, object]]:
    about = {
        "fingerprint of the encoder (weights, preprocessing)": "fingerprint",
        "version of the data": "dataset_version",
        "references": "references",
        "source code": "code",
        "test clips": "n",
        "training clips": "n_train",
        "readout": "readout",
        "layer": "layer",
        "setting": "setting",
    }
    pairs = {
        name: (getattr(recorded, key), getattr(found, key))
        for name, key in about.items()
        if getattr(recorded, key) != ""  # not recorded in schema 1
    }
    for package in sorted({*recorded.versions, *found.versions}):
        pairs[f"version of {package}"] = (
            recorded.versions.get(package, "not there"),
            found.versions.get(package, "not there"),
        )
    return {name: (before, now) for name, (before, now) in pairs.items() if as_line({"": before}) != as_line({"": now})}
