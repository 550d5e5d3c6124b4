"""The calls: what each species sings, one male's version of it, and its sound.

Everything about a species stands in `species.csv`, one row each, with ranges from which every male draws his own
numbers. The columns:

- ``frequency_*_hz``: the dominant frequency, the strongest of the harmonics; ``dominant_harmonic`` says which one it
  is, ``harmonics_db`` the levels of harmonics 1, 2, ... against it.
- ``glide_start``, ``glide_end``: frequency at the start and the end of a note against its middle (a parabola between).
- ``note_*_ms``, ``notes_*`` in a call, ``notes_per_second_*`` within it, ``calls_per_minute_*``.
- ``pulses_per_second_*`` within a note, 0 for none; ``pulse_depth`` 1 means silence between pulses.
- ``attack_share``, ``release_share``: how much of a note its rise and fall take.
- ``checked`` names what was taken from the ``source`` (frequency, harmonics, glide, note, notes, calls, pulses,
  envelope). **All other numbers are as remembered, not checked against a text**: from the description named in
  ``remembered_from``, or general knowledge of the call where none is named. They make the call recognisably of its
  kind and do not replace the literature.
- ``biome`` (cerrado, atlantic, both) and ``after_rain`` (calls mostly on wet nights) say where and when the species
  calls in this data set: choices that general knowledge suggests.

Where the source gives only a mean dominant frequency, the range is 8 % either way.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

SAMPLE_RATE = 22050  # Hz, as AnuraSet
RECORDING_SECONDS = 60.0
TABLE = Path(__file__).with_name("species.csv")
QUANTITIES = ("frequency", "harmonics", "glide", "note", "notes", "calls", "pulses", "envelope")
HIGHEST_HZ = 10000.0  # harmonics above are left out
INTERVAL_JITTER = 0.15  # standard deviation of the logarithm of a call interval
FREQUENCY_JITTER = (
    0.01  # from note to note; dominant frequency is static in a male (Koehler et al., Zootaxa 4251, 2017)
)
LEVEL_JITTER_DB = 1.5
PAUSE_SECONDS = 0.03  # at least, between two calls of a male

Range = tuple[float, float]


@dataclass(frozen=True)
class Species:
    """A row of the table; frequencies in Hz, durations in seconds, rates per second except ``calls_per_minute``."""

    code: str
    name: str
    group: str
    biome: str
    is_after_rain: bool
    frequency: Range
    dominant_harmonic: int
    harmonics_db: tuple[float, ...]
    glide: Range
    note_seconds: Range
    notes: Range
    note_rate: Range
    calls_per_minute: Range
    pulse_rate: Range
    pulse_depth: float
    attack_share: float
    release_share: float
    checked: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Voice:
    """The numbers of one male."""

    code: str
    frequency: float
    note_seconds: float
    n_notes: int
    note_rate: float
    calls_per_minute: float
    pulse_rate: float
    seed: int

    @property
    def call_seconds(self) -> float:
        """Length of a call in seconds."""
        return self.note_seconds + ((self.n_notes - 1) / self.note_rate if self.n_notes > 1 else 0.0)


@cache
def read_species() -> dict[str, Species]:
    """Read the table, by code, in its order (that of AnuraSet's columns)."""
    with TABLE.open(newline="") as file:
        return {row["code"]: _species(row) for row in csv.DictReader(file)}


def _species(row: dict[str, str]) -> Species:
    def span(name: str, unit: str = "", scale: float = 1.0) -> Range:
        return float(row[f"{name}_low{unit}"]) * scale, float(row[f"{name}_high{unit}"]) * scale

    return Species(
        code=row["code"],
        name=row["species"],
        group=row["group"],
        biome=row["biome"],
        is_after_rain=row["after_rain"] == "yes",
        frequency=span("frequency", "_hz"),
        dominant_harmonic=int(row["dominant_harmonic"]),
        harmonics_db=tuple(float(level) for level in row["harmonics_db"].split()),
        glide=(float(row["glide_start"]), float(row["glide_end"])),
        note_seconds=span("note", "_ms", 1e-3),
        notes=span("notes"),
        note_rate=span("notes_per_second"),
        calls_per_minute=span("calls_per_minute"),
        pulse_rate=span("pulses_per_second"),
        pulse_depth=float(row["pulse_depth"]),
        attack_share=float(row["attack_share"]),
        release_share=float(row["release_share"]),
        checked=tuple(row["checked"].split()),
        source=row["source"],
    )


def draw_voice(species: Species, random: np.random.Generator) -> Voice:
    """Draw one male's numbers from the ranges of his species."""
    return Voice(
        code=species.code,
        frequency=float(random.uniform(*species.frequency)),
        note_seconds=float(random.uniform(*species.note_seconds)),
        n_notes=int(random.integers(int(species.notes[0]), int(species.notes[1]) + 1)),
        note_rate=float(random.uniform(*species.note_rate)),
        calls_per_minute=float(random.uniform(*species.calls_per_minute)),
        pulse_rate=float(random.uniform(*species.pulse_rate)),
        seed=int(random.integers(2**32)),
    )


def note_onsets(voice: Voice) -> Float64[np.ndarray, "note"]:
    """Return when a male's notes begin, through one minute of a recording.

    Calls come at his rate, their intervals jittered, never before the last call has ended.
    """
    random = np.random.default_rng([voice.seed, 0])
    period = max(60 / voice.calls_per_minute, voice.call_seconds + PAUSE_SECONDS)
    n_calls = int(1.5 * RECORDING_SECONDS / period) + 8
    intervals = period * np.exp(INTERVAL_JITTER * random.standard_normal(n_calls))
    intervals = np.maximum(intervals, voice.call_seconds + PAUSE_SECONDS)
    calls = np.cumsum(intervals) - intervals[0] - random.uniform(0, period)
    calls = calls[calls < RECORDING_SECONDS]
    steps = np.arange(voice.n_notes) / voice.note_rate if voice.n_notes > 1 else np.zeros(1)
    return np.asarray((calls[:, None] + steps).ravel())


def sing(
    voice: Voice, onsets: Float64[np.ndarray, "note"], n_samples: int, seed: int
) -> tuple[Float32[np.ndarray, "samples"], float]:
    """Synthesise a male's notes.

    Parameters
    ----------
    onsets
        Seconds from the first sample; notes that begin earlier or end later are cut.

    Returns
    -------
    signal
        Amplitude 1 at the peak of a note's envelope, before the jitter of its level.
    seconds
        For how long notes sound.
    """
    species = read_species()[voice.code]
    random = np.random.default_rng([voice.seed, 1, seed])
    signal = np.zeros(n_samples, np.float32)
    seconds = 0.0
    for onset in onsets:
        note = _note(species, voice, random)
        start = round(float(onset) * SAMPLE_RATE)
        inside = note[max(0, -start) : max(0, n_samples - start)]
        first = max(0, start)
        signal[first : first + len(inside)] += inside
        seconds += len(inside) / SAMPLE_RATE
    return signal, seconds


def _note(species: Species, voice: Voice, random: np.random.Generator) -> Float32[np.ndarray, "samples"]:
    frequency = voice.frequency * (1 + FREQUENCY_JITTER * random.standard_normal())
    level = 10 ** (LEVEL_JITTER_DB * random.standard_normal() / 20)
    n_samples = max(2, round(voice.note_seconds * SAMPLE_RATE))
    share = np.arange(n_samples) / n_samples
    cycles = _glide(species, share) * frequency * voice.note_seconds
    tone = np.zeros(n_samples, np.float32)
    for number, level_db in enumerate(species.harmonics_db, start=1):
        multiple = number / species.dominant_harmonic
        if multiple * frequency * max(1.0, *species.glide) < HIGHEST_HZ:
            phase = (multiple * cycles + random.random()) % 1
            tone += np.float32(10 ** (level_db / 20)) * np.sin((2 * np.pi * phase).astype(np.float32))
    envelope = _envelope(species, share) * _pulses(species, voice, share)
    return np.asarray(np.float32(level) * envelope * tone, dtype=np.float32)


def _glide(species: Species, share: Float64[np.ndarray, "samples"]) -> Float64[np.ndarray, "samples"]:
    """Integrate the frequency, against that of the middle: a parabola through start, 1 at the middle, and end."""
    start, end = species.glide
    square, slope = 2 * (start + end) - 4, 4 - 3 * start - end
    return np.asarray(start * share + slope * share**2 / 2 + square * share**3 / 3)


def _envelope(species: Species, share: Float64[np.ndarray, "samples"]) -> Float32[np.ndarray, "samples"]:
    """Rise and fall as a squared sine."""
    ramp = np.minimum(share / species.attack_share, (1 - share) / species.release_share)
    return np.asarray(np.sin(np.pi / 2 * np.minimum(ramp, 1)) ** 2, dtype=np.float32)


def _pulses(
    species: Species, voice: Voice, share: Float64[np.ndarray, "samples"]
) -> Float32[np.ndarray, "samples"] | float:
    if voice.pulse_rate == 0:
        return 1.0
    angle = 2 * np.pi * voice.pulse_rate * voice.note_seconds * share
    return np.asarray(1 - species.pulse_depth * (1 + np.cos(angle)) / 2, dtype=np.float32)
