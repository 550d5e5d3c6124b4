"""Bundles that are not what was exported: refused with a line; nothing of them is imported."""

import json
import shutil
from dataclasses import replace

import pytest

from mirbench.files import content_hash
from mirbench.results.bundle import export
from mirbench.results.records import RecordWriter
from tests.samples import RESULT


def bundled(world):
    RecordWriter(world.folder / "theirs" / "records", "r").mirbench_result(RESULT)
    export(world.folder / "theirs", world.folder / "bundle", "")
    return world.folder / "bundle"


def listed(bundle, change):
    """Change the manifest."""
    path = bundle / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def added(bundle, name):
    """Write another record beside the exported ones."""
    writer = RecordWriter(bundle / "records", "other")
    writer.mirbench_result(replace(RESULT, encoder="intruder"))
    writer.path.rename(bundle / name)


def named(name):
    def change(bundle):
        added(bundle, "records/more.jsonl")
        sha256 = content_hash(bundle / "records" / "more.jsonl")
        listed(bundle, lambda content: content["sha256"].update({name: sha256}))

    return change


def emptied(content):
    content["sha256"] = {}


def without_records(content):
    content["sha256"] = {"environment.txt": content["sha256"]["environment.txt"]}


def linked(bundle):
    [path] = (bundle / "records").iterdir()
    path.rename(bundle.parent / "elsewhere.jsonl")
    path.symlink_to(bundle.parent / "elsewhere.jsonl")


def linked_folder(bundle):
    shutil.move(bundle / "records", bundle.parent / "elsewhere")
    (bundle / "records").symlink_to(bundle.parent / "elsewhere")


CASES = [
    ("a manifest of nothing", lambda bundle: listed(bundle, emptied), 2, ("lists no records",)),
    ("a manifest without records", lambda bundle: listed(bundle, without_records), 2, ("lists no records",)),
    (
        "a manifest that is a list",
        lambda bundle: listed(bundle, lambda content: content.update(sha256=["records/r.jsonl"])),
        2,
        ("lists no records",),
    ),
    ("no manifest", lambda bundle: (bundle / "manifest.json").unlink(), 2, ("is not what 'mirbench export' writes",)),
    ("a list", lambda bundle: (bundle / "manifest.json").write_text("[]"), 2, ("not what 'mirbench export' writes",)),
    ("records beside", lambda bundle: added(bundle, "records/more.jsonl"), 1, ("more.jsonl is not listed in",)),
    (
        "scores beside",
        lambda bundle: ((bundle / "scores").mkdir(exist_ok=True), added(bundle, "scores/more.jsonl")),
        1,
        ("more.jsonl is not listed in",),
    ),
    ("an absolute path", named("/etc/hostname"), 2, ("lists '/etc/hostname'; expected records/*.jsonl",)),
    ("a path out of the bundle", named("../world.csv"), 2, ("lists '../world.csv'; expected records/*.jsonl",)),
    ("a path out and in again", named("records/../records/more.jsonl"), 2, ("expected records/*.jsonl",)),
    ("a path by backslashes", named("records\\..\\more.jsonl"), 2, ("expected records/*.jsonl",)),
    ("a folder", named("records"), 2, ("lists 'records'; expected records/*.jsonl",)),
    ("records that are a link", linked, 2, ("is a link; expected the files themselves",)),
    ("a folder that is a link", linked_folder, 2, ("is a link; expected the files themselves",)),
    (
        "a hash that is a number",
        lambda bundle: listed(bundle, lambda content: content["sha256"].update({"environment.txt": 3})),
        1,
        ("environment.txt is missing or not the file that was exported",),
    ),
]


@pytest.mark.parametrize(("name", "change", "code", "names"), CASES, ids=[case[0] for case in CASES])
def test_an_import_ends_with_a_line(ends, world, name, change, code, names):
    def inflict(world):
        change(bundled(world))
        return ["import", world.folder / "bundle", "--out", world.out]

    printed = ends(inflict, code, names)
    assert len(printed.splitlines()) == 1
    assert not list(world.out.rglob("*.jsonl"))


def test_nothing_is_wrong_with_the_bundle_itself(ends):
    def inflict(world):
        bundled(world)
        return ["import", world.folder / "bundle", "--out", world.out]

    ends(inflict, 0, ("1 new records",))
