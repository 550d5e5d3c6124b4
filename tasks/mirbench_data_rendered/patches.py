"""A small synthesiser: additive tones with formants, frequency modulation, plucked strings, drums.

Sounds are written into arrays note by note. Each patch has a family, by which its parts are tagged: a plucked string is
tagged as a guitar, a sum of steady harmonics as an organ, harmonics under the formants of a vowel as voices.

References
----------
Frequency modulation: Chowning, The synthesis of complex audio spectra by means of frequency modulation, J. Audio Eng.
Soc. 21(7), 1973; the ratios and indices below are of the kinds that paper lists (brass 1:1, bell 1:1.4, woodwind 3:1).
Plucked strings: Karplus and Strong, Digital synthesis of plucked-string and drum timbres, Computer Music Journal 7(2),
1983. Formants of vowels: Peterson and Barney, Control methods used in a study of the vowels, JASA 24(2), 1952, men's
and women's averages.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64
from scipy.signal import butter, lfilter, sosfilt

SAMPLE_RATE = 22050
Wave = Float64[np.ndarray, "sample"]
NYQUIST = SAMPLE_RATE / 2


@dataclass(frozen=True)
class Patch:
    """A sound of the synthesiser.

    Attributes
    ----------
    family
        Its tag.
    play
        Called with a frequency in Hz, a length in seconds and a source of randomness; returns the samples, which may
        last longer. For drums the frequency is that of the General MIDI key.
    """

    family: str
    play: Callable[[float, float, np.random.Generator], Wave]


def _time(seconds: float) -> Wave:
    return np.arange(max(1, round(seconds * SAMPLE_RATE))) / SAMPLE_RATE


def envelope(n_samples: int, length: float, attack: float, decay: float, sustain: float, release: float) -> Wave:
    """Return an envelope of attack, exponential decay to a sustained level, and exponential release.

    Parameters
    ----------
    n_samples
        Number of samples.
    length
        Seconds from the onset to the release.
    attack, decay, release
        Seconds of the linear attack; time constants of decay and release in seconds.
    sustain
        Level that the decay approaches, relative to the peak.
    """
    time = np.arange(n_samples) / SAMPLE_RATE
    level = np.minimum(1, time / attack) * (sustain + (1 - sustain) * np.exp(-np.maximum(0, time - attack) / decay))
    return np.asarray(level * np.exp(-np.maximum(0, time - length) / release))


def additive(
    frequency: float,
    length: float,
    random: np.random.Generator,
    *,
    harmonics: tuple[tuple[float, float], ...],
    formants: tuple[tuple[float, float], ...] = (),
    attack: float = 0.02,
    release: float = 0.06,
    sustain: float = 0.9,
    vibrato: float = 0.0,
) -> Wave:
    """Return a sum of partials.

    Parameters
    ----------
    frequency, length, random
        See `Patch.play`.
    harmonics
        Multiples of the frequency and their amplitudes.
    formants
        Centres and bandwidths in Hz of resonances that weigh the partials; none for no weighting.
    attack, release, sustain
        See `envelope`.
    vibrato
        Depth in cents, at 5 to 6 Hz.
    """
    time = _time(length + 4 * release)
    rate = random.uniform(5, 6)
    bend = vibrato / 1200 * np.log(2) * frequency / (2 * np.pi * rate) * np.cos(2 * np.pi * rate * time)
    phase = 2 * np.pi * (frequency * time - bend)
    wave = np.zeros(len(time))
    for multiple, amplitude in harmonics:
        partial_hz = multiple * frequency
        if partial_hz < 0.95 * NYQUIST:
            weight = sum(1 / (1 + ((partial_hz - centre) / width) ** 2) for centre, width in formants) or 1.0
            wave += amplitude * weight * np.sin(multiple * phase + random.uniform(0, 2 * np.pi))
    return np.asarray(wave * envelope(len(time), length, attack, 1.0, sustain, release))


def modulated(
    frequency: float,
    length: float,
    random: np.random.Generator,
    *,
    ratio: float,
    index: float,
    attack: float,
    decay: float,
    sustain: float,
    release: float,
) -> Wave:
    """Return a tone of frequency modulation whose index follows its envelope.

    Parameters
    ----------
    frequency, length, random
        See `Patch.play`.
    ratio
        Modulating frequency, as a multiple of the carrier's.
    index
        Largest index of modulation; it falls towards high notes, where sidebands would alias.
    attack, decay, sustain, release
        See `envelope`.
    """
    time = _time(length + 4 * release)
    level = envelope(len(time), length, attack, decay, sustain, release)
    bounded = min(index, max(0.0, (0.9 * NYQUIST - frequency) / (ratio * frequency) - 1))
    modulator = np.sin(2 * np.pi * ratio * frequency * time + random.uniform(0, 2 * np.pi))
    return np.asarray(level * np.sin(2 * np.pi * frequency * time + bounded * level * modulator))


def plucked(
    frequency: float,
    length: float,
    random: np.random.Generator,
    *,
    brightness: float,
    decay: float,
    position: float,
) -> Wave:
    """Return a plucked string: a burst of noise in a delay line with a low-pass filter in its loop.

    Parameters
    ----------
    frequency, length, random
        See `Patch.play`.
    brightness
        From 0 to 1: the share of the burst that the low-pass filter before the string lets pass.
    decay
        Seconds in which the fundamental falls by 60 dB.
    position
        Where the string is plucked, as a share of its length.
    """
    n_samples = len(_time(length + 0.15))
    delay = SAMPLE_RATE / frequency - 0.5  # the loop's averaging filter delays by half a sample
    whole = int(delay - 0.1)
    fraction = delay - whole
    allpass = (1 - fraction) / (1 + fraction)
    burst = np.zeros(n_samples)
    n_burst = min(whole + 1, n_samples)
    burst[:n_burst] = random.uniform(-1, 1, n_burst)
    burst = lfilter([brightness], [1, brightness - 1], burst)
    comb = max(1, round(position * whole))
    burst[comb:] -= 0.9 * burst[:-comb]
    gain = 10 ** (-3 / (decay * frequency))
    # y[n] = x[n] + gain * allpass(average(y))[n - whole], as one rational filter
    loop = gain * np.convolve([0.5, 0.5], [allpass, 1])
    denominator = np.zeros(whole + len(loop))
    denominator[:2] = 1, allpass
    denominator[whole:] -= loop
    wave = lfilter([1, allpass], denominator, burst)
    return np.asarray(wave * envelope(n_samples, length, 1e-3, 1e3, 1.0, 0.05))


def drum(
    frequency: float,
    length: float,
    random: np.random.Generator,
    *,
    tune: float,
    snap: float,
    ring: float,
) -> Wave:
    """Return a stroke of a drum kit: decaying tones for drums, filtered noise for snares and cymbals.

    Parameters
    ----------
    frequency, length, random
        See `Patch.play`; the frequency names the General MIDI key: 36 kick, 38 snare, 42 and 46 hi-hats, 51 ride.
    tune
        Factor of all frequencies.
    snap
        Share of noise in kick and snare.
    ring
        Factor of all decays.
    """
    key = round(69 + 12 * np.log2(frequency / 440))
    if key == KICK:
        time = _time(0.5)
        fall = 2 * np.pi * tune * (50 * time + 90 * 0.03 * (1 - np.exp(-time / 0.03)))
        wave = np.sin(fall) * np.exp(-time / (0.12 * ring))
        return np.asarray(wave + snap * random.normal(size=len(time)) * np.exp(-time / 0.004))
    if key == SNARE:
        time = _time(0.4)
        body = np.sin(2 * np.pi * 185 * tune * time) + 0.6 * np.sin(2 * np.pi * 330 * tune * time)
        noise = sosfilt(butter(2, 1200 * tune, "highpass", fs=SAMPLE_RATE, output="sos"), random.normal(size=len(time)))
        return np.asarray(
            (1 - snap) * body * np.exp(-time / (0.06 * ring)) + 0.7 * noise * np.exp(-time / (0.09 * ring))
        )
    decay = {CLOSED: 0.03, OPEN: 0.25, RIDE: 0.5}[key] * ring
    time = _time(min(1.5, 5 * decay))
    cut = min(0.9 * NYQUIST, (5000 if key == RIDE else 6500) * tune)
    noise = sosfilt(butter(2, cut, "highpass", fs=SAMPLE_RATE, output="sos"), random.normal(size=len(time)))
    metal = sum(np.sign(np.sin(2 * np.pi * each * tune * time)) for each in (2050.0, 3070.0, 4120.0)) / 12
    return np.asarray((0.5 * noise + (metal if key == RIDE else 0)) * np.exp(-time / decay))


KICK, SNARE, CLOSED, OPEN, RIDE = 36, 38, 42, 46, 51  # General MIDI keys
DRAWBARS = ((0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0))


def _drawbars(places: tuple[float, ...], *levels: float) -> tuple[tuple[float, float], ...]:
    return tuple(zip(places, levels, strict=False))


def _falling(power: float, n: int = 24, odd: bool = False) -> tuple[tuple[float, float], ...]:
    return tuple((float(k), k**-power) for k in range(1, n + 1, 2 if odd else 1))


_organ = partial(additive, release=0.03)
_voice = partial(additive, attack=0.09, release=0.12, vibrato=25.0)
_bow = partial(additive, attack=0.07, release=0.09, vibrato=18.0)
PATCHES: tuple[Patch, ...] = (
    # training
    Patch("guitar", partial(plucked, brightness=0.5, decay=3.0, position=0.2)),
    Patch("guitar", partial(plucked, brightness=0.9, decay=1.5, position=0.12)),
    Patch("organ", partial(_organ, harmonics=_drawbars(DRAWBARS[0], 0.8, 1.0, 0.8, 0.4))),
    Patch(
        "voices", partial(_voice, harmonics=_falling(1.0), formants=((730.0, 90.0), (1090.0, 110.0), (2440.0, 170.0)))
    ),
    Patch("brass", partial(modulated, ratio=1.0, index=5.0, attack=0.06, decay=0.3, sustain=0.7, release=0.06)),
    Patch("piano", partial(modulated, ratio=14.0, index=0.6, attack=2e-3, decay=0.8, sustain=0.05, release=0.15)),
    Patch("bass", partial(modulated, ratio=1.0, index=3.0, attack=5e-3, decay=0.4, sustain=0.3, release=0.06)),
    Patch("drums", partial(drum, tune=1.0, snap=0.3, ring=1.0)),
    # validation
    Patch("guitar", partial(plucked, brightness=0.7, decay=2.2, position=0.3)),
    Patch("organ", partial(_organ, harmonics=_drawbars(DRAWBARS[1], 1.0, 0.5, 0.3, 0.6, 0.1, 0.2))),
    Patch(
        "voices", partial(_voice, harmonics=_falling(1.2), formants=((300.0, 60.0), (870.0, 100.0), (2240.0, 150.0)))
    ),
    Patch("pipe", partial(additive, harmonics=_falling(2.2, 6), attack=0.05, release=0.07, vibrato=8.0)),
    Patch("drums", partial(drum, tune=1.2, snap=0.6, ring=0.7)),
    # test
    Patch("guitar", partial(plucked, brightness=0.35, decay=4.0, position=0.45)),
    Patch("guitar", partial(plucked, brightness=0.8, decay=1.1, position=0.25)),
    Patch("organ", partial(_organ, harmonics=_drawbars(DRAWBARS[0], 0.3, 1.0, 0.2, 0.9, 0.5, 0.6, 0.3, 0.3))),
    Patch("voices", partial(_voice, harmonics=_falling(0.9), formants=((570.0, 80.0), (840.0, 90.0), (2410.0, 160.0)))),
    Patch(
        "strings", partial(_bow, harmonics=_falling(1.1), formants=((450.0, 200.0), (1200.0, 400.0), (2900.0, 700.0)))
    ),
    Patch("reed", partial(_bow, harmonics=_falling(0.8, 15, odd=True), attack=0.04, vibrato=6.0)),
    Patch("bass", partial(plucked, brightness=0.3, decay=2.5, position=0.15)),
    Patch("piano", partial(modulated, ratio=1.0, index=1.4, attack=3e-3, decay=0.6, sustain=0.1, release=0.2)),
    Patch("drums", partial(drum, tune=0.85, snap=0.45, ring=1.3)),
    Patch("drums", partial(drum, tune=1.1, snap=0.2, ring=0.85)),
)
TRAIN, VALID, TEST = tuple(range(8)), tuple(range(8, 13)), tuple(range(13, len(PATCHES)))  # places in PATCHES
