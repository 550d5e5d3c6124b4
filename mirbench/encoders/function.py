"""Encoders made of a function or a torch module, for notebooks and scripts."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mirbench.domain import Audio, Encoder, Features
from mirbench.encoders.fingerprint import fingerprint as hash_of
from mirbench.errors import EncoderError, UsageError


class _CallableEncoder(Encoder):
    """An encoder made of a function."""

    def __init__(
        self, function: Callable[[Audio], Any], sample_rate: int, name: str, fingerprint: str, frame_rate: float | None
    ) -> None:
        self._function, self._frame_rate = function, frame_rate
        self.sample_rate, self.name, self.fingerprint = sample_rate, name, fingerprint

    def encode(self, audio: Audio) -> Features:
        """Call the function, and lay out what it returns."""
        import torch

        with torch.inference_mode():
            found = self._function(audio)
        if isinstance(found, Features):
            return found
        times = None
        if isinstance(found, tuple) and len(found) == 2:
            found, times = found
        if hasattr(found, "detach"):
            found = found.detach().cpu().float().numpy()
        frames = np.asarray(found, dtype=np.float32)
        if not 1 <= frames.ndim <= 3:
            raise EncoderError(
                f"encoder {self.name!r} returned an array of shape {frames.shape}; expected [dim], [time, dim] or "
                "[layer, time, dim]"
            )
        frames = frames.reshape((1,) * (3 - frames.ndim) + frames.shape)
        duration = len(audio) / self.sample_rate
        if times is None:
            n_frames = frames.shape[1]
            step = 1 / self._frame_rate if self._frame_rate else duration / n_frames
            times = (np.arange(n_frames) + 0.5) * step
        return Features(frames, np.asarray(times, dtype=np.float64))


def encoder(
    function: Callable[[Audio], Any],
    *,
    sample_rate: int,
    name: str,
    fingerprint: str | None = None,
    frame_rate: float | None = None,
) -> Encoder:
    """Make an encoder of any function or torch module.

    Parameters
    ----------
    function
        Called with mono float32 samples in [-1, 1] (a torch module: with a tensor [batch=1, samples]); returns one
        vector, frames [time, dim] or [layer, time, dim], a pair of frames and their times in seconds, or `Features`.
    sample_rate
        In Hz; audio is resampled to it.
    name
        Name in results.
    fingerprint
        Text that changes whenever the features would: stored features are found by it. None: a hash of the name and of
        a module's weights. A function without a fingerprint of its own is refused, because code cannot be hashed.
    frame_rate
        Frames a second, where the function returns frames without times; None: frames divide the clip evenly.

    Returns
    -------
    Encoder
        To be used in `run(encoders=[...])`.

    Raises
    ------
    UsageError
        If a plain function comes without a fingerprint.
    """
    import torch

    call = function
    if isinstance(function, torch.nn.Module):
        function.eval()
        device = next(iter(function.parameters()), torch.empty(0)).device

        def call(audio: Audio) -> Any:
            found = function(torch.from_numpy(np.ascontiguousarray(audio)).to(device)[None])
            return found[0] if isinstance(found, torch.Tensor) and found.ndim in (2, 3, 4) else found

        fingerprint = fingerprint or hash_of(name, sample_rate, function)
    if fingerprint is None:
        raise UsageError(
            f"encoder {name!r}: a function needs a fingerprint, a text that you change whenever its features change"
        )
    return _CallableEncoder(call, sample_rate, name, fingerprint, frame_rate)
