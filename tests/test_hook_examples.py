"""The docstring of every hook holds a complete plugin that works."""

import inspect
import textwrap

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import mirbench
from mirbench import hookspecs
from mirbench.plugins import Plugins
from mirbench.testing import checks_of

HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("mirbench_"))


def example_of(hook):
    """Return the code block in a hook's docstring."""
    text = inspect.getdoc(getattr(hookspecs, hook))
    return textwrap.dedent(text.partition(".. code-block:: python\n")[2]).strip() + "\n"


@pytest.fixture
def files(tmp_path):
    """The plugin of every hook, as a file."""
    for hook in HOOKS:
        (tmp_path / f"{hook}.py").write_text(example_of(hook))
    return {hook: tmp_path / f"{hook}.py" for hook in HOOKS}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_example_is_a_plugin_that_implements_its_hook(files, hook):
    found = Plugins([files[hook]])
    assert str(files[hook]) not in [problem.plugin for problem in found.problems]
    implementations = getattr(found.manager.hook, hook).get_hookimpls()
    assert str(files[hook]) in [each.plugin_name for each in implementations]


@pytest.mark.parametrize(
    ("hook", "name"), [("mirbench_encoders", "level"), ("mirbench_tasks", "mode"), ("mirbench_datasets", "recordings")]
)
def test_the_name_is_offered(files, hook, name):
    assert Plugins([files[hook]]).find(name).name == name


def test_the_suite_is_offered(files):
    assert Plugins([files["mirbench_suites"]]).suites["tonality"].tasks == ("key", "chord")


@pytest.mark.parametrize(("hook", "name"), [("mirbench_encoders", "level"), ("mirbench_tasks", "mode")])
def test_examples_conform(files, hook, name):
    problems = {check.name: check.problem() for check in checks_of(Plugins([files[hook]]).find(name))}
    assert {name: problem for name, problem in problems.items() if problem} == {}


def test_the_command_runs(files, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 16000)
    command = Plugins([files["mirbench_commands"]]).commands(())["length"]
    assert CliRunner().invoke(command, [str(tmp_path / "a.wav")]).output == "0.50 s\n"


def test_a_run_uses_them_together(files, tmp_path, monkeypatch):
    """The example encoder on the example task and data set, seen by the example observers."""
    random = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        folder = tmp_path / "home" / "data" / "recordings" / split
        folder.mkdir(parents=True)
        for place in range(8):
            mode, level = (("major", 0.3), ("minor", 0.01))[place % 2]
            soundfile.write(folder / f"{split}{place}-{mode}.wav", level * random.uniform(-1, 1, 16000), 16000)
    monkeypatch.chdir(tmp_path)
    results = mirbench.run(
        ["level"], ["mode"], datasets=["recordings"], home="home", out="out", workers=1, plugins=list(files.values())
    )
    assert not results.failures
    assert (tmp_path / "out" / "jobs.txt").read_text() == "level, mode, recordings\n"
    assert (tmp_path / "results.log").read_text() == "level mode 1.000\n"
