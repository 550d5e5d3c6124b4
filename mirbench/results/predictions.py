"""Files of predictions: the estimates of a job's test clips, from which `mirbench verify` computes its scores again.

A file is `predictions/NAME.npz`, where NAME is the first digits of its SHA-256: jobs never share one, since each file
names its job, and the same job computed twice has one file. It holds arrays and JSON texts and is read without pickle:

- `about`: JSON; the format, what identifies the job, the ids of the test clips, and the number of seeds.
- `estimate...`: one column for each part of an estimate, over the clips of the first seed, then those of the next.

The type of an estimate is that of the task's `empty()`, never one that a file names. An array becomes the column of its
values, one clip after another, and a column `.shape`; a dataclass becomes the columns of its fields; a tuple that holds
arrays, the columns of its items; text, numbers, and sequences of these become one JSON list. Values are stored as they
are, so that scores are computed again to the last digit.
"""

import dataclasses
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mirbench.domain import Result
from mirbench.errors import RecordError, first_line
from mirbench.files import write_atomically

FORMAT = 1
MAX_BYTES = 1_000_000  # of a file
MAX_UNPACKED = 100_000_000  # bytes of its arrays: a small file can claim to hold more than the memory does
LEFT_OUT = "left out: "
IN_RECORDS = re.compile(rf"|[0-9a-f]{{64}}|{LEFT_OUT}.+", re.DOTALL)  # the field `predictions`
N_DIGITS = 16  # of the hash, in the name of a file
MAX_SEEDS = 1000  # of a protocol; those of mirbench have up to 5
UNREADABLE = (
    *(ValueError, TypeError, EOFError, OSError, RecursionError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)  # what reading a damaged or hostile file raises
JOB = ("fingerprint", "task", "dataset", "size", "options", "protocol", "train_fraction", "seed", "references")
SCALARS = (str, bool, int, float)
KINDS = "fiub"  # of numpy: real numbers and truth values
Columns = dict[str, np.ndarray]


class UnstorableError(Exception):
    """Estimates that are left out; the message is the reason."""


@dataclass(frozen=True)
class Predictions:
    """Content of a file of predictions.

    Attributes
    ----------
    job
        Fields of the record that identify the job.
    clips
        Ids of the test clips.
    estimates
        Estimates of these clips, for each seed of the protocol.
    """

    job: Mapping[str, Any]
    clips: tuple[str, ...]
    estimates: tuple[tuple[Any, ...], ...]


def job_of(result: Result) -> dict[str, Any]:
    """Return the fields of a record that identify its job, in the form in which a file of predictions holds them.

    The encoder's name is not among them: a job that is recalled for another name has the same file.

    Parameters
    ----------
    result
        A result of the job.
    """
    return {name: getattr(result, name) for name in JOB} | {"options": dict(result.options)}


def pack(predictions: Predictions, empty: Any) -> bytes:
    """Return the content of a file of predictions.

    Parameters
    ----------
    predictions
        The estimates, and their job.
    empty
        Empty estimate of the task, whose type all estimates have.

    Raises
    ------
    UnstorableError
        If estimates are of a type that cannot be stored, or too large.
    """
    about = {
        "format": FORMAT,
        "job": dict(predictions.job),
        "clips": predictions.clips,
        "n_seeds": len(predictions.estimates),
    }
    estimates = [estimate for own in predictions.estimates for estimate in own]
    columns: dict[str, Any] = {"about": _text(about), **_columns("estimate", estimates, empty)}
    if sum(column.nbytes for column in columns.values()) > MAX_UNPACKED:
        raise UnstorableError(f"more than {MAX_UNPACKED / 1e6:g} MB before compression")
    file = io.BytesIO()
    np.savez_compressed(file, **columns)
    content = file.getvalue()
    if len(content) > MAX_BYTES:
        raise UnstorableError(f"{len(content) / 1e6:.2f} MB; a file of predictions has at most {MAX_BYTES / 1e6:g} MB")
    return content


def _text(values: Any) -> np.ndarray:
    return np.array(json.dumps(values))


def _columns(name: str, values: Sequence[Any], empty: Any) -> Columns:
    for value in values:
        if type(value) is not type(empty):
            expected = f"a {type(empty).__name__}, as Task.empty returns"
            raise UnstorableError(f"{name} is a {type(value).__name__}; expected {expected}")
    if isinstance(empty, np.ndarray):
        kinds = {(value.dtype, value.ndim) for value in values}
        if len(kinds) > 1 or any(dtype.kind not in KINDS for dtype, _ in kinds):
            raise UnstorableError(f"{name} has arrays of {sorted(map(str, kinds))}; expected real numbers of one type")
        shapes = np.array([value.shape for value in values], dtype=np.int64)
        return {name: np.concatenate([value.ravel() for value in values]), f"{name}.shape": shapes}
    if parts := _parts(empty):
        columns: Columns = {}
        for part, of_empty in parts.items():
            columns |= _columns(f"{name}.{part}", [_parts(value).get(part) for value in values], of_empty)
        return columns
    if not all(map(_is_plain, values)):
        raise UnstorableError(f"{name} is a {type(empty).__name__} that is neither text, numbers nor arrays")
    return {name: _text(values)}


def _parts(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass, or the items of a tuple that holds arrays or dataclasses; else nothing."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and not _is_plain(value):
        return {str(place): item for place, item in enumerate(value)}
    return {}


def _is_plain(value: Any) -> bool:
    return type(value) in SCALARS or (type(value) in (tuple, list) and all(type(each) in SCALARS for each in value))


def unpack(content: bytes, empty: Any) -> Predictions:
    """Return what a file of predictions holds; the file may come from anybody.

    Parameters
    ----------
    content
        Content of the file.
    empty
        Empty estimate of the task, whose type all estimates have.

    Raises
    ------
    RecordError
        If it is not what `pack` returns for this type.
    """
    try:
        columns = _read(content)
        about = json.loads(str(columns["about"][()]))
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']!r}; this mirbench reads format {FORMAT}: update mirbench")
        clips, n_seeds = about["clips"], about["n_seeds"]
        if not (isinstance(clips, list) and clips and all(isinstance(clip, str) for clip in clips)):
            raise ValueError("about.clips is not a list of ids of clips")
        if type(n_seeds) is not int or not 1 <= n_seeds <= MAX_SEEDS:
            raise ValueError(f"about.n_seeds is {n_seeds!r}; expected 1 to {MAX_SEEDS}")
        values = _values("estimate", columns, len(clips) * n_seeds, empty)
        rows = tuple(tuple(values[seed * len(clips) : (seed + 1) * len(clips)]) for seed in range(n_seeds))
        return Predictions(dict(about["job"]), tuple(clips), rows)
    except KeyError as error:
        raise RecordError(f"the file of predictions has no {error}; expected what 'mirbench run' writes") from error
    except UNREADABLE as error:
        raise RecordError(
            f"the file of predictions cannot be read ({first_line(error)}); expected what 'mirbench run' writes"
        ) from error


def _read(content: bytes) -> Columns:
    """Read the arrays of a file, without pickle, after a look at how much memory they ask for."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"{len(content)} bytes; expected at most {MAX_BYTES}")
    columns: Columns = {}
    room = MAX_UNPACKED
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            room -= member.file_size
            if room < 0:
                raise ValueError(f"it claims to hold more than {MAX_UNPACKED / 1e6:g} MB")
            array = io.BytesIO(archive.read(member))  # as long as it claims, or an error
            version = np.lib.format.read_magic(array)
            if version != (1, 0):
                raise ValueError(f"an array of version {version}; expected (1, 0)")
            shape, _, dtype = np.lib.format.read_array_header_1_0(array)
            if dtype.hasobject or dtype.itemsize * int(np.prod([int(n) for n in shape], dtype=object)) > MAX_UNPACKED:
                raise ValueError(f"{member.filename} is of type {dtype}, shape {shape}; expected numbers or text")
            array.seek(0)
            columns[member.filename.removesuffix(".npy")] = np.lib.format.read_array(array, allow_pickle=False)
    return columns


def _values(name: str, columns: Columns, n_values: int, empty: Any) -> list[Any]:
    if isinstance(empty, np.ndarray):
        return _arrays(columns[name], columns[f"{name}.shape"], n_values)
    if parts := _parts(empty):
        of_parts = {part: _values(f"{name}.{part}", columns, n_values, of_empty) for part, of_empty in parts.items()}
        rows = [dict(zip(of_parts, row, strict=True)) for row in zip(*of_parts.values(), strict=True)]
        return [tuple(row.values()) if isinstance(empty, tuple) else type(empty)(**row) for row in rows]
    values = json.loads(str(columns[name][()]))
    if not isinstance(values, list) or len(values) != n_values:
        raise ValueError(f"{name} is not a list of {n_values} values")
    values = [tuple(value) if isinstance(empty, tuple) and isinstance(value, list) else value for value in values]
    if any(type(value) is not type(empty) or not _is_plain(value) for value in values):
        raise ValueError(f"{name} holds other values than those of type {type(empty).__name__}")
    return values


def _arrays(flat: np.ndarray, shapes: np.ndarray, n_values: int) -> list[np.ndarray]:
    sizes = shapes.prod(axis=1) if shapes.ndim == 2 and shapes.dtype == np.int64 and (shapes >= 0).all() else None
    if sizes is None or len(sizes) != n_values or sizes.sum() != flat.size or flat.dtype.kind not in KINDS:
        raise ValueError(f"{flat.size} numbers of type {flat.dtype} do not fill {n_values} arrays of the stated shapes")
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of a file's content, which records hold."""
    return hashlib.sha256(content).hexdigest()


def path_of(folder: Path, sha256: str) -> Path:
    """Return the path of a file of predictions.

    Parameters
    ----------
    folder
        Folder of predictions.
    sha256
        Hash of the file.
    """
    return folder / f"{sha256[:N_DIGITS]}.npz"


def write_predictions(folder: Path, content: bytes) -> None:
    """Write a file of predictions, unless it is there.

    Parameters
    ----------
    folder
        Folder of predictions.
    content
        Content of the file.
    """
    path = path_of(folder, sha256_of(content))
    if not path.is_file() or path.read_bytes() != content:
        write_atomically(path, content)


def read_predictions(folder: Path, sha256: str) -> bytes | None:
    """Return the content of a file of predictions; None if there is no such file.

    Parameters
    ----------
    folder
        Folder of predictions.
    sha256
        Hash of the file, from a record.

    Raises
    ------
    RecordError
        If the file is another one, or cannot be read.
    """
    path = path_of(folder, sha256)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror})") from error
    if sha256_of(content) != sha256:
        raise RecordError(
            f"{path} has the SHA-256 {sha256_of(content)}; the record says {sha256}: copy the file again from where "
            "the job was run"
        )
    return content


def is_stored(predictions: str) -> bool:
    """Return whether a record's field `predictions` is the hash of a file, not a reason or nothing."""
    return bool(predictions) and not predictions.startswith(LEFT_OUT)
