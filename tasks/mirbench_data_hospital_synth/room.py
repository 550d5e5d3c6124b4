"""Rooms: reverberation, and how loud an event is against what sounds all the time.

A position's impulse response is the direct sound (at time 0: labels are not delayed), early reflections, and noise that
decays exponentially in every octave band, cut where it has lost 60 dB.

=========================== ================================ ==========================================================
quantity                    value                            source
=========================== ================================ ==========================================================
reverberation time          0.3 to 0.9 s                     around the 0.6 s that the Danish building regulation BR18
                                                             asks of patients' rooms, which most of those measured
                                                             exceed (Ecophon, on T. M. Larsen's project)
decaying noise, early       the model                        Moorer, About this reverberation business, 1979
reflections
critical distance           0.057 sqrt(volume / time)        textbook (Kuttruff, Room acoustics), from memory
volume, distances           40 to 120 m3, 1 to 5 m           general knowledge, not checked
shorter at high             0.55 to 0.85 at 8 kHz            general knowledge (absorption by air and ceilings), not
frequencies                                                  checked
=========================== ================================ ==========================================================
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64
from scipy import fft

from mirbench_data_hospital_synth.signals import SAMPLE_RATE, Signal, n_samples

OCTAVES = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)  # Hz, the middles
N_EARLY = 8
BAND_DEPTH_DB = 10.0  # an event's bands: those that hold at most this much less than its strongest one
Bands = Float64[np.ndarray, "octave"]


@dataclass(frozen=True)
class Position:
    """Position in a room.

    Attributes
    ----------
    distance
        From the microphone, in metres.
    seed
        Of its reflections.
    """

    distance: float
    seed: int


@dataclass(frozen=True)
class Acoustics:
    """A room and the places of its sources.

    Attributes
    ----------
    volume
        In cubic metres.
    reverberation
        Time in which the middle octaves lose 60 dB.
    low, high
        Times at 125 Hz and at 8 kHz, as shares of that.
    """

    volume: float
    reverberation: float
    low: float
    high: float
    positions: tuple[Position, ...]


@lru_cache(maxsize=64)
def impulse_response(acoustics: Acoustics, position: Position) -> Signal:
    """Make the response from a position to the microphone."""
    random = np.random.default_rng(position.seed)
    shares = np.interp(np.arange(len(OCTAVES)), [0, 2, 3, 6], [acoustics.low, 1, 1, acoustics.high])
    length = n_samples(acoustics.reverberation * float(shares.max()))
    time = np.arange(length) / SAMPLE_RATE
    spectrum = fft.rfft(random.standard_normal(length, dtype=np.float32))
    frequencies = np.arange(len(spectrum)) * SAMPLE_RATE / length
    late = np.zeros(length)
    for octave, share in zip(OCTAVES, shares, strict=True):
        decay = np.exp(-np.log(1000) * time / (acoustics.reverberation * share))
        late += fft.irfft(spectrum * _octave_gain(frequencies, octave), length) * decay
    late[: n_samples(0.004)] = 0
    early = np.zeros(length)
    delays = np.sort(random.uniform(0.003, 0.035, N_EARLY))
    path = position.distance + 343 * delays
    early[[n_samples(delay) for delay in delays]] = random.choice([-1, 1], N_EARLY) * 0.8 * position.distance / path
    critical = 0.057 * np.sqrt(acoustics.volume / acoustics.reverberation)
    response = early + late * (position.distance / critical) / np.sqrt(np.square(late).sum())
    response[0] = 1.0
    return np.asarray(response, dtype=np.float32)


def _octave_gain(frequencies: Float64[np.ndarray, "bin"], octave: float) -> Float64[np.ndarray, "bin"]:
    """Share every frequency among the two nearest octaves; the outermost take all beyond them."""
    places = np.log2(np.maximum(frequencies, 1.0) / octave)
    if octave == OCTAVES[0]:
        places = np.maximum(places, 0)
    if octave == OCTAVES[-1]:
        places = np.minimum(places, 0)
    return np.asarray(np.maximum(0, 1 - np.abs(places)))


def octave_power(signal: Signal) -> Bands:
    """Measure the mean power in octave bands."""
    padded = fft.next_fast_len(len(signal), real=True)
    power = np.abs(fft.rfft(signal, padded)) ** 2
    edges = np.array([*OCTAVES, 2 * OCTAVES[-1]]) / np.sqrt(2) * padded / SAMPLE_RATE
    sums = np.add.reduceat(power, np.minimum(np.round(edges).astype(int), len(power) - 1))[: len(OCTAVES)]
    return np.asarray(sums * 2 / padded / len(signal), dtype=np.float64)


def level_db(event: Bands, background: Bands) -> float:
    """Compare an event with the background in the event's own octave bands, in dB."""
    own = event > event.max() * 10 ** (-BAND_DEPTH_DB / 10)
    return float(10 * np.log10(event[own].sum() / background[own].sum()))


def draw_acoustics(random: np.random.Generator, n_positions: int = 5) -> Acoustics:
    """Draw a room."""
    return Acoustics(
        volume=float(random.uniform(40, 120)),
        reverberation=float(random.uniform(0.3, 0.9)),
        low=float(random.uniform(0.9, 1.3)),
        high=float(random.uniform(0.55, 0.85)),
        positions=tuple(Position(float(random.uniform(1, 5)), int(random.integers(2**31))) for _ in range(n_positions)),
    )
