"""Workflows, forms and metadata are valid, and agree with the project: they cannot be run here."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "custom.github-workflows-require-timeout": WORKFLOWS,
    "vendor.github-issue-forms": FORMS,
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
    "vendor.readthedocs": [ROOT / ".readthedocs.yaml"],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_follow_their_schemas(schema):
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, SCHEMAS[schema])]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_three_workflows_and_four_forms():
    assert [path.stem for path in WORKFLOWS] == ["ci", "docs", "release"]
    assert [path.stem for path in FORMS] == ["bug", "dataset", "encoder", "results"]


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_make_targets_that_are_called_exist(path):
    called = re.findall(r"\bmake ([a-z-]+)$", path.read_text(), re.MULTILINE)
    assert called
    assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in called)


def test_forms_ask_for_each_field_once():
    for path in FORMS:
        names = [field["id"] for field in yaml.safe_load(path.read_text())["body"] if "id" in field]
        assert len(names) == len(set(names)), path.name


def test_a_data_set_is_proposed_for_one_of_the_tasks():
    from mirbench.plugins import Plugins

    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / "dataset.yml").read_text())
    [options] = [field["attributes"]["options"] for field in form["body"] if field.get("id") == "task"]
    assert set(Plugins().tasks.names) <= set(options)


def test_hooks_of_pre_commit_are_tools_of_the_development_environment():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    installed = {re.split(r"[<>=;\[ ]", line)[0] for line in PROJECT["project"]["optional-dependencies"]["dev"]}
    for hook in config["repos"][0]["hooks"]:
        assert hook["entry"].split()[0].removeprefix(".venv/bin/") in installed


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["repository-code"] == PROJECT["project"]["urls"]["Homepage"]


def test_a_source_distribution_holds_all_files_of_the_repository():
    from hatchling.builders.sdist import SdistBuilder

    if not (ROOT / ".git").exists():
        pytest.skip("not a repository")
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    included = {file.distribution_path for file in SdistBuilder(str(ROOT)).recurse_included_files()}
    assert {name for name in kept if name and (ROOT / name).exists()} <= included
