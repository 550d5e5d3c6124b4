"""Songs that a generator writes: a metre, a progression of chords as popular songs have them, and a melody.

Everything follows from the song's identifier; the progressions are loops of degrees in common use, with borrowed chords
and secondary dominants here and there.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from mirbench_data_rendered.harmony import QUALITIES, Chord, coloured
from mirbench_data_rendered.seeds import generator

MAJOR_SCALE, MINOR_SCALE = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
# Loops: semitones above the tonic and quality. The first chord is the tonic in most, so that the key is established.
MAJOR_LOOPS: tuple[tuple[tuple[int, str], ...], ...] = (
    ((0, "maj"), (7, "maj"), (9, "min"), (5, "maj")),
    ((0, "maj"), (9, "min"), (5, "maj"), (7, "maj")),
    ((0, "maj"), (5, "maj"), (0, "maj"), (7, "maj")),
    ((0, "maj"), (5, "maj"), (7, "maj"), (5, "maj")),
    ((0, "maj"), (2, "min"), (7, "maj"), (0, "maj")),
    ((0, "maj"), (4, "min"), (5, "maj"), (7, "maj")),
    ((0, "maj"), (9, "min"), (2, "min"), (7, "maj")),
    ((2, "min"), (7, "maj"), (0, "maj"), (0, "maj")),
    ((5, "maj"), (7, "maj"), (0, "maj"), (9, "min")),
    ((0, "maj"), (10, "maj"), (5, "maj"), (0, "maj")),
)
MINOR_LOOPS: tuple[tuple[tuple[int, str], ...], ...] = (
    ((0, "min"), (8, "maj"), (3, "maj"), (10, "maj")),
    ((0, "min"), (10, "maj"), (8, "maj"), (7, "maj")),
    ((0, "min"), (5, "min"), (7, "maj"), (0, "min")),
    ((0, "min"), (5, "min"), (0, "min"), (7, "min")),
    ((0, "min"), (8, "maj"), (5, "min"), (7, "maj")),
    ((0, "min"), (3, "maj"), (10, "maj"), (5, "min")),
    ((0, "min"), (10, "maj"), (0, "min"), (7, "maj")),
    ((0, "min"), (5, "min"), (8, "maj"), (7, "maj")),
)
BORROWED = {"major": ((5, "min"), (10, "maj"), (8, "maj")), "minor": ((2, "hdim7"), (5, "maj"), (1, "maj"))}
BORROWED_SHARE, SECONDARY_SHARE = 0.05, 0.06
BEAT_DENSITY = 1.5  # of onsets of melodies on beats, relative to that between them


@dataclass(frozen=True)
class Metre:
    """A time signature: beats in a bar, length of a beat in quarter notes, and into how many steps a beat divides."""

    name: str
    n_beats: int
    beat: float
    division: int


METRES = (Metre("4/4", 4, 1.0, 4), Metre("3/4", 3, 1.0, 4), Metre("6/8", 2, 1.5, 3), Metre("5/4", 5, 1.0, 4),
          Metre("12/8", 4, 1.5, 3), Metre("7/4", 7, 1.0, 2))  # fmt: skip
METRE_SHARES = (0.55, 0.15, 0.08, 0.08, 0.08, 0.06)


@dataclass(frozen=True)
class Song:
    """A generated song, in C.

    Attributes
    ----------
    metre
        Time signature.
    tempo_bpm
        Beats a minute.
    n_bars
        Length in bars.
    chords
        Progression, in quarter notes from the beginning.
    melody
        Notes: onset and length in quarter notes, MIDI pitch, part 0.
    """

    metre: Metre
    tempo_bpm: float
    n_bars: int
    chords: list[Chord]
    melody: Float64[np.ndarray, "note 4"]


def write_song(song_id: str, mode: str, seconds: float) -> Song:
    """Return the song of an identifier.

    Parameters
    ----------
    song_id
        Seed of all choices.
    mode
        "major" or "minor".
    seconds
        Shortest duration; the song ends with the first whole bar after it.
    """
    random = generator("song", song_id)
    metre = METRES[random.choice(len(METRES), p=METRE_SHARES)]
    tempo_bpm = round(float(random.uniform(74, 140) * (0.75 if metre.beat > 1 else 1)), 1)
    bar = metre.n_beats * metre.beat
    bar_seconds = metre.n_beats * 60 / tempo_bpm
    n_bars = int(np.ceil(seconds / bar_seconds))
    chords = _progression(mode, n_bars, bar, bar_seconds, metre, random)
    melody = _melody(mode, n_bars, metre, chords, random)
    return Song(metre, tempo_bpm, n_bars, chords, melody)


def _progression(
    mode: str, n_bars: int, bar: float, bar_seconds: float, metre: Metre, random: np.random.Generator
) -> list[Chord]:
    """Chords for half a bar, a bar or two, such that most last 1 to 3 seconds."""
    loops = MAJOR_LOOPS if mode == "major" else MINOR_LOOPS
    loop = loops[random.choice(len(loops))]
    half = metre.n_beats // 2 * metre.beat
    lengths = {"half": bar_seconds / 2, "bar": bar_seconds, "two": 2 * bar_seconds}
    weights = np.array([np.exp(-(np.log(length / 1.7) ** 2) / 0.15) for length in lengths.values()])
    kind = str(random.choice(list(lengths), p=weights / weights.sum()))
    borders: list[float] = []
    for number in range(n_bars):
        if kind != "two" or number % 2 == 0:
            borders.append(number * bar)
        if kind == "half":
            borders.append(number * bar + half)
    borders.append(n_bars * bar)
    found: list[Chord] = []
    for place, (start, end) in enumerate(itertools.pairwise(borders)):
        root, quality = loop[place % len(loop)]
        if place % len(loop) and random.random() < BORROWED_SHARE:
            choices = BORROWED[mode]
            root, quality = choices[random.choice(len(choices))]
        elif place % len(loop) and place + 2 < len(borders) and random.random() < SECONDARY_SHARE:
            root, quality = (loop[(place + 1) % len(loop)][0] + 7) % 12, "7"
        found.append(Chord(start, end, root, quality))
    return coloured(found, random)


def _melody(
    mode: str, n_bars: int, metre: Metre, chords: list[Chord], random: np.random.Generator
) -> Float64[np.ndarray, "note 4"]:
    """A two-bar rhythm, varied; chord tones where it leaps and steps of the scale between them."""
    scale = MAJOR_SCALE if mode == "major" else MINOR_SCALE
    pitches = [octave + degree for octave in (60, 72) for degree in scale]
    n_steps = metre.n_beats * metre.division
    step = metre.beat / metre.division
    density = random.uniform(0.2, 0.5)
    rhythm = [_rhythm(n_steps, metre, density, random) for _ in range(2)]
    place = int(random.integers(3, 9))
    rows: list[tuple[float, float, float, float]] = []
    for number in range(n_bars):
        onsets = rhythm[number % 2] if random.random() < 0.75 else _rhythm(n_steps, metre, density, random)
        for at, following in zip(onsets, [*onsets[1:], n_steps], strict=True):
            start = (number * n_steps + at) * step
            chord = next(chord for chord in chords if chord.start <= start + 1e-6 < chord.end)
            tones = {(chord.root + interval) % 12 for interval in QUALITIES[chord.quality]}
            place = int(np.clip(place + random.choice((-2, -1, -1, 0, 1, 1, 2)), 0, len(pitches) - 1))
            pitch = pitches[place]
            if pitch % 12 not in tones and (following - at > 1 or random.random() < 0.5):
                nearest = min(
                    (p for p in range(57, 86) if p % 12 in tones), key=lambda p: (abs(p - pitch), random.random())
                )
                pitch = nearest
                place = int(np.argmin([abs(p - pitch) for p in pitches]))
            length = (following - at) * step * random.choice((0.5, 0.9, 0.95), p=(0.2, 0.4, 0.4))
            rows.append((start, length, float(pitch), 0.0))
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _rhythm(n_steps: int, metre: Metre, density: float, random: np.random.Generator) -> list[int]:
    """Steps of a bar with an onset; beats have one more often than other steps, but not always."""
    onsets = [
        step for step in range(n_steps) if random.random() < density * (1 if step % metre.division else BEAT_DENSITY)
    ]
    return onsets or [metre.division - 1]
