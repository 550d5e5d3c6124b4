"""The README tells the truth."""

import re
import shlex
from collections import Counter
from pathlib import Path

import click
import pytest

from mirbench.cli.main import cli
from mirbench.plugins import Plugins
from mirbench_data_rendered.index import INDEX, LEFT_OUT, read_index
from tests.readme_table import table
from tests.weights_table import table as table_of_weights

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    re.split(r"\s#", line)[0].strip()
    for kind, block in BLOCKS
    if kind == "sh"
    for line in block.splitlines()
    if line.strip()
]


def test_the_results_are_those_of_the_kept_records():
    assert re.search(r"<!-- results.*?-->\n(.*?)\n<!-- end of results -->", README, re.DOTALL).group(1) == table()


def test_the_model_card_is_that_of_the_shipped_weights():
    card = (ROOT / "training" / "README.md").read_text()
    assert (
        re.search(r"<!-- weights.*?-->\n(.*?)\n<!-- end of weights -->", card, re.DOTALL).group(1) == table_of_weights()
    )


def test_the_example_is_the_tested_plugin():
    code = next(block for kind, block in BLOCKS if kind == "python")
    assert code == (ROOT / "tests" / "third_party" / "zero_crossings.py").read_text()


def test_the_entry_point_is_the_tested_one():
    [toml] = [block for kind, block in BLOCKS if kind == "toml"]
    assert toml in (ROOT / "tests" / "third_party" / "pyproject.toml").read_text()


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("mirbench ")])
def test_every_command_is_one_that_exists(line):
    _, *words = shlex.split(line)
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    command.make_context(command.name, words)


@pytest.mark.parametrize("target", [line.split()[1] for line in COMMANDS if line.startswith("make ")])
def test_every_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_task_is_in_the_readme():
    for name in Plugins().tasks.names:
        assert f"| `{name}` |" in README


def test_every_data_set_is_in_the_readme():
    for name in Plugins().datasets.names:
        assert f"`{name}`" in README


def test_every_command_of_the_program_is_in_the_readme():
    for name in cli.commands:
        assert f"mirbench {name}" in README


def test_the_numbers_of_the_data_set_are_those_of_its_index():
    entries = read_index()
    sources = Counter(entry.id.startswith("bach/") for entry in entries)
    assert f"**{len(entries)} excerpts" in README
    assert f"{sources[True]} of Bach's chorales, {sources[False]} British and Irish tunes" in README
    counts = dict(line.rsplit(",", 1) for line in LEFT_OUT.read_text().splitlines()[1:])
    failing = sum(int(n) for reason, n in counts.items() if "tonic" in reason or "profiles" in reason)
    assert f"{failing:,} pieces fail these two rules" in README
    assert INDEX.is_file()
