"""Check everything that an encoder plugin hands over, where it enters: the loaded encoder, and the features of a clip.

What is accepted is converted here, so that nothing behind this module has to doubt it: sample rates to int; features
to arrays (`mirbench.domain.Features`). What is not is an `EncoderError` of one line that names the encoder, what was
found and what was expected. A plugin that ends the process (`sys.exit`) fails alone, too.
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
SECONDS_BEYOND = 1.0  # that the centre of a clip's last frame may lie after its end: windows are padded
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
        If what was loaded is no encoder, or one of its attributes cannot be used.
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


def _require_fingerprint(who: str, found: object) -> None:
    if (
        type(found) is not str
        or not FINGERPRINT.fullmatch(found)
        or ".." in found
        or any(part in ("", ".") for part in found.split("/"))
    ):
        raise EncoderError(
            f"{who}: its fingerprint is {described(found)}; expected 1 to 200 letters, digits or characters of "
            "'._-/@+:' without '..' that neither begin nor end with '/'; mirbench.fingerprint(...) makes one"
        )


def _convert_number(who: str, encoder: Encoder, attribute: str, highest: int) -> None:
    """Turn a whole number of another type (numpy's, 16000.0) into an int."""
    found: Any = getattr(encoder, attribute, None)
    is_number = isinstance(found, int | float | np.integer | np.floating) and not isinstance(found, bool)
    if not is_number or not np.isfinite(found) or found != int(found) or not 0 < found <= highest:
        raise EncoderError(
            f"{who}: its {attribute} is {described(found)}; expected a whole number from 1 to {highest:,}"
        )
    if type(found) is not int:
        try:
            setattr(encoder, attribute, int(found))
        except AttributeError as error:
            raise EncoderError(f"{who}: its {attribute} is {described(found)}; expected an int") from error


def _require_names(who: str, what: str, names: object) -> None:
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) and name for name in names):
        raise EncoderError(f"{who}: {what} is {described(names)}; expected a tuple of names")


def described(found: object) -> str:
    """Describe a value in a few words, for an error of one line."""
    if found is None:
        return "None"
    if isinstance(found, type):
        return f"the class {found.__name__}"
    if isinstance(found, str | int | float):
        text = repr(found)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(found, tuple | list):
        return f"a {type(found).__name__} of {len(found)}"
    if isinstance(found, np.ndarray):
        return f"an array of shape {found.shape}"
    return f"a {type(found).__name__}"


class Gate:
    """The features of one encoder, clip after clip: each is checked by itself and against the first.

    Parameters
    ----------
    name
        Name of the encoder, for errors.
    """

    def __init__(self, name: str) -> None:
        self.who = f"encoder {name!r}"
        self._first: dict[str, tuple[int, int]] = {}

    def encode(self, encoder: Encoder, audio: Audio) -> object:
        """Encode one clip; its features are not checked yet."""
        with contained(f"{self.who}: its encode"):
            return encoder.encode(audio)

    def encode_all(self, encoder: Encoder, clips: Iterable[Audio], batch_size: int) -> Iterator[object]:
        """Encode clips; their features are not checked yet."""
        with contained(f"{self.who}: its encode_all"):
            found = encoder.encode_all(clips, batch_size)
        if not isinstance(found, Iterable):
            raise EncoderError(f"{self.who}: encode_all returned {described(found)}; expected an iterator of Features")
        each = iter(found)
        while True:
            with contained(f"{self.who}: its encode"):
                features = next(each, each)
            if features is each:
                return
            yield features

    def admit(self, features: object, clip: str, duration: float) -> Features:
        """Check the features of one clip.

        Parameters
        ----------
        clip
            File and region, for errors.
        duration
            Duration of the clip.

        Raises
        ------
        EncoderError
            If they cannot be features of this clip.
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
        """Return a readout in single precision; finite frames can have a mean or deviation that is not."""
        with np.errstate(over="ignore"):
            values = np.asarray(features.readout(name), dtype=np.float32)
        if name != "frames" and not np.isfinite(values).all():
            raise EncoderError(f"{self.who}: its frames are so large that {name!r} is infinite; scale them down")
        return values

    def _require_finite(self, name: str, array: np.ndarray, clip: str) -> None:
        with np.errstate(over="ignore"):
            is_finite = np.isfinite(array.astype(np.float32, copy=False))  # what is stored
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
