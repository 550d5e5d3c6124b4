"""Auditory alarm signals of IEC 60601-1-8:2006+A1:2012 (tables 3 and 4, annex F), in the form that a maker gives them.

The standard's text was not at hand. Where each number was checked:

=================================== ============================= ======================================================
quantity                            value                         checked in
=================================== ============================= ======================================================
fundamental (table 4)               150 to 1000 Hz                [1], [2], [3], [4]
harmonics (table 4)                 4 or more in 300 to 4000 Hz,  [1], [2], [3]; here four besides the fundamental, as
                                    within 15 dB of the           in [5]
                                    fundamental
pulses in a burst (table 3)         high 10, medium 3, low 1 or 2 [4], [5], [6]
pulse duration (table 4), from 90 % high 75 to 200 ms;            [4] (medium: as low)
of the rise to 90 % of the fall     medium, low 125 to 250 ms
pulse spacing (table 3), from 90 %  high 50 to 125 ms (x);        [4] (medium: as low)
of the fall to 90 % of the rise     medium, low 125 to 250 ms
pulses 3 to 4 and 8 to 9 (table 3)  2 x + pulse duration          [4]
pulses 5 to 6 (table 3)             0.35 to 1.3 s                 [4]
interval between bursts (table 3)   high 2.5 to 15 s;             [4]
                                    low more than 15 s
                                    medium 2.5 to 30 s            not checked against the standard
rise time (table 4)                 10 to 20 % of the duration    [4]
fall time (table 4)                 rise and fall no longer than  [4]
                                    the spacing
melodies (annex F)                  see `MELODIES`                [5] and [6] agree wherever both could be seen; "power
                                                                  failure" in the port of [5] and in [7] alone, whose
                                                                  table differs in the order of "temperature"
low priority                        E4 C4                         [5]
transposition                       by the maker                  [8] (melodies are compared after transposition)
higher and brighter when urgent     by the maker                  annex D names pitch and harmonics among what makes a
                                                                  sound urgent [9]; the amounts are ours
=================================== ============================= ======================================================

References
----------
[1] PUI Audio, IEC 60601-1-8 (web page). [2] Mallory Sonalert, FAQs in GlobalSpec Insights, 2023. [3] Elsmar Cove,
thread "difference between table 4 and annex D". [4] Scripts that make conforming sound files, with their ranges and
pages of the standard (wavtools and its high and low priority generators, public source code). [5] NXP AN10875, IEC
60601-1-8 audible alert generator, 2009, and W. Huiskamp's port of it, 2012. [6] C. Thompson, ISO/IEC 60601-1-8,
Patterson and other alarms (University of Sydney), 2010. [7] scottosphere.org, Human factors, 2008. [8] Viacoustics,
Medical Alarm Analyzer.
[9] Har-El, excerpts of IEC 60601-1-8, annex D.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mirbench_data_hospital_synth.signals import SAMPLE_RATE, Signal, n_samples, triple

Priority = Literal["high", "medium", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "medium", "low")

C4 = 261.63  # Hz
SEMITONES = {"C4": 0, "D4": 2, "E4": 4, "F4": 5, "F#4": 6, "G4": 7, "A4": 9, "B4": 11, "C5": 12}
MELODIES = {
    "general": ("C4", "C4", "C4", "C4", "C4"),
    "cardiac": ("C4", "E4", "G4", "G4", "C5"),
    "perfusion": ("C4", "F#4", "C4", "C4", "F#4"),
    "ventilation": ("C4", "A4", "F4", "A4", "F4"),
    "oxygen": ("C5", "B4", "A4", "G4", "F4"),
    "temperature": ("C4", "D4", "E4", "F4", "G4"),
    "drug delivery": ("C5", "D4", "G4", "C5", "D4"),
    "power failure": ("C5", "C4", "C4", "C5", "C4"),
}  # the first three notes are the medium priority, all five, played twice, the high one
LOW_MELODY = ("E4", "C4")
BETWEEN_BURSTS: dict[Priority, tuple[float, float]] = {"high": (2.5, 15.0), "medium": (2.5, 30.0), "low": (15.0, 60.0)}

LINEAR_SHARE = 0.8  # of a ramp lies between 10 % and 90 %
N_HARMONICS = 10


@dataclass(frozen=True)
class AlarmMaker:
    """Sound of the devices of one manufacturer.

    Attributes
    ----------
    transpositions
        In semitones, for high, medium and low priority.
    harmonics_db
        Of all harmonics, the fundamental first, relative to it; for the three priorities.
    durations, spacings
        Of pulses, for high priority and for the two others.
    halves
        Between pulses 5 and 6.
    rise
        Share of the duration.
    n_low
        Pulses of a low-priority burst.
    """

    transpositions: tuple[float, float, float]
    harmonics_db: tuple[tuple[float, ...], ...]
    durations: tuple[float, float]
    spacings: tuple[float, float]
    halves: float
    rise: float
    n_low: int


@dataclass(frozen=True)
class Pulse:
    """A pulse in a burst.

    Attributes
    ----------
    onset, offset
        Where it rises from and falls to silence.
    rise, fall
        Of the whole ramps.
    """

    onset: float
    rise: float
    fall: float
    offset: float
    fundamental: float


@dataclass(frozen=True)
class Alarm:
    """One burst."""

    priority: Priority
    category: str
    maker: AlarmMaker

    @property
    def duration(self) -> float:
        """Last from the first pulse's onset to the last one's offset."""
        return self.pulses()[-1].offset

    def pulses(self) -> tuple[Pulse, ...]:
        """Lay out the burst."""
        maker, is_high = self.maker, self.priority == "high"
        length, spacing = (choice[0 if is_high else 1] for choice in (maker.durations, maker.spacings))
        rise = maker.rise * length / LINEAR_SHARE
        fall = min(rise, spacing / 0.9 - rise - 0.002)  # 90 % of both ramps lie within the spacing
        if is_high:
            notes: tuple[str, ...] = 2 * MELODIES[self.category]
            pause = 2 * spacing + length
            spacings = [spacing, spacing, pause, spacing, maker.halves, spacing, spacing, pause, spacing]
        else:
            notes = LOW_MELODY[: maker.n_low] if self.priority == "low" else MELODIES[self.category][:3]
            spacings = [spacing] * (len(notes) - 1)
        onsets = np.concatenate([[0.0], np.cumsum([length + gap for gap in spacings])])
        return tuple(
            Pulse(onset, rise, fall, onset + 0.9 * rise + length + 0.9 * fall, self.fundamental(note))
            for onset, note in zip(onsets.tolist(), notes, strict=True)
        )

    def render(self, random: np.random.Generator) -> Signal:
        """Make the burst; nothing in it is random."""
        burst = np.zeros(n_samples(self.duration), dtype=np.float32)
        harmonics_db = self.maker.harmonics_db[PRIORITIES.index(self.priority)]
        for pulse in self.pulses():
            sound = _pulse(pulse, harmonics_db)
            start = n_samples(pulse.onset)
            burst[start : start + len(sound)] += sound[: len(burst) - start]
        return burst

    def fundamental(self, note: str) -> float:
        """Return the frequency of a note, in Hz."""
        transposition = self.maker.transpositions[PRIORITIES.index(self.priority)]
        return float(C4 * 2 ** ((SEMITONES[note] + transposition) / 12))


def draw_maker(random: np.random.Generator) -> AlarmMaker:
    """Draw a manufacturer's choices within the standard's limits."""
    centre, apart = random.uniform(-0.8, 0.8), random.uniform(4, 6.4, 2)
    steps = centre + np.array([apart[0], 0, -apart[1]])  # C4 at 172 to 397 Hz: five harmonics of C5 stay below 4 kHz
    return AlarmMaker(
        transpositions=triple(steps),
        harmonics_db=_draw_harmonics(random),
        durations=(float(random.uniform(0.09, 0.19)), float(random.uniform(0.13, 0.24))),
        spacings=(float(random.uniform(0.06, 0.12)), float(random.uniform(0.13, 0.24))),
        halves=float(random.uniform(0.4, 0.9)),
        rise=float(random.uniform(0.1, 0.2)),
        n_low=int(random.integers(1, 3)),
    )


def _draw_harmonics(random: np.random.Generator) -> tuple[tuple[float, ...], ...]:
    """Draw a timbre, brighter the higher the priority; harmonics 2 to 5 are within 14 dB of the fundamental."""
    shape = random.uniform(-4, 0, N_HARMONICS)
    if random.random() < 0.4:  # a harsh sound: odd harmonics in front
        shape[1::2] = random.uniform(-6, -3, N_HARMONICS // 2)
    number = np.arange(N_HARMONICS)
    timbres = []
    for brightness, drop in ((0.5, 2.0), (-1.0, 8.0), (-2.4, 16.0)):  # dB for each harmonic; of those above the fifth
        levels = shape + brightness * number - np.where(number < 5, 0, drop + random.uniform(1, 6))
        timbres.append((0.0, *levels[1:].round(2).tolist()))
    return tuple(timbres)


def _pulse(pulse: Pulse, harmonics_db: tuple[float, ...]) -> Signal:
    time = np.arange(n_samples(pulse.offset - pulse.onset)) / SAMPLE_RATE
    remaining = pulse.offset - pulse.onset - time
    envelope = np.clip(np.minimum(time / pulse.rise, remaining / pulse.fall), 0, 1)
    tone = np.zeros(len(time))
    for number, level in enumerate(harmonics_db, start=1):
        if number * pulse.fundamental < 0.45 * SAMPLE_RATE:
            tone += 10 ** (level / 20) * np.sin(2 * np.pi * number * pulse.fundamental * time)
    return (envelope * tone).astype(np.float32)
