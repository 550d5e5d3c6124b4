"""Print the README's table from the records that the project keeps: `python tests/readme_table.py`."""

from pathlib import Path

from mirbench.domain import Result
from mirbench.results.formats import lay_out
from mirbench.results.leaderboard import is_standard, latest
from mirbench.results.records import read_records, read_scores

ROOT = Path(__file__).parents[1]
# A few of each kind: untrained, self-supervised, supervised. All others are in the documentation.
SHOWN = (
    "chroma",
    "logmel",
    "random",
    "stone",
    "vit1d",
    "vit1d-equivariant",
    "mt2",
    "mt2@random",
    "basic-pitch",
    "musicnn-mtt",
)
TASKS = ("key", "chord", "beat", "tagging", "anuran", "hospital")
NAMES = {
    "f_measure": "F-measure",
    "macro_roc_auc": "macro ROC-AUC",
    "macro_average_precision": "macro AP",
    "segment_f1": "segment F1",
}


def table() -> str:
    """Lay out headline results in Markdown, the highest win rate first, the best of each task bold."""
    results = [
        result
        for result in latest(read_records(ROOT / "results" / "records"))
        if result.is_headline and is_standard(result) and result.encoder in SHOWN and result.task in TASKS
    ]
    cells = {(result.encoder, result.task): result for result in results}
    shown = [encoder for encoder in SHOWN if all((encoder, task) in cells for task in TASKS)]
    best = {task: max(cells[encoder, task].rank_value for encoder in shown) for task in TASKS}
    results = [result for result in results if result.encoder in shown]
    scores = read_scores(ROOT / "results" / "scores", results)
    order = [row.encoder for row in lay_out(results, {}, scores, only_headlines=True).rows]
    metrics = {result.task: NAMES.get(result.metric, result.metric.replace("_", " ")) for result in results}
    heads = [f"{task}: {metrics[task]}" for task in TASKS]
    rows = [[f"`{encoder}`", *(_shown(cells[encoder, task], best[task]) for task in TASKS)] for encoder in order]
    return "\n".join(f"| {' | '.join(row)} |" for row in [["encoder", *heads], ["---"] * (1 + len(TASKS)), *rows])


def _shown(result: Result, best: float) -> str:
    """Return the value, with the layer in brackets, and the readout where there are several."""
    value = f"**{result.value:.3f}**" if result.rank_value == best else f"{result.value:.3f}"
    readout = "" if result.readout.startswith("frames") else f"{result.readout}, "
    return f"{value} ({readout}{result.layer})"


if __name__ == "__main__":
    print(table())
