"""Arrangements: which instruments play what, when.

A chorale keeps its voices. A tune or a generated song gets an accompaniment: chords that are held, broken, or in one of
several rhythms, and in most clips a bass and drums, in some a second layer of chords. Downbeats, beats and what lies
between them differ in loudness. Most onsets are no beats, and in some clips all instruments rest in one or two beats.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from mirbench_data_rendered.harmony import QUALITIES, Chord
from mirbench_data_rendered.patches import CLOSED, KICK, OPEN, RIDE, SNARE
from mirbench_data_rendered.sounds import DRUMS, FAMILIES, LOW, SOUNDS, Sound

Notes = Float64[np.ndarray, "note 4"]  # onset and length, MIDI pitch, velocity from 0 to 127
BASS_SHARE, LAYER_SHARE, DRUMS_SHARE, SWING_SHARE = 0.8, 0.35, 0.75, 0.1
BUSY_SHARE = 0.85  # of the clips in which something divides every beat by three or four
BREAK_SHARE = 0.3  # of the clips in which all instruments rest in one or two beats
SWING = 0.6  # of half a beat: where the second quarter of a beat begins, if it swings
# Level of each role in dB, before the clip's own deviation of `LEVEL_RANGE`.
LEVELS = {"melody": 0.0, "chords": -4.0, "bass": -3.0, "layer": -7.0, "drums": -4.0}
LEVEL_RANGE = (-6.0, 4.0)


@dataclass(frozen=True)
class Grid:
    """Beats of a clip.

    Attributes
    ----------
    beats
        Onsets in quarter notes, from the clip's beginning.
    numbers
        Number of each beat in its bar; 1 is the downbeat.
    end
        End of the last beat.
    division
        Steps into which accompaniments divide a beat: 2, 3 or 4.
    """

    beats: Float64[np.ndarray, "beat"]
    numbers: Float64[np.ndarray, "beat"]
    end: float
    division: int

    @property
    def lengths(self) -> Float64[np.ndarray, "beat"]:
        """Length of each beat in quarter notes."""
        return np.diff(self.beats, append=self.end)

    @property
    def n_beats(self) -> int:
        """Number of beats in a bar: the largest number that occurs."""
        return int(self.numbers.max())

    def beat_at(self, places: Float64[np.ndarray, "event"]) -> Int64[np.ndarray, "event"]:
        """Return the beat, from 0, in which each place in quarter notes lies; outside of the clip the nearest one."""
        found = np.searchsorted(self.beats, places + 1e-6, side="right") - 1
        return np.asarray(np.clip(found, 0, len(self.beats) - 1))


@dataclass(frozen=True)
class Track:
    """One instrument's part.

    Attributes
    ----------
    sound
        What plays.
    notes
        Onset and length in quarter notes, MIDI pitch, velocity.
    level
        In dB, relative to the other tracks.
    """

    sound: Sound
    notes: Notes
    level: float


def accompanied(
    melody: Float64[np.ndarray, "note 4"],
    chords: Sequence[Chord],
    grid: Grid,
    split: str,
    random: np.random.Generator,
) -> list[Track]:
    """Return the tracks of a tune with an accompaniment: two to five instruments.

    Parameters
    ----------
    melody
        Onset and length in quarter notes, MIDI pitch, part.
    chords
        What the accompaniment plays.
    grid
        Beats of the clip.
    split
        Decides which sounds may play.
    random
        Source of randomness.
    """
    families = [family for family in random.permutation(FAMILIES).tolist() if family not in LOW]
    has_bass, has_layer, has_drums = random.random(3) < (BASS_SHARE, LAYER_SHARE, DRUMS_SHARE)
    busy = {True: ("drums", "chords", "both"), False: ("chords",)}[bool(has_drums)]
    busiest = str(random.choice(busy)) if random.random() < BUSY_SHARE else ""
    parts: list[tuple[str, str, Notes]] = [
        ("melody", families[0], _accented(melody, grid, random)),
        (
            "chords",
            families[1],
            _comping(
                chords,
                grid,
                random,
                with_bass=not has_bass,
                is_busy=busiest in ("chords", "both"),
                is_steady=not (has_drums or has_bass),
            ),
        ),
    ]
    if has_bass:
        parts.append(("bass", LOW[0], _bass(chords, grid, random, is_steady=not has_drums)))
    if has_layer:
        parts.append(("layer", families[2], _held(chords, grid, random)))
    if has_drums:
        parts.append(("drums", DRUMS, _drums(grid, random, is_busy=busiest in ("drums", "both"))))
    if random.random() < SWING_SHARE and grid.division % 2 == 0:
        parts = [(role, family, _swung(notes, grid)) for role, family, notes in parts]
    if random.random() < BREAK_SHARE:
        silent = random.choice(np.arange(2, len(grid.beats)), size=2).tolist()
        parts = [(role, family, _without(notes, grid, silent)) for role, family, notes in parts]
    return [_track(role, family, notes, split, random) for role, family, notes in parts if len(notes)]


def voiced(notes: Float64[np.ndarray, "note 4"], split: str, random: np.random.Generator) -> list[Track]:
    """Return the tracks of a chorale: one instrument for all voices, or one for each.

    Parameters
    ----------
    notes
        Onset and length in quarter notes, MIDI pitch, part.
    split, random
        See `accompanied`.
    """
    families = [family for family in random.permutation(FAMILIES).tolist() if family not in LOW]
    n_families = 1 if random.random() < 0.35 else int(random.integers(2, 5))
    tracks: list[Track] = []
    for family in families[:n_families]:
        sound = _choice(SOUNDS[split][family], random)
        own = notes[notes[:, 3] % n_families == len(tracks)]
        if len(own):
            tracks.append(Track(sound, _with_velocity(own, random), float(random.uniform(-4, 2))))
    return tracks


def _track(role: str, family: str, notes: Notes, split: str, random: np.random.Generator) -> Track:
    sound = _choice(SOUNDS[split][family], random)
    return Track(sound, notes[notes[:, 1] > 0], LEVELS[role] + float(random.uniform(*LEVEL_RANGE)))


def _choice(sounds: Sequence[Sound], random: np.random.Generator) -> Sound:
    return sounds[int(random.integers(len(sounds)))]


def _with_velocity(notes: Float64[np.ndarray, "note 4"], random: np.random.Generator) -> Notes:
    return np.column_stack([notes[:, :3], random.integers(70, 111, len(notes))])


def _accented(notes: Float64[np.ndarray, "note 4"], grid: Grid, random: np.random.Generator) -> Notes:
    """Return a melody with the accents of its metre."""
    place = grid.beat_at(notes[:, 0])
    is_on_beat = np.abs(notes[:, 0] - grid.beats[place]) < 0.01
    velocities = [
        _velocity(random, int(grid.numbers[beat]) - 1, 0.0 if on_beat else 0.5)
        for beat, on_beat in zip(place, is_on_beat, strict=True)
    ]
    return np.column_stack([notes[:, :3], velocities])


def _steps(grid: Grid, division: int | None = None) -> list[tuple[float, float, int, float]]:
    """Every step of every beat: onset, length, index of the beat in its bar, and place in the beat from 0 to 1."""
    division = division or grid.division
    return [
        (beat + step * length / division, length / division, int(number) - 1, step / division)
        for beat, length, number in zip(grid.beats, grid.lengths, grid.numbers, strict=True)
        for step in range(division)
    ]


def _chord_at(chords: Sequence[Chord], place: float) -> Chord | None:
    return next((chord for chord in chords if chord.start - 1e-6 <= place < chord.end - 1e-6), None)


def _voicing(chord: Chord, centre: float, with_bass: bool) -> list[int]:
    """MIDI pitches of a chord around a centre, and below them its bass."""
    pitches = []
    for pitch_class in chord.pitch_classes:
        lowest = round(centre) - 6
        pitches.append(lowest + (pitch_class - lowest) % 12)
    if with_bass:
        pitches.append(_bass_pitch(chord))
    return sorted(pitches)


def _bass_pitch(chord: Chord, lowest: int = 36) -> int:
    return lowest + (chord.root + chord.bass - lowest) % 12


def _velocity(random: np.random.Generator, beat: int, place: float) -> int:
    """Velocity by the weight of a place in its bar: downbeat, beat, between beats."""
    weight = 110 if place == 0 and beat == 0 else (100 if place == 0 else 74)
    return int(np.clip(random.normal(weight, 6), 30, 127))


# Rhythms of accompaniments as onsets in beats, repeated after the given number of beats.
RHYTHMS: dict[str, tuple[int, tuple[float, ...]]] = {
    "beats": (1, (0.0,)),
    "off beats": (1, (0.5,)),
    "halves": (1, (0.0, 0.5)),
    "charleston": (4, (0.0, 1.5)),
    "tresillo": (2, (0.0, 0.75, 1.5)),
    "strum": (4, (0.0, 1.0, 1.5, 2.5, 3.0, 3.5)),
    "anticipated": (4, (0.0, 1.75, 2.5, 3.5)),
    "back": (2, (1.0,)),
}
STEADY = ("beats", "halves", "strum", "last thirds")  # with an onset on nearly every beat
THIRDS: dict[str, tuple[int, tuple[float, ...]]] = {  # where beats divide by three
    "beats": (1, (0.0,)),
    "last thirds": (1, (0.0, 2 / 3)),
    "without beats": (1, (1 / 3, 2 / 3)),
}


def _rhythm(grid: Grid, random: np.random.Generator, names: Sequence[str]) -> Callable[[int, float], bool]:
    """One of the rhythms, as a question: is there an onset at a beat of the bar and a place in it?"""
    table = THIRDS if grid.division % 3 == 0 else RHYTHMS
    known = [name for name in names if name in table] or list(table)
    period, onsets = table[str(random.choice(known))]
    if grid.n_beats % period:
        period = grid.n_beats  # the rhythm starts anew in every bar

    return lambda beat, place: _is_among(onsets, beat % period + place)


def _is_among(onsets: tuple[float, ...], at: float) -> bool:
    """Return whether one of the onsets lies at a place, all in beats from the beginning of a rhythm."""
    return any(abs(at - onset) < 0.01 for onset in onsets)


def _comping(
    chords: Sequence[Chord],
    grid: Grid,
    random: np.random.Generator,
    *,
    with_bass: bool,
    is_busy: bool,
    is_steady: bool,
) -> Notes:
    """Chords in one rhythm, held, or broken; broken and fast where the clip has to be busy."""
    centre = random.uniform(58, 66)
    is_broken = is_busy or random.random() < 0.2
    if not (is_broken or is_steady) and random.random() < 0.15:
        return _held(chords, grid, random, with_bass=with_bass)
    strikes = _rhythm(grid, random, STEADY if is_steady else tuple(RHYTHMS))
    rows, place = [], 0
    sounding: Chord | None = None
    order = random.permutation(4)
    for start, length, beat, inside in _steps(grid, _fast(grid) if is_broken else None):
        chord = _chord_at(chords, start)
        if chord is None or not (is_broken or strikes(beat, inside)):
            continue
        pitches = _voicing(chord, centre, with_bass and (chord is not sounding or (is_steady and inside == 0)))
        sounding = chord
        if is_broken:
            place = 0 if inside == 0 else place + 1
            pitches = [pitches[order[place % 4] % len(pitches)]] + (
                pitches[:1] if inside == 0 and (is_steady or beat == 0) else []
            )
        held = length * random.choice((0.6, 0.9, 1.8))
        velocity = _velocity(random, beat, inside)
        rows += [(start, min(held, chord.end - start), pitch, velocity - 8) for pitch in dict.fromkeys(pitches)]
    return _as_notes(rows)


def _fast(grid: Grid) -> int:
    """Steps of a beat where the music is fast."""
    return 4 if grid.division % 3 else 3


def _held(chords: Sequence[Chord], grid: Grid, random: np.random.Generator, *, with_bass: bool = False) -> Notes:
    """Each chord held until the next."""
    centre = random.uniform(56, 68)
    rows = [
        (chord.start, 0.97 * (chord.end - chord.start), pitch, int(random.integers(55, 85)))
        for chord in chords
        for pitch in _voicing(chord, centre, with_bass)
    ]
    return _as_notes(rows)


def _bass(chords: Sequence[Chord], grid: Grid, random: np.random.Generator, *, is_steady: bool) -> Notes:
    """A bass line: roots, roots and fifths, chord tones walking, in one of the rhythms."""
    kind = str(random.choice(("roots", "fifths", "walking")))
    lowest = int(random.integers(28, 34))
    strikes = _rhythm(grid, random, STEADY if is_steady else ("beats", *RHYTHMS))
    rows: list[tuple[float | int, ...]] = []
    sounding: Chord | None = None
    for start, length, beat, place in _steps(grid):
        chord = _chord_at(chords, start)
        if chord is None or not (strikes(beat, place) or (beat == 0 and place == 0)):
            continue
        pitch = _bass_pitch(chord, lowest)
        if chord is sounding and place == 0 and beat and kind != "roots":
            interval = QUALITIES[chord.quality][2] if kind == "fifths" else int(random.choice(QUALITIES[chord.quality]))
            pitch = lowest + (chord.root + interval - lowest) % 12
        sounding = chord
        held = length * random.choice((1, grid.division))
        rows.append((start, min(0.9 * held, chord.end - start), pitch, _velocity(random, beat, place)))
    return _as_notes(rows)


# Drum patterns in four: onsets of kick and snare in beats, and of the open hi-hat.
IN_FOUR: tuple[tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]], ...] = (
    ((0.0, 2.0), (1.0, 3.0), ()),
    ((0.0, 2.0, 2.5), (1.0, 3.0), ()),
    ((0.0, 1.0, 2.0, 3.0), (1.0, 3.0), (0.5, 1.5, 2.5, 3.5)),
    ((0.0, 0.75, 2.5), (1.0, 3.0), (3.5,)),
    ((0.0, 1.5), (2.0,), ()),
    ((0.0, 1.5, 2.0, 3.5), (0.0, 1.5, 3.0), ()),
    ((2.0,), (2.0,), ()),
)


def _drums(grid: Grid, random: np.random.Generator, *, is_busy: bool) -> Notes:
    """A pattern of one bar: kick, snare, and cymbals on the steps, louder on the beats; some strokes are left out."""
    cymbal = int(random.choice((CLOSED, CLOSED, RIDE)))
    if grid.n_beats % 4 == 0:
        kicks, snares, opens = IN_FOUR[int(random.choice(len(IN_FOUR)))]
    else:
        middle = grid.n_beats // 2 + 1 if grid.n_beats > 3 else grid.n_beats
        kicks, opens = (0.0,) if grid.n_beats < 4 else (0.0, float(middle)), ()
        snares = tuple(float(beat) for beat in range(1, grid.n_beats) if beat not in kicks)
        snares = snares if random.random() < 0.5 else snares[-1:]
    division = _fast(grid) if is_busy else (3 if grid.division % 3 == 0 else 2)
    off_beats_only = not is_busy and random.random() < 0.25
    rows = []
    for start, length, beat, place in _steps(grid, _fast(grid)):
        keys = [
            key for key, onsets in ((KICK, kicks), (SNARE, snares), (OPEN, opens)) if _is_among(onsets, beat + place)
        ]
        if abs(place * division - round(place * division)) < 0.01 and not (off_beats_only and place == 0):
            keys.append(cymbal)
        rows += [
            (start, length, key, _velocity(random, beat, place) - (15 if key == cymbal else 0))
            for key in keys
            if random.random() < 0.96
        ]
    return _as_notes(rows)


def _without(notes: Notes, grid: Grid, silent: Sequence[int]) -> Float64[np.ndarray, "_kept 4"]:
    """Leave out what begins in some beats: the pulse goes on where nothing sounds."""
    kept = np.ones(len(notes), dtype=bool)
    for beat in silent:
        start = grid.beats[beat]
        kept &= (notes[:, 0] < start - 1e-6) | (notes[:, 0] >= start + grid.lengths[beat] - 1e-6)
    return notes[kept]


def _swung(notes: Notes, grid: Grid) -> Notes:
    """Delay the second and the fourth quarter of each beat, as sixteenths that swing."""

    def warp(places: Float64[np.ndarray, "event"]) -> Float64[np.ndarray, "event"]:
        beat = grid.beat_at(places)
        lengths = grid.lengths[beat]
        inside = (places - grid.beats[beat]) / lengths
        warped = np.interp(inside, [0, 0.25, 0.5, 0.75, 1], [0, SWING / 2, 0.5, 0.5 + SWING / 2, 1])
        return np.where((inside > 0) & (inside < 1), grid.beats[beat] + warped * lengths, places)

    found = notes.copy()
    found[:, 0] = warp(notes[:, 0])
    found[:, 1] = warp(notes[:, 0] + notes[:, 1]) - found[:, 0]
    return found


def _as_notes(rows: Sequence[tuple[float | int, ...]]) -> Notes:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)
