"""Downloads from a server on this machine, which can be made to misbehave; archives: good, damaged and malicious."""

import bz2
import gzip
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mirbench import DatasetError
from mirbench.data import download
from mirbench.data.download import fetch, unpack

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Offers CONTENT as /file; notes where each request begins."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.has_ranges = True
        self.drops = 0  # so many answers end after a third of what is left
        self.refusals: list[int] = []
        self.asked: list[int] = []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.asked.append(start)
        if self.path != "/file":
            return self.send_error(404)
        if self.server.refusals:
            return self.send_error(self.server.refusals.pop())
        if start and self.server.has_ranges:
            if start >= len(CONTENT):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            start = 0
            self.send_response(200)
        rest = CONTENT[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.server.drops:
            self.server.drops -= 1
            rest = rest[: len(rest) // 3]
        self.wfile.write(rest)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "file"


def part_of(path: Path) -> Path:
    return path.with_name("file.part")


def leave_part(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    part_of(path).write_bytes(content)


def test_a_file_arrives_whole(server, path, capsys):
    fetch(f"{server.address}/file", path, md5=MD5, sha256=hashlib.sha256(CONTENT).hexdigest(), title="downloading")
    assert path.read_bytes() == CONTENT
    assert not part_of(path).exists()
    assert "downloading: 1.0 of 1.0 MB" in capsys.readouterr().err


def test_a_file_that_is_there_is_not_asked_for(server, path):
    fetch(f"{server.address}/file", path)
    fetch(f"{server.address}/file", path, md5=MD5)
    assert server.asked == [0]


def test_dropped_connections_continue_where_they_stopped(server, path):
    server.drops = 5  # more than tries without progress would be allowed
    fetch(f"{server.address}/file", path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked[:2] == [0, len(CONTENT) // 3]
    assert len(server.asked) == 6


def test_an_interrupted_download_continues_in_the_next_run(server, path):
    leave_part(path, CONTENT[:1000])
    fetch(f"{server.address}/file", path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [1000]


def test_a_download_that_only_lacked_its_name_gets_it(server, path):
    leave_part(path, CONTENT)
    fetch(f"{server.address}/file", path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, path):
    leave_part(path, CONTENT + b"more")
    fetch(f"{server.address}/file", path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(server, path):
    server.has_ranges = False
    server.drops = 1
    fetch(f"{server.address}/file", path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_server_that_never_sends_all_is_given_up_and_the_part_kept(server, path):
    server.has_ranges = False
    server.drops = 100
    with pytest.raises(DatasetError, match=r"ended after 341333 of 1024000 bytes, 3 times in a row; run .* continues"):
        fetch(f"{server.address}/file", path)
    assert part_of(path).stat().st_size == len(CONTENT) // 3


def test_a_server_that_is_busy_is_asked_again(server, path):
    server.refusals = [503, 429]
    fetch(f"{server.address}/file", path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_a_wrong_checksum_names_both_and_removes_the_part(server, path):
    with pytest.raises(DatasetError, match=rf"/file: MD5 {MD5}, expected {'0' * 32}"):
        fetch(f"{server.address}/file", path, md5="0" * 32)
    assert not list(path.parent.iterdir())


def test_a_file_that_the_server_does_not_have_names_url_and_place(server, path):
    with pytest.raises(DatasetError, match=rf"{server.address}/none: the server answers 404 Not Found; .* {path}$"):
        fetch(f"{server.address}/none", path)
    assert server.asked == [0]


def test_no_server_at_all_is_an_error_of_one_line(server, path):
    server.server_close()
    with pytest.raises(DatasetError, match=r"cannot be reached \(.*refused\), 3 times in a row") as error:
        fetch(f"{server.address}/file", path)
    assert "\n" not in str(error.value)


def test_a_place_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "data").write_text("a file, where a folder is needed")
    with pytest.raises(DatasetError, match=r"data/file\.part: "):
        fetch(f"{server.address}/file", tmp_path / "data" / "file")


def tar_of(files: dict[str, bytes], *others: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tape:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tape.addfile(member, io.BytesIO(content))
        for member in others:
            tape.addfile(member)
    return buffer.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


def stored(folder: Path, content: bytes) -> Path:
    path = folder / "archive"
    path.write_bytes(content)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FILES = {"./a/one.txt": b"one", "two.txt": b"two"}
ARCHIVES = {
    "zip": zip_of(FILES),
    "tar": tar_of(FILES),
    "tar.gz": gzip.compress(tar_of(FILES)),
    "tar.bz2": bz2.compress(tar_of(FILES)),
}


@pytest.mark.parametrize("content", ARCHIVES.values(), ids=ARCHIVES)
def test_archives_are_unpacked(tmp_path, content):
    unpack(stored(tmp_path, content), tmp_path / "folder")
    assert contents(tmp_path / "folder") == {"a/one.txt": b"one", "two.txt": b"two"}
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "folder"}


def test_what_the_folder_holds_already_stays(tmp_path):
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "mine.txt").write_bytes(b"mine")
    (folder / "two.txt").write_bytes(b"damaged")
    unpack(stored(folder, ARCHIVES["zip"]), folder)
    assert contents(folder) == {
        "a/one.txt": b"one",
        "a/mine.txt": b"mine",
        "two.txt": b"two",
        "archive": ARCHIVES["zip"],
    }


def test_a_folder_that_is_a_link_to_another_place_is_filled_there(tmp_path):
    (tmp_path / "disk" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "folder")
    unpack(stored(tmp_path, ARCHIVES["zip"]), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "disk") == {"folder/a/one.txt": b"one", "folder/two.txt": b"two"}


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


MALICIOUS = {
    "zip, up": (zip_of({"good": b"", "../evil": b""}), "leads out"),
    "zip, absolute": (zip_of({"good": b"", "/tmp/evil": b""}), "leads out"),
    "zip, drive": (zip_of({"good": b"", "C:\\evil": b""}), "leads out"),
    "zip, backslash": (zip_of({"good": b"", "a\\..\\..\\evil": b""}), "leads out"),
    "tar, up": (tar_of({"good": b"", "a/../../evil": b""}), "leads out"),
    "tar, absolute": (tar_of({"good": b"", "/tmp/evil": b""}), "leads out"),
    "tar, link": (tar_of({"good": b""}, link("evil", "/etc")), "'evil' is a link or device"),
}
DAMAGED = {
    "cut tar.gz": ARCHIVES["tar.gz"][:-20],
    "cut tar": tar_of({"good": b"", "long": bytes(10000)})[:5000],
    "zip with a changed byte": zip_of({"good": b"", "long": b"x" * 1000}).replace(b"xxx", b"xyx", 1),
    "no archive": b"not an archive",
    "nothing": b"",
}


@pytest.mark.parametrize(("content", "message"), MALICIOUS.values(), ids=MALICIOUS)
def test_an_archive_that_leads_elsewhere_leaves_nothing(tmp_path, content, message):
    with pytest.raises(DatasetError, match=message):
        unpack(stored(tmp_path, content), tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_archive_leaves_nothing(tmp_path, content):
    with pytest.raises(DatasetError, match="archive: a damaged archive"):
        unpack(stored(tmp_path, content), tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_an_archive_without_files_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="holds no files"):
        unpack(stored(tmp_path, tar_of({})), tmp_path / "folder")
