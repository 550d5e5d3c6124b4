"""Who may import whom."""

import ast
import inspect
from pathlib import Path

import pytest

import mirbench
from mirbench import hookspecs

ROOT = Path(__file__).parents[1]
# Each module may import those on lines above it, and its own line's to the left.
ORDER = (
    ("errors",),
    ("escaping", "specs", "fingerprints", "files", "processes", "progress"),
    ("download", "generated", "published"),
    ("arrays", "domain", "annotations", "references", "decode", "multilabel", "windows"),
    ("gate", "variants", "mp3"),
    ("hookspecs", "plugins", "weights"),
    ("audio", "shards", "store"),
    ("csv_dataset", "extract", "recheck"),
    ("scoring", "rows", "newton", "probes", "networks", "protocols", "subsets"),
    ("evaluate",),
    ("record",),
    ("leaderboard", "tables", "page", "compare", "sharing"),
    ("plan", "finished", "run", "cluster", "reproduce", "answers", "plots", "inspection"),
    ("training",),
    ("testing",),
    ("console",),
    ("options", "store_commands", "report_commands", "figure_commands", "data_commands"),
    ("cli",),
    ("__main__",),
)
RANK = {module: (row, column) for row, line in enumerate(ORDER) for column, module in enumerate(line)}
MODULES = sorted((ROOT / "mirbench").rglob("*.py"))
PLUGINS = sorted(path for root in ("plugins", "tasks") for path in (ROOT / root).rglob("*.py"))
LIBRARIES = {"mirbench_hub", "mirbench_ssl"}


def imports(path):
    """Yield the modules that a file imports; those under TYPE_CHECKING are for the type checker only."""
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
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module == "mirbench":
                yield from (f"mirbench.{alias.name}" for alias in node.names)
            yield node.module


def name_of(path):
    parts = path.relative_to(ROOT / "mirbench").with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("path", [p for p in MODULES if p.name != "__init__.py" or p.parent.name == "testing"], ids=str)
def test_arrows_in_the_harness_run_one_way(path):
    own = name_of(path)
    for module in imports(path):
        package, _, rest = module.partition(".")
        imported = rest.split(".")[0]
        if package == "mirbench" and imported in RANK and imported != own:
            assert RANK[imported] < RANK[own], f"{own} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_the_harness_knows_no_plugin(path):
    assert not [module for module in imports(path) if module.startswith("mirbench_")]


@pytest.mark.parametrize("path", PLUGINS, ids=str)
def test_a_plugin_imports_the_harness_and_libraries_only(path):
    own = next(part for part in path.relative_to(ROOT).parts if part.startswith("mirbench_"))
    foreign = {module.split(".")[0] for module in imports(path) if module.startswith("mirbench_")} - LIBRARIES - {own}
    assert not foreign


@pytest.mark.parametrize("path", [p for p in PLUGINS if p.name == "__init__.py"], ids=str)
def test_offering_a_plugin_imports_nothing_heavy(path):
    tree = ast.parse(path.read_text())
    top = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert top <= {"collections", "functools", "os", "pathlib", "sys", "typing", "mirbench"}


@pytest.mark.parametrize("path", [*MODULES, *PLUGINS], ids=str)
def test_files_stay_readable(path):
    assert len(path.read_text().splitlines()) <= 450
    assert "from __future__ import annotations" not in path.read_text()


def test_every_public_name_is_there_and_documented():
    for name in mirbench.__all__:
        assert inspect.getdoc(getattr(mirbench, name)) or name == "hookimpl"


def test_every_hook_is_documented():
    hooks = [getattr(hookspecs, name) for name in vars(hookspecs) if name.startswith("mirbench_")]
    assert len(hooks) == 6
    assert all(hook.__doc__ for hook in hooks)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Encodr'"):
        mirbench.Encodr  # noqa: B018
