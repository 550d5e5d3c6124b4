"""Pairs of segments of one track: what a self-supervised training sees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64

from mirbench.errors import TrainingError
from mirbench_ssl.corpus import Track

# Published loader (github.com/Yuexuan-Kong/skey_chord @1c37919): a window every half window; one is silent where
# 10 ln(rms / rms of the track) is at most -7.5; at most 10 anchors of a track; the partner within 90 s.
SILENCE = -7.5
ANCHORS = 10
PARTNER_SECONDS = 90.0


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs of segments.

    Attributes
    ----------
    crop
        In 1 to 12: where a network's view of the constant-Q bins begins; one for both segments of a pair.
    shift
        In -11 to 11 and never 0: how much higher the moved view begins, which is 0 to 11.
    relation
        In semitones: how much higher the second sounds than the first. 0 if both are of one track; never 0 if they are
        of two renderings of one piece.
    labels
        The tracks' references, where the training needs them.
    names
        Tracks and seconds, for messages.
    """

    first: Float32[torch.Tensor, "batch level time"]
    second: Float32[torch.Tensor, "batch level time"]
    crop: Int64[torch.Tensor, "batch"]
    shift: Int64[torch.Tensor, "batch"]
    relation: Int64[torch.Tensor, "batch"]
    labels: tuple[object, ...]
    names: tuple[str, ...]

    def part(self, rank: int, n_ranks: int) -> "Batch":
        """Return the share of one process."""
        share = slice(rank, None, n_ranks)
        return Batch(
            self.first[share],
            self.second[share],
            self.crop[share],
            self.shift[share],
            self.relation[share],
            self.labels[share],
            self.names[share],
        )


class Segments:
    """Draw batches; the same seed and step give the same batch.

    Two segments of a pair do not overlap where the track is long enough for that.

    Parameters
    ----------
    n_frames
        Of a segment.
    related
        Share of the pairs, at the beginning of a batch, of which the second segment is of another rendering of the same
        piece, for tracks that have one (see `mirbench_ssl.corpus.Track.transposition`).

    Raises
    ------
    TrainingError
        If no track is as long as a segment.
    """

    def __init__(
        self, tracks: Sequence[Track], n_frames: int, frame_rate: float, seed: int, related: float = 0.0
    ) -> None:
        self.n_frames, self.frame_rate, self.seed, self.related = n_frames, frame_rate, seed, related
        windows = [(track, _loud_windows(track, n_frames)) for track in tracks if len(track.levels) >= n_frames]
        self._tracks = [(track, starts) for track, starts in windows if len(starts)]
        if not self._tracks:
            raise TrainingError(
                f"none of {len(tracks)} tracks is as long as a segment: {n_frames / frame_rate:.1f} s or more"
            )
        counts = np.array([min(ANCHORS, len(starts)) for _, starts in self._tracks], dtype=np.float64)
        self._weights = counts / counts.sum()
        self._renderings: dict[str, list[int]] = {}
        for index, (track, _) in enumerate(self._tracks):
            if track.piece:
                self._renderings.setdefault(track.piece, []).append(index)

    @property
    def tracks(self) -> list[Track]:
        """The tracks that are long enough."""
        return [track for track, _ in self._tracks]

    def batch(self, step: int, size: int) -> Batch:
        """Draw the batch of a step; no track twice, if there are enough."""
        random = np.random.default_rng([self.seed, step])
        chosen = random.choice(len(self._tracks), size, replace=size > len(self._tracks), p=self._weights)
        first, second, relation, labels, names = [], [], [], [], []
        for place, index in enumerate(chosen.tolist()):
            track, starts = self._tracks[index]
            anchor, partner = self._pair(random, track, starts)
            other = self._other_rendering(random, index) if place < self.related * size else track
            partner = min(partner, len(other.levels) - self.n_frames)
            first.append(self._cut(track, anchor))
            second.append(self._cut(other, partner))
            relation.append(other.transposition - track.transposition)
            labels.append(track.label)
            of_other = "" if other is track else f"{other.source} at "
            names.append(
                f"{track.source} at {anchor / self.frame_rate:.1f} s and {of_other}{partner / self.frame_rate:.1f} s"
            )
        crop = random.integers(1, 13, size)
        moved = (crop + random.integers(1, 12, size)) % 12
        return Batch(
            torch.from_numpy(np.stack(first)),
            torch.from_numpy(np.stack(second)),
            torch.from_numpy(crop),
            torch.from_numpy(moved - crop),
            torch.tensor(relation),
            tuple(labels),
            tuple(names),
        )

    def _other_rendering(self, random: np.random.Generator, index: int) -> Track:
        """Return another rendering of a track's piece; the track itself if there is none."""
        others = [other for other in self._renderings.get(self._tracks[index][0].piece, ()) if other != index]
        return self._tracks[int(random.choice(others)) if others else index][0]

    def _pair(self, random: np.random.Generator, track: Track, starts: Int64[np.ndarray, "window"]) -> tuple[int, int]:
        anchor = int(random.choice(starts))
        distance = np.abs(starts - anchor)
        for allowed in (
            (distance >= self.n_frames) & (distance < PARTNER_SECONDS * self.frame_rate),
            distance > 0,
            distance == 0,
        ):
            if allowed.any():
                partner = int(random.choice(starts[allowed]))
                break
        last = len(track.levels) - self.n_frames
        jitter = int(random.integers(0, self.n_frames // 2))
        return min(anchor + jitter, last), min(partner + jitter, last)

    def _cut(self, track: Track, start: int) -> Float32[np.ndarray, "level time"]:
        return np.ascontiguousarray(track.levels[start : start + self.n_frames].T, dtype=np.float32)


def _loud_windows(track: Track, n_frames: int) -> Int64[np.ndarray, "window"]:
    """List where windows begin that are not silent beside the rest of the track."""
    energy = 10 ** (np.asarray(track.levels[:, -1], dtype=np.float64) / 10)
    starts = np.arange(0, len(energy) - n_frames + 1, n_frames // 2)
    of_windows = np.array([energy[start : start + n_frames].mean() for start in starts])
    if energy.mean() == 0:
        return np.zeros(0, dtype=np.int64)
    return starts[np.sqrt(of_windows / energy.mean()) > math.exp(SILENCE / 10)]
