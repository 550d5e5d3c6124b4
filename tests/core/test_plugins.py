"""Plugins are found, broken ones are named and take nothing down."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mirbench import MirbenchError, plugins
from mirbench.errors import PluginError, UsageError
from mirbench.plugins import Plugins, plugin_files

GOOD = """
from mirbench import EncoderSpec, hookimpl

@hookimpl
def mirbench_encoders():
    yield EncoderSpec(name={name!r}, load=lambda device: None)
"""
BROKEN = {
    "import": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "syntax": ("def", "SyntaxError"),
    "misspelt hook": (
        GOOD.replace("def mirbench_encoders", "def mirbench_encoder"),
        "did you mean 'mirbench_encoders'?",
    ),
    "no decorator": (GOOD.replace("@hookimpl", ""), "lacks the decorator @mirbench.hookimpl"),
    "wrong argument": (
        "from mirbench import hookimpl\n@hookimpl\ndef mirbench_result(results): pass",
        "results",
    ),
    "raises": ("from mirbench import hookimpl\n@hookimpl\ndef mirbench_tasks():\n    1 / 0", "ZeroDivisionError"),
    "no spec": ("from mirbench import hookimpl\n@hookimpl\ndef mirbench_tasks():\n    yield 'key'", "yields a str"),
}


@pytest.fixture
def write(tmp_path):
    def write_plugin(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(text.format(name=name) if "{name!r}" in text else text)
        return path

    return write_plugin


@pytest.fixture
def install(monkeypatch, tmp_path, write):
    """Make files look like installed plugins, besides the built-in ones."""
    real = plugins.entry_points

    def install_files(**texts):
        monkeypatch.syspath_prepend(tmp_path)
        entries = []
        for name, text in texts.items():
            module = write(f"plugin_{name}_{tmp_path.name.replace('-', '_')}", text).stem
            entries.append(EntryPoint(name=name, value=module, group="mirbench"))
        monkeypatch.setattr(plugins, "entry_points", lambda group: [*real(group=group), *entries])

    return install_files


def test_a_single_file_is_a_plugin(write):
    assert "mine" in Plugins([write("mine", GOOD)]).encoders.names


def test_files_are_also_taken_from_the_environment(write, monkeypatch):
    one, other = write("one", GOOD), write("other", GOOD)
    monkeypatch.setenv("MIRBENCH_PLUGINS", str(one))
    assert plugin_files([other, one]) == [one, other]


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_plugin_is_an_error_with_its_name(write, text, reason):
    with pytest.raises(PluginError) as raised:
        found = Plugins([write("bad", text.replace("{name!r}", "'bad'"))])
        if found.problems:
            raise PluginError(str(found.problems[-1]))
    assert "bad.py" in str(raised.value)
    assert reason in str(raised.value)


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN)
def test_an_installed_plugin_that_is_broken_takes_nothing_down(install, text, reason):
    install(bad=text.replace("{name!r}", "'bad'"), good=GOOD.replace("{name!r}", "'good'"))
    found = Plugins()
    assert {"good", "chroma"} <= set(found.encoders.names)
    [problem] = found.problems
    assert "'bad'" in problem.plugin
    assert reason in problem.reason


def test_a_broken_plugin_is_mentioned_where_a_name_is_missing(install):
    install(bad="import no_such_module")
    with pytest.raises(UsageError, match="no_such_module"):
        Plugins().encoders["mine"]


def test_a_name_offered_twice_names_both_modules(write):
    found = Plugins(
        [write("one", GOOD.replace("{name!r}", "'same'")), write("two", GOOD.replace("{name!r}", "'same'"))]
    )
    with pytest.raises(PluginError, match=r"'same' is offered by .*one\.py and .*two\.py"):
        found.encoders["same"]
    assert found.encoders["chroma"].name == "chroma"
    assert "same" not in [spec.name for spec in found.encoders.specs()]
    assert len(found.encoders.conflicts()) == 1


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UsageError, match=r"unknown encoder 'chrma'; did you mean 'chroma'\? \(installed: "):
        Plugins().encoders["chrma"]


def test_any_kind_of_name_is_found():
    found = Plugins()
    assert [found.find(name).name for name in ("chroma", "key", "rendered-scores")] == [
        "chroma",
        "key",
        "rendered-scores",
    ]
    with pytest.raises(UsageError, match="did you mean 'key'"):
        found.find("kay")


def test_a_missing_file_is_named():
    with pytest.raises(MirbenchError, match=r"no plugin file .*gone\.py"):
        Plugins([Path("gone.py")])


def test_observers_see_results(write):
    from tests.samples import RESULT

    found, seen = Plugins(), []

    class Observer:
        @plugins.hookspecs.hookimpl
        def mirbench_result(self, result):
            seen.append(result)

    found.observe(Observer())
    found.manager.hook.mirbench_result(result=RESULT)
    assert seen == [RESULT]
