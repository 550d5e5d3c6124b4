"""Who may import whom."""

import ast
import inspect
from pathlib import Path

import pytest

import mirbench
from mirbench import hookspecs

ROOT = Path(__file__).parents[1]
# The packages and modules of the harness, from the ground up: each may import those on lines above it.
LAYERS = (
    {"errors"},
    {"escaping", "files", "processes", "progress"},
    {"domain"},
    {"specs"},
    {"plan"},
    {"hookspecs"},
    {"gate"},
    {"plugins"},
    {"data"},
    {"encoders"},
    {"features"},
    {"probes"},
    {"evaluation"},
    {"results"},
    {"testing"},
    {"runs"},
    {"figures"},
    {"cli"},
    {"__main__"},
)
RANK = {package: rank for rank, packages in enumerate(LAYERS) for package in packages}
GROUND = {"errors", "escaping", "files", "processes", "progress", "domain", "specs"}
ONLY = {"results": GROUND | {"hookspecs"}, "testing": GROUND | {"gate", "plugins", "data", "encoders", "features"}}
MODULES = sorted((ROOT / "mirbench").rglob("*.py"))
PLUGINS = sorted(path for root in ("plugins", "tasks") for path in (ROOT / root).rglob("*.py"))
LIBRARIES = {"mirbench_filterbanks", "mirbench_hub", "mirbench_sensors", "mirbench_spectra", "mirbench_ssl"}


def imports(path):
    """Yield the modules that a file imports, those for type checkers included, and whether at its top."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from ((f"{node.module}.{alias.name}", id(node) in top) for alias in node.names)
            yield node.module, id(node) in top


def package_of(module):
    """Return the package or module right under mirbench that a dotted name lies in; None for other names."""
    first, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return name if first == "mirbench" and name in RANK else None


@pytest.mark.parametrize("path", [path for path in MODULES if path != ROOT / "mirbench/__init__.py"], ids=str)
def test_arrows_in_the_harness_run_one_way(path):
    own = path.relative_to(ROOT / "mirbench").with_suffix("").parts[0]
    for module, _ in imports(path):
        package = package_of(module)
        if package is not None and package != own:
            assert RANK[package] < RANK[own], f"{own} imports {module}"
            assert own not in ONLY or package in ONLY[own], f"{own} imports {module}"


def test_every_package_has_its_place():
    found = {path.name for path in (ROOT / "mirbench").iterdir() if (path / "__init__.py").is_file()}
    found |= {path.stem for path in (ROOT / "mirbench").glob("*.py") if path.name != "__init__.py"}
    assert found == set(RANK)


def test_no_modules_import_each_other():
    """Also within a package, and also what is imported for type checkers or late."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}
    graph = {
        name: {module for module, _ in imports(path) if module in names and module != name}
        - ({name.rpartition(".")[0]} if path.name != "__init__.py" else set())
        for name, path in names.items()
        if name != "mirbench"
    }
    graph = {name: {each for each in found if each != "mirbench"} for name, found in graph.items()}
    while graph:
        free = {name for name, found in graph.items() if not found & graph.keys()}
        assert free, f"a circle among {sorted(graph)}"
        graph = {name: found for name, found in graph.items() if name not in free}


def test_only_two_packages_hold_code_of_their_own():
    """`mirbench list` answers at once: importing a package imports nothing else."""
    for path in (ROOT / "mirbench").glob("*/__init__.py"):
        if path.parent.name not in ("domain", "cli", "testing"):
            assert len(ast.parse(path.read_text()).body) == 1, path


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_the_harness_knows_no_plugin(path):
    assert not [module for module, _ in imports(path) if module.startswith("mirbench_")]


@pytest.mark.parametrize("path", PLUGINS, ids=str)
def test_a_plugin_imports_the_harness_and_libraries_only(path):
    own = next(part for part in path.relative_to(ROOT).parts if part.startswith("mirbench_"))
    foreign = (
        {module.split(".")[0] for module, _ in imports(path) if module.startswith("mirbench_")} - LIBRARIES - {own}
    )
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
    assert len(hooks) == 8
    assert all(hook.__doc__ for hook in hooks)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Encodr'"):
        mirbench.Encodr  # noqa: B018
