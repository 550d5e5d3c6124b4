"""The public surface: plugins import nothing else of mirbench, and all of it is documented."""

import ast
import dataclasses
import importlib
import inspect
import textwrap
from functools import cached_property
from pathlib import Path

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import mirbench

ROOT = Path(__file__).parents[1]
PUBLIC = (
    "mirbench",
    "mirbench.data.annotations",
    "mirbench.data.audio",
    "mirbench.data.csv",
    "mirbench.data.download",
    "mirbench.data.folds",
    "mirbench.data.embedded",
    "mirbench.data.required_files",
    "mirbench.domain",
    "mirbench.errors",
    "mirbench.escaping",
    "mirbench.evaluation.decoders",
    "mirbench.evaluation.multilabel",
    "mirbench.files",
    "mirbench.hookspecs",
    "mirbench.plan",
    "mirbench.processes",
    "mirbench.progress",
    "mirbench.results.leaderboard",
    "mirbench.results.records",
    "mirbench.specs",
    "mirbench.testing",
)
PLUGINS = sorted(path for root in ("plugins", "tasks") for path in (ROOT / root).rglob("*.py"))
# Unknown and misordered parameters and sections; what is required is checked here, as types are in annotations.
CODES = {"GL06", "GL07", "GL08", "PR01", "PR02", "PR03", "SS04", "SS06"}


def imports(path):
    """Yield the names that a file imports from mirbench, as (module, name)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.partition(".")[0] == "mirbench")
        elif isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "mirbench":
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_the_public_surface_only(path):
    for module, name in imports(path):
        assert module in PUBLIC or f"{module}.{name}" in PUBLIC, f"{module}.{name} is not public"
        if module == "mirbench":
            assert name in mirbench.__all__ or f"mirbench.{name}" in PUBLIC, f"mirbench.{name} is not public"
        elif module in PUBLIC:
            assert not name.startswith("_"), f"{module}.{name} is not public"


def names_in(module):
    """Return the public functions and classes of a module: those in `__all__`, or those that it defines."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if inspect.isroutine(getattr(module, name)) or is_class(module, name)]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]


def is_class(module, name):
    return inspect.isclass(getattr(module, name)) and getattr(module, name).__module__.startswith("mirbench")


def surface():
    """Yield every public object as (module, dotted name, object, owner); the owner of a method is its class."""
    seen = set()
    for module_name in PUBLIC:
        module = importlib.import_module(module_name)
        for name in names_in(module):
            value = getattr(module, name)
            if id(value) in seen or not getattr(value, "__module__", "").startswith("mirbench"):
                continue
            seen.add(id(value))
            yield module_name, name, value, None
            if inspect.isclass(value):
                for member, attribute in vars(value).items():
                    if not member.startswith("_") and is_documentable(attribute) and not is_inherited(value, member):
                        yield module_name, f"{name}.{member}", attribute, value


def is_documentable(attribute):
    return inspect.isfunction(attribute) or isinstance(
        attribute, property | cached_property | classmethod | staticmethod
    )


def is_inherited(owner, member):
    """Whether a method overrides a documented one, whose docstring it inherits."""
    return any(getattr(getattr(base, member, None), "__doc__", None) for base in owner.__mro__[1:])


SURFACE = list(surface())
IDS = [f"{module}.{name}" for module, name, _, _ in SURFACE]


def function_of(value):
    value = getattr(value, "__func__", value)
    return inspect.unwrap(value)


def parameters_of(function):
    return [name.lstrip("*") for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def documented(doc, *sections):
    """Return the names under sections; one entry may hold several, between commas."""
    return {name.strip().lstrip("*") for section in sections for entry in doc[section] for name in entry[0].split(",")}


def raised_in(function):
    """Return the names of the errors that a function raises itself, without those of functions in it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    caught = {
        handler.name
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler) and handler.name is not None
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call | ast.Name):
            target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(target, ast.Name) and target.id not in caught and not target.id.startswith("_"):
                yield target.id


def problems_of(value, owner):
    """List what the docstring of a public object lacks."""
    text = inspect.getdoc(value)
    if not text:
        return ["no docstring"]
    doc = NumpyDocString(text)
    raised = documented(doc, "Raises") | {entry.type for entry in doc["Raises"]}
    if inspect.isclass(value):
        known = documented(doc, "Attributes", "Parameters")
        if dataclasses.is_dataclass(value):
            needed = [field.name for field in dataclasses.fields(value)]
        else:
            needed = [name for name in vars(value).get("__annotations__", {}) if not name.startswith("_")]
            needed += parameters_of(value.__init__) if has_init(value) else []
        missing = [name for name in needed if name not in known]
        unknown = sorted(known - {*needed, *dir(value)} - all_annotations(value))
        init = value.__init__ if has_init(value) and not dataclasses.is_dataclass(value) else None
        errors = [*raised_in(function_of(init))] if init else []
        post = vars(value).get("__post_init__")
        errors += [*raised_in(function_of(post))] if post else []
    elif isinstance(value, property | cached_property):
        return []
    else:
        function = function_of(value)
        known, needed = documented(doc, "Parameters"), parameters_of(function)
        missing = [name for name in needed if name not in known]
        unknown = sorted(known - set(needed))
        errors = list(raised_in(function))
    found = [f"parameter {name} is not documented" for name in missing]
    found += [f"no parameter {name}" for name in unknown]
    found += [f"Raises lacks {name}" for name in dict.fromkeys(errors) if name not in raised]
    if inspect.isfunction(getattr(value, "__func__", value)) and not tells_what_it_returns(
        function_of(value), text, doc
    ):
        found.append("neither a section Returns or Yields nor a summary that begins with Return or Yield")
    return found


def has_init(owner):
    """Whether a class has a constructor of its own; that of a protocol comes from typing."""
    return "__init__" in vars(owner) and not getattr(owner, "_is_protocol", False)


def all_annotations(owner):
    return {name for base in owner.__mro__ for name in vars(base).get("__annotations__", {})}


def tells_what_it_returns(function, text, doc):
    returned = inspect.signature(function).return_annotation
    if returned in (None, "None", inspect.Signature.empty) or "NoReturn" in str(returned):
        return True
    return bool(doc["Returns"] or doc["Yields"]) or text.startswith(("Return", "Yield"))


@pytest.mark.parametrize(("module", "name", "value", "owner"), SURFACE, ids=IDS)
def test_everything_public_is_documented(module, name, value, owner):
    assert problems_of(value, owner) == []


@pytest.mark.parametrize(("module", "name", "value", "owner"), SURFACE, ids=IDS)
def test_docstrings_are_valid_numpydoc(module, name, value, owner):
    is_record = inspect.isclass(value) and (documents_attributes(value) or not has_init(value))
    if isinstance(value, property | cached_property) or is_record:
        return  # numpydoc asks for the parameters of the constructor, which are the attributes
    errors = validate(f"{module}.{name}")["errors"]
    assert [f"{code} {message}" for code, message in errors if code in CODES] == []


@pytest.mark.parametrize("name", ["run", "leaderboard", "compare"])
def test_what_the_python_api_returns_can_be_imported(name):
    returned = inspect.signature(getattr(mirbench, name)).return_annotation
    assert returned.__name__ in mirbench.__all__
    assert getattr(mirbench, returned.__name__) is returned


def documents_attributes(owner):
    return bool(NumpyDocString(inspect.getdoc(owner) or "")["Attributes"])
