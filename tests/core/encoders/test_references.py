"""Other weights: `NAME@WEIGHTS`, `--checkpoint`, downloads from servers on this machine."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mirbench import EncoderSpec
from mirbench.data import download
from mirbench.encoders.references import find_encoder, find_weights
from mirbench.errors import UsageError, WeightsError
from mirbench.plugins import Plugins

CONTENT = b"weights\0" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    """Offers CONTENT as /dir/a.safetensors and, as the hub does, as file w.bin of the repository org/repo."""

    def do_HEAD(self) -> None:
        self.answer(b"")

    def do_GET(self) -> None:
        self.answer(CONTENT)

    def answer(self, body: bytes) -> None:
        if self.path not in ("/dir/a.safetensors", "/org/repo/resolve/main/w.bin", f"/org/repo/resolve/{COMMIT}/w.bin"):
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.send_header("ETag", f'"{SHA256}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(download, "PAUSES", (0.0,))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_weights_of_an_address_are_downloaded_once_and_kept(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{address}/dir/a.safetensors"
    path = find_weights(url, tmp_path)
    assert path.name == "a.safetensors"
    assert path.read_bytes() == CONTENT
    written = path.stat().st_mtime_ns
    assert find_weights(url, tmp_path) == path
    assert path.stat().st_mtime_ns == written


def test_a_pinned_checksum_is_checked(address: str, tmp_path: Path) -> None:
    assert find_weights(f"{address}/dir/a.safetensors#sha256={SHA256}", tmp_path).read_bytes() == CONTENT
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        find_weights(f"{address}/dir/a.safetensors#sha256={'0' * 64}", tmp_path)


def test_an_address_without_weights_and_a_machine_without_network_are_said(address: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="404"):
        find_weights(f"{address}/dir/b.safetensors", tmp_path)
    with pytest.raises(WeightsError, match="cannot be downloaded.*127.0.0.1:1/"):
        find_weights("http://127.0.0.1:1/a.safetensors", tmp_path)
    with pytest.raises(WeightsError, match="no such file or folder"):
        find_weights(str(tmp_path / "c.safetensors"), tmp_path)


def from_hub(reference: str, tmp_path: Path, endpoint: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call `find_weights` in a process of its own: the hub's package reads its settings at import."""
    pytest.importorskip("huggingface_hub")
    code = (
        "import sys; from pathlib import Path\n"
        "from mirbench.errors import WeightsError\n"
        "from mirbench.encoders.references import find_weights\n"
        "try: print(find_weights(sys.argv[1], Path(sys.argv[2])))\n"
        "except WeightsError as error: sys.exit(f'WeightsError: {error}')"
    )
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_DISABLE_XET": "1", **environment}
    command = [sys.executable, "-c", code, reference, str(tmp_path)]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120)


def test_weights_come_from_a_hub_and_then_from_its_cache(address: str, tmp_path: Path) -> None:
    found = from_hub("hf://org/repo/w.bin", tmp_path, address)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).read_bytes() == CONTENT
    again = from_hub("hf://org/repo/w.bin", tmp_path, "http://127.0.0.1:1", HF_HUB_OFFLINE="1")
    assert again.stdout == found.stdout


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("hf://org/repo/absent.bin", "hf://org/repo/absent.bin: "),
        ("hf://org", "expected hf://ORG/REPO"),
        ("hf://org/re po/w.bin", "hf://org/re po/w.bin: "),
    ],
)
def test_what_a_hub_does_not_have_is_said(address: str, tmp_path: Path, reference: str, said: str) -> None:
    found = from_hub(reference, tmp_path, address)
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1].startswith("WeightsError")
    assert said in found.stderr


def test_a_machine_without_network_is_told_to_give_a_file(tmp_path: Path) -> None:
    found = from_hub("hf://org/repo/w.bin", tmp_path, "http://127.0.0.1:1", HF_HUB_OFFLINE="1")
    assert found.returncode == 1
    assert "if this machine is offline, download it elsewhere and give the file's path" in found.stderr


ENCODERS = Plugins().encoders


def test_random_weights_are_named_and_said_to_be_untrained(tmp_path: Path) -> None:
    spec = find_encoder(ENCODERS, "skey@random", tmp_path)
    assert spec.name == "skey@random"
    assert spec.description.startswith("NOT TRAINED")
    audio = np.random.default_rng(0).standard_normal(88200).astype(np.float32) / 10
    first, second = spec.load("cpu"), spec.load("cpu")
    assert first.fingerprint == second.fingerprint
    assert np.array_equal(first.encode(audio).frames, second.encode(audio).frames)


def test_a_reference_is_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    assert find_encoder(ENCODERS, "chroma", tmp_path) == ENCODERS["chroma"]
    with pytest.raises(UsageError, match=r"encoder 'chroma' takes no other weights.*these do: .*mt2"):
        find_encoder(ENCODERS, "chroma@random", tmp_path)
    with pytest.raises(UsageError, match=r"no such file or folder 'x\.safetensors'"):
        find_encoder(ENCODERS, "mt2@x.safetensors", tmp_path)
    with pytest.raises(UsageError, match="mt3"):
        find_encoder(ENCODERS, "mt3@random", tmp_path)


def test_the_name_is_short_and_the_licence_the_publishers(tmp_path: Path) -> None:
    weights = tmp_path / "folder" / "mine.safetensors"
    weights.parent.mkdir()
    weights.touch()
    for reference in (f"mt2@{weights}", "mt2@https://example.org/folder/mine.safetensors?raw=1"):
        spec: EncoderSpec = find_encoder(ENCODERS, reference, tmp_path)
        assert spec.name == "mt2@mine.safetensors"
        assert spec.weights_license == "their publisher's"


def test_what_is_not_trained_is_not_replaced_by_random_weights(tmp_path: Path) -> None:
    from mirbench_ssl.weights import shipped_weights

    with pytest.raises(WeightsError, match=r"no weights of 'semitone'.*mirbench pretrain semitone.*semitone@random"):
        shipped_weights(tmp_path, "semitone")
