"""Read a score of the corpus that ships inside the music21 package.

A score becomes plain arrays: what sounds when, in quarter notes. Repeats are not expanded (in the audio and in
the labels alike), ties are joined, grace notes are left out.

Two kinds of files are read: MusicXML (one piece a file; Bach's chorales) and ABC (many tunes a file; the
collections of O'Neill, Aird and Ryan, and two smaller ones). An identifier names file and, for ABC, the tune's
`X:` number: ``bach/bwv253``, ``oneills1850/0001-0050#2``.
"""

import importlib.util
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mirbench import DatasetError

ABC_COLLECTIONS = ("airdsAirs", "miscFolk", "oneills1850", "ryansMammoth")
EXACT = 1e-3  # quarter notes; onsets of triplets are rounded
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True)
class Score:
    """One piece.

    Attributes
    ----------
    notes
        One row a note: onset and length in quarter notes, MIDI pitch, part (0 is the highest staff).
    bars
        Onsets of the bars in quarter notes; the first is 0 and may be a pick-up bar.
    tonic, mode
        Of the score's own key: a pitch class (C is 0) and "major" or "minor"; None where the score states
        no key, or another mode.
    beats
        One row a beat: its place in quarter notes, and its number in the bar (1 is the downbeat). The beat is that of
        the time signature: a quarter in 3/4, a dotted quarter in 6/8, a half in 2/2. Empty where the metre has none.
    melody
        MIDI pitches of the tune: the soprano of a chorale, the only part of a folk tune.
    """

    id: str
    title: str
    tonic: int | None
    mode: str | None
    notes: Float[np.ndarray, "note 4"]
    bars: Float[np.ndarray, "bar"]
    beats: Float[np.ndarray, "beat 2"]
    melody: Float[np.ndarray, "tone"]

    @property
    def n_parts(self) -> int:
        return int(self.notes[:, 3].max()) + 1


@cache
def corpus_folder() -> Path:
    """Find the corpus without importing music21 (its import takes a second)."""
    spec = importlib.util.find_spec("music21")
    if spec is None or spec.origin is None:
        raise DatasetError("the package music21, whose scores are rendered, is missing; run 'pip install music21'")
    return Path(spec.origin).parent / "corpus"


def score_ids() -> Iterator[str]:
    """Name every chorale and tune of the corpus, in a fixed order."""
    for path in sorted((corpus_folder() / "bach").glob("*.mxl")):
        yield f"bach/{path.stem}"
    for collection in ABC_COLLECTIONS:
        for path in sorted((corpus_folder() / collection).glob("*.abc")):
            for number in _tunes(path):
                yield f"{collection}/{path.stem}#{number}"


def read_score(score_id: str) -> Score:
    """Read one piece.

    Raises
    ------
    DatasetError
        If the installed music21 has no such piece or cannot read it.
    """
    from music21 import converter

    file, _, number = score_id.partition("#")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # music21 remarks on details of notation
            if number:
                text = _tunes(corpus_folder() / f"{file}.abc")[number]
                stream = converter.parse(text, format="abc", forceSource=True)
            else:
                path = corpus_folder() / f"{file}.mxl"
                stream = converter.parse(path, forceSource=True, storePickle=False)
            return _as_score(score_id, stream)
    except Exception as error:  # music21 raises whatever its parsers meet
        raise DatasetError(f"music21 cannot read its piece {score_id!r}: {error!r}") from error


@cache
def _tunes(path: Path) -> dict[str, str]:
    """Split an ABC file into its tunes; of tunes with one number the first is kept."""
    tunes: dict[str, str] = {}
    for text in re.split(r"(?m)^(?=X:)", path.read_text(encoding="utf-8", errors="replace"))[1:]:
        tunes.setdefault(text[2 : text.index("\n")].strip(), text)
    return tunes


def _as_score(score_id: str, stream: Any) -> Score:
    parts = list(stream.parts)
    rows: list[tuple[float, float, float, float]] = []
    for index, part in enumerate(parts):
        for note in part.flatten().stripTies().notes:
            if (note.isChord and "Symbol" in type(note).__name__) or note.duration.quarterLength == 0:
                continue  # a chord symbol or a grace note
            length = float(note.duration.quarterLength)
            rows += [(float(note.offset), length, float(pitch.midi), float(index)) for pitch in note.pitches]
    notes = np.array(sorted(rows), dtype=np.float64).reshape(-1, 4)
    signatures = list(stream.recurse().getElementsByClass("KeySignature"))
    mode = getattr(signatures[0], "mode", None) if signatures else None
    has_key = mode in ("major", "minor")
    melody = notes[notes[:, 3] == _melody_part(parts)]
    bars = sorted({float(bar.offset) for part in parts[:1] for bar in part.getElementsByClass("Measure")})
    return Score(
        id=score_id,
        title=(stream.metadata.title if stream.metadata else None) or score_id,
        tonic=signatures[0].tonic.pitchClass if has_key else None,
        mode=mode if has_key else None,
        notes=notes,
        bars=np.array(bars, dtype=np.float64),
        beats=_beats(parts[0]) if parts else np.zeros((0, 2)),
        melody=melody[:, 2],
    )


def _beats(part: Any) -> Float[np.ndarray, "beat 2"]:
    """Find the beats of all bars; a bar that a repeat sign cuts in two counts on in its second half."""
    rows: list[tuple[float, float]] = []
    place = None  # in the bar, where the last measure ended before the bar was full
    for measure in part.getElementsByClass("Measure"):
        metre = measure.timeSignature or measure.getContextByClass("TimeSignature")
        if metre is None:
            return np.zeros((0, 2))
        full, length = float(metre.barDuration.quarterLength), float(measure.duration.quarterLength)
        beat = float(metre.beatDuration.quarterLength)
        if place is None:
            place = max(0.0, full - length)  # the first measure: a pick-up ends on the bar line
        elif place + length > full + EXACT:
            place = 0.0
        first = np.ceil(place / beat - EXACT)
        last = np.ceil((place + length) / beat - EXACT)
        start = float(measure.offset) - place
        rows += [(start + number * beat, number + 1.0) for number in range(int(first), int(last))]
        place = (place + length) if place + length < full - EXACT else 0.0
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _melody_part(parts: list[Any]) -> int:
    names = [str(part.partName) for part in parts]
    return names.index("Soprano") if "Soprano" in names else 0
