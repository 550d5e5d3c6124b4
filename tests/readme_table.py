"""Print the README's table from the records that the project keeps: `python tests/readme_table.py`."""

from pathlib import Path

from mirbench.plugins import Plugins
from mirbench.results.leaderboard import latest
from mirbench.results.records import read_records

ROOT = Path(__file__).parents[1]
TASKS = {
    "key": "weighted score",
    "chord": "majmin",
    "beat": "F-measure",
    "tagging": "macro ROC-AUC",
    "anuran": "macro F1",
    "hospital": "segment F1",
}


def table() -> str:
    """Lay the kept headline numbers out in Markdown, one row an encoder; the best of each task is bold."""
    results = [result for result in latest(read_records(ROOT / "results" / "records")) if result.is_headline]
    found = {(result.encoder, result.task): result for result in results if not result.options}
    encoders = sorted({encoder for encoder, _ in found})
    catalog = Plugins().encoders
    best = {task: max(found[encoder, task].value for encoder in encoders) for task in TASKS}
    rows = [
        f"| encoder | parameters | weights | {' | '.join(f'{task}: {metric}' for task, metric in TASKS.items())} |",
        "|---" * (3 + len(TASKS)) + "|",
    ]
    for encoder in encoders:
        name, at, _ = encoder.partition("@")
        spec = catalog[name]
        license = "publisher's" if at else spec.weights_license.split(":")[0]
        cells = [f"{spec.n_parameters:,}" if spec.n_parameters else "", license]
        for task in TASKS:
            result = found[encoder, task]
            value = f"**{result.value:.3f}**" if result.value == best[task] else f"{result.value:.3f}"
            cells.append(f"{value} [{result.low:.3f}, {result.high:.3f}]")
        rows.append(f"| `{encoder}` | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
