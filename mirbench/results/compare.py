"""Compare encoders: is a difference larger than what other clips would make of it?

Every task: the difference of the headline, its 95 % interval and a two-sided p-value from the paired bootstrap over
groups (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 15; both encoders meet the
same resampled groups, because clips of one recording are not independent). A bootstrap over G groups is too narrow by
(1 - 1 / G) in variance and takes a normal for a t distribution; both are corrected as in T. Hesterberg, What Teachers
Should Know About the Bootstrap (The American Statistician 69, 2015), "expanded percentile interval". p-values of
several tasks and pairs of encoders are adjusted by S. Holm's method (Scandinavian Journal of Statistics 6, 1979).

No claim is made where the groups cannot carry one: an exact test that flips the signs of G differences cannot go below
2 / 2^G, so where that, times the number of tests, is above 0.05, no p of a bootstrap is believed either.

Over tasks: an exact two-sided sign test, which asks only who is ahead where. Wilcoxon's test would add up differences
of metrics that have different scales.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
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
FEWEST_TESTS = 6  # tasks of the core suite: to name one of them only does not make a claim easier
SEED_OF_SEEDS = 0  # of the draws of weights that are seeds of one model
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
    is_floor
        Whether p is the smallest that so many resamples can give: the difference has one sign in all of them.
    n_tests
        Number of tests that the correction is over.
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
    is_floor: bool = False
    n_tests: int = 1
    higher_is_better: bool = True

    @property
    def gain(self) -> float:
        """The difference with its sign such that it is above 0 where the one is better."""
        return self.value if self.higher_is_better else -self.value

    @property
    def is_evidence(self) -> bool:
        """Whether the difference is significant at `LEVEL`, over groups that can carry a claim."""
        return self.adjusted < LEVEL and self.can_be_claimed

    @property
    def exact_floor(self) -> float:
        """The smallest two-sided p of an exact test that flips the signs of the groups' differences."""
        return float(2.0 ** (1 - self.n_groups))

    @property
    def can_be_claimed(self) -> bool:
        """Whether there are enough groups: that test could be significant after the correction for all tests."""
        return self.exact_floor * max(self.n_tests, FEWEST_TESTS) < LEVEL

    def shown_p(self, *, is_adjusted: bool = False) -> str:
        """Return p as text, "<=" where the number of resamples bounds it.

        Parameters
        ----------
        is_adjusted
            Whether p after the correction is returned.
        """
        p = self.adjusted if is_adjusted else self.p
        return f"<= {math.ceil(p * 1e4) / 1e4:.4f}" if self.is_floor and p < 1 else f"{p:.{3 if p >= 0.01 else 4}f}"


@dataclass(frozen=True)
class Comparison:
    """Two encoders, task by task.

    Attributes
    ----------
    one, other
        Names of the encoders; several between commas are seeds of one model.
    differences
        Difference on each task that both have.
    n_ahead, n_behind
        Number of tasks on which the first is better, and on which it is worse.
    p
        Of the sign test over tasks.
    left_out
        Tasks that could not be compared, and why.
    n_pairs
        Number of pairs of encoders that the correction is over.
    """

    one: str
    other: str
    differences: tuple[Difference, ...]
    n_ahead: int
    n_behind: int
    p: float
    left_out: Mapping[str, str]
    n_pairs: int = 1

    def to_frame(self) -> "pandas.DataFrame":
        """Return the differences as a pandas data frame, a row a task; needs `pip install pandas`."""
        return frame_of(asdict(each) for each in self.differences)

    def sentences(self) -> list[str]:
        """Return the conclusions as sentences."""
        found = []
        for sign, verb in ((1, "better"), (-1, "worse")):
            sure = [each for each in self.differences if each.is_evidence and each.gain * sign > 0]
            if sure:
                found.append(f"{self.one} is {verb} than {self.other} on {_listed([_shown(each) for each in sure])}.")
        carried = [each for each in self.differences if each.can_be_claimed]
        unsure = [each.task for each in carried if not each.is_evidence]
        if unsure:
            found.append(f"There is no evidence of a difference on {_listed(unsure)}.")
        found += [_no_claim(each) for each in self.differences if not each.can_be_claimed]
        rough = [f"{each.task} ({each.n_groups})" for each in carried if each.n_groups < FEW_GROUPS]
        if rough:
            found.append(f"Few independent groups of clips, so take p and interval as rough: {_listed(rough)}.")
        alone = [name for name in (self.one, self.other) if "," not in name]
        if len(alone) == 1:
            found.append(f"{alone[0]} has one seed: how much its results vary with the seed of training is not known.")
        n_tests = max((each.n_tests for each in self.differences), default=1)
        if n_tests > 1:
            pairs = f", of {self.n_pairs} pairs of encoders" if self.n_pairs > 1 else ""
            found.append(f"p is corrected by Holm's method for {n_tests} tests{pairs}.")
        n_tasks = self.n_ahead + self.n_behind
        if n_tasks > 1:
            is_sure = self.p < LEVEL and self.n_pairs == 1
            verdict = (
                f"{self.one if self.n_ahead > self.n_behind else self.other} is ahead overall"
                if is_sure
                else ("no evidence that either is ahead overall" if self.n_pairs == 1 else "of many pairs no claim")
            )
            found.append(
                f"Of {n_tasks} tasks {self.one} is ahead on {self.n_ahead}: {verdict} (sign test, p = {self.p:.3f})."
            )
        return found


def _shown(each: Difference) -> str:
    p = each.shown_p(is_adjusted=True)
    p = p if each.is_floor and each.adjusted < 1 else f"= {p}"
    return f"{each.task} ({each.value:+.3f} [{each.low:+.3f}, {each.high:+.3f}], p {p})"


def _no_claim(each: Difference) -> str:
    return (
        f"No claim on {each.task} ({each.value:+.3f} [{each.low:+.3f}, {each.high:+.3f}]): an exact test over "
        f"{each.n_groups} groups of clips cannot go below p = {each.exact_floor:.3f}, before any correction."
    )


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
    one, other
        Names of encoders; several between commas are seeds of one model.
    metrics
        Instead of each task's headline.

    Raises
    ------
    UsageError
        If an encoder has no results, or nothing can be compared.
    """
    return compare_all(results, scores, [one, other], metrics)[0]


def compare_all(
    results: Sequence[Result], scores: Mapping[str, ClipScores], encoders: Sequence[str], metrics: Collection[str] = ()
) -> list[Comparison]:
    """Compare every pair of encoders, and correct p for all tasks of all pairs.

    Parameters
    ----------
    results, scores, metrics
        As of `compare`.
    encoders
        Names of encoders; several between commas are seeds of one model.

    Raises
    ------
    UsageError
        If an encoder has no results, or two of them have nothing that can be compared.
    """
    found = [_compare(results, scores, *pair, metrics) for pair in combinations(encoders, 2)]
    adjusted = iter(holm([each.p for comparison in found for each in comparison.differences]))
    n_tests = sum(len(comparison.differences) for comparison in found)
    return [
        replace(
            comparison,
            n_pairs=len(found),
            differences=tuple(
                replace(each, adjusted=next(adjusted), n_tests=n_tests) for each in comparison.differences
            ),
        )
        for comparison in found
    ]


def _compare(
    results: Sequence[Result], scores: Mapping[str, ClipScores], one: str, other: str, metrics: Collection[str]
) -> Comparison:
    models = {text: [name.strip() for name in text.split(",") if name.strip()] for text in (one, other)}
    own = {name: _by_task(results, name, metrics) for names in models.values() for name in names}
    for name, found in own.items():
        if not found:
            known = ", ".join(sorted({result.encoder for result in results})) or "none"
            raise UsageError(f"no results of encoder {name!r} here; there are those of {known}")
    differences = []
    left_out = {}
    for task in dict.fromkeys(task for found in own.values() for task in found):
        lacking = [name for name, found in own.items() if task not in found]
        if lacking:
            left_out[task] = f"{', '.join(lacking)} has no result"
            continue
        first, second = ([own[name][task] for name in models[text]] for text in (one, other))
        difference = _difference(task, first, second, scores)
        if isinstance(difference, str):
            left_out[task] = difference
        else:
            differences.append(difference)
    if not differences:
        raise UsageError("nothing to compare: " + "; ".join(f"{task}: {why}" for task, why in left_out.items()))
    n_ahead = sum(each.gain > 0 for each in differences)
    n_behind = sum(each.gain < 0 for each in differences)
    return Comparison(one, other, tuple(differences), n_ahead, n_behind, _sign_test(n_ahead, n_behind), left_out)


def _difference(
    task: str, one: Sequence[Result], other: Sequence[Result], scores: Mapping[str, ClipScores]
) -> Difference | str:
    """Return the difference of two models on a task, or the reason why they cannot be compared in pairs."""
    first = one[0]
    for second in (*one[1:], *other):
        reason = _unpaired(first, second, scores)
        if reason:
            return reason
    kept = [[scores[record_id(result)].resampled for result in results] for results in (one, other)]
    n_resamples = min(len(each) for seeds in kept for each in seeds)  # the first draws are equal
    random = np.random.default_rng(SEED_OF_SEEDS)
    of_models = [_over_seeds(np.stack([each[:n_resamples] for each in seeds]), random) for seeds in kept]
    resampled = of_models[0] - of_models[1]
    values = [[result.value for result in results] for results in (one, other)]
    spreads = [(float(np.var(seeds, ddof=1)) / len(seeds), len(seeds) - 1) for seeds in values if len(seeds) > 1]
    means = [float(np.mean(seeds)) for seeds in values]
    n_groups = first.n_groups
    freedom = _freedom(float(np.nanvar(resampled)), spreads, n_groups)
    low, high = _expanded_interval(resampled, n_groups, freedom)
    p, is_floor = _two_sided(resampled, n_groups, freedom)
    return Difference(
        task=task,
        metric=first.metric,
        one=means[0],
        other=means[1],
        value=means[0] - means[1],
        low=low,
        high=high,
        p=p,
        adjusted=p,
        n_groups=n_groups,
        is_floor=is_floor,
        higher_is_better=first.higher_is_better,
    )


def _over_seeds(resampled: Float64[np.ndarray, "seed resample"], random: np.random.Generator) -> Resamples:
    """Average over seeds, which are drawn too, in each resample; the spread of n seeds is widened by n / (n - 1)."""
    n_seeds, n_resamples = resampled.shape
    mean = resampled.mean(axis=0)
    if n_seeds == 1:
        return np.asarray(mean)
    counts = random.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_resamples).T
    drawn = (counts * resampled).sum(axis=0) / n_seeds
    return np.asarray(mean + np.sqrt(n_seeds / (n_seeds - 1)) * (drawn - mean))


def _freedom(variance: float, spreads: Sequence[tuple[float, int]], n_groups: int) -> float:
    """Return the degrees of freedom of a variance that groups and seeds share (Satterthwaite, Biometrics 2, 1946)."""
    of_groups = max(variance - sum(each for each, _ in spreads), 0.0)
    parts = [(of_groups, max(1, n_groups - 1)), *spreads]
    mass = sum(each**2 / freedom for each, freedom in parts)
    return sum(each for each, _ in parts) ** 2 / mass if mass > 0 else float(max(1, n_groups - 1))


def _expanded_interval(resampled: Resamples, n_groups: int, freedom: float) -> tuple[float, float]:
    """Return percentiles so far out that the interval is as wide as Student's over as many groups."""
    from scipy.special import ndtr, stdtrit

    tail = 100 * ndtr(-stdtrit(freedom, 1 - LEVEL / 2) * math.sqrt(n_groups / max(1, n_groups - 1)))
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])
    return float(low), float(high)


def _two_sided(resampled: Resamples, n_groups: int, freedom: float) -> tuple[float, bool]:
    """Return the p-value at which the expanded interval ends at zero, and whether it is the smallest there is.

    One resample on the other side of zero is counted more than there are, so that p is never 0.
    """
    from scipy.special import ndtri, stdtr

    valid = resampled[np.isfinite(resampled)]
    tail = int(min((valid <= 0).sum(), (valid >= 0).sum()))
    share = (tail + 1) / (len(valid) + 1)
    if share >= 0.5 or n_groups < 2:
        return 1.0, False
    t = ndtri(share) * math.sqrt((n_groups - 1) / n_groups)
    return float(2 * stdtr(freedom, t)), tail == 0


def _by_task(results: Sequence[Result], encoder: str, metrics: Collection[str]) -> dict[str, Result]:
    found = {}
    for result in results:
        if result.encoder == encoder and (result.metric in metrics if metrics else result.is_headline):
            metric = f" ({result.metric})" if metrics else ""
            found[f"{result.task} on {data_of(result)}{specials_of(result)}{metric}"] = result
    return found


def _unpaired(first: Result, second: Result, scores: Mapping[str, ClipScores]) -> str | None:
    """Return the reason why two results cannot be paired; None if they can."""
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
    return None


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
