"""Download files over HTTP and unpack archives: complete and verified, or not at all.

An interrupted download continues where it stopped. A file gets its final name once it is complete and its checksum is
verified; it is not read again.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PureWindowsPath
from typing import IO, Any

from mirbench.errors import DatasetError
from mirbench.progress import ByteProgress

PAUSES = (1.0, 4.0, 16.0)  # seconds before trying again; counted anew whenever something more has arrived
TIMEOUT = 60.0  # seconds without a byte
BLOCK = 1 << 20  # bytes read at once
TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # answers of a server that may change their mind
RANGE_NOT_SATISFIABLE = 416
N_LOOKED_AT = 1024  # bytes: a binary file holds a control character among them
PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")


class _DroppedError(Exception):
    """The server cannot be reached, or stopped answering."""


def fetch(
    url: str,
    path: Path,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    binary: bool = False,
    title: str = "",
) -> None:
    """Download a file unless it exists; continue an interrupted download in `path` + ".part".

    Parameters
    ----------
    url
        Address of the file (HTTP or HTTPS).
    path
        Where the file is stored.
    md5, sha256
        Expected checksum in hexadecimal; None if it is unknown.
    binary
        Whether text is refused. A web page is always refused: networks that require a login answer every request with
        one.
    title
        Title of the progress bar; by default the file's name.

    Raises
    ------
    DatasetError
        If the server refuses or keeps dropping the connection, sends a web page, the checksum is wrong, or the file
        cannot be written.
    """
    if path.is_file():
        return
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(url, part, title or path.name)
        _verify(url, part, "MD5", partial(hashlib.md5, usedforsecurity=False), md5)
        _verify(url, part, "SHA-256", hashlib.sha256, sha256)
        _refuse_text(url, part, binary)
        part.replace(path)
    except OSError as error:
        raise DatasetError(f"{part}: {error.strerror or error}") from error


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar (gz, bz2) archive into a folder.

    Files are moved into the folder only after the whole archive has been unpacked beside it. Files that the folder
    holds already are kept, except those that the archive holds too.

    Parameters
    ----------
    archive
        Archive to unpack.
    folder
        Folder for its content; created where it is missing.

    Raises
    ------
    DatasetError
        If the file is not an archive, is damaged (zip stores checksums), or holds links or paths that lead elsewhere;
        the folder is then unchanged.
    """
    folder = folder.resolve()  # a link may lead to another disk: what is unpacked must lie on the same
    beside = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
    try:
        with ByteProgress(f"unpacking {archive.name}", None) as progress:
            for name, file in _files_in(archive):
                target = beside / _checked(archive, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with file, target.open("wb") as out:
                    while block := file.read(BLOCK):
                        out.write(block)
                        progress.advance(len(block))
        if not beside.is_dir():
            raise DatasetError(f"{archive}: the archive holds no files")
        _move(beside, folder)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{archive}: a damaged archive ({error}); remove it and download it again") from error
    except OSError as error:
        raise DatasetError(f"{error.filename or archive}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _download(url: str, part: Path, title: str) -> None:
    largest, n_failed = _size(part), 0
    while True:
        try:
            _continue(url, part, title)
            return
        except _DroppedError as error:
            n_failed = 1 if _size(part) > largest else n_failed + 1
            largest = max(largest, _size(part))
            if n_failed > len(PAUSES):
                raise DatasetError(
                    f"{url}: {error}, {n_failed} times in a row; run the command again later: it continues where it "
                    "stopped"
                ) from error
            time.sleep(PAUSES[n_failed - 1])


def _continue(url: str, part: Path, title: str) -> None:
    """Request the missing part and append it; if the server sends the whole file, begin again."""
    there = _size(part)
    response = _ask(url, part, there)
    if response is None:
        return
    with response:
        there = there if response.status == 206 else 0
        length = response.headers.get("Content-Length")
        if length is not None and not length.isdecimal():
            raise DatasetError(f"{url}: the server sends Content-Length {length!r}; expected a number of bytes")
        total = None if length is None else there + int(length)
        with part.open("ab" if there else "wb") as file, ByteProgress(title, total, there) as progress:
            for block in _blocks(response):
                file.write(block)
                progress.advance(len(block))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and _size(part) != total:
        raise _DroppedError(f"the connection ended after {_size(part)} of {total} bytes")


def _ask(url: str, part: Path, there: int) -> HTTPResponse | None:
    """Open the URL at the first byte that is missing; None if none is."""
    headers = {"User-Agent": "mirbench", **({"Range": f"bytes={there}-"} if there else {})}
    try:
        response: HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE and there:
            if error.headers.get("Content-Range") == f"bytes */{there}":
                return None
            part.unlink()  # longer than the file: of another one
            raise _DroppedError("what was there does not belong to this file") from error
        if error.code in TRY_AGAIN:
            raise _DroppedError(f"the server answers {error.code} {error.reason}") from error
        raise DatasetError(
            f"{url}: the server answers {error.code} {error.reason}; if the file has moved, download it by hand to "
            f"{part.with_name(part.name.removesuffix('.part'))}"
        ) from error
    except (OSError, HTTPException) as error:
        raise _DroppedError(f"cannot be reached ({getattr(error, 'reason', error)})") from error
    found = response.headers.get("Content-Range", "")
    if response.status == 206 and not found.startswith(f"bytes {there}-"):
        response.close()
        raise DatasetError(f"{url}: asked for what follows byte {there}, the server sends {found!r}; remove {part}")
    return response


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            block = response.read1(BLOCK)
        except (OSError, HTTPException) as error:
            raise _DroppedError(f"the connection was dropped ({error})") from error
        if not block:
            return
        yield block


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _verify(url: str, part: Path, name: str, function: Callable[..., Any], expected: str | None) -> None:
    if expected is None:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, function).hexdigest()
    if found != expected.lower():
        part.unlink()
        raise DatasetError(
            f"{url}: {name} {found}, expected {expected}; the download is removed: run the command again, and if that "
            "does not help, the file has changed at its source"
        )


def _refuse_text(url: str, part: Path, binary: bool) -> None:
    """Remove a web page, or any text where only bytes are expected, such as the message of a proxy."""
    with part.open("rb") as file:
        begin = file.read(N_LOOKED_AT).removeprefix(b"\xef\xbb\xbf").lstrip()
    is_page = begin[:15].lower().startswith(PAGES)
    if is_page or (binary and _is_text(begin)):
        part.unlink()
        found = "a web page" if is_page else "a text"
        raise DatasetError(
            f"{url}: the server sends {found} ({begin[:40]!r}) instead of the file; does the network or the server ask "
            "for a login? the download is removed: run the command again afterwards, or correct the address"
        )


def _is_text(begin: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in begin) and b"\x7f" not in begin and bool(begin)


def _files_in(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Open the files in an archive, one by one, by their names."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            for entry in bundle.infolist():
                if not entry.is_dir():
                    yield entry.filename, bundle.open(entry)
        return
    with tarfile.open(archive) as tape:
        for member in tape:
            file = tape.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, file
            elif not member.isdir():
                raise DatasetError(f"{archive}: {member.name!r} is a link or device; expected files and folders only")


def _checked(archive: Path, name: str) -> str:
    """Refuse a name that leads out of the folder, on any system."""
    path = PureWindowsPath(name)  # knows both kinds of slashes, and drives
    if path.anchor or ".." in path.parts:
        raise DatasetError(f"{archive}: {name!r} leads out of the folder; nothing is unpacked")
    return name


def _move(source: Path, target: Path) -> None:
    """Move a folder to where it belongs: at once where there is none, else what is in it, one by one."""
    if not (source.is_dir() and target.is_dir()):
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        return
    for child in list(source.iterdir()):
        _move(child, target / child.name)
