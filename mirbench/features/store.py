"""Keep features on disk, found by what they were computed from.

Features of many clips lie in one file, layer by layer, so that a layer of all of them is read in one go, by mapping it
into memory (see `mirbench.features.shards`). Whatever is read for the first time in a process is compared with its
checksum.
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

SHARD_BYTES = 64 * 2**20  # of features that wait to be written
SHARD_SECONDS = 10.0  # for which they wait at most: what a kill can cost
ABOUT = "about.json"
CLIPS = "clips of data sets"  # the folder of lists of clips by data set
UNKEPT = "unkept-"  # beginning of the names of folders for features that are not kept


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
        self._verified: set[tuple[Path, int, str, str]] = set()
        self._lock = threading.Lock()
        sweep(folder)

    def __contains__(self, key: FeatureKey) -> bool:
        return self._find(key) is not None

    def n_layers(self, key: FeatureKey) -> int:
        """Count the layers without reading them."""
        return self._shard(key).n_layers

    def read(self, key: FeatureKey, layer: int) -> tuple[Float[np.ndarray, "*time dim"], Float64[np.ndarray, "time"]]:
        """Read one layer, and the frame times of the clip (none for a readout that is not frames); both read-only.

        Raises
        ------
        DamagedFeaturesError
            If they are not what was written.
        """
        shard = self._shard(key)
        rows = self._rows(shard, key.clip, str(layer))
        if not shard.has_times:
            return rows[0], np.zeros(0)
        return rows, self._rows(shard, key.clip, "times")

    def _rows(self, shard: Shard, clip: str, tensor: str) -> np.ndarray:
        """Read the rows of a clip; compare them with their checksum the first time."""
        name = shard.path, shard.inode, clip, tensor
        rows = shard.rows(clip, tensor, verify=name not in self._verified)
        self._verified.add(name)
        return rows

    def writer(self, fingerprint: str, encoder: str) -> "Writer":
        """Return a writer of an encoder's features."""
        about = self.folder_of(fingerprint) / ABOUT
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
            return str(json.loads((self.folder_of(fingerprint) / ABOUT).read_text())["encoder"])
        except (OSError, ValueError, KeyError, TypeError):
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
        folders = {folder_name(fingerprint) for fingerprint in keep}
        found = []
        for path in self.folder.glob("*/*/*.safetensors"):
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total, removed = sum(size for _, size, _ in found), []
        for _, size, path in sorted(found):
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
        """Remember which clips a data set has, before any of their features are stored (see `purge`)."""
        path = self._clips_of(dataset)
        known = _read_names(path)
        if not known.issuperset(clips):
            write_atomically(path, json.dumps(sorted(known.union(clips))).encode())

    def purge(self, dataset: str) -> int:
        """Remove every file that holds features of a data set's clips, whatever they were computed for.

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
        """Remove a file; its features are computed again when they are needed."""
        remove(path)
        self._forget()

    def discard(self, error: DamagedFeaturesError) -> None:
        """Remove a file that turned out to be damaged, and report it."""
        print(f"mirbench: {str(error).partition(';')[0]}; they are computed again", file=sys.stderr)
        self.drop(error.path)

    def folder_of(self, fingerprint: str) -> Path:
        """Return the folder of an encoder's features."""
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


def _read_names(path: Path) -> set[str]:
    try:
        return set(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return set()


def folder_name(text: str) -> str:
    """Return a folder's name for a readout or a fingerprint, whatever characters it has: never a path.

    Raises
    ------
    MirbenchError
        If the text is empty.
    """
    if not text:
        raise MirbenchError("a fingerprint or readout is empty; expected a name")
    return quote(text, safe=" ") if text.strip(".") else text.replace(".", "%2E")


def readout_of(folder: str) -> str:
    """Undo `folder_name`."""
    return unquote(folder)


@contextmanager
def features_of(home: Path, *, keeps: bool) -> Iterator[FeatureStore]:
    """Open the feature store in a home folder, or one that is removed at the end, where nothing is to be kept."""
    if keeps:
        yield FeatureStore(home / "features")
        return
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=UNKEPT, dir=home) as folder:
        yield FeatureStore(Path(folder))


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
            folder = self._store.folder / folder_name(fingerprint) / folder_name(readout)
            alike: dict[tuple[int, ...], list[tuple[str, np.ndarray, np.ndarray]]] = {}
            for clip in clips:  # precision is decided for each clip: it does not depend on what else waits
                values = clip[1]
                alike.setdefault((fits_half(values), values.ndim, len(values), values.shape[-1]), []).append(clip)
            for (is_half, *_), members in alike.items():
                write_shard(folder, members, np.float16 if is_half else np.float32)
        self._waiting, self._n_bytes = {}, 0
