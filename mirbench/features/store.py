"""Store features on disk, addressed by everything on which they depend.

A file holds the features of many clips, layer by layer, so that one layer of all clips is mapped into memory at once
(see `mirbench.features.shards`). A process compares what it reads with its checksum when it first reads it.
"""

import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote

import numpy as np
from jaxtyping import Float, Float32, Float64

from mirbench.errors import DamagedFeaturesError, MirbenchError, UsageError
from mirbench.features.region import FeatureKey
from mirbench.features.shards import Shard, fits_half, read_shard, remove, write_shard
from mirbench.files import sweep, write_atomically

SHARD_BYTES = 64 * 2**20  # of pending features, after which they are written
SHARD_SECONDS = 10.0  # after which pending features are written: the most that a killed process loses
ABOUT = "about.json"
CLIPS = "clips of data sets"  # folder of lists of clips by data set
UNKEPT = "unkept-"  # prefix of temporary folders of runs that keep no features


class FeatureStore:
    """Feature store: a folder of files for each encoder and readout.

    Parameters
    ----------
    folder
        Folder of the store. Several processes may use it at once, also on a network file system.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: dict[Path, dict[str, Shard]] = {}
        self._seen: dict[Path, tuple[int, set[str]]] = {}
        self._verified: set[tuple[Path, int, str, str]] = set()
        self._lock = threading.Lock()
        sweep(folder)

    def __contains__(self, key: FeatureKey) -> bool:
        return self._find(key) is not None

    def n_layers(self, key: FeatureKey) -> int:
        """Return the number of layers of stored features, without reading them."""
        return self._shard(key).n_layers

    def read(self, key: FeatureKey, layer: int) -> tuple[Float[np.ndarray, "*time dim"], Float64[np.ndarray, "time"]]:
        """Return one layer and the frame times in seconds (empty for other readouts than frames); both read-only.

        Raises
        ------
        DamagedFeaturesError
            If their checksum is wrong.
        """
        shard = self._shard(key)
        rows = self._rows(shard, key.clip, str(layer))
        if not shard.has_times:
            return rows[0], np.zeros(0)
        return rows, self._rows(shard, key.clip, "times")

    def _rows(self, shard: Shard, clip: str, tensor: str) -> np.ndarray:
        """Return the rows of a clip; their checksum is verified at the first access."""
        name = shard.path, shard.inode, clip, tensor
        rows = shard.rows(clip, tensor, verify=name not in self._verified)
        self._verified.add(name)
        return rows

    def writer(self, fingerprint: str, encoder: str) -> "Writer":
        """Return a writer of features of one encoder."""
        about = self.folder_of(fingerprint) / ABOUT
        if not about.exists():
            write_atomically(about, json.dumps({"encoder": encoder}).encode())
        return Writer(self)

    def shards(self) -> Iterator[tuple[Path, Shard | ValueError]]:
        """Yield every file with its header, or with the error of a damaged one."""
        for path in sorted(self.folder.glob("*/*/*.safetensors")):
            try:
                yield path, read_shard(path)
            except ValueError as error:
                yield path, error
            except FileNotFoundError:
                continue  # another process removed it

    def encoder(self, fingerprint: str) -> str:
        """Return the name of the encoder that first stored features under a fingerprint."""
        try:
            return str(json.loads((self.folder_of(fingerprint) / ABOUT).read_text())["encoder"])
        except (OSError, ValueError, KeyError, TypeError):
            return "unknown"

    def evict(self, limit: float, keep: Collection[str] = ()) -> list[Path]:
        """Remove the least recently used files until the size of the store is within a limit.

        Parameters
        ----------
        limit
            Size in bytes.
        keep
            Fingerprints of encoders in use, whose files stay.

        Returns
        -------
        list of Path
            Files that were removed.

        Raises
        ------
        UsageError
            If the limit is negative or not finite: a comparison with nan would remove everything.
        """
        if not 0 <= limit < math.inf:
            raise UsageError(f"limit of the store: {limit} bytes; expected a finite number of at least 0")
        folders = {folder_name(fingerprint) for fingerprint in keep}
        files = []
        for path in self.folder.glob("*/*/*.safetensors"):
            with suppress(FileNotFoundError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        total, removed = sum(size for _, size, _ in files), []
        for _, size, path in sorted(files):
            if total <= limit:
                break
            if path.parents[1].name in folders:
                continue
            remove(path)
            removed.append(path)
            total -= size
        self._forget()
        return removed

    def note(self, dataset: str, clips: Collection[str]) -> None:
        """Record the clips of a data set, before any of their features are stored (see `purge`)."""
        path = self._clips_of(dataset)
        known = _read_names(path)
        if not known.issuperset(clips):
            write_atomically(path, json.dumps(sorted(known.union(clips))).encode())

    def purge(self, dataset: str) -> int:
        """Remove every file that holds features of a clip of a data set, for whichever run they were computed.

        Returns
        -------
        int
            Number of files that were removed.
        """
        path = self._clips_of(dataset)
        clips, n_removed = _read_names(path), 0
        for file, shard in list(self.shards()):
            if isinstance(shard, Shard) and not shard.clips.keys().isdisjoint(clips):
                self.drop(file)
                n_removed += 1
        path.unlink(missing_ok=True)
        return n_removed

    def _clips_of(self, dataset: str) -> Path:
        return self.folder / CLIPS / f"{folder_name(dataset)}.json"

    def drop(self, path: Path) -> None:
        """Remove a file; its features are computed again when a run needs them."""
        remove(path)
        self._forget()

    def discard(self, error: DamagedFeaturesError) -> None:
        """Remove a damaged file, and report it."""
        print(f"mirbench: {str(error).partition(';')[0]}; they are computed again", file=sys.stderr)
        self.drop(error.path)

    def folder_of(self, fingerprint: str) -> Path:
        """Return the folder of features of one encoder."""
        return self.folder / folder_name(fingerprint)

    def _forget(self) -> None:
        with self._lock:
            self._found.clear()
            self._seen.clear()

    def _shard(self, key: FeatureKey) -> Shard:
        shard = self._find(key) or self._find(key, look_again=True)
        if shard is None:
            raise MirbenchError(f"no {key.readout!r} features of encoder {key.fingerprint} for a clip; rerun")
        return shard

    def _find(self, key: FeatureKey, *, look_again: bool = False) -> Shard | None:
        folder = self.folder_of(key.fingerprint) / folder_name(key.readout)
        with self._lock:
            if look_again:
                self._seen.pop(folder, None)
            known = self._found.setdefault(folder, {})
            if key.clip not in known:
                self._look(folder, known)
            return known.get(key.clip)

    def _look(self, folder: Path, known: dict[str, Shard]) -> None:
        """Read the headers of new files."""
        try:
            changed = folder.stat().st_mtime_ns
        except FileNotFoundError:
            return
        before, names = self._seen.get(folder, (0, set()))  # names of files whose headers were read
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


def _read_names(path: Path) -> set[str]:
    try:
        return set(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return set()


def folder_name(text: str) -> str:
    """Return the folder name of a readout or a fingerprint, with all characters quoted that could form a path.

    Raises
    ------
    MirbenchError
        If the text is empty.
    """
    if not text:
        raise MirbenchError("a fingerprint or readout is empty; expected a name")
    return quote(text, safe=" ") if text.strip(".") else text.replace(".", "%2E")


def readout_of(folder: str) -> str:
    """Return the readout or fingerprint of a folder name: the inverse of `folder_name`."""
    return unquote(folder)


@contextmanager
def features_of(home: Path, *, keeps: bool) -> Iterator[FeatureStore]:
    """Open the feature store of a home folder, or a temporary one if features are not kept."""
    if keeps:
        yield FeatureStore(home / "features")
        return
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=UNKEPT, dir=home) as folder:
        yield FeatureStore(Path(folder))


class Writer:
    """Collects features and writes many clips into a file; as a context manager, writes pending features on exit."""

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
        """Add one readout of one clip, with its frame times in seconds."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.setdefault((key.fingerprint, key.readout), []).append((key.clip, values, times))
        self._n_bytes += values.nbytes
        if self._n_bytes >= SHARD_BYTES or time.monotonic() - self._since >= SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write pending features."""
        for (fingerprint, readout), clips in self._waiting.items():
            folder = self._store.folder / folder_name(fingerprint) / folder_name(readout)
            alike: dict[tuple[int, ...], list[tuple[str, np.ndarray, np.ndarray]]] = {}
            for clip in clips:  # precision is decided for each clip: it does not depend on what else waits
                values = clip[1]
                alike.setdefault((fits_half(values), values.ndim, len(values), values.shape[-1]), []).append(clip)
            for (is_half, *_), members in alike.items():
                write_shard(folder, members, np.float16 if is_half else np.float32)
        self._waiting, self._n_bytes = {}, 0
