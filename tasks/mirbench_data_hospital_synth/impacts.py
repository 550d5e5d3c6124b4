"""Footsteps and door.

=========================== ================================ ==========================================================
quantity                    value                            source
=========================== ================================ ==========================================================
walking                     90 to 120 steps a minute         117 +- 9 at free pace (PMC10851523); moderate walking
                                                             from 100 (Tudor-Locke et al., CADENCE-adults, 2019); slower
                                                             indoors
step: below and above       force normal to the floor;       Vibration and sound signatures of human footsteps in
500 Hz                      friction                         buildings, JASA 120, 2006 (doi 10.1121/1.2217371)
heel to toe                 90 to 160 ms                     general knowledge, not checked
bands, modes, decays,       see the code                     chosen for plausibility, not checked
levels
=========================== ================================ ==========================================================
"""

from dataclasses import dataclass

import numpy as np

from mirbench_data_hospital_synth.signals import (
    SAMPLE_RATE,
    Signal,
    Triple,
    band_noise,
    convolved,
    decaying,
    faded,
    n_samples,
    repeated,
    ringing,
    triple,
    unit,
    wandering,
)


@dataclass(frozen=True)
class Floor:
    """A floor under shoes.

    Attributes
    ----------
    thump, clack
        Modes of the heel's impact, in Hz.
    clack_db
        Of the higher modes: hard heels.
    friction
        Edges of the sole's noise, in Hz.
    friction_db
        Of that noise.
    """

    thump: tuple[float, float]
    clack: Triple
    clack_db: float
    friction: tuple[float, float]
    friction_db: float


@dataclass(frozen=True)
class Footsteps:
    """A walk.

    Attributes
    ----------
    heels
        When heels strike; the first at 0.
    levels_db
        Of the steps.
    roll
        From heel to toe.
    """

    floor: Floor
    heels: tuple[float, ...]
    levels_db: tuple[float, ...]
    roll: float

    @property
    def duration(self) -> float:
        """Last until the last toe's sound has decayed."""
        return self.heels[-1] + self.roll + 0.07

    def render(self, random: np.random.Generator) -> Signal:
        """Make every step a heel, a toe, and the friction of the sole."""
        floor, length = self.floor, n_samples(self.duration)
        levels = 10 ** (np.array(self.levels_db) / 20)
        toes = [heel + self.roll for heel in self.heels]
        thump = ringing(floor.thump, (0.14, 0.1), (0.0, -3.0), 0.16)
        clack = ringing(floor.clack, (0.05, 0.035, 0.025), (0.0, -3.0, -6.0), 0.16)
        clack *= np.float32(10 ** (floor.clack_db / 20))
        sound = repeated(thump + clack, self.heels, levels.tolist(), length)
        sound += repeated(clack + 0.3 * thump, toes, (0.4 * levels).tolist(), length)
        scrape = repeated(decaying(0.15), self.heels, levels.tolist(), length)
        scrape += repeated(decaying(0.12), toes, (0.5 * levels).tolist(), length)
        noise = band_noise(random, length, *floor.friction) * np.float32(10 ** (floor.friction_db / 20))
        return faded(sound + scrape * noise, 0.002)


@dataclass(frozen=True)
class Door:
    """A door that opens (latch, then swing) or closes (swing, then thump and latch).

    Attributes
    ----------
    swing
        How long it moves.
    creak
        Loudness of its hinges; 0 for oiled ones.
    squeaks
        How often the hinge slips, a second, at the start and at the end of the swing.
    panel
        Modes of the leaf, in Hz.
    latch
        Modes of the lock, in Hz.
    """

    is_closing: bool
    swing: float
    creak: float
    squeaks: tuple[float, float]
    panel: Triple
    latch: Triple

    @property
    def duration(self) -> float:
        """Last until the thump has lost 40 dB."""
        return self.swing + 0.16

    def render(self, random: np.random.Generator) -> Signal:
        """Make lock, hinges and leaf sound."""
        length = n_samples(self.duration)
        lock = ringing(self.latch, (0.06, 0.04, 0.03), (0.0, -2.0, -5.0), 0.08)
        snap = band_noise(random, n_samples(0.1), 300.0, 5000.0) * decaying(0.1) * np.float32(0.5)
        thump = ringing(self.panel, (0.28, 0.2, 0.12), (0.0, -2.0, -6.0), 0.29)
        begin = 0.14 if not self.is_closing else 0.0
        moving = n_samples(self.swing - begin)
        total = np.zeros(length, dtype=np.float32)
        total[n_samples(begin) :][:moving] += self._hinge(random, moving)
        if self.is_closing:
            total += repeated(thump, [self.swing], [1.0], length) + repeated(snap, [self.swing], [1.0], length)
            total += repeated(lock, [self.swing, self.swing + 0.09], [0.7, 0.4], length)
        else:
            total += repeated(lock, [0.0, 0.1], [0.8, 0.5], length) + repeated(snap, [0.0, 0.1], [0.6, 0.4], length)
            total += repeated(thump, [self.swing], [0.35], length)
        return faded(total, 0.002)

    def _hinge(self, random: np.random.Generator, length: int) -> Signal:
        """Slip and stick, and move air."""
        rates = np.geomspace(*self.squeaks, length) * np.exp(0.15 * wandering(random, length, 6.0))
        slips = np.diff(np.floor(np.cumsum(rates) / SAMPLE_RATE), prepend=0.0)
        body = ringing([3 * mode for mode in self.panel], (0.03, 0.025, 0.02), (0.0, 0.0, -3.0), 0.04)
        creaking = convolved(slips.astype(np.float32), body)[:length]
        air = band_noise(random, length, 80.0, 600.0, tilt_db=-3.0)
        return faded((0.3 * self.creak * unit(creaking) + 0.15 * air).astype(np.float32), 0.05)


def draw_floor(random: np.random.Generator) -> Floor:
    """Draw a hard floor, and the shoes that are worn on it."""
    low = random.uniform(65, 120)
    high = random.uniform(600, 1100) * np.array([1, random.uniform(1.5, 2), random.uniform(2.3, 3.2)])
    return Floor(
        thump=(float(low), float(low * random.uniform(1.8, 2.6))),
        clack=triple(high),
        clack_db=float(random.uniform(-12, 2)),
        friction=(float(random.uniform(500, 1200)), float(random.uniform(3000, 7000))),
        friction_db=float(random.uniform(-18, -8)),
    )


def draw_steps(random: np.random.Generator, floor: Floor) -> Footsteps:
    """Draw a walk of 4 to 10 steps that comes nearer, goes away, or passes."""
    count = int(random.integers(4, 11))
    cadence = random.uniform(90, 120)
    heels = np.arange(count) * 60 / cadence + np.concatenate([[0], random.normal(0, 0.012, count - 1)])
    approach = np.linspace(random.uniform(-6, 0), random.uniform(-6, 0), count)
    levels = approach + random.normal(0, 1.5, count)
    return Footsteps(floor, tuple(heels.tolist()), tuple(levels.tolist()), float(random.uniform(0.09, 0.16)))


def draw_door(random: np.random.Generator, panel: Triple, latch: Triple, creak: float) -> Door:
    """Draw a movement of a room's door."""
    slips = random.uniform(18, 60, 2)
    return Door(
        bool(random.random() < 0.5),
        float(random.uniform(0.4, 1.6)),
        creak * float(random.uniform(0.5, 1)),
        (float(slips[0]), float(slips[1])),
        panel,
        latch,
    )
