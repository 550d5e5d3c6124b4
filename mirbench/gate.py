"""Validate what an encoder plugin returns: the loaded encoder, and the features of each clip.

Valid values are converted here, so that no other module has to check them again: sample rates to int, features to
arrays (`mirbench.domain.Features`). Invalid ones raise an `EncoderError` of one line that names the encoder, what was
found and what was expected. A plugin that ends the process (`sys.exit`) raises an error, too, and stops no other job.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from mirbench.domain import Audio, Encoder, Features
from mirbench.errors import EncoderError, PluginError

FINGERPRINT = re.compile(r"[A-Za-z0-9._\-@+:/]{1,200}")
HIGHEST_RATE = 1_000_000  # Hz
SECONDS_BEYOND = 1.0  # by which the centre of the last frame may exceed the duration of the clip: windows are padded
SCOPES = ("clip", "frame")


@contextmanager
def contained(who: str) -> Iterator[None]:
    """Turn an attempt to end the process into an error; Ctrl-C still interrupts.

    Raises
    ------
    PluginError
        If the code inside called `sys.exit`, or raised another exception that is neither an `Exception` nor
        `KeyboardInterrupt`.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginError(f"{who} tried to end the process ({error!r}); expected a return or an exception") from error


def loaded(name: str, load: Callable[..., object], *arguments: Any) -> Encoder:
    """Load an encoder and check it.

    Raises
    ------
    EncoderError
        If the loaded object is not an encoder, or one of its attributes is invalid.
    PluginError
        If loading tries to end the process.
    """
    who = f"encoder {name!r}"
    with contained(f"{who}: its load"):
        encoder = load(*arguments)
    if not isinstance(encoder, Encoder):
        raise EncoderError(f"{who}: load returned {described(encoder)}; expected an instance of mirbench.Encoder")
    _require_fingerprint(who, getattr(encoder, "fingerprint", None))
    _convert_number(who, encoder, "sample_rate", HIGHEST_RATE)
    if hasattr(encoder, "encode_windows"):  # a WindowedEncoder, which lies in a package above this module
        for attribute in ("window_length", "hop_length", "n_frames"):
            _convert_number(who, encoder, attribute, 2**40)
    _require_names(who, "tokens", encoder.tokens)
    for scope in SCOPES:
        with contained(f"{who}: its readouts"):
            names = encoder.readouts(scope)  # type: ignore[arg-type]
        _require_names(who, f"readouts({scope!r})", names)
        if not names:
            raise EncoderError(f"{who}: readouts({scope!r}) is empty; expected at least one name")
    if not isinstance(encoder.about, Mapping):
        raise EncoderError(f"{who}: about is {described(encoder.about)}; expected a mapping of names to lines of text")
    return encoder


def _require_fingerprint(who: str, fingerprint: object) -> None:
    if (
        type(fingerprint) is not str
        or not FINGERPRINT.fullmatch(fingerprint)
        or ".." in fingerprint
        or any(part in ("", ".") for part in fingerprint.split("/"))
    ):
        raise EncoderError(
            f"{who}: its fingerprint is {described(fingerprint)}; expected 1 to 200 letters, digits or characters of "
            "'._-/@+:' without '..' that neither begin nor end with '/'; mirbench.fingerprint(...) makes one"
        )


def _convert_number(who: str, encoder: Encoder, attribute: str, highest: int) -> None:
    """Convert an attribute that is a whole number of another type (numpy's, 16000.0) to int."""
    value: Any = getattr(encoder, attribute, None)
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not np.isfinite(value) or value != int(value) or not 0 < value <= highest:
        raise EncoderError(
            f"{who}: its {attribute} is {described(value)}; expected a whole number from 1 to {highest:,}"
        )
    if type(value) is not int:
        try:
            setattr(encoder, attribute, int(value))
        except AttributeError as error:
            raise EncoderError(f"{who}: its {attribute} is {described(value)}; expected an int") from error


def _require_names(who: str, what: str, names: object) -> None:
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) and name for name in names):
        raise EncoderError(f"{who}: {what} is {described(names)}; expected a tuple of names")


def described(value: object) -> str:
    """Return a short description of a value, for an error message of one line."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, str | int | float):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"a {type(value).__name__}"


class Gate:
    """Validates the features of one encoder: those of each clip, and that all clips have as many layers and dims.

    Parameters
    ----------
    name
        Name of the encoder, for error messages.
    """

    def __init__(self, name: str) -> None:
        self.who = f"encoder {name!r}"
        self._first: dict[str, tuple[int, int]] = {}

    def encode(self, encoder: Encoder, audio: Audio) -> object:
        """Return the features of one clip, before validation."""
        with contained(f"{self.who}: its encode"):
            return encoder.encode(audio)

    def encode_all(self, encoder: Encoder, clips: Iterable[Audio], batch_size: int) -> Iterator[object]:
        """Yield the features of clips, before validation."""
        with contained(f"{self.who}: its encode_all"):
            encoded = encoder.encode_all(clips, batch_size)
        if not isinstance(encoded, Iterable):
            raise EncoderError(
                f"{self.who}: encode_all returned {described(encoded)}; expected an iterator of Features"
            )
        iterator = iter(encoded)
        while True:
            with contained(f"{self.who}: its encode"):
                features = next(iterator, iterator)
            if features is iterator:
                return
            yield features

    def admit(self, features: object, clip: str, duration: float) -> Features:
        """Return the features of one clip after validation.

        Parameters
        ----------
        clip
            File and region, for error messages.
        duration
            Duration of the clip in seconds.

        Raises
        ------
        EncoderError
            If they are not valid features of this clip.
        """
        if not isinstance(features, Features):
            raise EncoderError(
                f"{self.who}: encode returned {described(features)} for {clip}; "
                "expected mirbench.Features(frames, times)"
            )
        self._require_times(features.times, clip, duration)
        for name, array in {"frames": features.frames, **features.tokens}.items():
            self._require_finite(name, array, clip)
            shape = array.shape[0], array.shape[-1]
            expected = self._first.setdefault(name, shape)
            if shape != expected:
                raise EncoderError(
                    f"{self.who}: {shape[0]} layers of {shape[1]} dims in {name} for {clip}; "
                    f"expected {expected[0]} of {expected[1]}, as for the first clip"
                )
        return features

    def readout(self, features: Features, name: str) -> np.ndarray:
        """Return a readout in single precision; raise an error if the mean or deviation of finite frames overflows."""
        with np.errstate(over="ignore"):
            values = np.asarray(features.readout(name), dtype=np.float32)
        if name != "frames" and not np.isfinite(values).all():
            raise EncoderError(f"{self.who}: its frames are so large that {name!r} is infinite; scale them down")
        return values

    def _require_finite(self, name: str, array: np.ndarray, clip: str) -> None:
        with np.errstate(over="ignore"):
            is_finite = np.isfinite(array.astype(np.float32, copy=False))  # the stored precision
        if not is_finite.all():
            raise EncoderError(
                f"{self.who}: NaN or infinity in {1 - is_finite.mean():.1%} of {name} for {clip}; "
                "features must be finite, also those of silence"
            )

    def _require_times(self, times: np.ndarray, clip: str, duration: float) -> None:
        expected = "expected finite frame centres that rise from 0 s or later to the end of the clip"
        if not np.isfinite(times).all():
            raise EncoderError(f"{self.who}: NaN or infinity among the frame times for {clip}; {expected}")
        if times[0] < 0:
            raise EncoderError(f"{self.who}: frame times begin at {times[0]:.3f} s for {clip}; {expected}")
        if len(times) > 1 and np.diff(times).min() <= 0:
            at = int(np.argmax(np.diff(times) <= 0))
            raise EncoderError(
                f"{self.who}: a frame at {times[at]:.3f} s is followed by one at {times[at + 1]:.3f} s for {clip}; "
                f"{expected}"
            )
        if times[-1] > duration + SECONDS_BEYOND:
            raise EncoderError(
                f"{self.who}: frame times reach {times[-1]:.2f} s in a clip of {duration:.2f} s: {clip}; {expected}"
            )
