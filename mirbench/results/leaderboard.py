"""Sort the newest records into leaderboards; the same records always produce the same bytes."""

import csv
import io
import json
import statistics
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from mirbench.domain import Result
from mirbench.escaping import csv_cell

COLUMNS = (
    "task", "options", "dataset", "dataset_version", "size", "split", "protocol", "train_fraction", "metric", "label",
    "encoder", "value", "low", "high", "deviation",
    "n", "n_groups", "n_train", "n_seeds", "readout", "layer", "setting", "fingerprint", "seed", "source", "date",
)  # fmt: skip

CLOCKS_DIFFER_BY = timedelta(days=1)


def latest(results: Iterable[Result], now: datetime | None = None) -> list[Result]:
    """Return the newest results, sorted by leaderboard, the best encoder first.

    One result is kept for every encoder, task with its options, data set, protocol, training fraction and metric. A
    later run of an encoder replaces an earlier one under the same name, whatever its fingerprint. A record dated in the
    future, by a clock that was wrong, counts as the oldest.

    Parameters
    ----------
    results
        Results in any order.
    now
        Current time; None for the system clock.
    """
    newest: dict[tuple[object, ...], Result] = {}
    tomorrow = ((now or datetime.now(UTC)) + CLOCKS_DIFFER_BY).isoformat(timespec="seconds")
    for result in sorted(results, key=lambda each: (each.date <= tomorrow, each.date, each.run, repr(each))):
        newest[(*board_of(result), result.metric, result.label, result.encoder)] = result
    headline = {(*board_of(r), r.encoder): r.rank_value for r in newest.values() if r.is_headline}
    return sorted(
        newest.values(),
        key=lambda r: (
            *board_of(r), not r.is_headline, r.metric, r.label,
            -headline.get((*board_of(r), r.encoder), 0.0), r.encoder,
        ),
    )  # fmt: skip


def options_of(result: Result) -> str:
    """Return the task's options that differ from its defaults, such as "decoder=peaks".

    Parameters
    ----------
    result
        A result.
    """
    return " ".join(f"{name}={value}" for name, value in sorted(result.options.items()))


def marks_of(result: Result) -> list[str]:
    """Return the reasons for caution that validation found, without repetition.

    Parameters
    ----------
    result
        A result.
    """
    choices = result.selection.get("choices", [])
    return list(dict.fromkeys(mark for choice in choices for mark in choice.get("marks", ())))


def spread_of(result: Result) -> str:
    """Return the spread of a value over the folds of a cross-validation, as text; empty where there is one split.

    Parameters
    ----------
    result
        A result.
    """
    folds: dict[str, float | None] = result.selection.get("folds", {})
    values = {fold: value for fold, value in folds.items() if value is not None}
    if not values:
        return ""
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    deviation = statistics.pstdev(values.values())
    return f"{len(folds)}: {values[low]:.3f} ({low}) to {values[high]:.3f} ({high}), sd {deviation:.3f}"


def specials_of(result: Result) -> str:
    """Return what differs from the default, in brackets: options, protocol, training fraction, split, label.

    Parameters
    ----------
    result
        A result.
    """
    found = [
        options_of(result),
        result.protocol if result.protocol != "convex" else "",
        f"train {result.train_fraction:g}" if result.train_fraction < 1 else "",
        result.split if result.split != "test" else "",
        result.label,
    ]
    return "".join(f"[{text}]" for text in found if text)


def is_standard(result: Result) -> bool:
    """Return whether a result is of the standard protocol and split, all training clips and default options.

    Parameters
    ----------
    result
        A result.
    """
    is_whole = result.train_fraction == 1 and result.split == "test"
    return result.protocol == "convex" and is_whole and not result.options


def data_of(result: Result) -> str:
    """Return the name of the data set, with its size if that is not the default.

    Parameters
    ----------
    result
        A result.
    """
    return result.dataset if result.size == "default" else f"{result.dataset}-{result.size}"


def board_of(result: Result) -> tuple[object, ...]:
    """Return what the results of one leaderboard share, whatever the encoder and the metric.

    Parameters
    ----------
    result
        A result.
    """
    return (
        result.task,
        options_of(result),
        result.dataset,
        result.dataset_version,
        result.size,
        result.split,
        result.protocol,
        result.train_fraction,
    )


def as_csv(results: Iterable[Result]) -> str:
    """Return a CSV file with one row a result, in the order of `latest`.

    Parameters
    ----------
    results
        Results in any order.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(result, column) for column in COLUMNS] for result in latest(results))
    return text.getvalue()


def _cell(result: Result, column: str) -> object:
    if column == "options":
        return csv_cell(options_of(result))
    value = getattr(result, column)
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else csv_cell(value)
