"""Print the README's table from the records that the project keeps: `python tests/readme_table.py`."""

from pathlib import Path

from mirbench.leaderboard import latest
from mirbench.record import read_records

ROOT = Path(__file__).parents[1]
COLUMNS = ("weighted_score", "accuracy", "fifth_errors", "relative_errors", "parallel_errors", "other_errors")


def table() -> str:
    """Lay the kept results out in Markdown, best encoder first."""
    results = latest(read_records(ROOT / "results" / "records"))
    rows = [
        "| encoder | weighted score [95 %] | accuracy | fifth | relative | parallel | other |",
        "|---|---|---|---|---|---|---|",
    ]
    for encoder in dict.fromkeys(result.encoder for result in results if result.is_headline):
        found = {result.metric: result for result in results if result.encoder == encoder}
        headline = found["weighted_score"]
        cells = [f"`{encoder}`", f"**{headline.value:.3f}** [{headline.low:.3f}, {headline.high:.3f}]"]
        cells += [f"{found['accuracy'].value:.3f}", *(f"{found[name].value:.0f}" for name in COLUMNS[2:])]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
