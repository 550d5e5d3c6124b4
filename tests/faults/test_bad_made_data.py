"""Data sets that mirbench makes: damage is named with the command that mends it, and that command mends it."""

import json

import numpy as np
import pytest
import soundfile

from mirbench.data import embedded as generated

PLUGIN = """
from functools import partial
from pathlib import Path
import numpy as np
from mirbench import Clip, Dataset, DatasetSpec, hookimpl
from mirbench.data.embedded import RenderedClip, generate, read_manifest

KEYS = {"C major": (0, 4, 7), "A minor": (9, 0, 4)}
STEMS = {f"clip-{number:02d}": number for number in range(12)}


def manifest_of(request):
    return request.home / "data" / "tones" / "1-abc" / f"manifest-{request.size}.json"


def make(number):
    key = list(KEYS)[number % 2]
    time = np.arange(8000) / 8000
    sound = sum(np.sin(2 * np.pi * 261.63 * 2 ** (pitch / 12) * time) for pitch in KEYS[key])
    noise = np.random.default_rng(number).standard_normal(8000)
    return RenderedClip((0.1 * sound + 0.01 * noise).astype(np.float32), 8000, {"key": key})


class Tones(Dataset):
    name, size, version, labels = "tones", "default", "1-abc", ()

    def __init__(self, request):
        stored = read_manifest(manifest_of(request), "tones")
        self._clips = [
            Clip(
                id=stem, path=stored[stem].path, group=stem, reference=stored[stem].labels["key"],
                split="train" if number < 6 else "valid" if number < 9 else "test",
                duration=stored[stem].duration, sha256=stored[stem].sha256,
            )
            for stem, number in STEMS.items()
        ]

    def clips(self, split):
        return [clip for clip in self._clips if clip.split == split]


def prepare(request):
    generate(manifest_of(request), STEMS, make, title="making tones", workers=1, verify=request.verify)


@hookimpl
def mirbench_datasets():
    yield DatasetSpec(name="tones", load=Tones, prepare=prepare, tasks=("key",), is_embedded=True, license="none")
"""
COMMAND = "mirbench data prepare tones"


class HerePool:
    """A pool of this process, which starts at once."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    map = staticmethod(map)

    def shutdown(self, **options):
        pass


@pytest.fixture
def folder(world, mirbench, monkeypatch):
    """The folder of a data set that has just been made."""
    monkeypatch.setattr(generated, "process_pool", lambda workers: HerePool())
    world.write("tones.py", PLUGIN)
    monkeypatch.setenv("MIRBENCH_PLUGINS", str(world.folder / "tones.py"))
    code, _, err = mirbench("data", "prepare", "tones")
    assert code == 0, err
    return world.home / "data" / "tones" / "1-abc"


def _run(world):
    return ["run", "--encoder", "mfcc", "--task", "key", "--dataset", "tones", "--out", world.out, "--workers", 1]


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def _audio_is_another(folder):
    soundfile.write(folder / "clip-10.flac", np.full(8000, 0.1), 8000)


CLIPS = {
    "one bit": lambda folder: _flip(folder / "clip-10.flac"),
    "truncated": lambda folder: (folder / "clip-10.flac").write_bytes((folder / "clip-10.flac").read_bytes()[:900]),
    "empty": lambda folder: (folder / "clip-10.flac").write_bytes(b""),
    "deleted": lambda folder: (folder / "clip-10.flac").unlink(),
    "other audio": _audio_is_another,
    "two at once": lambda folder: [_flip(folder / f"clip-{number}.flac") for number in ("03", "10")],
}
MANIFESTS = {
    "empty": lambda text: "",
    "truncated": lambda text: text[: len(text) // 2],
    "null": lambda text: "null",
    "a list": lambda text: "[]",
    "a number": lambda text: "3",
    "nested beyond all measure": lambda text: "[" * 100_000,
    "no clips": lambda text: '{"kind": "sine"}',
    "clips null": lambda text: '{"clips": null}',
    "clips a list": lambda text: '{"clips": []}',
    "an entry null": lambda text: '{"clips": {"clip-10": null}}',
    "an entry without labels": lambda text: '{"clips": {"clip-10": {"sha256": "0", "duration": 1.0}}}',
    "a duration that is a text": lambda text: text.replace('"duration": 1.0', '"duration": "1.0"'),
    "a duration NaN": lambda text: text.replace('"duration": 1.0', '"duration": NaN'),
    "a label edited": lambda text: text.replace("A minor", "C major"),
    "clips missing": lambda text: json.dumps({"clips": dict(list(json.loads(text)["clips"].items())[:5])}),
    "binary": lambda text: "\x00\x01",
}


def _bytes(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", CLIPS)
def test_a_damaged_clip_is_named_with_the_command_that_makes_it_again(ends, mirbench, folder, name):
    before = _bytes(folder)
    CLIPS[name](folder)
    ends(_run, 1, ("clip-10.flac", COMMAND))
    assert mirbench("data", "prepare", "tones")[0] == 0
    assert _bytes(folder) == before
    ends(_run, 0, ())


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_damaged_manifest_is_named_with_the_command_that_mends_it(ends, mirbench, folder, name):
    before = _bytes(folder)
    manifest = folder / "manifest-default.json"
    manifest.write_text(MANIFESTS[name](manifest.read_text()))
    ends(_run, 1, ("manifest-default.json", COMMAND))
    ends(lambda world: ["data", "list"], 0, ("tones", COMMAND))
    assert mirbench("data", "prepare", "tones")[0] == 0
    assert _bytes(folder) == before
    ends(_run, 0, ())


def test_a_manifest_that_is_not_text_is_damaged_too(ends, folder):
    (folder / "manifest-default.json").write_bytes(b"\xff\xfe\x00")
    ends(_run, 1, ("manifest-default.json", COMMAND))


def test_a_manifest_that_is_a_folder_is_an_error_of_one_line(ends, folder):
    (folder / "manifest-default.json").unlink()
    (folder / "manifest-default.json").mkdir()
    ends(_run, 1, ("manifest-default.json", "is a directory"))
    ends(lambda world: ["data", "prepare", "tones"], 1, ("manifest-default.json", "is a directory"))


def test_labels_beside_a_clip_that_are_damaged_are_made_again(ends, mirbench, folder):
    before = _bytes(folder)
    (folder / "clip-03.json").write_text("{")
    (folder / "manifest-default.json").unlink()
    ends(_run, 0, ())
    assert _bytes(folder) == before


def test_a_run_does_not_hash_what_was_made(ends, folder, monkeypatch):
    def hashed(path):
        raise AssertionError(path)

    monkeypatch.setattr(generated, "content_hash", hashed)
    ends(_run, 0, ())


def test_what_is_whole_is_not_written_again(mirbench, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert mirbench("data", "prepare", "tones")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
