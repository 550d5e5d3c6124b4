"""Compare two encoders: is a difference larger than what other clips would make of it?

Every task: the difference of the headline, its 95 % interval and a two-sided p-value from the paired bootstrap over
groups (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 15; both encoders meet the
same resampled groups, because clips of one recording are not independent). p-values of several tasks are adjusted by
S. Holm's method (Scandinavian Journal of Statistics 6, 1979). Over tasks: an exact two-sided sign test, which asks only
who is ahead where. Wilcoxon's test would add up differences of metrics that have different scales.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from mirbench.domain import ClipScores, Result
from mirbench.errors import UsageError
from mirbench.results.frames import frame_of
from mirbench.results.leaderboard import data_of, specials_of
from mirbench.results.records import record_id

if TYPE_CHECKING:
    import pandas

LEVEL = 0.05
FEW_GROUPS = 10  # fewer than that hardly show how much groups differ
Resamples = Float64[np.ndarray, "resample"]


@dataclass(frozen=True)
class Difference:
    """Difference between two encoders on one task.

    Attributes
    ----------
    task
        With data set and what is not the default.
    value, low, high
        One minus the other, and its 95 % interval.
    p, adjusted
        Two-sided, before and after Holm's correction.
    higher_is_better
        Direction of the metric.
    """

    task: str
    metric: str
    one: float
    other: float
    value: float
    low: float
    high: float
    p: float
    adjusted: float
    n_groups: int
    higher_is_better: bool = True

    @property
    def gain(self) -> float:
        """The difference with its sign such that it is above 0 where the one is better."""
        return self.value if self.higher_is_better else -self.value

    @property
    def is_evidence(self) -> bool:
        """Whether the difference is significant at `LEVEL`."""
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Comparison:
    """Two encoders, task by task.

    Attributes
    ----------
    one, other
        Names of the encoders.
    differences
        Difference on each task that both have.
    n_ahead, n_behind
        Number of tasks on which the first is better, and on which it is worse.
    p
        Of the sign test over tasks.
    left_out
        Tasks that could not be compared, and why.
    """

    one: str
    other: str
    differences: tuple[Difference, ...]
    n_ahead: int
    n_behind: int
    p: float
    left_out: Mapping[str, str]

    def to_frame(self) -> "pandas.DataFrame":
        """Return the differences as a pandas data frame, a row a task; needs `pip install pandas`."""
        return frame_of(asdict(each) for each in self.differences)

    def sentences(self) -> list[str]:
        """Return the conclusion as a sentence."""
        found = []
        for sign, verb in ((1, "better"), (-1, "worse")):
            sure = [each for each in self.differences if each.is_evidence and each.gain * sign > 0]
            if sure:
                parts = [
                    f"{each.task} ({each.value:+.3f} [{each.low:+.3f}, {each.high:+.3f}], p = {each.adjusted:.3f})"
                    for each in sure
                ]
                found.append(f"{self.one} is {verb} than {self.other} on {_listed(parts)}.")
        unsure = [each.task for each in self.differences if not each.is_evidence]
        if unsure:
            found.append(f"There is no evidence of a difference on {_listed(unsure)}.")
        rough = [f"{each.task} ({each.n_groups})" for each in self.differences if each.n_groups < FEW_GROUPS]
        if rough:
            found.append(f"Few independent groups of clips, so take p and interval as rough: {_listed(rough)}.")
        n_tasks = self.n_ahead + self.n_behind
        if n_tasks > 1:
            is_sure = self.p < LEVEL
            verdict = (
                f"{self.one if self.n_ahead > self.n_behind else self.other} is ahead overall"
                if is_sure
                else ("no evidence that either is ahead overall")
            )
            found.append(
                f"Of {n_tasks} tasks {self.one} is ahead on {self.n_ahead}: {verdict} (sign test, p = {self.p:.3f})."
            )
        return found


def compare(
    results: Sequence[Result],
    scores: Mapping[str, ClipScores],
    one: str,
    other: str,
    metrics: Collection[str] = (),
) -> Comparison:
    """Compare the newest results of two encoders.

    Parameters
    ----------
    results
        As `mirbench.results.formats.choose` gives them.
    scores
        Clip by clip, by hash of record.
    metrics
        Instead of each task's headline.

    Raises
    ------
    UsageError
        If an encoder has no results, or nothing can be compared.
    """
    own = {name: _by_task(results, name, metrics) for name in (one, other)}
    for name, found in own.items():
        if not found:
            known = ", ".join(sorted({result.encoder for result in results})) or "none"
            raise UsageError(f"no results of encoder {name!r} here; there are those of {known}")
    pairs: list[tuple[str, Result, Result]] = []
    raw: list[Resamples] = []
    left_out = {}
    for task in [*own[one], *(task for task in own[other] if task not in own[one])]:
        first, second = own[one].get(task), own[other].get(task)
        if first is None or second is None:
            left_out[task] = f"{one if first is None else other} has no result"
            continue
        resampled = _paired(first, second, scores)
        if isinstance(resampled, str):
            left_out[task] = resampled
        else:
            pairs.append((task, first, second))
            raw.append(resampled)
    if not pairs:
        raise UsageError("nothing to compare: " + "; ".join(f"{task}: {why}" for task, why in left_out.items()))
    tails = [_two_sided(each) for each in raw]
    differences = tuple(
        Difference(
            task=task,
            metric=first.metric,
            one=first.value,
            other=second.value,
            value=first.value - second.value,
            low=float(np.nanpercentile(resampled, 2.5)),
            high=float(np.nanpercentile(resampled, 97.5)),
            p=p,
            adjusted=adjusted,
            n_groups=first.n_groups,
            higher_is_better=first.higher_is_better,
        )
        for (task, first, second), resampled, p, adjusted in zip(pairs, raw, tails, holm(tails), strict=True)
    )
    n_ahead = sum(each.gain > 0 for each in differences)
    n_behind = sum(each.gain < 0 for each in differences)
    return Comparison(one, other, differences, n_ahead, n_behind, _sign_test(n_ahead, n_behind), left_out)


def _by_task(results: Sequence[Result], encoder: str, metrics: Collection[str]) -> dict[str, Result]:
    found = {}
    for result in results:
        if result.encoder == encoder and (result.metric in metrics if metrics else result.is_headline):
            metric = f" ({result.metric})" if metrics else ""
            found[f"{result.task} on {data_of(result)}{specials_of(result)}{metric}"] = result
    return found


def _paired(first: Result, second: Result, scores: Mapping[str, ClipScores]) -> Resamples | str:
    """Return the differences in all resamples, or the reason why the two cannot be paired."""
    if first.dataset_version != second.dataset_version:
        return f"different versions of the data ({first.dataset_version}, {second.dataset_version})"
    if first.references and second.references and first.references != second.references:
        return f"different references under one version of the data ({first.references}, {second.references})"
    if first.higher_is_better != second.higher_is_better:
        return "the metric has changed its direction"
    found: list[ClipScores] = []
    for result in (first, second):
        kept = scores.get(record_id(result))
        if kept is None and result.label:
            return "scores of single clips are not kept for single labels"
        if kept is None:
            return (
                f"the scores of single clips were not kept for {result.encoder}; "
                f"run 'mirbench run --encoder {result.encoder} --task {result.task}' again"
            )
        found.append(kept)
    if found[0].clips != found[1].clips or first.seed != second.seed:
        return "different test clips, or different seeds of the bootstrap"
    differences: Resamples = found[0].resampled - found[1].resampled
    return differences


def _two_sided(differences: Resamples) -> float:
    """The share of resamples on the other side of zero, twice; one resample is counted more, so that it is never 0."""
    valid = differences[np.isfinite(differences)]
    tail = min((valid <= 0).sum(), (valid >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(valid) + 1)))


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values of several tests."""
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(np.argsort(p, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = highest
    return adjusted


def _sign_test(n_ahead: int, n_behind: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(n_ahead, n_ahead + n_behind).pvalue) if n_ahead + n_behind else 1.0


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
