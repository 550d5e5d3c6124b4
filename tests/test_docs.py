"""The documentation tells the truth: its examples run, its commands exist, its generated pages are complete.

Comments before a block say what is done with it:

- ``<!-- file: NAME -->``: the block is written to a file of the page's folder; a Python file is not run by itself.
- ``<!-- needs: NAME -->``: a file of another page is written first.
- ``<!-- environment: NAME=VALUE -->``: for the rest of the page.
- ``<!-- same as: PATH -->``: the block is a file of the repository.
- ``<!-- slow -->``: anywhere in a page; its test is slow.
- ``<!-- not run: REASON -->``: the block is neither run nor compared.

All other blocks of ``python`` and ``console`` are run: lines that begin with ``$`` are commands, the others show what
they print, with ``...`` for anything. In the page's folder lie the recordings of `conftest.recordings`, as ``my.csv``.
"""

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

import generate
from mirbench import hookspecs
from mirbench.cli.main import cli
from mirbench.plugins import Plugins

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "generated"} & set(path.parts))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
BLOCK = re.compile(r"((?:^<!-- .*? -->\n)*)^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"<!-- ([a-z ]+?)(?:: (.*?))? -->")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block, and the comments before it."""

    language: str
    text: str
    marks: dict[str, str]


def blocks(path):
    return [
        Block(language, text, dict(MARK.findall(marks))) for marks, language, text in BLOCK.findall(path.read_text())
    ]


def is_run(block):
    return (block.language in ("python", "console") or "file" in block.marks) and not (
        {"not run", "same as"} & set(block.marks)
    )


def name_of(path):
    return str(path.relative_to(ROOT))


FILES = {block.marks["file"]: block.text for path in PAGES for block in blocks(path) if "file" in block.marks}
EXAMPLES = [
    pytest.param(path, id=name_of(path), marks=[pytest.mark.slow] if "<!-- slow -->" in path.read_text() else [])
    for path in PAGES
    if any(map(is_run, blocks(path)))
]


@pytest.fixture
def folder(tmp_path, recordings, monkeypatch):
    """A folder with recordings and `my.csv`, which commands run in."""
    place = tmp_path / "page"
    shutil.copytree(recordings.parent, place)
    (place / recordings.name).rename(place / "my.csv")
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_examples_of_a_page_run(page, folder, mirbench, monkeypatch):
    for block in blocks(page):
        if not is_run(block):
            continue
        if "environment" in block.marks:
            monkeypatch.setenv(*block.marks["environment"].split("=", 1))
        if "needs" in block.marks:
            (folder / block.marks["needs"]).write_text(FILES[block.marks["needs"]])
        if "file" in block.marks:
            (folder / block.marks["file"]).write_text(block.text)
        elif block.language == "python":
            code, printed = _run_words([sys.executable, "-c", block.text])
            assert code == 0, printed
        else:
            for line, expected in _commands(block.text):
                printed = _run(line, mirbench)
                assert doctest.OutputChecker().check_output(expected, printed, FLAGS), f"{line}\n{printed}"


def _commands(text):
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        yield line, expected


def _run(line, mirbench):
    words = _words_of(line)
    if words[0] == "mirbench":  # in this process: nothing is imported again
        code, out, err = mirbench(*words[1:])
        return out + (err if code else "")
    if words[0] == "python":
        words[0] = sys.executable
    return _run_words(words)[1]


def _words_of(line):
    return shlex.split(re.split(r"\s#", line)[0])


def _run_words(words):
    path = os.pathsep.join([str(Path.cwd()), *sys.path])
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_every_command_of_a_page_exists(path):
    for block in blocks(path):
        if block.language != "sh" or "not run" in block.marks:
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            words = _words_of(line)
            if words[:1] == ["mirbench"]:
                _require_command(words[1:])
            elif words[:1] == ["make"]:
                assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line


def _require_command(words):
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    command.make_context(command.name, words)


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_copies_of_files_are_equal_to_them(path):
    for block in blocks(path):
        if "same as" in block.marks:
            assert block.text == (ROOT / block.marks["same as"]).read_text()


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_links_to_the_documentation_and_the_repository_lead_somewhere(path):
    text = path.read_text()
    for page in re.findall(r"https://mirbench\.readthedocs\.io/en/latest/([\w/.-]*?)\.html", text):
        source = DOCS / f"{page}.md"
        assert source.is_file() or (source.parent.name == "generated" and source.stem in generated_names()), page
    for kept in re.findall(r"https://github\.com/mirbench/mirbench/(?:blob|tree)/main/([\w/.-]+)", text):
        assert (ROOT / kept).exists(), kept


def generated_names():
    return {*generate.PAGES, *(f"api-{module}" for module in generate.PUBLIC)}


def test_generated_pages_name_all_that_is_installed():
    plugins = Plugins()
    for page, catalog in (("encoders", plugins.encoders), ("tasks", plugins.tasks), ("datasets", plugins.datasets)):
        text = generate.PAGES[page]()
        assert all(re.search(rf"^##+ {re.escape(name)}$", text, re.MULTILINE) for name in catalog.names)


def test_every_hook_has_a_page():
    index = (DOCS / "plugins" / "index.md").read_text()
    assert all(f"`{name}`" in index for name in vars(hookspecs) if name.startswith("mirbench_"))


def test_every_field_of_a_record_is_described():
    rows = [line.split(" | ") for line in generate.schema().splitlines() if line.startswith("| `")]
    assert len(rows) == len(generate.records.FIELDS)
    assert all(row[-1].strip(" |") for row in rows)


def test_packages_are_drawn_from_their_imports():
    arrows = generate.package_imports()
    assert {"data", "domain", "runs", "cli"} <= set(arrows)
    assert "cli" not in set().union(*arrows.values())
    assert "evaluation" in arrows["runs"]


def test_pages_that_are_gone_are_removed(tmp_path):
    (tmp_path / "former.md").write_text("")
    generate.write(tmp_path)
    assert {path.stem for path in tmp_path.glob("*.md")} == generated_names()


@pytest.mark.slow
def test_the_documentation_builds_without_warnings(tmp_path):
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    code, printed = _run_words(words)
    assert code == 0, printed
