"""Stored features, finished jobs and records that are not what was written: found, named, computed again."""

import json

import numpy as np
import pytest

from mirbench.results.records import read_records


def shards(world):
    found = sorted(world.home.glob("features/*/*/*.safetensors"))
    assert found
    return found


def _flip(world):
    """Flip a bit of every stored number, with the header as it is."""
    for path in shards(world):
        content = bytearray(path.read_bytes())
        first = 8 + int.from_bytes(content[:8], "little")
        content[first + 2 :: 4] = (np.frombuffer(bytes(content[first + 2 :: 4]), np.uint8) ^ 0x20).tobytes()
        path.write_bytes(bytes(content))


def _one_bit(world):
    path = shards(world)[0]
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def _exchange(world):
    """Exchange the names of two clips in every header."""
    for path in shards(world):
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        table = json.loads(header["__metadata__"]["clips"])
        table[0][0], table[1][0] = table[1][0], table[0][0]
        header["__metadata__"]["clips"] = json.dumps(table)
        text = json.dumps(header).encode().ljust(size)
        path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])


def _header(text):
    def damage(world):
        for path in shards(world):
            content = path.read_bytes()
            size = int.from_bytes(content[:8], "little")
            path.write_bytes(content[:8] + text.encode().ljust(size) + content[8 + size :])

    return damage


def _content(content):
    def damage(world):
        for path in shards(world):
            path.write_bytes(content)

    return damage


def _cut(world):
    for path in shards(world):
        path.write_bytes(path.read_bytes()[:-100])


def _folder(world):
    for path in shards(world):
        path.unlink()
        path.mkdir()


def _about(world):
    for path in world.home.glob("features/*/about.json"):
        path.write_text("[]")


FEATURES = {
    "a bit of every number": _flip,
    "one bit": _one_bit,
    "clips exchanged": _exchange,
    "null as header": _header("null"),
    "a number as header": _header("3"),
    "a text as header": _header('"x"'),
    "an empty header": _header("{}"),
    "a header of lists": _header('{"__metadata__": []}'),
    "an odd tensor": _header('{"__metadata__": {"clips": "[]", "table": "x"}, "0": null}'),
    "no bytes": _content(b""),
    "few bytes": _content(b"abc"),
    "garbage": _content(bytes(range(256)) * 40),
    "cut off": _cut,
    "a folder in its place": _folder,
    "an odd about.json": _about,
}


def values(world, mirbench, *more):
    code, out, err = mirbench(*world.run("key,beat", "mfcc", *more))
    assert code == 0, err
    newest = sorted((world.out / "records").glob("*.jsonl"))[-1]
    return {(r.task, r.metric, r.label): (r.value, r.low, r.high) for r in read_records(newest)}, out + err


@pytest.mark.parametrize("name", FEATURES)
def test_damaged_features_are_computed_again(world, mirbench, name):
    whole, _ = values(world, mirbench)
    FEATURES[name](world)
    again, printed = values(world, mirbench, "--fresh")
    assert again == whole
    assert "Traceback" not in printed
    if name != "an odd about.json":
        assert "stored features" in printed
    assert values(world, mirbench, "--fresh")[0] == whole


@pytest.mark.parametrize("command", [("store", "ls"), ("store", "du"), ("store", "gc"), ("store", "verify")])
@pytest.mark.parametrize("name", FEATURES)
def test_no_command_of_the_store_fails_on_damage(world, mirbench, name, command):
    values(world, mirbench)
    FEATURES[name](world)
    code, out, err = mirbench(*command)
    assert "Traceback" not in out + err
    is_damage = name != "an odd about.json"
    assert code == int(is_damage and command[1] == "verify"), out + err
    if command[1] == "gc":
        assert mirbench("store", "verify")[0] == 0


def _altered(world):
    for path in world.home.glob("finished/*.json"):
        text = path.read_text()
        path.write_text(text.replace('"n": 3', '"n": 4'))


def _write(text):
    def damage(world):
        for path in world.home.glob("finished/*.json"):
            path.write_text(text)

    return damage


def _nothing_in_it(world):
    """A file that claims, with the right checksum, that a job has no results."""
    import hashlib

    content = json.dumps({"records": [], "scores": []})
    _write(f"{hashlib.sha256(content.encode()).hexdigest()}\n{content}")(world)


FINISHED = {
    "an altered value": _altered,
    "no records": _nothing_in_it,
    "no records and no checksum": _write('{"records": [], "scores": []}'),
    "empty": _write(""),
    "null": _write("null"),
    "garbage": _write("\x00\x01"),
    "another text": _write("abc\ndef"),
}


@pytest.mark.parametrize("name", FINISHED)
def test_damaged_finished_jobs_are_done_again(world, mirbench, name):
    whole, _ = values(world, mirbench)
    FINISHED[name](world)
    again, printed = values(world, mirbench)
    assert again == whole
    if name != "no records":
        assert "is not believed" in printed


LINES = {
    "torn": b'{"run": "2026',
    "a number": b"3\n",
    "null": b"null\n",
    "not UTF-8": b"\xff\xfe\n",
    "a text": b'"x"\n',
    "no fields": b"{}\n",
    "of a newer mirbench": b'{"schema": 9}\n',
    "an odd schema": b'{"schema": []}\n',
    "deep": b"[" * 100000 + b"\n",
}
READERS = (("leaderboard",), ("leaderboard", "--format", "html"), ("compare", "mfcc", "mfcc@x"), ("export", "bundle"))


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("command", READERS, ids=["leaderboard", "page", "compare", "export"])
def test_a_bad_line_blocks_no_reader(world, mirbench, monkeypatch, line, command):
    monkeypatch.chdir(world.folder)
    values(world, mirbench)
    for kind in ("records", "scores"):
        with sorted((world.out / kind).glob("*.jsonl"))[0].open("ab") as file:
            file.write(LINES[line])
    code, out, err = mirbench(*command, "--out", world.out)
    assert "Traceback" not in out + err
    assert ".jsonl:" in err
    assert code == (2 if command[0] == "compare" else 0), err  # there is no encoder mfcc@x
    code, out, err = mirbench("records", "repair", "--out", world.out)
    assert (code, "2 bad lines moved aside" in out) == (0, True), out + err
    code, out, err = mirbench("leaderboard", "--out", world.out)
    assert (code, ".jsonl:" in err) == (0, False)


def test_features_are_gone_after_a_run_that_keeps_nothing(world, mirbench):
    whole, _ = values(world, mirbench, "--no-store")
    assert not [path for path in world.home.rglob("*") if path.is_file()]
    assert values(world, mirbench)[0] == whole


def test_purge_removes_what_was_computed_for_a_data_set(world, mirbench):
    values(world, mirbench)
    (world.home / "features" / "other").mkdir()
    code, out, err = mirbench("store", "purge", "--dataset", "world")
    assert (code, err) == (0, "")
    assert "removed" in out
    assert not list(world.home.glob("features/*/*/*.safetensors"))
    assert not list(world.home.glob("finished/*"))


def test_purge_of_an_unknown_data_set_removes_nothing(world, mirbench):
    values(world, mirbench)
    n_files = len(shards(world))
    assert mirbench("store", "purge", "--dataset", "word")[0] == 0
    assert len(shards(world)) == n_files
