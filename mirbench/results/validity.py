"""Validity of a task: room between floor and ceiling, and discrimination of encoders by its test split.

What follows from the data set alone (`Facts`: clips, bounds, chance, baselines) is computed by
`mirbench.runs.validity`; what follows from records (ceilings at frame rates, untrained floor, spread, pairs) is
computed here.
"""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path

from mirbench.domain import ClipScores, Result
from mirbench.domain.result import LOWEST_CEILING
from mirbench.errors import RecordError, UsageError
from mirbench.escaping import markdown_cell, visible
from mirbench.results.compare import LEVEL, Difference, compare, holm
from mirbench.results.leaderboard import is_standard, latest
from mirbench.results.records import read_records, read_scores
from mirbench.results.withdrawals import counted

UNTRAINED = "random"  # encoders of this name, and NAME@random
NO_RECORDS = "no records"
NONE = "none"
CALIBRATION = "tests/statistics/test_calibration.py"


@dataclass(frozen=True)
class Facts:
    """Facts about a task and its data set that need no encoder.

    Attributes
    ----------
    task, dataset, size, version
        Names of task and data set; size and version of the data set.
    n, n_groups
        Number of test clips and of their groups.
    metric, best, worst
        Headline metric and its bounds.
    ceiling
        Score of the references as estimates; None for tasks of scope "frame", whose ceiling depends on the encoder.
    chance
        Scores of estimates without information, by what they are.
    baselines
        Scores of the task's baselines (`Task.baselines`), by what they are.
    limits
        What a result does not show, as the task states it.
    """

    task: str
    dataset: str
    size: str
    version: str
    n: int
    n_groups: int
    metric: str
    best: float
    worst: float
    ceiling: float | None = None
    chance: Mapping[str, float] = field(default_factory=dict)
    baselines: Mapping[str, float] = field(default_factory=dict)
    limits: str = ""


@dataclass(frozen=True)
class Pairs:
    """Share of the pairs of encoders that the test split tells apart.

    Attributes
    ----------
    n
        Number of pairs that can be compared.
    n_small, n_adjusted
        Number of pairs with p < .05, before and after Holm's correction for all pairs.
    n_claims
        Number of the latter of which a claim is made.
    n_without_claim
        Number of pairs of which no claim can be made: the test split has too few groups for as many tests.
    n_bounded
        Number of pairs whose difference has one sign in all resamples, but whose p, which the numbers of resamples and
        groups bound from below, is not below .05 after the correction.
    """

    n: int
    n_small: int
    n_adjusted: int
    n_claims: int
    n_without_claim: int = 0
    n_bounded: int = 0


@dataclass(frozen=True)
class Validity:
    """Validity of a task.

    Attributes
    ----------
    facts
        What follows from the data set.
    results
        Newest headline results of the standard protocol, the best first; all of one version of the data set.
    ceilings
        Score of a perfect probe at the frame rate of each encoder, where its record holds one.
    pairs
        Pairs of encoders that are told apart.
    """

    facts: Facts
    results: tuple[Result, ...]
    ceilings: Mapping[str, float]
    pairs: Pairs

    @property
    def version(self) -> str:
        """Version of the data set of the records; empty where there are none."""
        return self.results[0].dataset_version if self.results else ""

    @property
    def low_ceilings(self) -> Mapping[str, float]:
        """Ceilings below `LOWEST_CEILING`; none of a metric of which less is better."""
        is_score = self.facts.best > self.facts.worst
        return {name: value for name, value in self.ceilings.items() if is_score and value < LOWEST_CEILING}

    @property
    def best(self) -> Result | None:
        """The best result."""
        return max(self.results, key=lambda each: each.rank_value, default=None)

    @property
    def floor(self) -> Result | None:
        """The best result of an untrained encoder."""
        return max(filter(is_untrained, self.results), key=lambda each: each.rank_value, default=None)

    @property
    def half_width(self) -> float | None:
        """Mean half-width of the intervals."""
        return statistics.fmean((each.high - each.low) / 2 for each in self.results) if self.results else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the headline over encoders (n - 1)."""
        return statistics.stdev(each.value for each in self.results) if len(self.results) > 1 else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over encoders, in mean half-widths."""
        return self.deviation / self.half_width if self.deviation is not None and self.half_width else None

    @property
    def gain(self) -> float | None:
        """The best result minus the untrained floor, in mean half-widths; above 0 is better."""
        if self.best is None or self.floor is None or not self.half_width:
            return None
        return (self.best.rank_value - self.floor.rank_value) / self.half_width


def is_untrained(result: Result) -> bool:
    """Return whether a result is of an encoder with random weights: `random` or `NAME@random`, at any precision."""
    return result.encoder.partition("+")[0].rpartition("@")[2] == UNTRAINED


def results_for(facts: Facts, results: Iterable[Result]) -> list[Result]:
    """Return the newest headline results of the standard protocol on a data set, the best first.

    Results on another version of the data set are left out, unless there are none on this one: then those on the
    version of the newest record are returned.
    """
    found = [
        result
        for result in latest(results)
        if is_standard(result)
        and (result.task, result.dataset, result.size) == (facts.task, facts.dataset, facts.size)
        and (result.metric, result.label) == (facts.metric, "")
    ]
    versions = {result.dataset_version for result in found}
    if facts.version not in versions and found:
        version = max(found, key=lambda each: each.date).dataset_version
    else:
        version = facts.version
    own = [result for result in found if result.dataset_version == version]
    return sorted(own, key=lambda each: (-each.rank_value, each.encoder))


def validity_of(facts: Facts, results: Sequence[Result], scores: Mapping[str, ClipScores]) -> Validity:
    """Return what a task can show, from its facts and the records of a folder.

    Parameters
    ----------
    facts
        What follows from the data set.
    results
        As `results_for` returns them.
    scores
        Scores of clips, by identifier of the record.
    """
    ceilings = {
        result.encoder: float(result.selection["oracle"])
        for result in results
        if isinstance(result.selection.get("oracle"), int | float)
    }
    return Validity(facts, tuple(results), ceilings, _pairs(facts, results, scores))


def validity_in(out: Path, every: Sequence[Facts]) -> list[Validity]:
    """Return what tasks can show, from their facts and a folder of results; withdrawn records do not count."""
    records = counted(read_records(out / "records"), out)
    results = [results_for(facts, records) for facts in every]
    scores = read_scores(out / "scores", [result for own in results for result in own])
    return [validity_of(facts, own, scores) for facts, own in zip(every, results, strict=True)]


def _pairs(facts: Facts, results: Sequence[Result], scores: Mapping[str, ClipScores]) -> Pairs:
    found: list[Difference] = []
    for one, other in combinations(results, 2):
        try:
            comparison = compare([one, other], scores, one.encoder, other.encoder, [facts.metric])
        except UsageError:  # scores of clips are not kept, or are of other clips
            continue
        found += comparison.differences
    adjusted = [
        replace(each, adjusted=p, n_tests=len(found))
        for each, p in zip(found, holm([each.p for each in found]), strict=True)
    ]
    return Pairs(
        n=len(found),
        n_small=sum(each.p < LEVEL for each in found),
        n_adjusted=sum(each.adjusted < LEVEL for each in adjusted),
        n_claims=sum(each.is_evidence for each in adjusted),
        n_without_claim=sum(not each.can_be_claimed for each in adjusted),
        n_bounded=sum(each.is_floor and each.adjusted >= LEVEL for each in adjusted),
    )


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items()) or NONE


def _bounds(facts: Facts) -> str:
    return f"{facts.worst:g} to {facts.best:g}"


def _ceiling(found: Validity) -> str:
    if found.facts.ceiling is not None:
        return f"{found.facts.ceiling:.3f}"
    if not found.ceilings:
        return "not recorded" if found.results else NO_RECORDS
    low, high = min(found.ceilings.values()), max(found.ceilings.values())
    return f"{low:.3f} to {high:.3f}{' (low)' if found.low_ceilings else ''}"


def _of(result: Result | None, found: Validity) -> str:
    if result is None:
        return NONE if found.results else NO_RECORDS
    return f"{result.value:.3f} ({result.encoder})"


def _times(value: float | None, found: Validity) -> str:
    return NO_RECORDS if not found.results else NONE if value is None else f"{value:.1f}"


def _share(count: int, found: Validity) -> str:
    if not found.pairs.n:
        return "no pairs" if found.results else NO_RECORDS
    return f"{count / found.pairs.n:.0%}"


def _adjusted(found: Validity) -> str:
    marks = {"no claim": found.pairs.n_without_claim, "bounded": found.pairs.n_bounded}
    marked = ", ".join(name for name, count in marks.items() if count)
    return _share(found.pairs.n_adjusted, found) + (f" ({marked})" if marked else "")


def _encoders(found: Validity) -> str:
    if not found.results:
        return NO_RECORDS
    return f"{len(found.results)}{'' if found.version == found.facts.version else ' (other data)'}"


def cautions(found: Validity) -> list[str]:
    """Return what a reader should know before relying on the values, as sentences."""
    said = []
    if found.version and found.version != found.facts.version:
        said.append(f"The records are of version {found.version} of the data; this is version {found.facts.version}.")
    if found.low_ceilings:
        said.append(
            f"A perfect probe scores below {LOWEST_CEILING:g} at the frame rate of {_listed(found.low_ceilings)}."
        )
    if found.pairs.n_without_claim:
        said.append(
            f"{found.results[0].n_groups} groups carry no claim after a correction for {found.pairs.n} pairs, whatever "
            "their p."
        )
    if found.pairs.n_bounded:
        said.append(
            f"{found.pairs.n_bounded} of {found.pairs.n} pairs differ in one direction in all resamples, but the "
            "numbers of resamples and groups bound p from below, too high for the correction."
        )
    if found.best is not None and found.gain is not None and found.gain <= 1:
        said.append("The best encoder is no further than one half-width from an untrained one.")
    return said


def rows_of(found: Validity) -> dict[str, str]:
    """Return what is known of a task, as text by the name of the quantity."""
    facts, pairs = found.facts, found.pairs
    told = f"{_share(pairs.n_small, found)} of {pairs.n}, {_adjusted(found)} after Holm's correction"
    return {
        "test clips": f"{facts.n} in {facts.n_groups} groups",
        "headline": f"{facts.metric}, {_bounds(facts)}",
        "ceiling": _ceiling(found),
        "chance": _listed(facts.chance),
        "baselines": _listed(facts.baselines),
        "encoders": _encoders(found),
        "untrained floor": _of(found.floor, found),
        "best": _of(found.best, found),
        "mean half-width": _number(found.half_width) if found.results else NO_RECORDS,
        "spread": f"{_times(found.spread, found)} half-widths" if found.spread is not None else _times(None, found),
        "best - floor": f"{_times(found.gain, found)} half-widths" if found.gain is not None else _times(None, found),
        "pairs told apart": told if pairs.n else _share(0, found),
        "coverage, null errors": f"simulated in {CALIBRATION}",
        "does not show": facts.limits or "the task states nothing",
    }


def as_text(found: Validity) -> str:
    """Return what is known of a task, a line for each quantity."""
    facts = found.facts
    rows = rows_of(found)
    rows = {name: text for name, text in rows.items() if text != NO_RECORDS or name == "encoders"}
    width = max(map(len, rows))
    lines = [f"{facts.task} on {facts.dataset} ({facts.size}, version {facts.version})"]
    lines += [f"  {name:<{width}}  {text}" for name, text in rows.items()]
    lines += [f"  {'caution':<{width}}  {text}" for text in cautions(found)]
    return "\n".join(visible(line) for line in lines)


COLUMNS = (
    "task", "clips (groups)", "headline", "bounds", "ceiling", "chance", "best baseline", "untrained floor", "best",
    "encoders", "spread", "best - floor", "pairs", "pairs (Holm)",
)  # fmt: skip


def as_markdown(every: Sequence[Validity]) -> str:
    """Return a table with a row a task, and a section for each task."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(markdown_cell(cell) for cell in _row(found))} |" for found in every]
    parts = ["\n".join(lines)]
    for found in every:
        facts = found.facts
        about = {
            "data": f"{facts.dataset} ({facts.size}), version {facts.version}",
            "chance": _listed(facts.chance),
            "baselines": _listed(facts.baselines),
            "does not show": facts.limits or "the task states nothing",
            **({"caution": " ".join(cautions(found))} if cautions(found) else {}),
        }
        terms = "\n".join(f"- **{name}**: {markdown_cell(text)}" for name, text in about.items())
        parts += [f"## {markdown_cell(facts.task)}", terms]
    return "\n\n".join(parts) + "\n"


def _row(found: Validity) -> tuple[str, ...]:
    facts, pairs = found.facts, found.pairs
    sign = 1 if facts.best > facts.worst else -1
    best_baseline = max(facts.baselines.values(), key=lambda value: sign * value, default=None)
    return (
        facts.task,
        f"{facts.n} ({facts.n_groups})",
        facts.metric,
        _bounds(facts),
        _ceiling(found),
        _number(max(facts.chance.values(), key=lambda value: sign * value, default=None)),
        _number(best_baseline),
        _of(found.floor, found),
        _of(found.best, found),
        _encoders(found),
        _times(found.spread, found),
        _times(found.gain, found),
        _share(pairs.n_small, found),
        _adjusted(found),
    )


def facts_as_json(every: Iterable[Facts]) -> str:
    """Return facts as JSON, the same for the same facts."""
    return json.dumps([asdict(each) for each in every], indent=1, sort_keys=True) + "\n"


def read_facts(path: Path) -> list[Facts]:
    """Return the facts in a file; none where it does not exist.

    Raises
    ------
    RecordError
        If the file holds something else.
    """
    try:
        return [Facts(**values) for values in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise RecordError(
            f"{path}: not a file of facts ({error}); 'mirbench check all --validity --format json' writes it again"
        ) from error
