"""The files of the feature store: many clips in a file, layer by layer, in the safetensors format.

The format is https://github.com/huggingface/safetensors#format. The metadata in a file's header name its clips: the
first row of each, the row after its last, and a checksum (CRC-32) of its rows in every tensor. A checksum of this table
protects the names themselves. A file is written whole or not at all, so what its header lists is there.
"""

import hashlib
import json
import mmap
import os
import shutil
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from mirbench.errors import DamagedFeaturesError, MirbenchError
from mirbench.files import write_atomically

KINDS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
HALF_ERROR = 1e-3  # norm of what half precision changes in a layer of a clip, relative to its own, at most
UNKNOWN_HASH = "0" * 64
MAPPED_FILES = 4096  # files that stay mapped into memory


@dataclass(frozen=True)
class Place:
    """Rows of a clip in a file.

    Attributes
    ----------
    first, last
        First row, and the row after the last.
    checksums
        CRC-32 of these rows in each tensor, by its name.
    """

    first: int
    last: int
    checksums: dict[str, int]


@dataclass(frozen=True)
class Shard:
    """A file with the features of several clips.

    Attributes
    ----------
    path
        The file.
    clips
        Rows of each clip, by the hash of its region of audio.
    sha256
        SHA-256 of all tensors together.
    n_layers
        Number of layers.
    tensors
        Type, shape and offset in the file, by name: one tensor for each layer, and `times` for frames.
    n_bytes
        Size of the file.
    used
        Time of the last use, in seconds since the epoch.
    inode
        Distinguishes the file from one that is later written under the same name.
    """

    path: Path
    clips: dict[str, Place]
    sha256: str
    n_layers: int
    tensors: dict[str, tuple[str, tuple[int, ...], int]] = field(repr=False)
    n_bytes: int
    used: float
    inode: int

    @property
    def has_times(self) -> bool:
        """Whether the file holds frames with their times."""
        return "times" in self.tensors

    def rows(self, clip: str, name: str, *, verify: bool) -> np.ndarray:
        """Return the rows of a clip in a tensor, mapped into memory.

        Raises
        ------
        DamagedFeaturesError
            If their checksum is wrong.
        """
        place = self.clips[clip]
        kind, shape, offset = self.tensors[name]
        try:
            mapped = _mapped(self.path, self.inode)
            array = np.frombuffer(mapped, dtype=kind, count=int(np.prod(shape)), offset=offset).reshape(shape)
            rows = array[place.first : place.last]
        except ValueError as error:
            raise DamagedFeaturesError(self.path, f"tensor {name!r} does not fit into it") from error
        if verify and (len(rows) != place.last - place.first or zlib.crc32(rows.data) != place.checksums.get(name)):
            raise DamagedFeaturesError(self.path, f"the checksum of clip {clip} in tensor {name!r} is wrong")
        return rows

    def hash(self) -> str:
        """Return the SHA-256 of the tensors in the file, without updating the time of last use."""
        start = min(offset for _, _, offset in self.tensors.values())
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise MirbenchError(f"{self.path}: {error.strerror}") from error


@lru_cache(MAPPED_FILES)
def _mapped(path: Path, inode: int) -> memoryview:
    try:
        with path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise MirbenchError(f"stored features {path} are gone ({error}); rerun") from error
    with suppress(OSError):
        os.utime(path)  # when it was used last
    return mapped


def read_shard(path: Path) -> Shard:
    """Return the header of a file.

    Raises
    ------
    ValueError
        If the file is incomplete, cannot be read, or is not a file of features.
    """
    try:
        status = path.stat()
        with path.open("rb") as file:
            n_header = int.from_bytes(file.read(8), "little")
            if n_header > status.st_size:
                raise ValueError("its header is not whole")
            header = json.loads(file.read(n_header))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error
    try:
        about = header.pop("__metadata__")
        table = about["clips"]
        if hashlib.sha256(table.encode()).hexdigest() != about["table"]:
            raise ValueError("its table of clips is not the one that was written")
        tensors = {
            name: (KINDS[each["dtype"]], tuple(map(int, each["shape"])), 8 + n_header + int(each["data_offsets"][0]))
            for name, each in header.items()
        }
        names = sorted(tensors)
        clips = {
            name: Place(first, last, dict(zip(names, checksums, strict=True)))
            for name, first, last, checksums in json.loads(table)
        }
        end = 8 + n_header + max(int(each["data_offsets"][1]) for each in header.values())
        sha256 = about["sha256"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("it is not a file of features, or of another version of mirbench") from error
    if end != status.st_size:
        raise ValueError(f"it has {status.st_size} bytes of {end}")
    n_layers = sum(name.isdigit() for name in tensors)
    return Shard(
        path, clips, sha256, n_layers, tensors, status.st_size, status.st_mtime, status.st_ino
    )  # fmt: skip


def remove(path: Path) -> None:
    """Remove a file, or a folder of the same name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fits_half(values: np.ndarray) -> bool:
    """Return whether frames of a clip lose no more than `HALF_ERROR` in half precision, in every layer.

    Readouts of whole clips are small, and are kept as they are.
    """
    if values.ndim != 3:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        changes = values - values.astype(np.float16).astype(np.float32)
        lost, size = (np.linalg.norm(each.reshape(len(values), -1), axis=1) for each in (changes, values))
    return bool((lost <= HALF_ERROR * size).all())  # not where a value overflows: the norm is not finite


def write_shard(
    folder: Path, clips: Sequence[tuple[str, np.ndarray, np.ndarray]], dtype: type[np.floating] = np.float32
) -> None:
    """Write the features of clips with equal numbers of layers and dimensions into one file.

    Parameters
    ----------
    folder
        Folder of the file.
    dtype
        Type of the values in the file.
    clips
        Name, values [layer, (time,) dim] and frame times in seconds of each clip.
    """
    has_frames = clips[0][1].ndim == 3
    rows = [values if has_frames else values[:, None] for _, values, _ in clips]
    ends = np.cumsum([values.shape[1] for values in rows]).tolist()
    tensors = {
        str(layer): np.concatenate([values[layer] for values in rows]).astype(dtype, order="C", copy=False)
        for layer in range(len(rows[0]))
    }
    if has_frames:
        tensors["times"] = np.concatenate([times for _, _, times in clips]).astype(np.float64, copy=False)
    table = json.dumps(
        [
            (name, first, last, [zlib.crc32(tensors[each][first:last].data) for each in sorted(tensors)])
            for (name, _, _), first, last in zip(clips, [0, *ends[:-1]], ends, strict=True)
        ]
    )
    about = {
        "clips": table,
        "table": hashlib.sha256(table.encode()).hexdigest(),
        "sha256": UNKNOWN_HASH,
    }
    content = save(tensors, about)
    start = 8 + int.from_bytes(content[:8], "little")
    sha256 = hashlib.sha256(memoryview(content)[start:]).hexdigest()
    content = content.replace(UNKNOWN_HASH.encode(), sha256.encode(), 1)
    names = " ".join(name for name, _, _ in clips)
    path = folder / f"{hashlib.sha256(names.encode()).hexdigest()[:40]}.safetensors"
    if path.is_dir():
        remove(path)
    write_atomically(path, content)
