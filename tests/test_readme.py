"""The README and its sisters tell the truth; `test_docs` runs what they show."""

import re
from collections import Counter
from pathlib import Path

import pytest

from mirbench.plugins import Plugins
from mirbench_data_rendered.index import INDEX, LEFT_OUT, read_index
from tests.readme_table import table
from tests.test_docs import blocks
from tests.weights_table import table as table_of_weights

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SHELL = [line for block in blocks(ROOT / "README.md") if block.language == "sh" for line in block.text.splitlines()]


def test_it_is_short():
    assert len(README.splitlines()) <= 200


def test_the_first_two_commands_work_from_a_checkout():
    assert [line.split()[:2] for line in SHELL[:2]] == [["make", "demo"], ["make", "test"]]


def test_the_results_are_those_of_the_kept_records():
    assert re.search(r"<!-- results.*?-->\n(.*?)\n<!-- end of results -->", README, re.DOTALL).group(1) == table()


def test_the_model_card_is_that_of_the_shipped_weights():
    card = (ROOT / "training" / "README.md").read_text()
    assert (
        re.search(r"<!-- weights.*?-->\n(.*?)\n<!-- end of weights -->", card, re.DOTALL).group(1) == table_of_weights()
    )


def test_the_example_is_the_tested_plugin():
    [code] = [block.text for block in blocks(ROOT / "README.md") if block.language == "python"]
    assert code == (ROOT / "tests" / "third_party" / "zero_crossings.py").read_text()


@pytest.mark.parametrize("page", ["docs/guide/your-encoder.md", "docs/plugins/encoder.md"])
def test_the_documentation_shows_the_same_example(page):
    code = next(block.text for block in blocks(ROOT / page) if block.language == "python")
    assert code == (ROOT / "tests" / "third_party" / "zero_crossings.py").read_text()


def test_the_entry_point_is_the_tested_one():
    [toml] = [block.text for block in blocks(ROOT / "README.md") if block.language == "toml"]
    assert toml in (ROOT / "tests" / "third_party" / "pyproject.toml").read_text()


def test_links_work_outside_of_the_repository():
    assert all(link.startswith("https://") for link in re.findall(r"\]\((.*?)\)", README))


def test_every_task_is_in_the_readme():
    for name in Plugins().tasks.names:
        assert f"| `{name}` |" in README


def test_every_encoder_of_the_installed_plugins_is_in_the_readme():
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named = {name.split(":")[0] for name in re.findall(r"`([^`]+)`", prose)}
    assert set(Plugins().encoders.names) <= named


def test_every_data_set_is_in_the_guide():
    guide = "".join(
        (ROOT / "docs" / page).read_text() for page in ("guide/data-sets.md", "explanation/embedded-data.md")
    )
    for name in Plugins().datasets.names:
        assert f"`{name}`" in guide


def test_the_numbers_of_the_data_set_are_those_of_its_index():
    sheet = (ROOT / "docs" / "explanation" / "embedded-data.md").read_text()
    entries = read_index()
    kinds = Counter(entry.kind for entry in entries)
    splits = Counter(entry.split for entry in entries)
    assert f"**{len(entries)} clips" in sheet
    assert f"{kinds['chorale']} chorales, {kinds['tune']} tunes and {kinds['song']} generated" in sheet
    assert f"{splits['train']} clips to train, {splits['valid']} to validate, {splits['test']} to test" in sheet
    counts = dict(line.rsplit(",", 1) for line in LEFT_OUT.read_text().splitlines()[1:])
    failing = sum(int(n) for reason, n in counts.items() if "tonic" in reason or "profiles" in reason)
    assert f"{failing:,} pieces fail these two rules" in sheet
    assert INDEX.is_file()
