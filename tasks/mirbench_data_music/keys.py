"""Keys: from the spellings of the published files to mir_eval's.

A recording is a clip of the key task only if its annotation is one major or minor key; those that modulate, or have
another mode or none, are left out. Tonics are spelled as the key task spells them, so that enharmonic names are one.
"""

import re
from collections.abc import Sequence

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SPELLING = re.compile(r"([A-G])([#b]*)(?:[: ]\s*(major|minor|maj|min))?", re.IGNORECASE)
SILENCE = ("N", "Silence")


def pitch_class(letter: str, accidentals: str) -> int:
    """Count the semitones above C."""
    return (NATURALS[letter.upper()] + accidentals.count("#") - accidentals.count("b")) % 12


def spell_key(text: str) -> str | None:
    """Spell a key as mir_eval does; None if it is not one major or minor key.

    Examples
    --------
    >>> spell_key("A# minor"), spell_key("F# Major"), spell_key("Db:min"), spell_key("E"), spell_key("D:mixolydian")
    ('Bb minor', 'F# major', 'C# minor', 'E major', None)
    """
    found = SPELLING.fullmatch(text.strip())
    if found is None:
        return None
    mode = "minor" if (found[3] or "major").lower().startswith("min") else "major"
    return f"{TONICS[pitch_class(found[1], found[2])]} {mode}"


def only_key(labels: Sequence[str]) -> str | None:
    """Return the key that a recording is in from its beginning to its end; None if it changes or is of another mode.

    Stretches without a key (silence, `SILENCE`) do not count.
    """
    keys = {spell_key(label) for label in labels if label not in SILENCE}
    return keys.pop() if len(keys) == 1 else None


def numbered_key(number: int) -> str | None:
    """Spell a key of `gtzan_key`: 0 to 11 are major, 12 to 23 minor, both upwards from A; -1 is none."""
    if number == -1:
        return None
    if not 0 <= number < 24:
        raise ValueError(f"key number {number}; expected -1 to 23")
    return f"{TONICS[(number + 9) % 12]} {'major' if number < 12 else 'minor'}"
