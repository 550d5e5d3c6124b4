"""Leaderboards: a row for every encoder, a column for every metric, in several formats.

Columns are named `task/data set/metric`; what is not the default follows in brackets. A protocol, or a data set of
another version, is a column of its own. `SCHEMA` changes whenever a name or a meaning does:

- CSV and JSON hold `schema`, `encoder`, `parameters`, `licence`, `weights`, `speed`, `win_rate`, `rank`, `rank_low`,
  `rank_high`, `n_tasks` and the columns.
- `win_rate` and `rank` are over the headline columns of the standard protocol, all training clips and default options
  (over all headlines, if none is so); see `mirbench.results.standings`. `n_tasks` counts those that an encoder has.
"""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from mirbench.domain import ClipScores, Result
from mirbench.escaping import csv_cell, latex_text, markdown_cell
from mirbench.results.frames import frame_of
from mirbench.results.leaderboard import data_of, is_standard, latest, specials_of
from mirbench.results.records import as_json, identity
from mirbench.results.standings import Standing, standings_of

if TYPE_CHECKING:
    import pandas

SCHEMA = 2
Column = tuple[str, "Callable[[Row], str]"]
MISSING = "-"


@dataclass(frozen=True)
class About:
    """Description of an encoder in a table; empty where it is not known."""

    parameters: int | None = None
    license: str = ""
    weights: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Row:
    """Row of an encoder.

    Attributes
    ----------
    cells
        Its results, by column.
    speed
        Speed of extraction as a multiple of real time, where its records hold it.
    standing
        Win rate and rank; None where there is no other encoder.
    n_tasks
        Number of the ranked headlines that it has.
    """

    encoder: str
    about: About
    cells: Mapping[str, Result]
    speed: float | None
    standing: Standing | None
    n_tasks: int


@dataclass(frozen=True)
class Table:
    """A leaderboard: a row for each encoder, a column for each metric.

    Attributes
    ----------
    columns
        Names of the columns: `task/data set/metric`, and in brackets what is not the default.
    headlines
        Columns of headlines; the direction of each stands in its results.
    ranked
        The headlines that win rate and rank are over.
    rows
        Encoders, in the order of the leaderboard.
    marks
        1 for the best of a headline and 2 for the second, by encoder and column.
    """

    columns: tuple[str, ...]
    headlines: tuple[str, ...]
    ranked: tuple[str, ...]
    rows: tuple[Row, ...]
    marks: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def to_frame(self) -> "pandas.DataFrame":
        """Return the values as a pandas data frame, a row an encoder; needs `pip install pandas`."""
        return frame_of(
            {
                "encoder": row.encoder,
                **{column: row.cells[column].value for column in self.columns if column in row.cells},
            }
            for row in self.rows
        )

    def shown(self, row: Row, column: str) -> str:
        """Return a value with its interval, as text.

        Parameters
        ----------
        row
            Row of an encoder.
        column
            Name of a column.
        """
        result = row.cells.get(column)
        return MISSING if result is None else f"{result.value:.3f} [{result.low:.3f}, {result.high:.3f}]"


def choose(
    results: Iterable[Result],
    *,
    tasks: Collection[str] = (),
    datasets: Collection[str] = (),
    metrics: Collection[str] = (),
    protocols: Collection[str] = (),
) -> list[Result]:
    """Return the newest results of the named tasks, data sets, metrics and protocols; an empty collection keeps all.

    Without names of metrics, results of single labels are left out.
    """
    return [
        result
        for result in latest(results)
        if (not tasks or result.task in tasks)
        and (not datasets or result.dataset in datasets)
        and (result.metric in metrics if metrics else not result.label)
        and (not protocols or result.protocol in protocols)
    ]


def lay_out(
    results: Sequence[Result],
    about: Mapping[str, About],
    scores: Mapping[str, ClipScores] | None = None,
    *,
    only_headlines: bool,
) -> Table:
    """Return a table of the newest results; the highest win rate comes first.

    Parameters
    ----------
    results
        Results as returned by `choose`.
    about
        What is known of encoders besides their results.
    scores
        Scores of clips by identifier of the record; without those of every headline, ranks have no intervals.
    only_headlines
        Whether other metrics have no columns.
    """
    versions: dict[tuple[str, str], set[str]] = {}
    for result in results:
        versions.setdefault((result.dataset, result.size), set()).add(result.dataset_version)
    cells: dict[str, dict[str, Result]] = {}
    headlines: dict[str, bool] = {}  # and whether they are standard
    columns: dict[str, None] = {}
    for result in results:
        if only_headlines and not result.is_headline:
            continue
        name = _column(result, has_versions=len(versions[result.dataset, result.size]) > 1)
        columns[name] = None
        cells.setdefault(result.encoder, {})[name] = result
        if result.is_headline:
            headlines[name] = is_standard(result)
    ranked = [name for name, standard in headlines.items() if standard] or list(headlines)
    of_columns = [{encoder: own[name] for encoder, own in cells.items() if name in own} for name in ranked]
    standings = standings_of(of_columns, scores or {}, list(cells))
    rows = [
        Row(
            encoder=encoder,
            about=about.get(encoder, About()),
            cells=own,
            speed=_speed(own.values()),
            standing=standings.get(encoder),
            n_tasks=sum(column in own for column in ranked),
        )
        for encoder, own in cells.items()
    ]
    rows.sort(key=lambda row: (-row.standing.win_rate if row.standing else 0.0, -row.n_tasks, row.encoder))
    return Table(tuple(columns), tuple(headlines), tuple(ranked), tuple(rows), _marks(cells, headlines))


def _column(result: Result, *, has_versions: bool) -> str:
    version = f"@{result.dataset_version}" if has_versions else ""
    return f"{result.task}/{data_of(result)}{version}/{result.metric}{specials_of(result)}"


def _marks(cells: Mapping[str, Mapping[str, Result]], headlines: Iterable[str]) -> dict[tuple[str, str], int]:
    """Mark the best of each headline with 1, and the second with 2."""
    marks: dict[tuple[str, str], int] = {}
    for column in headlines:
        found = {encoder: own[column].rank_value for encoder, own in cells.items() if column in own}
        steps = sorted(set(found.values()), reverse=True)[:2]
        marks |= {(encoder, column): 1 + steps.index(value) for encoder, value in found.items() if value in steps}
    return marks


def _speed(results: Iterable[Result]) -> float | None:
    found = [result.extraction["speed"] for result in results if "speed" in result.extraction]
    return float(np.median(found)) if found else None


def published() -> list[dict[str, str]]:
    """Read results published by others, with source and protocol; they are never part of a rank."""
    text = (files("mirbench.results") / "published_results.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def _heads(row: Row) -> dict[str, Any]:
    standing = row.standing
    return {
        "schema": SCHEMA,
        "encoder": row.encoder,
        "parameters": row.about.parameters,
        "licence": row.about.license,
        "weights": row.about.weights,
        "remark": row.about.remark,
        "speed": row.speed,
        "win_rate": standing and standing.win_rate,
        "rank": standing and standing.rank,
        "rank_low": standing and standing.low,
        "rank_high": standing and standing.high,
        "n_tasks": row.n_tasks,
    }


def as_csv(table: Table, others: Sequence[Mapping[str, str]] = ()) -> str:
    """Write values alone, unrounded; an empty cell is a number that is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = list(_heads(Row("", About(), {}, None, None, 0)))
    writer.writerow(map(csv_cell, [*heads, *table.columns]))
    for row in table.rows:
        values = [row.cells[column].value if column in row.cells else None for column in table.columns]
        writer.writerow(map(csv_cell, [*_heads(row).values(), *values]))
    return text.getvalue()


def as_json_text(table: Table, others: Sequence[Mapping[str, str]] = ()) -> str:
    """Write the table with its records, without the curves of validation."""
    rows = []
    for row in table.rows:
        cells = {}
        for column, result in row.cells.items():
            record = {name: value for name, value in as_json(result).items() if name != "selection"}
            cells[column] = {"id": identity(result), "record": record}
        rows.append({**_heads(row), "cells": cells})
    content = {"schema": SCHEMA, "columns": table.columns, "headlines": table.headlines, "rows": rows}
    return json.dumps({**content, **({"published": list(others)} if others else {})}, indent=1) + "\n"


def as_markdown(table: Table, others: Sequence[Mapping[str, str]] = ()) -> str:
    """Write a table for a README: the best of a headline bold, the second underlined."""

    def cell(row: Row, column: str) -> str:
        return _marked(table, row, column, "**{}**", "<u>{}</u>", "{value} [{low}, {high}]")

    left, right = _sides(table)
    heads = [*(title for title, _ in left), *map(_short(table), table.columns), *(title for title, _ in right)]
    lines = [f"| {' | '.join(map(markdown_cell, heads))} |", "|---" * len(heads) + "|"]
    for row in table.rows:
        cells = [
            *(markdown_cell(text_of(row)) for _, text_of in left),
            *(cell(row, column) for column in table.columns),
        ]
        lines.append(f"| {' | '.join([*cells, *(text_of(row) for _, text_of in right)])} |")
    if others:
        lines += ["", "Published by others, by protocols of their own:", ""]
        lines += ["| encoder | task | data | metric | value | protocol | source |", "|---" * 7 + "|"]
        names = ("encoder", "task", "dataset", "metric", "value", "protocol", "source")
        lines += [f"| {' | '.join(markdown_cell(each[name]) for name in names)} |" for each in others]
    return "\n".join(lines) + "\n"


def as_latex(table: Table, others: Sequence[Mapping[str, str]] = ()) -> str:
    r"""Write a `tabular` for the packages booktabs and graphicx (`\resizebox{\textwidth}{!}{\input{...}}`)."""

    def cell(row: Row, column: str) -> str:
        pattern = r"{value} {{\tiny [{low}, {high}]}}"
        return _marked(table, row, column, r"\textbf{{{}}}", r"\underline{{{}}}", pattern)

    left, right = _sides(table)
    heads = [*(title for title, _ in left), *map(_short(table), table.columns), *(title for title, _ in right)]
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{l{'r' * (len(left) - 1)}{'l' * len(table.columns)}{'r' * len(right)}}}",
        "\\toprule",
        " & ".join(map(latex_text, heads)) + r" \\",
        "\\midrule",
    ]
    for row in table.rows:
        cells = [*(latex_text(text_of(row)) for _, text_of in left), *(cell(row, column) for column in table.columns)]
        lines.append(" & ".join([*cells, *(text_of(row) for _, text_of in right)]) + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    if others:
        lines += ["", "% Published by others, by protocols of their own", "\\begin{tabular}{lllrl}", "\\toprule"]
        lines += [r"encoder & data & metric & value & source \\", "\\midrule"]
        names = ("encoder", "dataset", "metric", "value", "source")
        lines += [" & ".join(latex_text(each[name]) for name in names) + r" \\" for each in others]
        lines += ["\\bottomrule", "\\end{tabular}"]
    return "\n".join(lines) + "\n"


def _sides(table: Table) -> "tuple[list[Column], list[Column]]":
    """Return the columns before and after the values; those that are empty are left out."""
    left: list[Column] = [
        ("encoder", lambda row: row.encoder),
        ("parameters", lambda row: _count(row.about.parameters)),
        ("weights", lambda row: row.about.weights),
        ("x real time", lambda row: "" if row.speed is None else f"{row.speed:.0f}"),
    ]
    right: list[Column] = [
        ("win rate", lambda row: MISSING if row.standing is None else f"{row.standing.win_rate:.2f}"),
        ("rank (95 %)", lambda row: MISSING if row.standing is None else str(row.standing)),
        ("remark", lambda row: row.about.remark),
    ]
    used = [
        [column for column in side if any(column[1](row) not in ("", MISSING) for row in table.rows)]
        for side in (left, right)
    ]
    return used[0], used[1]


def _marked(table: Table, row: Row, column: str, best: str, second: str, pattern: str) -> str:
    result = row.cells.get(column)
    if result is None:
        return MISSING
    value = {1: best, 2: second}.get(table.marks.get((row.encoder, column), 0), "{}").format(f"{result.value:.3f}")
    return pattern.format(value=value, low=f"{result.low:.3f}", high=f"{result.high:.3f}")


def _short(table: Table) -> Callable[[str], str]:
    """Leave the data set out of a column's name where its task has one only."""
    found: dict[str, set[str]] = {}
    for column in table.columns:
        task, dataset, _ = column.split("/", 2)
        found.setdefault(task, set()).add(dataset)

    def short(column: str) -> str:
        task, dataset, metric = column.split("/", 2)
        return f"{task}: {metric}" if len(found[task]) == 1 else f"{task} on {dataset}: {metric}"

    return short


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


FORMATS: dict[str, Callable[[Table, Sequence[Mapping[str, str]]], str]] = {
    "csv": as_csv,
    "md": as_markdown,
    "latex": as_latex,
    "json": as_json_text,
}
