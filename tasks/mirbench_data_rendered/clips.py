"""From an entry of the index to what sounds and to its labels: tracks, tempo, beats, chords, instruments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from mirbench_data_rendered.arrange import Grid, Track, accompanied, voiced
from mirbench_data_rendered.corpus import read_score
from mirbench_data_rendered.harmony import Chord, chords_of_notes, chords_under, merged
from mirbench_data_rendered.index import MIN_SECONDS, Entry
from mirbench_data_rendered.render import RELEASE
from mirbench_data_rendered.seeds import generator
from mirbench_data_rendered.songs import write_song

# The tempo drifts by this share, once in so many quarter notes; in some clips it also changes at a bar line.
DRIFT, DRIFT_QUARTERS = 0.05, 16
CHANGE_SHARE, SLOWER, FASTER = 0.2, (0.75, 0.9), (1.12, 1.3)
DETUNING_CENTS = 15.0  # standard deviation of the tuning; at most 45
SHORTEST_SLOT, LONGEST_SLOT = 1.1, 2.8  # seconds that a chord under a tune lasts
JITTER = 0.006  # seconds; standard deviation of the players' onsets


@dataclass(frozen=True)
class Arranged:
    """A clip before it is played.

    Attributes
    ----------
    tracks
        What plays, in quarter notes from the clip's beginning.
    grid
        Beats of the clip.
    chords
        Chords of the clip.
    quarters
        Times of the quarter notes in seconds, from the clip's beginning.
    cents
        Deviation from 440 Hz.
    """

    tracks: Sequence[Track]
    grid: Grid
    chords: Sequence[Chord]
    quarters: Float64[np.ndarray, "quarter"]
    cents: float

    def seconds(self, places: Float64[np.ndarray, "event"]) -> Float64[np.ndarray, "event"]:
        """Return the times of places in quarter notes."""
        return np.asarray(np.interp(places, np.arange(len(self.quarters)), self.quarters))

    @property
    def duration(self) -> float:
        """Length of the clip in seconds."""
        return float(self.seconds(np.array([self.grid.end]))[0]) + RELEASE

    @property
    def labels(self) -> dict[str, Any]:
        """Annotation as JSON holds it; times in seconds from the clip's beginning, counted without `JITTER`."""
        borders = [[chord.start, chord.end] for chord in self.chords]
        times = self.seconds(np.array(borders, dtype=np.float64).reshape(-1)).reshape(-1, 2)
        return {
            "beats": [round(float(time), 6) for time in self.seconds(self.grid.beats)],
            "chords": [
                [round(float(start), 6), round(float(end), 6), chord.label]
                for (start, end), chord in zip(times, self.chords, strict=True)
            ],
            "instruments": sorted({track.sound.family for track in self.tracks}),
        }


def arranged(entry: Entry, *variant: str, seconds: float = MIN_SECONDS) -> Arranged:
    """Return what sounds in a clip.

    Parameters
    ----------
    entry
        Entry of the index; all that is random follows from its identifier and the variant.
    *variant
        Words that name another arrangement of the same piece, such as for training; none for the clip of the data set.
    seconds
        Shortest duration of a generated song.

    Raises
    ------
    DatasetError
        If the installed music21 cannot read the piece.
    """
    random = generator("arrangement", entry.id, *variant)
    if entry.kind == "song":
        melody, chords, grid = _song(entry, seconds)
    else:
        melody, chords, grid = _score(entry, random)
    if entry.kind == "chorale":
        tracks = voiced(melody, entry.split, random)
    else:
        tracks = accompanied(melody, chords, grid, entry.split, random)
    quarters = _tempo(entry, grid, random)
    tracks = [_played(track, entry.tempo_bpm, random) for track in tracks]
    cents = float(np.clip(random.normal(0, DETUNING_CENTS), -45, 45))
    return Arranged(tracks, grid, merged(chords), quarters, cents)


def _song(entry: Entry, seconds: float) -> tuple[Float64[np.ndarray, "note 4"], list[Chord], Grid]:
    song = write_song(entry.id, entry.mode, seconds)
    melody = song.melody.copy()
    melody[:, 2] += entry.transpose
    chords = [
        Chord(chord.start, chord.end, (chord.root + entry.transpose) % 12, chord.quality, chord.bass)
        for chord in song.chords
    ]
    n_beats = song.n_bars * song.metre.n_beats
    places = np.arange(n_beats)
    beats = places * song.metre.beat
    return melody, chords, Grid(beats, places % song.metre.n_beats + 1.0, entry.end, song.metre.division)


def _score(entry: Entry, random: np.random.Generator) -> tuple[Float64[np.ndarray, "note 4"], list[Chord], Grid]:
    score = read_score(entry.id)
    notes = score.notes[(score.notes[:, 0] >= entry.start) & (score.notes[:, 0] < entry.end)].copy()
    notes[:, 0] -= entry.start
    notes[:, 2] += entry.transpose
    inside = score.beats[(score.beats[:, 0] >= entry.start - 1e-6) & (score.beats[:, 0] < entry.end - 1e-6)]
    beats, numbers = inside[:, 0] - entry.start, inside[:, 1]
    beat = float(np.median(np.diff(beats)))
    division = 3 if abs(beat % 1 - 0.5) < 0.01 else (4 if beat * 60 / entry.tempo_bpm > 0.4 else 2)
    end = entry.end - entry.start
    grid = Grid(beats, numbers, end, division)
    if entry.kind == "chorale":
        return notes, chords_of_notes(notes, beats, end), grid
    tonic = (entry.tonic + entry.transpose) % 12
    return notes, chords_under(notes, _slots(grid, entry.tempo_bpm), tonic, entry.mode, random), grid


def _slots(grid: Grid, tempo_bpm: float) -> Float64[np.ndarray, "border"]:
    """Borders of the slots that have one chord each: a bar, two bars where bars are short, half where they are long."""
    bars = grid.beats[grid.numbers == 1]
    seconds = (float(np.median(np.diff(bars))) if len(bars) > 1 else grid.end) * 60 / tempo_bpm
    starts = bars
    if seconds < SHORTEST_SLOT:
        starts = bars[::2]
    elif seconds > LONGEST_SLOT and grid.n_beats % 2 == 0:
        starts = grid.beats[(grid.numbers == 1) | (grid.numbers == grid.n_beats // 2 + 1)]
    return np.array([0.0, *starts[starts > 1e-6], grid.end])


def _tempo(entry: Entry, grid: Grid, random: np.random.Generator) -> Float64[np.ndarray, "quarter"]:
    """Times of the quarter notes: a tempo that drifts, and in some clips changes at a bar line."""
    places = np.arange(int(np.ceil(grid.end)) + 1)
    drift = 1 + DRIFT * np.sin(2 * np.pi * places / DRIFT_QUARTERS + random.uniform(0, 2 * np.pi))
    factor = np.ones(len(places))
    bars = grid.beats[(grid.numbers == 1) & (grid.beats > grid.end / 4) & (grid.beats < 3 * grid.end / 4)]
    if entry.kind != "chorale" and len(bars) and random.random() < CHANGE_SHARE:
        change = float(random.choice(bars))
        factor[places >= change - 1e-6] = random.uniform(*(SLOWER if random.random() < 0.5 else FASTER))
    steps = 60 / (entry.tempo_bpm * drift * factor)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _played(track: Track, tempo_bpm: float, random: np.random.Generator) -> Track:
    """Move the onsets a little, as players do; notes that begin together stay together."""
    notes = track.notes.copy()
    onsets, place = np.unique(notes[:, 0].round(4), return_inverse=True)
    moves = random.normal(0, JITTER * tempo_bpm / 60, len(onsets))[place]
    notes[:, 0] = np.maximum(0, notes[:, 0] + moves)
    return Track(track.sound, notes, track.level)
