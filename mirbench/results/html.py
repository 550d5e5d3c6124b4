"""A leaderboard as one HTML file that needs nothing else: no server, no network, no other file."""

import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from mirbench.domain import Result
from mirbench.escaping import script_json
from mirbench.results.formats import SCHEMA, Table
from mirbench.results.records import as_json, identity

PLACE = "/*DATA*/null"


def as_html(table: Table, results: Iterable[Result], others: Sequence[Mapping[str, str]] = ()) -> str:
    """Fill the page `leaderboard.html`.

    Parameters
    ----------
    results
        Of which the validation's curves are drawn, layer by layer.
    others
        Published rows; shown apart.
    """
    shown = [result for row in table.rows for result in row.cells.values()]
    data = {
        "schema": SCHEMA,
        "columns": [
            {
                "name": column,
                "task": column.split("/", 1)[0],
                "isHeadline": column in table.ranked,
                "isHigherBetter": _is_higher_better(table, column),
            }
            for column in table.columns
        ],
        "rows": [
            {
                "encoder": row.encoder,
                "parameters": row.about.parameters,
                "licence": row.about.license,
                "weights": row.about.weights,
                "remark": row.about.remark,
                "speed": row.speed,
                "winRate": row.standing and row.standing.win_rate,
                "rank": row.standing and row.standing.rank,
                "ranks": str(row.standing or ""),
                "nTasks": row.n_tasks,
                "cells": {
                    column: {
                        "value": result.value,
                        "low": result.low,
                        "high": result.high,
                        "id": identity(result),
                        "mark": table.marks.get((row.encoder, column), 0),
                    }
                    for column, result in row.cells.items()
                },
            }
            for row in table.rows
        ],
        "records": {identity(result): _brief(result) for result in shown},
        "curves": [curve for result in results if result.is_headline for curve in _curves(result)],
        "published": list(others),
    }
    page = (files("mirbench.results") / "leaderboard.html").read_text(encoding="utf-8")
    return page.replace(PLACE, script_json(data))


def _is_higher_better(table: Table, column: str) -> bool:
    return all(row.cells[column].higher_is_better for row in table.rows if column in row.cells)


def _brief(result: Result) -> dict[str, Any]:
    """Leave out the curves, which are long."""
    record = as_json(result)
    choices = [
        {name: value for name, value in choice.items() if name != "curve"}
        for choice in record["selection"].get("choices", [])
    ]
    return {**record, "selection": {**record["selection"], "choices": choices}}


def _curves(result: Result) -> list[dict[str, Any]]:
    """Take the lowest cross-entropy of every layer, for each readout that has several."""
    lowest: dict[str, dict[int, float]] = {}
    for choice in result.selection.get("choices", [])[:1]:
        for readout, layer, _, loss in choice["curve"]:
            if math.isfinite(loss):
                layers = lowest.setdefault(readout, {})
                layers[layer] = min(loss, layers.get(layer, loss))
    return [
        {"encoder": result.encoder, "task": result.task, "readout": readout, "points": sorted(layers.items())}
        for readout, layers in lowest.items()
        if len(layers) > 1
    ]
