"""Chords: from the labels and intervals of published files to what mir_eval takes.

Labels
------
Every label comes out as one that `mir_eval.chord.encode` (0.8.2) takes: as it is, or with the shorthands of `ALIASES`,
a bass that is named by its note (Winterreise: ``C:min7/G``) or a missing colon put right; what is still unknown is
``X``, which is not scored.

Intervals
---------
They are sorted; where two overlap the later one cuts the earlier one short; gaps of up to `MAX_GAP` are closed, longer
ones are ``X``; intervals that do not last are dropped. Files of Isophonics have small overlaps and
gaps (issue 22 of bmcfee/crema names 12 songs), JAMS files such as GuitarSet's have rounding errors.
"""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Float64

from mirbench.domain import LabelledIntervals
from mirbench_data_music.keys import pitch_class

MAX_GAP = 0.1  # seconds
UNKNOWN = "X"
NO_CHORD = ("n", "nc", "n.c.", "none", "silence", "")
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
ROOT = re.compile(r"([A-G])([#b]*)")
ALIASES = {
    "": "maj",
    "M": "maj",
    "major": "maj",
    "m": "min",
    "minor": "min",
    "-": "min",
    "6": "maj6",
    "m6": "min6",
    "M7": "maj7",
    "m7": "min7",
    "dom7": "7",
    "mM7": "minmaj7",
    "aug7": "aug(b7)",
    "o": "dim",
    "o7": "dim7",
    "hdim": "hdim7",
    "m7b5": "hdim7",
    "sus": "sus4",
    "7sus4": "sus4(b7)",
    "7sus2": "sus2(b7)",
}


def spell_chord(label: str) -> str:
    """Spell a chord so that mir_eval takes it.

    Examples
    --------
    >>> [spell_chord(label) for label in ("C:min7/G", "D:7sus4", "F#m", "Bb:maj/3", "noise")]
    ['C:min7/5', 'D:sus4(b7)', 'F#:min', 'Bb:maj/3', 'X']
    """
    text = label.strip()
    if text.lower() in NO_CHORD:
        return "N"
    return next((one for one in (text, _respelled(text)) if _is_known(one)), UNKNOWN)


def _respelled(text: str) -> str:
    """Put right what mir_eval does not take."""
    chord, _, bass = text.partition("/")
    root = ROOT.match(chord)
    if root is None:
        return UNKNOWN
    quality = chord[root.end() :].removeprefix(":")
    note = ROOT.fullmatch(bass)
    if note is not None:
        bass = DEGREES[(pitch_class(*note.groups()) - pitch_class(*root.groups())) % 12]
    return f"{root[0]}:{ALIASES.get(quality, quality)}" + (f"/{bass}" if bass else "")


@cache
def _is_known(label: str) -> bool:
    import mir_eval

    try:
        mir_eval.chord.encode(label)
    except mir_eval.chord.InvalidChordException:
        return False
    return True


def chord_sequence(intervals: Float64[np.ndarray, "_chord 2"], labels: Sequence[str]) -> LabelledIntervals | None:
    """Make one chord follow another without gaps or overlaps; None if there are none."""
    order = np.argsort(intervals[:, 0], kind="stable")
    made: list[tuple[float, float, str]] = []
    for (start, end), label in zip(intervals[order].tolist(), [labels[place] for place in order], strict=True):
        if end <= start:
            continue
        if made:
            _join(made, start)
        made.append((start, end, spell_chord(label)))
    made = [chord for chord in made if chord[1] > chord[0]]
    if not made:
        return None
    starts, ends, spelled = zip(*made, strict=True)
    return LabelledIntervals(np.array([starts, ends], dtype=np.float64).T, spelled)


def _join(made: list[tuple[float, float, str]], start: float) -> None:
    """Let the last chord end where the next one starts, or fill a long gap."""
    first, last, label = made[-1]
    if start - last > MAX_GAP:
        made.append((last, start, UNKNOWN))
    else:
        made[-1] = (first, start, label)
