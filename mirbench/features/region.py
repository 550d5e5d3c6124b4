"""Regions of audio, and the keys under which their features are stored."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mirbench.domain import Clip, Encoder
from mirbench.errors import AudioError
from mirbench.files import content_hash


@dataclass(frozen=True)
class FeatureKey:
    """Key of stored features: everything on which they depend.

    Attributes
    ----------
    fingerprint
        Fingerprint of the encoder.
    audio
        SHA-256 of the file's bytes.
    start, duration
        Region in seconds; a duration of None extends to the end of the file.
    readout
        Name of the readout.
    """

    fingerprint: str
    audio: str
    start: float
    duration: float | None
    readout: str

    @property
    def clip(self) -> str:
        """Name of the region of audio in the store."""
        return hashlib.sha256(f"{self.audio} {self.start!r} {self.duration!r}".encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Region:
    """A region of an audio file, independent of data sets and tasks.

    Attributes
    ----------
    path
        Audio file.
    start, duration
        Region in seconds; a duration of None extends to the end of the file.
    sha256
        Expected SHA-256 of the file; None where the data set does not state it.
    """

    path: Path
    start: float
    duration: float | None
    sha256: str | None

    @classmethod
    def of(cls, clip: Clip) -> "Region":
        """Return the region of a clip."""
        return cls(clip.path, clip.start, clip.duration, clip.sha256)

    def __str__(self) -> str:
        return f"{self.path} at {self.start:.2f} s"

    def key(self, encoder: Encoder, readout: str) -> FeatureKey:
        """Return the key of this region's features.

        Raises
        ------
        AudioError
            If the file is missing, or differs from the one that the data set describes.
        """
        try:
            sha256 = content_hash(self.path)
        except OSError as error:
            raise AudioError(f"{self.path}: {error.strerror}") from error
        if self.sha256 not in (None, sha256):
            raise AudioError(
                f"{self.path}: its content has changed (SHA-256 {sha256[:12]}, expected {self.sha256[:12]})"
            )
        return FeatureKey(encoder.fingerprint, sha256, self.start, self.duration, readout)

    def name(self) -> str | None:
        """Return the name of this region in the store, the same for all encoders; None if the file cannot be read."""
        try:
            return FeatureKey("", content_hash(self.path), self.start, self.duration, "").clip
        except OSError:
            return None
