"""Encoders and their features.

Times are in seconds. Audio is mono float32 in [-1, 1]. The axes are named batch, samples, layer, time, dim.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from mirbench.domain.arrays import as_features, mean_of
from mirbench.errors import EncoderError

Audio = Float32[np.ndarray, "_samples"]  # clips in one collection differ in length
MEAN_OF_TOKENS = "mean of class tokens"  # papers call the mean over frames and tokens a mean of tokens, too
POOLED = ("mean", "max", "mean and deviation")  # over time; every encoder offers these to clip tasks
Scope = Literal["clip", "frame"]


@dataclass(frozen=True)
class Features:
    """Features of one clip, as an encoder returns them.

    Attributes
    ----------
    frames
        One vector for every layer and frame.
    times
        Frame centres in seconds, evenly spaced, counted from the beginning of the clip.
    tokens
        Vectors that represent the whole clip (class tokens, class probabilities), by name. A token may have layers and
        dims of its own.
    """

    frames: Float32[np.ndarray, "layer time dim"]
    times: Float64[np.ndarray, "time"]
    tokens: Mapping[str, Float32[np.ndarray, "_layer _dim"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vars(self).update(as_features(self.frames, self.times, self.tokens))

    def readout(self, name: str) -> Float32[np.ndarray, "_layer ... _dim"]:
        """Return the features from which a probe is trained.

        Parameters
        ----------
        name
            "frames" (layer, time, dim); "mean" or "max" over time; "mean and deviation" over time, concatenated; the
            name of a token; or "mean of class tokens".

        Raises
        ------
        EncoderError
            If there is no such readout.
        """
        if name == "frames":
            return self.frames
        if name == "mean":
            return np.asarray(self.frames.mean(axis=1))
        if name == "max":
            return np.asarray(self.frames.max(axis=1))
        if name == "mean and deviation":
            return np.concatenate([self.frames.mean(axis=1), self.frames.std(axis=1)], axis=-1)
        if name in self.tokens:
            return self.tokens[name]
        if name == MEAN_OF_TOKENS and self.tokens:
            return mean_of(self.tokens)
        known = ["frames", *POOLED, *self.tokens, *([MEAN_OF_TOKENS] if self.tokens else [])]
        raise EncoderError(f"no readout {name!r}; there are {', '.join(known)}")


class Encoder(ABC):
    """A frozen audio encoder.

    A subclass sets `sample_rate` and `fingerprint` and implements `encode`; everything else has a default. Networks
    of fixed input length derive from `mirbench.WindowedEncoder` instead.

    Attributes
    ----------
    sample_rate
        Sample rate of the input in Hz; audio is resampled to it.
    fingerprint
        Key of stored features; changes whenever weights or preprocessing change. See `mirbench.fingerprint`.
    tokens
        Names of the tokens in its features.
    clip_readouts
        Readouts among which clip tasks choose on validation; None for those of `POOLED`, every token, and the mean of
        all tokens where there are several.
    n_parameters
        Number of parameters of the network; None where there is none.
    is_parallel
        Whether `encode` may be called from several threads at a time. Several clips are then encoded side by side, each
        in one thread. For encoders that are too light to keep several cores busy with one clip.
    about
        Further information for users, by title: training data of the weights, length of the training.
    """

    sample_rate: int
    fingerprint: str
    tokens: tuple[str, ...] = ()
    clip_readouts: tuple[str, ...] | None = None
    n_parameters: int | None = None
    is_parallel: bool = False
    about: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def encode(self, audio: Audio) -> Features:
        """Return the features of one clip.

        Parameters
        ----------
        audio
            Mono samples in [-1, 1] at `sample_rate`. The array must not be modified.
        """

    def encode_all(self, clips: Iterable[Audio], batch_size: int) -> Iterator[Features]:
        """Encode clips one after another; override it where several clips can share a batch.

        Parameters
        ----------
        clips
            Mono samples in [-1, 1] at `sample_rate`, one array a clip; clips may differ in length.
        batch_size
            Number of windows that a network encodes at a time.

        Yields
        ------
        Features
            Features of each clip, in the order of the clips.
        """
        for audio in clips:
            yield self.encode(audio)

    def attention(self) -> "Encoder | None":
        """Return an encoder whose frames are the attention that each frame receives; None if it is not available.

        Its axes are [block, time, head], and 1 stands for uniform attention.
        """
        return None

    def readouts(self, scope: "Scope") -> tuple[str, ...]:
        """Return the names of the readouts among which a task may choose on its validation split.

        Parameters
        ----------
        scope
            "clip" or "frame".
        """
        if scope == "frame":
            return ("frames",)
        if self.clip_readouts is not None:
            return self.clip_readouts
        return (*POOLED, *self.tokens, *([MEAN_OF_TOKENS] if len(self.tokens) > 1 else []))
