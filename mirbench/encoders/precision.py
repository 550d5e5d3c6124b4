"""Encoders computed another way: in fewer bits, or compiled."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mirbench.domain import Audio, Encoder, Features, Scope
from mirbench.encoders.fingerprint import fingerprint
from mirbench.errors import EncoderError, UsageError
from mirbench.specs import EncoderSpec

BATCH_SIZE = 16
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Variant(Encoder):
    """An encoder of which the networks run in fewer bits (by torch's autocast) or compiled (by torch.compile).

    Its features are not those of the encoder to the last digit: it has a fingerprint of its own.

    Parameters
    ----------
    load
        Loads the encoder as it is.
    precision
        "fp32", "bf16" or "fp16".

    Raises
    ------
    UsageError
        If there is nothing to compile.
    """

    def __init__(self, load: Callable[[], Encoder], precision: str = "fp32", *, compiled: bool = False) -> None:
        encoder = load()
        self._load, self._encoder, self._precision, self._compiled = load, encoder, precision, compiled
        self.device = str(getattr(encoder, "device", "cpu"))
        self.sample_rate, self.tokens, self.clip_readouts = encoder.sample_rate, encoder.tokens, encoder.clip_readouts
        self.n_parameters, self.about = encoder.n_parameters, encoder.about
        how = [precision, *(["compiled"] if compiled else [])]
        self.fingerprint = fingerprint(encoder.fingerprint, *how)
        if compiled:
            networks = [value for value in vars(encoder).values() if isinstance(value, torch.nn.Module)]
            if not networks:
                raise UsageError("--compile: this encoder has no torch network among its attributes")
            for network in networks:
                network.compile()

    def encode(self, audio: Audio) -> Features:
        """Turn one clip into features."""
        return next(iter(self.encode_all([audio], batch_size=1)))

    def encode_all(self, clips: Iterable[Audio], batch_size: int) -> Iterator[Features]:
        """Turn clips into features, in their order."""
        device = self.device.partition(":")[0]
        found = iter(self._encoder.encode_all(clips, batch_size))
        while True:
            with torch.autocast(device, dtype=TYPES.get(self._precision), enabled=self._precision in TYPES):
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
        """Say what is different, and by how much: norm of the difference of all frames of some clips, over theirs."""
        exact = self._load().encode_all(clips, BATCH_SIZE)
        difference = total = 0.0
        for ours, theirs in zip(self.encode_all(clips, BATCH_SIZE), exact, strict=True):
            difference += float(np.square(ours.frames.astype(np.float64) - theirs.frames).sum())
            total += float(np.square(theirs.frames.astype(np.float64)).sum())
        error = (difference / total) ** 0.5 if total else 0.0
        return {"precision": self._precision, "compiled": self._compiled, "relative_error": error}


def suffix(precision: str, compiled: bool) -> str:
    """Return what is appended to the name of an encoder that runs otherwise, for example "+bf16"; "" for fp32."""
    return "".join([*([f"+{precision}"] if precision != "fp32" else []), *(["+compiled"] if compiled else [])])


def vary(spec: EncoderSpec, precision: str, *, compiled: bool) -> EncoderSpec:
    """Change what an encoder's name stands for; the name says so."""
    if not suffix(precision, compiled):
        return spec
    return replace(
        spec,
        name=f"{spec.name}{suffix(precision, compiled)}",
        load=lambda device: Variant(lambda: spec.load(device), precision, compiled=compiled),
    )
