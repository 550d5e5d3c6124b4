"""Labels of a clip, from the score alone: beats, chords, and what plays."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from mirbench_data_rendered.corpus import TONICS, Score
from mirbench_data_rendered.index import Entry
from mirbench_data_rendered.render import quarters_to_seconds, sounding_notes

# Intervals above the root, and the quality as mir_eval spells it.
QUALITIES = {
    (0, 4, 7): "maj",
    (0, 3, 7): "min",
    (0, 3, 6): "dim",
    (0, 4, 8): "aug",
    (0, 4, 7, 10): "7",
    (0, 4, 7, 11): "maj7",
    (0, 3, 7, 10): "min7",
    (0, 3, 6, 10): "hdim7",
    (0, 3, 6, 9): "dim7",
}
UNNAMED = "X"  # mir_eval's "no telling": two tones, or passing tones
# First General MIDI program (counted from 0) of each family that the index uses.
FAMILIES = {
    0: "piano",
    8: "chromatic percussion",
    16: "organ",
    24: "guitar",
    40: "strings",
    52: "voices",
    56: "brass",
    64: "reed",
    72: "pipe",
}
COLLECTIONS = {
    "bach": "Bach chorale",
    "oneills1850": "Irish (O'Neill)",
    "airdsAirs": "Scottish and English (Aird)",
    "ryansMammoth": "American (Ryan)",
    "miscFolk": "fife and smallpipes",
}
IRREGULAR_SHARE = 0.02  # of beats, above which the bars of a score cannot be trusted


@dataclass(frozen=True)
class Annotation:
    """What is known about a clip besides its key; times in seconds from its start."""

    beats: list[float]
    chords: list[tuple[float, float, str]]
    tags: list[str]

    @classmethod
    def from_json(cls, values: Any) -> "Annotation":
        """Read what the manifest holds."""
        return cls(values["beats"], [tuple(chord) for chord in values["chords"]], values["tags"])


def annotate(entry: Entry, score: Score) -> Annotation:
    """Derive the labels of a clip."""
    families = {FAMILIES[max(first for first in FAMILIES if first <= program)] for program in entry.programs}
    return Annotation(
        beats=_seconds(entry, _beats(entry, score)),
        chords=list(_chords(entry, score)) if score.n_parts > 1 else [],
        tags=sorted(families | {COLLECTIONS[entry.id.split("/")[0]]}),
    )


def _beats(entry: Entry, score: Score) -> Float64[np.ndarray, "beat"]:
    """List the beats of the excerpt in quarter notes; none where the bars of the score are irregular."""
    steps = np.diff(score.beats[:, 0])
    if len(steps) == 0 or (np.abs(steps - np.median(steps)) > 0.01).mean() > IRREGULAR_SHARE:
        return np.zeros(0)
    places = score.beats[:, 0]
    return np.asarray(places[(places >= entry.start) & (places < entry.end)] - entry.start)


def _chords(entry: Entry, score: Score) -> Iterator[tuple[float, float, str]]:
    """Name the chord between any two changes of notes; equal neighbours are merged."""
    notes = sounding_notes(entry, score.notes)
    changes = np.unique(np.concatenate([notes[:, 0], notes[:, 0] + notes[:, 1]]).round(6))
    times = _seconds(entry, changes)
    began, label = 0.0, None
    for place, time in zip(changes[:-1], times[:-1], strict=True):
        sounding = notes[(notes[:, 0] <= place + 1e-6) & (notes[:, 0] + notes[:, 1] > place + 1e-6), 2]
        found = _name(sounding) if len(sounding) else "N"
        if found != label:
            if label is not None and time > began:
                yield began, time, label
            began, label = (time if label is not None else 0.0), found
    if label is not None:
        yield began, times[-1], label


def _name(pitches: Float64[np.ndarray, "note"]) -> str:
    classes = sorted({int(pitch) % 12 for pitch in pitches})
    bass = int(pitches.min()) % 12
    for root in sorted(classes, key=lambda pitch_class: pitch_class != bass):  # of a dim7 the bass is the root
        quality = QUALITIES.get(tuple(sorted((pitch_class - root) % 12 for pitch_class in classes)))
        if quality:
            return f"{TONICS[root]}:{quality}"
    return UNNAMED


def _seconds(entry: Entry, quarters: Float64[np.ndarray, "event"]) -> list[float]:
    return [round(float(time), 6) for time in quarters_to_seconds(entry, quarters)]
