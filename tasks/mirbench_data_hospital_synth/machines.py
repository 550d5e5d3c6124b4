"""Ventilator and trolley.

=========================== ================================ ==========================================================
quantity                    value                            source
=========================== ================================ ==========================================================
newborn's ventilator        30 to 60 a minute, inspiration   Klein, Use of mechanical ventilation in the neonate
                            0.3 to 0.5 s                     (University of Iowa): both; at 60 a minute that is an I:E
                                                             of 1:1 to 1:2.3
adult's ventilator          12 to 20 a minute                general knowledge, not checked
I:E                         1:1.5 to 1:2, so that slow       general knowledge, not checked
                            breaths have longer inspirations
rolling noise               roughness of wheel and floor,    Edwards et al., Development of a prediction model for
                            at the speed of rolling          indoor rolling noise, 2021 (the mechanism; not the numbers)
speed, wheel                0.6 to 1.2 m/s, 10 to 12.5 cm    general knowledge (castors of 100 and 125 mm), not checked
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
    faded,
    n_samples,
    repeated,
    ringing,
    triple,
    wandering,
)


@dataclass(frozen=True)
class VentilatorModel:
    """A ventilator and its settings.

    Attributes
    ----------
    rate
        Breaths a minute.
    inspiration
        Share of the cycle.
    inhale, exhale
        Lower and upper edge of the noise, in Hz.
    flow_db
        Of the flow that never stops.
    click_db
        Of the valves.
    """

    rate: float
    inspiration: float
    inhale: tuple[float, float]
    exhale: tuple[float, float]
    flow_db: float
    click_db: float


@dataclass(frozen=True)
class Ventilator:
    """A run of breaths, from the first inspiration's start to the last expiration's end."""

    model: VentilatorModel
    n_breaths: int

    @property
    def duration(self) -> float:
        return self.n_breaths * 60 / self.model.rate

    def render(self, random: np.random.Generator) -> Signal:
        """Make air flow in, and more softly out."""
        model, length = self.model, n_samples(self.duration)
        cycle = 60 / model.rate
        phase = (np.arange(length) / SAMPLE_RATE) % cycle
        rise, leak = 0.06 * cycle, 0.18 * cycle
        inspiring = phase < model.inspiration * cycle
        since = phase - model.inspiration * cycle
        inflow = np.where(inspiring, np.clip(phase / rise, 0, 1) * (1 - 0.4 * phase / cycle), 0)
        outflow = np.where(inspiring, 0, np.clip(since / (0.5 * rise), 0, 1) * np.exp(-np.maximum(since, 0) / leak))
        flow = 10 ** (model.flow_db / 20)
        noise = (inflow + flow) * band_noise(random, length, *model.inhale)
        noise += 0.7 * outflow * band_noise(random, length, *model.exhale)
        breaths = np.arange(self.n_breaths) * cycle
        click = ringing((420.0, 1300.0, 2900.0), (0.03, 0.02, 0.015), (0.0, -4.0, -8.0), 0.05)
        switches = [*breaths, *(breaths + model.inspiration * cycle)]
        level = 10 ** (model.click_db / 20)
        noise = noise.astype(np.float32) + repeated(click, switches, [level] * len(switches), length)
        return faded(noise, 0.005)


@dataclass(frozen=True)
class TrolleyModel:
    """A trolley on a room's floor.

    Attributes
    ----------
    edges
        Of the rolling noise, in Hz.
    diameter
        Of the wheels, in metres.
    eccentricity
        Depth of the modulation by each turn.
    rattles
        A second.
    modes
        Of what rattles, in Hz.
    joints
        Between bumps, in metres.
    """

    edges: tuple[float, float]
    diameter: float
    eccentricity: float
    rattles: float
    modes: Triple
    joints: float


@dataclass(frozen=True)
class Trolley:
    """A trolley that passes.

    Attributes
    ----------
    speed
        In metres a second.
    closest
        The share of the time after which it is loudest.
    """

    model: TrolleyModel
    duration: float
    speed: float
    closest: float

    def render(self, random: np.random.Generator) -> Signal:
        """Make wheels roll, bump and rattle."""
        model, length = self.model, n_samples(self.duration)
        time = np.arange(length) / SAMPLE_RATE
        turns = self.speed / (np.pi * model.diameter)
        wheel = 1 + model.eccentricity * np.sin(2 * np.pi * turns * time + random.uniform(0, 6.28))
        rolling = band_noise(random, length, *model.edges, tilt_db=-3.0) * wheel
        rolling *= 1 + 0.15 * wandering(random, length, 8.0)
        count = int(random.poisson(model.rattles * self.duration))
        times, levels = random.uniform(0, self.duration, count), random.exponential(2.5, count)
        rattle = ringing(model.modes, (0.05, 0.035, 0.025), (0.0, -3.0, -6.0), 0.06)
        bumps = np.arange(0.3, self.duration, model.joints / self.speed)
        thud = ringing((70.0, 160.0, 380.0), (0.12, 0.09, 0.05), (0.0, 0.0, -6.0), 0.15)
        total = rolling.astype(np.float32) + repeated(rattle, times.tolist(), levels.tolist(), length)
        total += repeated(thud, bumps.tolist(), [5.0] * len(bumps), length)
        distance = 1 + np.abs(time / self.duration - self.closest) * 2.5
        return faded((total / distance).astype(np.float32), 0.03)


def draw_ventilator(random: np.random.Generator, is_neonatal: bool) -> VentilatorModel:
    """Draw a ventilator, set for a newborn or for an adult."""
    rate = random.uniform(30, 60) if is_neonatal else random.uniform(12, 20)
    ratio = random.uniform(1.5, 2.0)
    low = random.uniform(250, 700)
    return VentilatorModel(
        rate=float(rate),
        inspiration=float(1 / (1 + ratio)),
        inhale=(float(low), float(low * random.uniform(3, 8))),
        exhale=(float(low * random.uniform(0.4, 0.9)), float(low * random.uniform(2, 4))),
        flow_db=float(random.uniform(-30, -22)),
        click_db=float(random.uniform(-14, 4)),
    )


def draw_breaths(random: np.random.Generator, model: VentilatorModel) -> Ventilator:
    """Draw a run of 3 to 8 s."""
    return Ventilator(model, max(2, round(random.uniform(3, 8) * model.rate / 60)))


def draw_trolley(random: np.random.Generator) -> TrolleyModel:
    """Draw a trolley."""
    modes = random.uniform(900, 2200) * np.array([1, random.uniform(1.4, 1.9), random.uniform(2.2, 3)])
    return TrolleyModel(
        edges=(float(random.uniform(60, 200)), float(random.uniform(900, 2500))),
        diameter=float(random.choice([0.1, 0.125])),
        eccentricity=float(random.uniform(0.2, 0.6)),
        rattles=float(random.uniform(3, 14)),
        modes=triple(modes),
        joints=float(random.uniform(0.6, 2.4)),
    )


def draw_passage(random: np.random.Generator, model: TrolleyModel) -> Trolley:
    """Draw a passage of 2 to 6 s."""
    seconds, speed, closest = random.uniform(2, 6), random.uniform(0.6, 1.2), random.uniform(0.2, 0.8)
    return Trolley(model, float(seconds), float(speed), float(closest))
