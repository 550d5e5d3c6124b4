"""Chords: their spelling, the chords of a chorale, and chords for a tune.

Two sources of chords beside the generated songs (`mirbench_data_rendered.songs`):

- `chords_of_notes` names what sounds in each beat of a chorale. Tones of a chord weigh for it, other tones (passing and
  neighbouring ones) against it, by their durations; a beat that no chord explains is "X".
- `chords_under` harmonises a tune: the likeliest sequence of chords of its key, one for each slot, given how much of
  the melody each chord explains and how chords follow each other in tonal music.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from mirbench_data_rendered.corpus import TONICS

# Intervals above the root in semitones, by quality, as mir_eval spells qualities.
QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus4": (0, 5, 7),
    "sus2": (0, 2, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "hdim7": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
}
# Harte's degrees of chord tones in the bass, by interval above the root.
DEGREES = {3: "b3", 4: "3", 5: "4", 6: "b5", 7: "5", 8: "#5", 9: "bb7", 10: "b7", 11: "7", 2: "2"}
UNNAMED = "X"


@dataclass(frozen=True)
class Chord:
    """A chord and when it sounds.

    Attributes
    ----------
    start, end
        In quarter notes.
    root
        Pitch class; -1 where no chord can be named.
    quality
        A key of `QUALITIES`; "X" where no chord can be named.
    bass
        Interval of the lowest tone above the root, in semitones.
    """

    start: float
    end: float
    root: int
    quality: str
    bass: int = 0

    @property
    def label(self) -> str:
        """The chord as mir_eval spells it, such as "C:maj/3"."""
        if self.root < 0:
            return UNNAMED
        inversion = f"/{DEGREES[self.bass]}" if self.bass in DEGREES else ""
        return f"{TONICS[self.root]}:{self.quality}{inversion}"

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord, the root first."""
        return tuple((self.root + interval) % 12 for interval in QUALITIES[self.quality])


def durations_in(notes: Float64[np.ndarray, "note 4"], start: float, end: float) -> Float64[np.ndarray, "12"]:
    """Return the duration of each pitch class between two times, in quarter notes, added over notes."""
    overlap = np.minimum(notes[:, 0] + notes[:, 1], end) - np.maximum(notes[:, 0], start)
    return np.bincount(notes[:, 2].astype(int) % 12, weights=np.maximum(0, overlap), minlength=12)


# Of a chord of a chorale: what a missing tone costs, as a share of the beat. A seventh chord must sound its seventh,
# and the rarer qualities must fit better than a triad to be named.
MISSING = 0.12
COMPLEXITY = {"maj": 0.0, "min": 0.0, "7": 0.03, "min7": 0.04, "maj7": 0.06, "dim": 0.05, "hdim7": 0.06, "dim7": 0.06,
              "sus4": 0.12, "sus2": 0.2, "aug": 0.12}  # fmt: skip
EXPLAINED = 0.55  # share of what sounds, less what does not fit, below which a beat has no name


def chords_of_notes(
    notes: Float64[np.ndarray, "note 4"], beats: Float64[np.ndarray, "beat"], end: float
) -> list[Chord]:
    """Return the chord of each beat; equal neighbours are merged.

    Parameters
    ----------
    notes
        Onset and length in quarter notes, MIDI pitch, part.
    beats
        Onsets of the beats in quarter notes.
    end
        End of the last beat.
    """
    found: list[Chord] = []
    borders = [*beats.tolist(), end]
    for start, stop in itertools.pairwise(borders):
        weights = durations_in(notes, start, stop)
        total = weights.sum()
        sounding = notes[(notes[:, 0] < stop - 1e-6) & (notes[:, 0] + notes[:, 1] > start + 1e-6)]
        if total <= 0:
            found.append(Chord(start, stop, -1, UNNAMED))
            continue
        shares = weights / total
        lowest = int(sounding[:, 2].min()) % 12
        score, root, quality = max(
            (
                sum(shares[(root + interval) % 12] for interval in intervals) * 2
                - 1
                - MISSING * sum(shares[(root + interval) % 12] == 0 for interval in intervals)
                - COMPLEXITY[quality]
                + 0.02 * (root == lowest),
                root,
                quality,
            )
            for root in range(12)
            for quality, intervals in QUALITIES.items()
        )
        if score < EXPLAINED:
            found.append(Chord(start, stop, -1, UNNAMED))
        else:
            bass = (lowest - root) % 12
            found.append(Chord(start, stop, root, quality, bass if bass in QUALITIES[quality] else 0))
    return merged(found)


def merged(chords: Sequence[Chord]) -> list[Chord]:
    """Return chords of which no two neighbours have the same root and quality; of the bass, the first one's is kept."""
    found: list[Chord] = []
    for chord in chords:
        if found and (found[-1].root, found[-1].quality) == (chord.root, chord.quality):
            before = found.pop()
            chord = Chord(before.start, chord.end, before.root, before.quality, before.bass)
        found.append(chord)
    return found


# Chords of a key by degree: semitones above the tonic, quality, and how readily they are used. The shares are of the
# order of those that Temperley and de Clercq count in rock songs (Statistical analysis of harmony and melody in rock
# music, JNMR 42(3), 2013: I 33 %, IV 23 %, V 16 %, bVII 8 %, vi 7 %).
DIATONIC: dict[str, tuple[tuple[int, str, float], ...]] = {
    "major": ((0, "maj", 0.36), (5, "maj", 0.22), (7, "maj", 0.2), (9, "min", 0.1), (2, "min", 0.08), (4, "min", 0.04)),
    "minor": ((0, "min", 0.4), (5, "min", 0.15), (7, "maj", 0.13), (7, "min", 0.06), (8, "maj", 0.11),
              (3, "maj", 0.08), (10, "maj", 0.09)),
}  # fmt: skip
STAYS = 0.12  # probability that a chord lasts another slot
FIT = 4.0  # weight of a quarter of the melody that is no chord tone, in natural logarithms


def chords_under(
    melody: Float64[np.ndarray, "note 4"],
    slots: Float64[np.ndarray, "border"],
    tonic: int,
    mode: str,
    random: np.random.Generator,
) -> list[Chord]:
    """Return chords under a tune: the likeliest path of a hidden Markov model with the chords of the key as states.

    Parameters
    ----------
    melody
        Notes of the tune.
    slots
        Borders of the slots, each of which has one chord, in quarter notes.
    tonic, mode
        Key of the tune.
    random
        Decides between chords that fit equally well.
    """
    states = DIATONIC[mode]
    prior = np.log([share for *_, share in states])
    change = np.log((1 - STAYS) * np.exp(prior))[None, :].repeat(len(states), axis=0)
    np.fill_diagonal(change, np.log(STAYS))
    n_slots = len(slots) - 1
    fit = np.zeros((n_slots, len(states)))
    for place, (start, end) in enumerate(itertools.pairwise(slots)):
        weights = durations_in(melody, start, end)
        share = weights / max(1e-9, weights.sum())
        for state, (degree, quality, _) in enumerate(states):
            inside = sum(share[(tonic + degree + interval) % 12] for interval in QUALITIES[quality])
            fit[place, state] = -FIT * (1 - inside) * min(1.0, weights.sum() / (end - start))
    fit += 0.3 * random.gumbel(size=fit.shape)
    fit[-1, 0] += 3.0  # tunes end on the tonic
    score, back = prior + fit[0], np.zeros((n_slots, len(states)), dtype=int)
    for place in range(1, n_slots):
        reached = score[:, None] + change
        back[place] = reached.argmax(axis=0)
        score = reached.max(axis=0) + fit[place]
    path = [int(score.argmax())]
    for place in range(n_slots - 1, 0, -1):
        path.append(int(back[place, path[-1]]))
    return [
        Chord(float(start), float(end), (tonic + states[state][0]) % 12, states[state][1])
        for start, end, state in zip(slots[:-1], slots[1:], path[::-1], strict=True)
    ]


def coloured(chords: Sequence[Chord], random: np.random.Generator) -> list[Chord]:
    """Return chords of which some have a seventh, another bass, or a suspended fourth that resolves.

    Shares: sevenths in a quarter of the chords, inversions in a sixth, suspensions in a twentieth, of the order of the
    annotations of popular songs (Burgoyne, Wild and Fujinaga, An expert ground truth set for audio chord recognition
    and music analysis, ISMIR 2011: Billboard).
    """
    found: list[Chord] = []
    for place, chord in enumerate(chords):
        draw = random.random()
        quality, bass = chord.quality, 0
        if draw < 0.25 and chord.quality in ("maj", "min"):
            is_dominant = place + 1 < len(chords) and (chords[place + 1].root - chord.root) % 12 == 5
            quality = "min7" if chord.quality == "min" else ("7" if is_dominant else "maj7")
        elif draw < 0.25 + 1 / 6 and place + 1 < len(chords):
            bass = int(random.choice(QUALITIES[quality][1:3]))
        if 0.45 < draw < 0.5 and chord.quality == "maj" and chord.end - chord.start >= 2:
            middle = (chord.start + chord.end) / 2
            found.append(Chord(chord.start, middle, chord.root, "sus4"))
            found.append(Chord(middle, chord.end, chord.root, quality))
            continue
        found.append(Chord(chord.start, chord.end, chord.root, quality, bass))
    return found
