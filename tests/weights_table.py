"""Print the table of the shipped weights, from their headers: `python tests/weights_table.py`."""

from pathlib import Path

from mirbench.plugins import Plugins
from mirbench_ssl.weights import read_header

ROOT = Path(__file__).parents[1]
COLUMNS = ("model", "parameters", "size", "depth", "audio", "tracks", "steps", "pairs in a batch", "hours on one core")


def table() -> str:
    """Lay the headers out in Markdown, one row a model."""
    rows = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for path in sorted(ROOT.glob("plugins/*/weights/*.safetensors")):
        header = read_header(path)
        encoder = Plugins().encoders[header.model].load("cpu")
        cells = (
            f"`{header.model}`",
            f"{encoder.n_parameters:,}",
            f"{path.stat().st_size / 1e6:.1f} MB",
            header.configuration.get("depth", "7 stages"),
            f"{header.data['hours']} h",
            header.data["tracks"],
            header.steps,
            header.training["batch size"],
            header.training["hours"],
        )
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
