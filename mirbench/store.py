"""Keep features on disk, found by what they were computed from.

Features of many clips lie in one file, layer by layer, so that a layer of all of them is read in one go, by mapping it
into memory. The files are in the safetensors format (https://github.com/huggingface/safetensors#format); their header
says which rows belong to which clip. A file is written at once or not at all: what is listed in a header is there.
"""

import hashlib
import json
import math
import mmap
import os
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote

import numpy as np
from jaxtyping import Float32, Float64
from safetensors.numpy import save

from mirbench.errors import MirbenchError, UsageError
from mirbench.files import sweep, write_atomically

SHARD_BYTES = 64 * 2**20  # of features that wait to be written
SHARD_SECONDS = 10.0  # for which they wait at most: what a kill can cost
ABOUT = "about.json"
UNKNOWN_HASH = "0" * 64


@dataclass(frozen=True)
class FeatureKey:
    """All that features depend on.

    Attributes
    ----------
    fingerprint
        Of the encoder.
    audio
        Hash of the file's bytes.
    start, duration
        Of the region, in seconds; None means to the end.
    """

    fingerprint: str
    audio: str
    start: float
    duration: float | None
    readout: str

    @property
    def clip(self) -> str:
        """Name the region of audio."""
        return hashlib.sha256(f"{self.audio} {self.start!r} {self.duration!r}".encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Shard:
    """A file of features of several clips.

    Attributes
    ----------
    clips
        The first row of each, and the one after its last.
    sha256
        Of the features.
    used
        When it was read last.
    """

    path: Path
    clips: dict[str, tuple[int, int]]
    sha256: str
    n_layers: int
    tensors: dict[str, tuple[str, tuple[int, ...], int]] = field(repr=False)
    n_bytes: int
    used: float

    def array(self, name: str) -> np.ndarray:
        """Map a tensor into memory."""
        kind, shape, offset = self.tensors[name]
        count = int(np.prod(shape))
        return np.frombuffer(_mapped(self.path), dtype=kind, count=count, offset=offset).reshape(shape)

    def hash(self) -> str:
        """Hash the features that are there; does not count as use."""
        start = min(offset for _, _, offset in self.tensors.values())
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise MirbenchError(f"{self.path}: {error.strerror}") from error


@cache
def _mapped(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise MirbenchError(f"stored features {path} are gone ({error.strerror}); rerun") from error
    with suppress(OSError):
        os.utime(path)  # when it was used last
    return mapped


def read_shard(path: Path) -> Shard:
    """Read a file's header.

    Raises
    ------
    ValueError
        If the file is not whole, or is none of ours.
    """
    status = path.stat()
    size = status.st_size
    with path.open("rb") as file:
        n_header = int.from_bytes(file.read(8), "little")
        if n_header > size:
            raise ValueError("its header is not whole")
        header = json.loads(file.read(n_header))
    try:
        about = header.pop("__metadata__")
        clips = {name: (first, last) for name, first, last in json.loads(about["clips"])}
        tensors = {
            name: (
                {"F32": "<f4", "F64": "<f8"}[each["dtype"]],
                tuple(each["shape"]),
                8 + n_header + each["data_offsets"][0],
            )
            for name, each in header.items()
        }
        end = 8 + n_header + max(each["data_offsets"][1] for each in header.values())
        sha256 = about["sha256"]
    except (KeyError, TypeError) as error:
        raise ValueError("it is not a file of features") from error
    if end != size:
        raise ValueError(f"it has {size} bytes of {end}")
    return Shard(path, clips, sha256, sum(name.isdigit() for name in tensors), tensors, size, status.st_mtime)


class FeatureStore:
    """Files of features, in a folder for each encoder and readout.

    Parameters
    ----------
    folder
        Several processes may use one at a time, on a network file system too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: dict[Path, dict[str, Shard]] = {}
        self._seen: dict[Path, tuple[int, set[str]]] = {}
        self._lock = threading.Lock()
        sweep(folder)

    def __contains__(self, key: FeatureKey) -> bool:
        return self._find(key) is not None

    def n_layers(self, key: FeatureKey) -> int:
        """Count the layers without reading them."""
        return self._shard(key).n_layers

    def read(self, key: FeatureKey, layer: int) -> tuple[Float32[np.ndarray, "*time dim"], Float64[np.ndarray, "time"]]:
        """Read one layer, and the frame times of the clip (none for a readout that is not frames); both read-only."""
        shard = self._shard(key)
        first, last = shard.clips[key.clip]
        rows = shard.array(str(layer))[first:last]
        if "times" not in shard.tensors:
            return rows[0], np.zeros(0)
        return rows, shard.array("times")[first:last]

    def writer(self, fingerprint: str, encoder: str) -> "Writer":
        """Write features of an encoder."""
        about = self.folder / fingerprint / ABOUT
        if not about.exists():
            write_atomically(about, json.dumps({"encoder": encoder}).encode())
        return Writer(self)

    def shards(self) -> Iterator[tuple[Path, Shard | ValueError]]:
        """Go through all files, whole or not."""
        for path in sorted(self.folder.glob("*/*/*.safetensors")):
            try:
                yield path, read_shard(path)
            except ValueError as error:
                yield path, error
            except FileNotFoundError:
                continue  # another process removed it

    def encoder(self, fingerprint: str) -> str:
        """Name the encoder under whose name features were first written."""
        try:
            return str(json.loads((self.folder / fingerprint / ABOUT).read_text())["encoder"])
        except (OSError, ValueError, KeyError):
            return "unknown"

    def evict(self, limit: float, keep: Collection[str] = ()) -> list[Path]:
        """Remove files, the least recently used first, until the store takes no more than a number of bytes.

        Parameters
        ----------
        keep
            Fingerprints that are in use.

        Raises
        ------
        UsageError
            If the limit is negative or not finite: a comparison with nan would remove everything.
        """
        if not 0 <= limit < math.inf:
            raise UsageError(f"limit of the store: {limit} bytes; expected a finite number of at least 0")
        found = []
        for path in self.folder.glob("*/*/*.safetensors"):
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total, removed = sum(size for _, size, _ in found), []
        for _, size, path in sorted(found):
            if total <= limit:
                break
            if path.parents[1].name in keep:
                continue
            path.unlink(missing_ok=True)
            removed.append(path)
            total -= size
        self._found.clear()
        self._seen.clear()
        return removed

    def _shard(self, key: FeatureKey) -> Shard:
        shard = self._find(key) or self._find(key, look_again=True)
        if shard is None:
            raise MirbenchError(f"no {key.readout!r} features of encoder {key.fingerprint} for a clip; rerun")
        return shard

    def _find(self, key: FeatureKey, *, look_again: bool = False) -> Shard | None:
        folder = self.folder / key.fingerprint / readout_folder(key.readout)
        with self._lock:
            if look_again:
                self._seen.pop(folder, None)
            known = self._found.setdefault(folder, {})
            if key.clip not in known:
                self._look(folder, known)
            return known.get(key.clip)

    def _look(self, folder: Path, known: dict[str, Shard]) -> None:
        """Read the headers of files that were not there before."""
        try:
            changed = folder.stat().st_mtime_ns
        except FileNotFoundError:
            return
        before, names = self._seen.get(folder, (0, set()))  # of files that were looked at
        if changed == before:
            return
        for path in sorted(folder.glob("*.safetensors")):
            if path.name in names:
                continue
            names.add(path.name)
            try:
                shard = read_shard(path)
            except (ValueError, FileNotFoundError) as error:
                print(f"mirbench: stored features {path} are left out: {error}", file=sys.stderr)
                continue
            for clip in shard.clips:
                known[clip] = shard
        self._seen[folder] = (changed, names)


def readout_folder(readout: str) -> str:
    """Name the folder of a readout, whatever characters it has."""
    return quote(readout, safe=" ")


def readout_of(folder: str) -> str:
    """Undo `readout_folder`."""
    return unquote(folder)


class Writer:
    """Collects features and writes them, many clips in a file; a context manager that writes the rest at its end."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._waiting: dict[tuple[str, str], list[tuple[str, np.ndarray, np.ndarray]]] = {}
        self._n_bytes, self._since = 0, time.monotonic()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def add(
        self, key: FeatureKey, values: Float32[np.ndarray, "layer ... dim"], times: Float64[np.ndarray, "time"]
    ) -> None:
        """Take one readout of one clip; `times` belong to its frames."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.setdefault((key.fingerprint, key.readout), []).append((key.clip, values, times))
        self._n_bytes += values.nbytes
        if self._n_bytes >= SHARD_BYTES or time.monotonic() - self._since >= SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for (fingerprint, readout), clips in self._waiting.items():
            folder = self._store.folder / fingerprint / readout_folder(readout)
            alike: dict[tuple[int, ...], list[tuple[str, np.ndarray, np.ndarray]]] = {}
            for clip in clips:
                alike.setdefault((clip[1].ndim, len(clip[1]), clip[1].shape[-1]), []).append(clip)
            for members in alike.values():
                _write_shard(folder, members)
        self._waiting, self._n_bytes = {}, 0


def _write_shard(folder: Path, clips: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """Write clips of which the features have as many layers and dims."""
    has_frames = clips[0][1].ndim == 3
    rows = [values if has_frames else values[:, None] for _, values, _ in clips]
    ends = np.cumsum([values.shape[1] for values in rows]).tolist()
    places = [(name, first, last) for (name, _, _), first, last in zip(clips, [0, *ends[:-1]], ends, strict=True)]
    tensors = {
        str(layer): np.concatenate([values[layer] for values in rows]).astype(np.float32, order="C", copy=False)
        for layer in range(len(rows[0]))
    }
    if has_frames:
        tensors["times"] = np.concatenate([times for _, _, times in clips]).astype(np.float64, copy=False)
    content = save(tensors, {"clips": json.dumps(places), "sha256": UNKNOWN_HASH})
    start = 8 + int.from_bytes(content[:8], "little")
    sha256 = hashlib.sha256(memoryview(content)[start:]).hexdigest()
    content = content.replace(UNKNOWN_HASH.encode(), sha256.encode(), 1)
    names = " ".join(name for name, _, _ in places)
    write_atomically(folder / f"{hashlib.sha256(names.encode()).hexdigest()[:40]}.safetensors", content)
