"""Unlabelled sounds of the room: ventilation, oxygen flow, heart beats of a monitor, typing, plastic.

=========================== ================================ ==========================================================
quantity                    value                            source
=========================== ================================ ==========================================================
steady noise                low frequencies predominate,     Fernandez-Zacarias et al., Diagnosis of noise inside
                            with tonal components            neonatal incubators, Acoustics 2023; Puyana-Romero et al.,
                                                             Frontiers in Pediatrics 2021 (mains harmonics, fans)
mains                       50 or 60 Hz                      general knowledge
oxygen flow                 a hiss around 2 to 7 kHz         general knowledge, not checked
heart beats                 newborns 110 to 160, adults 60   general knowledge, not checked
                            to 100 a minute
beep                        a tone of 60 to 100 ms, almost   chosen unlike IEC 60601-1-8's pulses, which need four
                            pure                             harmonics; not checked against any monitor
typing, plastic, levels     see the code                     chosen for plausibility, not checked
=========================== ================================ ==========================================================
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from mirbench_data_hospital_synth.signals import (
    SAMPLE_RATE,
    Curve,
    Signal,
    Triple,
    band_noise,
    faded,
    n_samples,
    repeated,
    ringing,
    triple,
    unit,
    wandering,
)


@dataclass(frozen=True)
class Background:
    """The steady noise of a room.

    Attributes
    ----------
    level_db
        Below full scale.
    corner
        Where the noise begins to fall, in Hz.
    slope_db
        Of that fall, per octave.
    hiss, hiss_db
        Middle of the oxygen flow's noise in Hz, and its loudness.
    mains, hum_db
        Of the hum.
    fan, fan_db
        Of a fan's tone.
    """

    level_db: float
    corner: float
    slope_db: float
    hiss: float
    hiss_db: float
    mains: float
    hum_db: float
    fan: float
    fan_db: float

    def render(self, random: np.random.Generator, seconds: float) -> Signal:
        """Make the noise, of root mean square 1; tones lie on the bins of the clip's spectrum."""
        length = n_samples(seconds)
        spectrum = fft.rfft(random.standard_normal(length, dtype=np.float32))
        frequencies = np.maximum(np.arange(len(spectrum)) / seconds, 1.0)
        spectrum *= self._gain(frequencies).astype(np.float32)
        for frequency, level in self._tones():
            phase = np.exp(2j * np.pi * random.random())
            spectrum[round(frequency * seconds)] += length / 2 * 10 ** (level / 20) * phase
        noise = fft.irfft(spectrum, length)
        drift = 10 ** (0.8 * wandering(random, length, 0.7) / 20)
        return unit((noise * drift).astype(np.float32))

    def _gain(self, frequencies: Curve) -> Curve:
        fall = (1 + (frequencies / self.corner) ** 2) ** (-self.slope_db / 12.04)
        rise = frequencies**2 / (frequencies**2 + 40**2)  # microphones and small rooms lose the lowest octave
        octaves = np.log2(frequencies / self.hiss)
        flow = 10 ** (self.hiss_db / 20) * np.exp(-(octaves**2) / 0.7)
        return np.asarray(0.2 * (rise * fall + flow))

    def _tones(self) -> list[tuple[float, float]]:
        hum = [(self.mains * number, self.hum_db - 3 * abs(number - 2)) for number in range(1, 7)]
        return [*hum, (self.fan, self.fan_db), (2 * self.fan, self.fan_db - 8)]


@dataclass(frozen=True)
class HeartBeeps:
    """A monitor that beeps at every heart beat.

    Attributes
    ----------
    rate
        Beats a minute.
    pitch
        In Hz.
    beep
        Length of one.
    """

    duration: float
    rate: float
    pitch: float
    beep: float

    def render(self, random: np.random.Generator) -> Signal:
        """Make almost pure tones at almost equal distances."""
        count = int(self.duration * self.rate / 60) + 1
        beats = np.cumsum(60 / self.rate * (1 + random.normal(0, 0.015, count))) - 60 / self.rate * random.random()
        time = np.arange(n_samples(self.beep)) / SAMPLE_RATE
        tone = np.sin(2 * np.pi * self.pitch * time) + 0.04 * np.sin(4 * np.pi * self.pitch * time)
        return repeated(faded(tone.astype(np.float32), 0.012), beats.tolist(), [1.0] * count, n_samples(self.duration))


@dataclass(frozen=True)
class Typing:
    """Keys of a keyboard, at a number a second."""

    duration: float
    rate: float
    modes: Triple

    def render(self, random: np.random.Generator) -> Signal:
        """Make clicks at irregular times."""
        times = np.cumsum(random.gamma(3, 1 / (3 * self.rate), int(2 * self.rate * self.duration) + 1))
        key = ringing(self.modes, (0.03, 0.02, 0.015), (0.0, -2.0, -4.0), 0.04)
        levels = random.uniform(0.4, 1, len(times))
        return repeated(key, times.tolist(), levels.tolist(), n_samples(self.duration))


@dataclass(frozen=True)
class Rustling:
    """Plastic that is unwrapped: crackles in a high band."""

    duration: float
    low: float

    def render(self, random: np.random.Generator) -> Signal:
        """Make noise whose loudness jumps."""
        length = n_samples(self.duration)
        crackle = np.exp(1.2 * wandering(random, length, 60.0)) * np.exp(0.8 * wandering(random, length, 3.0))
        return faded(unit(crackle * band_noise(random, length, self.low, 11000.0)), 0.05)


def draw_background(random: np.random.Generator) -> Background:
    """Draw a room's steady noise."""
    return Background(
        level_db=float(random.uniform(-48, -40)),
        corner=float(random.uniform(80, 300)),
        slope_db=float(random.uniform(4, 8)),
        hiss=float(random.uniform(2000, 7000)),
        hiss_db=float(random.uniform(-45, -24)),
        mains=float(random.choice([50.0, 60.0])),
        hum_db=float(random.uniform(-50, -25)),
        fan=float(random.uniform(110, 420)),
        fan_db=float(random.uniform(-55, -30)),
    )


def draw_beeps(random: np.random.Generator, seconds: float, is_neonatal: bool) -> HeartBeeps:
    """Draw a monitor's beeps."""
    rate = random.uniform(110, 160) if is_neonatal else random.uniform(60, 100)
    return HeartBeeps(seconds, float(rate), float(random.uniform(350, 1100)), float(random.uniform(0.06, 0.1)))


def draw_distractor(random: np.random.Generator) -> Typing | Rustling:
    """Draw typing or rustling of 1 to 4 s."""
    seconds = float(random.uniform(1, 4))
    if random.random() < 0.5:
        modes = triple(random.uniform(1200, 2500) * np.array([1, 1.8, 2.9]))
        return Typing(seconds, float(random.uniform(3, 8)), modes)
    return Rustling(seconds, float(random.uniform(1500, 4000)))
