"""Hashes of encoders: equal if and only if configuration and weights are equal."""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def fingerprint(*parts: "str | int | float | bytes | np.ndarray | torch.nn.Module") -> str:
    """Return a hash of all that an encoder's features depend on.

    Parameters
    ----------
    *parts
        Words, numbers, arrays and networks. A network counts by the names, types, shapes and values of its parameters
        and buffers.

    Returns
    -------
    str
        16 hexadecimal digits.

    Examples
    --------
    >>> fingerprint("chroma", 22050, 0.5) == fingerprint("chroma", 22050, 0.5)
    True
    """
    digest = hashlib.sha256()
    for part in parts:
        for chunk in _chunks(part):
            digest.update(len(chunk).to_bytes(8, "little"))
            digest.update(chunk)
    return digest.hexdigest()[:16]


def _chunks(part: Any) -> list[bytes]:
    if isinstance(part, bytes):
        return [b"bytes", part]
    if isinstance(part, str | int | float):
        return [repr(part).encode()]
    if isinstance(part, np.ndarray):
        return [f"array {part.dtype} {part.shape}".encode(), np.ascontiguousarray(part).tobytes()]
    if hasattr(part, "state_dict"):
        chunks = []
        for name, tensor in sorted(part.state_dict().items()):
            array = tensor.detach().cpu().float().numpy()
            chunks += [name.encode(), str(tensor.dtype).encode(), *_chunks(array)]
        return chunks
    raise TypeError(f"cannot fingerprint a {type(part).__name__}; give words, numbers, arrays or a torch module")
