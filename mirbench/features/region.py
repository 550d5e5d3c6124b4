"""Regions of audio, and the names under which their features are stored."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mirbench.domain import Clip, Encoder
from mirbench.errors import AudioError
from mirbench.files import content_hash


@dataclass(frozen=True)
class FeatureKey:
    """All that features depend on.

    Attributes
    ----------
    fingerprint
        Of the encoder.
    audio
        Hash of the file's bytes.
    start, duration
        Of the region, in seconds; None means to the end.
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
    """A stretch of audio, whatever the data sets and tasks that use it."""

    path: Path
    start: float
    duration: float | None
    sha256: str | None

    @classmethod
    def of(cls, clip: Clip) -> "Region":
        """The audio of a clip."""
        return cls(clip.path, clip.start, clip.duration, clip.sha256)

    def __str__(self) -> str:
        return f"{self.path} at {self.start:.2f} s"

    def key(self, encoder: Encoder, readout: str) -> FeatureKey:
        """Return the key of this region's features.

        Raises
        ------
        AudioError
            If the file is missing, or is not the one that its data set means.
        """
        try:
            found = content_hash(self.path)
        except OSError as error:
            raise AudioError(f"{self.path}: {error.strerror}") from error
        if self.sha256 not in (None, found):
            raise AudioError(
                f"{self.path}: its content has changed (SHA-256 {found[:12]}, expected {self.sha256[:12]})"
            )
        return FeatureKey(encoder.fingerprint, found, self.start, self.duration, readout)

    def name(self) -> str | None:
        """Return the name of this region in the store, whatever the encoder; None if the file cannot be read."""
        try:
            return FeatureKey("", content_hash(self.path), self.start, self.duration, "").clip
        except OSError:
            return None
