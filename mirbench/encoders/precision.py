"""Encoders whose networks run at another floating-point precision."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from mirbench.domain import Audio, Encoder, Features, Scope
from mirbench.encoders.fingerprint import fingerprint
from mirbench.errors import EncoderError

BATCH_SIZE = 16
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Variant(Encoder):
    """An encoder whose networks run in fewer bits, by torch's autocast.

    Its features are not those of the encoder to the last digit: it has a fingerprint of its own.

    Parameters
    ----------
    load
        Loads the encoder as it is.
    precision
        "bf16" or "fp16".
    """

    def __init__(self, load: Callable[[], Encoder], precision: str) -> None:
        encoder = load()
        self._load, self._encoder, self._precision = load, encoder, precision
        self.device = str(getattr(encoder, "device", "cpu"))
        self.sample_rate, self.tokens, self.clip_readouts = encoder.sample_rate, encoder.tokens, encoder.clip_readouts
        self.n_parameters, self.about = encoder.n_parameters, encoder.about
        self.fingerprint = fingerprint(encoder.fingerprint, precision)

    def encode(self, audio: Audio) -> Features:
        """Turn one clip into features."""
        return next(iter(self.encode_all([audio], batch_size=1)))

    def encode_all(self, clips: Iterable[Audio], batch_size: int) -> Iterator[Features]:
        """Turn clips into features, in their order."""
        device = self.device.partition(":")[0]
        found = iter(self._encoder.encode_all(clips, batch_size))
        while True:
            with torch.autocast(device, dtype=TYPES[self._precision]):
                features = self._next(found)
            if features is None:
                return
            yield features

    def _next(self, found: Iterator[Features]) -> Features | None:
        try:
            return next(found, None)
        except TypeError as error:
            if "ScalarType" not in str(error):
                raise
            raise EncoderError(
                f"--precision {self._precision}: this encoder makes numpy arrays of tensors as they are ({error}); "
                "it must call .float() on them first"
            ) from error

    def readouts(self, scope: Scope) -> tuple[str, ...]:
        """Name the readouts that a task of this scope may choose from."""
        return self._encoder.readouts(scope)

    def described(self, clips: Sequence[Audio]) -> dict[str, Any]:
        """Return the precision and the relative error of the features (norm of the difference, over some clips)."""
        exact = self._load().encode_all(clips, BATCH_SIZE)
        difference = total = 0.0
        for ours, theirs in zip(self.encode_all(clips, BATCH_SIZE), exact, strict=True):
            difference += float(np.square(ours.frames.astype(np.float64) - theirs.frames).sum())
            total += float(np.square(theirs.frames.astype(np.float64)).sum())
        error = (difference / total) ** 0.5 if total else 0.0
        return {"precision": self._precision, "relative_error": error}
