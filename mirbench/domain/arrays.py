"""Turn what a network returns into arrays of real numbers, or refuse it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mirbench.errors import EncoderError, first_line


def as_features(frames: Any, times: Any, tokens: Any) -> dict[str, Any]:
    """Turn the frames, times and tokens of a clip into arrays that fit together.

    Raises
    ------
    EncoderError
        If they do not.
    """
    found: dict[str, Any] = {"frames": as_numbers(frames, "frames"), "times": as_numbers(times, "times")}
    shape = found["frames"].shape
    if len(shape) != 3 or found["times"].shape != (shape[1],) or 0 in shape:
        raise EncoderError(
            f"frames of shape {shape} with times of shape {found['times'].shape}; "
            "expected [layer, time, dim] and [time], none of them empty"
        )
    return {**found, "tokens": as_tokens(tokens)}


def as_numbers(values: Any, what: str) -> np.ndarray:
    """Turn an array, a list or a tensor into an array of real numbers; an array is returned as it is.

    Raises
    ------
    EncoderError
        If that is not possible without loss.
    """
    if not isinstance(values, list) and not hasattr(values, "__array__"):
        raise EncoderError(f"{what} are a {type(values).__name__}; expected an array of numbers")
    if getattr(values, "requires_grad", False):
        raise EncoderError(f"{what} are a tensor with a gradient; expected plain numbers, as of .detach()")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # of lists of unequal lengths, tensors on another device
        raise EncoderError(f"{what} cannot be turned into an array of numbers ({first_line(error)})") from error
    if array.dtype.kind not in "fiub":
        raise EncoderError(f"{what} are of type {array.dtype}; expected real numbers")
    return array


def as_tokens(values: Any) -> dict[str, np.ndarray]:
    """Turn a mapping of names to vectors into one of names to arrays [layer, dim].

    Raises
    ------
    EncoderError
        If it is none.
    """
    if not isinstance(values, Mapping):
        raise EncoderError(f"tokens are a {type(values).__name__}; expected a mapping of names to arrays")
    tokens = {name: as_numbers(token, f"values of token {name!r}") for name, token in values.items()}
    for name, token in tokens.items():
        if not isinstance(name, str) or token.ndim != 2 or 0 in token.shape:
            raise EncoderError(f"token {name!r} has shape {token.shape}; expected [layer, dim], not empty")
    return tokens


def mean_of(tokens: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the mean of tokens that are alike.

    Raises
    ------
    EncoderError
        If their shapes differ.
    """
    shapes = {name: token.shape for name, token in tokens.items()}
    if len(set(shapes.values())) > 1:
        raise EncoderError(f"tokens of shapes {shapes} have no mean; name single tokens in clip_readouts")
    return np.asarray(np.mean(list(tokens.values()), axis=0))
