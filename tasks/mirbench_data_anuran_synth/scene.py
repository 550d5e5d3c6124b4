"""The scene: how a call travels to the recorder, and the mix.

Loss with distance: spreading (1/r) and dense foliage (ISO 9613-2, table A.1) set the levels of males against each
other in the plan; air absorption (ISO 9613-1) and foliage together darken the spectrum. Reverberation is a decaying
tail of noise, weaker than the call (forests: Padgham, J. Acoust. Soc. Am. 115, 2004).

The level of every male is *measured*: while his notes sound, the power in the band of his dominant frequency over the
background's power in that band. The plan says what that ratio is; the gain follows. A call is audible from
`AUDIBLE_DB` on, and the plan leaves out who is fainter: what is in the mix is in the labels, and nothing else.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Complex64, Float32, Float64

from mirbench_data_anuran_synth.background import Ambience, Signal, render_background
from mirbench_data_anuran_synth.calls import SAMPLE_RATE, Voice, read_species, sing

CLIP_SECONDS = 3.0  # as AnuraSet's windows
N_SAMPLES = round(CLIP_SECONDS * SAMPLE_RATE)
N_PADDED = 77175  # 3.5 s, of small factors: room for the tail
# Of a call in the band of its dominant frequency, a third of an octave: listeners detect tones in noise of that width
# down to some -4 dB (Fletcher, Auditory patterns, Rev. Mod. Phys. 12, 1940: the critical ratio).
AUDIBLE_DB = -4.0
PEAK = 0.9  # louder clips are turned down
TEMPERATURE_K = 297.15  # 24 degrees Celsius
HUMIDITY_PERCENT = 85.0
FOLIAGE_HZ = (63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
FOLIAGE_DB_PER_M = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.09, 0.12)  # ISO 9613-2:1996, table A.1, as remembered


@dataclass(frozen=True)
class Room:
    """A site's reverberation: decay time (60 dB), and level of the tail against the call at 10 m."""

    decay_seconds: float
    tail_db: float
    seed: int


@dataclass(frozen=True)
class Singer:
    """A male in one clip: which of his notes sound there, from how far, how much above the background."""

    voice: Voice
    distance: float
    snr_db: float
    onsets: tuple[float, ...]


def air_absorption(
    frequency: Float64[np.ndarray, "bins"],
    temperature_k: float = TEMPERATURE_K,
    humidity_percent: float = HUMIDITY_PERCENT,
) -> Float64[np.ndarray, "bins"]:
    """Compute the attenuation of air in dB per metre at sea level: ISO 9613-1:1993, equations 3 to 5 and annex B."""
    relative = temperature_k / 293.15
    saturation = 10 ** (-6.8346 * (273.16 / temperature_k) ** 1.261 + 4.6151)
    vapour = humidity_percent * saturation
    oxygen = 24 + 4.04e4 * vapour * (0.02 + vapour) / (0.391 + vapour)
    nitrogen = relative**-0.5 * (9 + 280 * vapour * np.exp(-4.170 * (relative ** (-1 / 3) - 1)))
    square = np.square(frequency)
    classical = 1.84e-11 * relative**0.5
    relaxation = 0.01275 * np.exp(-2239.1 / temperature_k) / (oxygen + square / oxygen)
    relaxation = relaxation + 0.1068 * np.exp(-3352.0 / temperature_k) / (nitrogen + square / nitrogen)
    return np.asarray(8.686 * square * (classical + relative**-2.5 * relaxation))


def excess_loss_db(frequency: Float64[np.ndarray, "bins"], distance: float) -> Float64[np.ndarray, "bins"]:
    """Return the loss beyond spreading, in dB: air and foliage."""
    octaves = np.log2(np.maximum(frequency, 20.0))
    foliage = np.interp(octaves, np.log2(FOLIAGE_HZ), FOLIAGE_DB_PER_M)
    return np.asarray(distance * (air_absorption(frequency) + foliage))


def render_scene(
    singers: tuple[Singer, ...], ambience: Ambience, room: Room, seed: list[int]
) -> Float32[np.ndarray, "samples"]:
    """Mix background and males; every male is as far above the background as the plan says."""
    sound = render_background(ambience, N_SAMPLES, [*seed, 0])
    background = _power_spectrum(sound)
    tail = _tail(room)
    for number, singer in enumerate(singers):
        call, seconds = sing(singer.voice, np.array(singer.onsets), N_SAMPLES, seed=seed[-1] + number)
        sound = sound + _received(call, seconds, singer, background, tail)
    peak = float(np.abs(sound).max())
    return np.asarray(sound * np.float32(min(1.0, PEAK / peak)), dtype=np.float32)


def snr_db(call: Signal, seconds: float, voice: Voice, background: Float32[np.ndarray, "bins"]) -> float:
    """Measure a call while it sounds against the background, in the band of its dominant frequency.

    Parameters
    ----------
    seconds
        For how long it sounds in the clip.
    background
        Power spectrum of the clip without frogs.
    """
    inside = _band(voice)
    call_power = float(_power_spectrum(call)[inside].sum()) * CLIP_SECONDS / seconds
    return 10 * float(np.log10(call_power / float(background[inside].sum())))


def _received(
    call: Signal,
    seconds: float,
    singer: Singer,
    background: Float32[np.ndarray, "bins"],
    tail: Complex64[np.ndarray, "padded"],
) -> Signal:
    frequencies = scipy.fft.rfftfreq(N_PADDED, 1 / SAMPLE_RATE)
    loss = excess_loss_db(frequencies[::50], singer.distance)
    response = np.interp(frequencies, frequencies[::50], 10 ** (-loss / 20)).astype(np.float32)
    spectrum = scipy.fft.rfft(call, N_PADDED) * response * (1 + np.float32(np.sqrt(singer.distance / 10)) * tail)
    heard = np.asarray(scipy.fft.irfft(spectrum, N_PADDED)[:N_SAMPLES], dtype=np.float32)
    gain_db = singer.snr_db - snr_db(heard, seconds, singer.voice, background)
    return np.asarray(heard * np.float32(10 ** (gain_db / 20)), dtype=np.float32)


def _tail(room: Room) -> Complex64[np.ndarray, "padded"]:
    random = np.random.default_rng([room.seed, 2])
    n_samples = min(round(room.decay_seconds * SAMPLE_RATE), N_PADDED - N_SAMPLES)
    decay = 10 ** (-3 * np.arange(n_samples) / (room.decay_seconds * SAMPLE_RATE))
    tail = random.standard_normal(n_samples) * decay
    tail *= 10 ** (room.tail_db / 20) / np.sqrt(np.square(tail).sum())
    return np.asarray(scipy.fft.rfft(tail.astype(np.float32), N_PADDED))


def _band(voice: Voice) -> slice:
    """The bins within a sixth of an octave of the dominant frequency, and of all that it glides through."""
    start, end = read_species()[voice.code].glide
    low = voice.frequency * min(1.0, start, end) * 2 ** (-1 / 6)
    high = voice.frequency * max(1.0, start, end) * 2 ** (1 / 6)
    return slice(int(low * CLIP_SECONDS), int(np.ceil(high * CLIP_SECONDS)) + 1)


def _power_spectrum(sound: Signal) -> Float32[np.ndarray, "bins"]:
    return np.asarray(np.square(np.abs(scipy.fft.rfft(sound))), dtype=np.float32)
