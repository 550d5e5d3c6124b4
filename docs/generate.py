"""Write the reference pages that follow from the program: encoders, tasks, data sets, records, results, API, packages.

`conf.py` calls `write` before each build; the pages are not kept in the repository. To read one without a build:
``python docs/generate.py PAGE``.
"""

import ast
import inspect
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from numpydoc.docscrape import ClassDoc

import mirbench
from mirbench.domain import SPLITS, Result
from mirbench.plugins import Plugins
from mirbench.results import records
from mirbench.results.leaderboard import data_of, latest, options_of
from mirbench.results.validity import as_markdown, read_facts, validity_in

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "results" / "records"
# Modules whose public names plugins may rely on, in the order of the reference.
PUBLIC = (
    "mirbench.runs.api",
    "mirbench.encoders.function",
    "mirbench.encoders.references",
    "mirbench.domain",
    "mirbench.specs",
    "mirbench.hookspecs",
    "mirbench.encoders.windows",
    "mirbench.encoders.fingerprint",
    "mirbench.evaluation.decoders",
    "mirbench.evaluation.multilabel",
    "mirbench.data.annotations",
    "mirbench.data.audio",
    "mirbench.data.csv",
    "mirbench.data.download",
    "mirbench.data.folds",
    "mirbench.data.embedded",
    "mirbench.data.required_files",
    "mirbench.errors",
    "mirbench.escaping",
    "mirbench.files",
    "mirbench.plan",
    "mirbench.processes",
    "mirbench.progress",
    "mirbench.results.compare",
    "mirbench.results.formats",
    "mirbench.results.leaderboard",
    "mirbench.results.records",
    "mirbench.testing",
)


def write(folder: Path) -> None:
    """Write all pages that have changed into a folder, and remove pages of earlier versions."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{name}.md": page() for name, page in PAGES.items()}
    pages |= {f"api-{module}.md": api_page(module) for module in PUBLIC}
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return " ".join(text.replace("|", "\\|").split())


def _terms(pairs: Iterable[tuple[str, object]]) -> str:
    return "\n".join(f"- **{name}**: {_cell(value)}" for name, value in pairs if value)


def encoders() -> str:
    """List the installed encoders: size, rates, licences, citations."""
    specs = Plugins().encoders.specs()
    rows = [
        (
            f"[`{spec.name}`](#{_anchor(spec.name)})",
            f"{spec.n_parameters:,}" if spec.n_parameters else "",
            spec.sample_rate,
            f"{spec.frame_rate:.4g}" if spec.frame_rate else "",
            spec.n_dims,
            spec.license,
            spec.weights_license,
        )
        for spec in specs
    ]
    head = ("encoder", "parameters", "sample rate in Hz", "frames per second", "dims", "licence", "of the weights")
    parts = [
        "# Encoders",
        "All encoders of this version. Empty cells: not known before the encoder is loaded, or not applicable.",
        table(head, rows),
    ]
    for spec in specs:
        parts += [f"## {spec.name}", f"{spec.description}.", _terms([("citation", spec.citation)])]
    return _page(parts)


def tasks() -> str:
    """List the installed tasks: scope, labels, options, metrics, data sets."""
    plugins = Plugins()
    parts = [
        "# Tasks",
        "All tasks of this version. The headline metric is the first of each table; every metric is computed by the "
        "named function and stored unedited.",
    ]
    for spec in plugins.tasks.specs():
        task = spec.load()
        datasets = [dataset.name for dataset in plugins.datasets.specs() if spec.name in dataset.tasks]
        labels = f"{len(task.labels)}: {', '.join(task.labels)}" if task.labels else "those of the data set"
        options = "; ".join(f"`{name}`: {', '.join(map(str, values))}" for name, values in spec.options.items())
        parts += [
            f"## {spec.name}",
            f"{spec.description}.",
            _terms(
                [
                    ("scope", f"one target per {task.scope}, {task.objective}"),
                    ("label column of a CSV file", f"`{task.label_column}`"),
                    ("labels", labels),
                    ("options, the default first", options),
                    ("default data set", f"`{spec.default_dataset}`" if spec.default_dataset else ""),
                    ("data sets", ", ".join(f"`{name}`" for name in datasets)),
                    ("licence", spec.license),
                    ("citation", spec.citation),
                    ("does not show", spec.limits),
                ]
            ),
        ]
        metrics = [
            (f"`{metric.name}`", "higher" if metric.higher_is_better else "lower", metric.aggregate, metric.source)
            for metric in task.metrics
            if not metric.label
        ]
        parts.append(table(("metric", "better", "over clips", "computed by"), metrics))
    return _page(parts)


def datasets() -> str:
    """List the installed data sets: tasks, sizes, licences, citations."""
    parts = [
        "# Data sets",
        "All data sets of this version. Embedded data sets are generated on your machine; recorded ones are downloaded "
        "or placed by you ([recorded data sets](../../guide/data-sets.md)).",
    ]
    specs = Plugins().datasets.specs()
    for title, is_embedded in (("Embedded", True), ("Recorded", False)):
        chosen = [spec for spec in specs if spec.is_embedded == is_embedded]
        parts += [f"## {title}"]
        for spec in chosen:
            parts += [
                f"### {spec.name}",
                f"{spec.description}.",
                _terms(
                    [
                        ("tasks", ", ".join(f"`{task}`" for task in spec.tasks)),
                        ("sizes", ", ".join(spec.sizes) if spec.sizes != ("default",) else ""),
                        ("licence", spec.license),
                        ("citation", spec.citation),
                    ]
                ),
            ]
    return _page(parts)


def schema() -> str:
    """Describe the fields of a record."""
    documented = {
        name.strip(): " ".join(parameter.desc)
        for parameter in ClassDoc(Result)["Attributes"]
        for name in parameter.name.split(",")
    }
    rows = [
        (f"`{name}`", _kind(name), records.SINCE[name], documented.get(name, OBVIOUS.get(name, "")))
        for name in records.FIELDS
    ]
    return _page(
        [
            f"# Fields of a record, schema {records.SCHEMA}",
            "One line of JSON for each result, with exactly these fields. `since` is the schema that introduced a "
            "field; this version reads schemas " + " and ".join(map(str, records.FIELDS_OF)) + ".",
            table(("field", "JSON", "since", "meaning"), rows),
        ]
    )


OBVIOUS = {
    "run": "Name of the run: date, host and process.",
    "date": "Date and time of the result, in UTC.",
    "encoder": "Name of the encoder, with weights and precision where they are not its own.",
    "fingerprint": "Fingerprint of the encoder's configuration and weights.",
    "task": "Name of the task.",
    "dataset": "Name of the data set.",
    "dataset_version": "Version of the data set; changes with its clips, splits or references.",
    "size": "Size of the data set.",
    "split": f"Split on which the value was computed, one of {', '.join(SPLITS)}.",
    "metric": "Name of the metric.",
    "is_headline": "Whether the metric is the headline of its task.",
    "value": "Value of the metric on the split.",
    "n_train": "Number of training clips.",
    "n_valid": "Number of validation clips.",
    "protocol": "Name of the protocol.",
    "n_seeds": "Number of seeds of the protocol; 0 where nothing is random.",
    "readout": "Readout that the validation split chose.",
    "layer": "Layer that the validation split chose, counted from 0.",
    "seed": "Seed of the bootstrap and of training subsets.",
    "source": "Library, version and function that computed the metric.",
    "versions": "Versions of Python and of the libraries at work.",
    "seconds": "Wall time of extraction, probe and scores.",
}


def _kind(name: str) -> str:
    kinds = {
        "number": records.NUMBERS,
        "integer": records.COUNTS,
        "boolean": records.FLAGS,
        "object": records.TABLES,
        "any": ("setting",),
    }
    return next((kind for kind, names in kinds.items() if name in names), "string")


def results() -> str:
    """Show all metrics of the records that the project keeps, except those of single labels."""
    found = [result for result in latest(records.read_records(RECORDS)) if not result.label]
    groups: dict[tuple[str, str, str, str, float], list[Result]] = defaultdict(list)
    for result in found:
        key = (result.task, data_of(result), options_of(result), result.protocol, result.train_fraction)
        groups[key].append(result)
    parts = [
        "# Full results",
        "All results that the repository keeps, except those of single labels; brackets hold the 95 % interval by "
        "bootstrap over groups of related clips. [How to read them](../../guide/results.md). `mirbench leaderboard "
        "--long` writes the same, with single labels, as CSV.",
    ]
    for (task, data, options, protocol, fraction), own in groups.items():
        special = [options, "" if protocol == "convex" else protocol, "" if fraction == 1 else f"train {fraction:g}"]
        title = " ".join([f"{task} on {data}", *(f"({text})" for text in special if text)])
        metrics = list(dict.fromkeys(result.metric for result in sorted(own, key=lambda r: not r.is_headline)))
        cells: dict[str, dict[str, Result]] = defaultdict(dict)
        for result in own:
            cells[result.encoder][result.metric] = result
        rows = [
            [f"`{encoder}`", *(_value(values.get(metric)) for metric in metrics)] for encoder, values in cells.items()
        ]
        parts += [f"## {title}", table(["encoder", *(f"`{metric}`" for metric in metrics)], rows)]
    return _page(parts)


def validity() -> str:
    """Show what each task can show, from the records and from `results/validity.json`, the facts of the data sets."""
    out = RECORDS.parent
    facts = read_facts(out / "validity.json")
    if not facts:
        return "No facts of data sets are kept: `mirbench check all --validity --format json` writes them.\n"
    return as_markdown(validity_in(out, facts))


def _value(result: Result | None) -> str:
    if result is None:
        return ""
    form = ".0f" if result.aggregate == "sum" else ".3f"
    return f"{result.value:{form}} [{result.low:{form}}, {result.high:{form}}]"


def api() -> str:
    """List the public names of `mirbench`, and the modules that plugins may rely on."""
    rows = [(f"[`{name}`](#{_home(name)}.{name})" if name != "hookimpl" else f"`{name}`", _first_line(name))
            for name in mirbench.__all__]  # fmt: skip
    modules = [(f"[`{module}`](api-{module}.md)", _summary(import_module(module))) for module in PUBLIC]
    return _page(
        [
            "# Python API",
            "Plugins and scripts may rely on the names of this page and of the modules below; everything else is "
            "internal and may change in any version.",
            "## mirbench",
            "Names that are imported from `mirbench` itself:",
            table(("name", "purpose"), rows),
            "## Modules",
            table(("module", "purpose"), modules),
            "```{toctree}\n:hidden:\n\n" + "\n".join(f"api-{module}" for module in PUBLIC) + "\n```",
        ]
    )


def api_page(module: str) -> str:
    """Document a public module."""
    return _page([f"# {module}", f"```{{eval-rst}}\n.. automodule:: {module}\n```"])


def notebook() -> str:
    """Show the cells of the notebook."""
    cells = json.loads((ROOT / "docs" / "guide" / "notebook.ipynb").read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    return _page(
        [
            text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
            for cell, text in zip(cells, texts, strict=True)
        ]
    )


def _home(name: str) -> str:
    """Return the module of the reference that documents a public name."""
    return next(module for module in PUBLIC if name in _names_of(module))


def _names_of(module: str) -> list[str]:
    names = vars(import_module(module))
    return names.get("__all__") or [name for name, value in names.items() if _module_of(value) == module]


def _module_of(value: object) -> str:
    return getattr(value, "__module__", "")


def _first_line(name: str) -> str:
    if name == "hookimpl":
        return "Mark a function of a plugin as the implementation of a hook."
    return _summary(getattr(mirbench, name))


def _summary(value: object) -> str:
    text = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(text.split())


# What stands directly in mirbench/, by the part that it plays.
GROUND = ("errors", "escaping", "files", "processes", "progress")
SPECS = ("hookspecs", "specs")


def packages() -> str:
    """Draw the packages of mirbench/ and who imports whom, from the source."""
    arrows = package_imports()
    layers = list(_layers(arrows))
    width = max(len(name) for name in arrows)
    lines = []
    for number, layer in enumerate(layers):
        for name in layer:
            others = sorted(arrows[name] - {"ground"}, key=lambda other: (_rank(layers, other), other))
            lines.append(f"{name:<{width}}  <-  {', '.join(others)}" if others else name)
        if number < len(layers) - 1:
            lines.append("")
    rows = [(f"`{name}`", PURPOSES.get(name) or _summary(import_module(f"mirbench.{name}"))) for layer in layers
            for name in layer]  # fmt: skip
    return _page(
        [
            "# Packages and their imports",
            "Drawn from the source at build time: `a <- b, c` means that `a` imports `b` and `c`. A package imports "
            "only packages of the paragraphs above its own. `ground` is imported everywhere and left out of the lists.",
            "```text\n" + "\n".join(lines) + "\n```",
            _circles(arrows),
            table(("package", "purpose"), rows),
        ]
    )


PURPOSES = {
    "ground": "errors, files, processes, progress: what every package may use",
    "specs": "`specs`, `hookspecs`: what plugins offer, and how",
}


def package_imports() -> dict[str, set[str]]:
    """Read which package of mirbench/ imports which at run time."""
    arrows: dict[str, set[str]] = defaultdict(set)
    root = ROOT / "mirbench"
    for path in sorted(root.rglob("*.py")):
        own = _package(path.relative_to(root).with_suffix("").parts)
        if own is None:
            continue
        arrows[own] |= {other for parts in _imports(path) if (other := _package(parts)) not in (None, own)}
    return dict(arrows)


def _package(parts: Sequence[str]) -> str | None:
    if not parts or parts[0] in ("__init__", "__main__", "__version__"):
        return None
    return "ground" if parts[0] in GROUND else "specs" if parts[0] in SPECS else parts[0]


def _imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the modules of mirbench that a file imports, except for type checking."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (tuple(name.split(".")[1:]) for name in names if name.split(".")[0] == "mirbench")


def _layers(arrows: dict[str, set[str]]) -> Iterator[list[str]]:
    """Yield packages from the ground up; packages that import each other share a layer."""
    remaining = dict(arrows)
    while remaining:
        reach = {name: _reachable(remaining, name) for name in remaining}
        free = sorted(name for name in remaining if all(name in reach[other] for other in reach[name]))
        yield free
        remaining = {name: others for name, others in remaining.items() if name not in free}


def _circles(arrows: dict[str, set[str]]) -> str:
    """Name the packages that import each other, directly or by way of others."""
    reach = {name: _reachable(arrows, name) for name in arrows}
    circles = {tuple(sorted({name, *(other for other in reach[name] if name in reach[other])})) for name in arrows}
    named = [
        f"{', '.join(f'`{name}`' for name in circle)} import each other." for circle in sorted(circles) if circle[1:]
    ]
    return f"Exceptions: {' '.join(named)}" if named else ""


def _reachable(arrows: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        new = {other for other in arrows[todo.pop()] if other in arrows} - found
        found |= new
        todo += new
    return found - {start}


def _rank(layers: Sequence[Sequence[str]], name: str) -> int:
    return next((number for number, layer in enumerate(layers) if name in layer), -1)


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-").replace(".", "")


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "encoders": encoders,
    "tasks": tasks,
    "datasets": datasets,
    "schema": schema,
    "results": results,
    "validity": validity,
    "api": api,
    "packages": packages,
    "notebook": notebook,
}

if __name__ == "__main__":
    print(PAGES[sys.argv[1]]())
