"""Read TensorFlow checkpoints (the "V2" tensor bundle) without TensorFlow.

A checkpoint is an index, which is a sorted table in LevelDB's format (github.com/google/leveldb, doc/table_format.md)
of `BundleEntryProto` messages (tensorflow/core/protobuf/tensor_bundle.proto), and files that hold the tensors' bytes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mirbench.errors import WeightsError

FOOTER = 48  # bytes, of which the last 8 are the magic number
MAGIC = 0xDB4775248B80FB57
TRAILER = 5  # bytes after a block: the kind of compression, a checksum
FLOAT32 = 1  # DT_FLOAT of tensorflow/core/framework/types.proto
SHAPE_FIELD, OFFSET_FIELD, SIZE_FIELD, TYPE_FIELD = 2, 4, 5, 1


def read_checkpoint(index: Path) -> dict[str, np.ndarray]:
    """Read all float32 tensors.

    Parameters
    ----------
    index
        The file that ends in ".index"; the tensors lie beside it, in one file that ends in ".data-00000-of-00001".

    Raises
    ------
    WeightsError
        If the files are missing or of another format.
    """
    try:
        table = index.read_bytes()
        content = index.with_name(index.name.removesuffix(".index") + ".data-00000-of-00001").read_bytes()
    except OSError as error:
        raise WeightsError(f"{error.filename}: {error.strerror}") from error
    if len(table) < FOOTER or int.from_bytes(table[-8:], "little") != MAGIC:
        raise WeightsError(f"{index}: not the index of a TensorFlow checkpoint")
    tensors = {}
    for name, message in _entries(table):
        fields = dict(_fields(message))
        if name and fields.get(TYPE_FIELD) == FLOAT32:
            offset, size = _number(fields.get(OFFSET_FIELD)), _number(fields.get(SIZE_FIELD))
            shape = _shape(fields.get(SHAPE_FIELD))
            tensors[name] = np.frombuffer(content[offset : offset + size], np.float32).reshape(shape).copy()
    return tensors


def _entries(table: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and messages of all blocks."""
    footer = table[-FOOTER:]
    _, place = _varint(footer, 0)  # where the meta index lies: not needed
    _, place = _varint(footer, place)
    start, place = _varint(footer, place)
    size, _ = _varint(footer, place)
    for _, handle in _block(table, start, size):
        block_start, place = _varint(handle, 0)
        block_size, _ = _varint(handle, place)
        for key, value in _block(table, block_start, block_size):
            yield key.decode(), value


def _block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values; a key says how much it shares with the one before."""
    if table[start + size] != 0:
        raise WeightsError("a compressed TensorFlow checkpoint, which is not supported")
    block = table[start : start + size]
    n_restarts = int.from_bytes(block[-4:], "little")
    end, place, key = len(block) - 4 * (n_restarts + 1), 0, b""
    while place < end:
        shared, place = _varint(block, place)
        n_new, place = _varint(block, place)
        n_value, place = _varint(block, place)
        key = key[:shared] + block[place : place + n_new]
        yield key, block[place + n_new : place + n_new + n_value]
        place += n_new + n_value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield numbers and values of the fields of a protocol buffer."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        field, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == 0:
            value, place = _varint(message, place)
        elif kind == 2:
            length, place = _varint(message, place)
            value, place = message[place : place + length], place + length
        else:
            length = 8 if kind == 1 else 4
            value, place = int.from_bytes(message[place : place + length], "little"), place + length
        yield field, value


def _shape(message: int | bytes | None) -> tuple[int, ...]:
    dims = [dim for field, dim in _fields(message if isinstance(message, bytes) else b"") if field == SHAPE_FIELD]
    return tuple(_number(dict(_fields(dim)).get(1)) for dim in dims if isinstance(dim, bytes))


def _number(value: int | bytes | None) -> int:
    return value if isinstance(value, int) else 0  # fields that are 0 are left out


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place
