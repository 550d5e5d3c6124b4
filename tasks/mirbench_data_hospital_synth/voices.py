"""Voices that say nothing: syllables with random vowels, and arcs as in a newborn's cry.

=========================== ================================ ==========================================================
quantity                    value                            source
=========================== ================================ ==========================================================
syllables                   3 to 5 a second                  the slow branch of the modulation spectrum of speech
                                                             (below 5 Hz: stressed syllables), Greenberg et al.,
                                                             Temporal properties of spontaneous speech, 2003
formants of vowels          F1 300 to 800, F2 900 to 2300,   the range of Peterson and Barney, Control methods used in
                            F3 2400 to 3000 Hz               a study of the vowels, JASA 1952; from memory, not checked
pitch of adults             90 to 240 Hz                     general knowledge, not checked
cry: mean, lowest and       496 +- 95, 398 +- 75, 583 +- 151 Michelsson et al., Cry characteristics of 172 healthy 1-
highest f0                  Hz; here 300 to 600 Hz           to 7-day-old infants, 2002
cry: contour                rising and falling               the same
cry: length of a burst      1.4 +- 0.6 s; here 0.5 to 1.5 s  the same
cry: breath between bursts  0.25 to 0.7 s                    general knowledge, not checked
cry: formants               1.1, 3.3 and 5.5 kHz             odd quarter waves of a tract of 8 cm; not checked
=========================== ================================ ==========================================================
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64
from scipy import fft

from mirbench_data_hospital_synth.signals import SAMPLE_RATE, Curve, Signal, band_noise, n_samples

FRAME = 1024  # samples: 32 ms
HOP = FRAME // 4
FLOOR_DB = -38.0  # where envelopes of syllables and bursts begin: just what counts as sounding

Formants = Float64[np.ndarray, "point formant"]


@dataclass(frozen=True)
class Syllable:
    """A vowel, perhaps after a hiss.

    Attributes
    ----------
    pitch
        In Hz, in its middle.
    formants
        Their frequencies in Hz.
    hiss
        Loudness of the consonant before it; 0 for none.
    """

    onset: float
    duration: float
    pitch: float
    formants: tuple[float, ...]
    hiss: float


@dataclass(frozen=True)
class Voice:
    """A phrase."""

    syllables: tuple[Syllable, ...]

    @property
    def duration(self) -> float:
        return self.syllables[-1].onset + self.syllables[-1].duration

    def render(self, random: np.random.Generator) -> Signal:
        """Make a buzz with the pitch of the syllables ring in their formants."""
        length = n_samples(self.duration)
        middles = [syllable.onset + syllable.duration / 2 for syllable in self.syllables]
        pitch = np.interp(np.arange(length) / SAMPLE_RATE, middles, [syllable.pitch for syllable in self.syllables])
        buzz = pulse_train(pitch, top=6000.0) + 0.02 * random.standard_normal(length, dtype=np.float32)
        formants = np.array([syllable.formants for syllable in self.syllables])
        voice = through_formants(buzz, np.array(middles), formants, tilt_db=-6.0, bandwidth=0.06)
        envelope, hissing = np.zeros(length), np.zeros(length)
        for syllable in self.syllables:
            start, count = n_samples(syllable.onset), n_samples(syllable.duration)
            stop = min(start + count, length)
            envelope[start:stop] += arch(count)[: stop - start]
            hissing[start : start + count // 4] += syllable.hiss * arch(count // 4)
        hiss = band_noise(random, length, 3500.0, 8000.0)
        loudness = np.sqrt(np.mean(np.square(voice)))
        return np.asarray(envelope * voice + hissing * loudness * hiss, dtype=np.float32)


@dataclass(frozen=True)
class Burst:
    """One breath of crying.

    Attributes
    ----------
    start, peak, end
        Fundamental frequencies in Hz.
    climax
        The share of the burst after which the peak is reached.
    roughness
        Of noise in the voice.
    """

    onset: float
    duration: float
    start: float
    peak: float
    end: float
    climax: float
    roughness: float


@dataclass(frozen=True)
class Cry:
    """A bout of bursts."""

    bursts: tuple[Burst, ...]
    formants: tuple[float, ...]

    @property
    def duration(self) -> float:
        return self.bursts[-1].onset + self.bursts[-1].duration

    def render(self, random: np.random.Generator) -> Signal:
        """Make every burst an arc of a rich harmonic voice; the breath between them is a soft hiss."""
        length = n_samples(self.duration)
        total = np.zeros(length, dtype=np.float32)
        for burst in self.bursts:
            sound = self._burst(random, burst)
            start = n_samples(burst.onset)
            total[start : start + len(sound)] += sound[: length - start]
        for before, after in zip(self.bursts[:-1], self.bursts[1:], strict=True):
            start, count = (
                n_samples(before.onset + before.duration),
                n_samples(after.onset) - n_samples(before.onset + before.duration),
            )
            breath = band_noise(random, count, 1200.0, 5000.0) * arch(count).astype(np.float32)
            total[start : start + count] += 0.04 * float(np.abs(total).max()) * breath
        return total

    def _burst(self, random: np.random.Generator, burst: Burst) -> Signal:
        length = n_samples(burst.duration)
        share = np.arange(length) / length
        rising = burst.start + (burst.peak - burst.start) * np.sin(np.pi / 2 * share / burst.climax)
        falling = np.cos(np.pi / 2 * np.maximum(share - burst.climax, 0) / (1 - burst.climax))
        pitch = np.where(share < burst.climax, rising, burst.end + (burst.peak - burst.end) * falling)
        pitch = pitch + 3 * np.sin(2 * np.pi * 6 * share * burst.duration)  # a little vibrato
        voice = pulse_train(pitch, top=9000.0) + burst.roughness * random.standard_normal(length, dtype=np.float32)
        voice = through_formants(voice, np.zeros(1), np.array([self.formants]), tilt_db=-4.0, bandwidth=0.12)
        return np.asarray(arch(length, ramp=0.15) * voice, dtype=np.float32)


def pulse_train(pitch: Curve, top: float) -> Signal:
    """Sum all harmonics up to a frequency, equally loud, as one closed form (Dirichlet's kernel)."""
    half = np.pi * np.cumsum(pitch) / SAMPLE_RATE
    count = int(top / pitch.max())
    below = np.sin(half)
    safe = np.where(np.abs(below) < 1e-6, 1.0, below)
    kernel = np.where(np.abs(below) < 1e-6, 2 * count + 1, np.sin((2 * count + 1) * half) / safe)
    return np.asarray((kernel - 1) / np.sqrt(2 * count), dtype=np.float32)  # without the constant, mean square 1


def through_formants(
    source: Signal, times: Float64[np.ndarray, "point"], formants: Formants, *, tilt_db: float, bandwidth: float
) -> Signal:
    """Filter by resonances in cascade that move between points in time, frame by frame.

    Parameters
    ----------
    tilt_db
        Of the source, per octave.
    bandwidth
        Of the resonances, as a share of their frequencies.
    """
    n_frames = len(source) // HOP + 4
    padded = np.zeros((n_frames + 3) * HOP, dtype=np.float32)
    padded[FRAME - HOP : FRAME - HOP + len(source)] = source
    window = np.hanning(FRAME + 1)[:-1].astype(np.float32) / 2  # four of them add up to 1
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:n_frames]
    centres = (np.arange(n_frames) * HOP + HOP - FRAME / 2) / SAMPLE_RATE
    track = np.stack([np.interp(centres, times, formant) for formant in formants.T], axis=1)
    spectra = fft.rfft(frames * window) * _resonances(track, tilt_db, bandwidth)
    pieces = fft.irfft(spectra, FRAME).reshape(n_frames, 4, HOP)
    result = np.zeros((n_frames + 3, HOP), dtype=np.float32)
    for quarter in range(4):
        result[quarter : quarter + n_frames] += pieces[:, quarter]
    return result.ravel()[FRAME - HOP : FRAME - HOP + len(source)]


def _resonances(
    track: Float64[np.ndarray, "frame formant"], tilt_db: float, bandwidth: float
) -> Float32[np.ndarray, "frame bin"]:
    frequencies = np.maximum(fft.rfftfreq(FRAME, 1 / SAMPLE_RATE), 30.0).astype(np.float32)
    gain = np.tile((frequencies / 500) ** np.float32(tilt_db / 6.02), (len(track), 1))
    for formant in track.T.astype(np.float32)[:, :, None]:
        width = 60 + bandwidth * formant
        gain *= formant**2 / np.sqrt((frequencies**2 - formant**2) ** 2 + (width * frequencies) ** 2)
    return np.asarray(gain, dtype=np.float32)


def arch(length: int, ramp: float = 0.3) -> Curve:
    """Return an envelope that rises from the floor to 1 and falls back, in dB by raised cosines."""
    count = max(1, int(ramp * length))
    fall = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    level = np.zeros(length)
    level[:count] = FLOOR_DB * (1 - fall)
    level[length - count :] = FLOOR_DB * (1 - fall[::-1])
    return np.asarray(10 ** (level / 20))


def draw_voice(random: np.random.Generator) -> Voice:
    """Draw a phrase of 1 to 3.5 s of one speaker."""
    rate, pitch, size = random.uniform(3, 5), random.uniform(90, 240), random.uniform(0.95, 1.15)
    count = max(3, round(random.uniform(1, 3.5) * rate))
    onsets = np.arange(count) / rate + np.concatenate([[0], random.uniform(-0.03, 0.03, count - 1)])
    lengths = np.append(np.diff(onsets) * random.uniform(0.85, 1.0, count - 1), 0.9 / rate)
    declination = np.linspace(1.12, 0.9, count) * np.exp(random.normal(0, 0.07, count))
    lows, highs = [300, 900, 2400, 3300], [800, 2300, 3000, 3900]
    return Voice(
        tuple(
            Syllable(
                float(onset),
                float(length),
                float(pitch * accent),
                tuple((size * random.uniform(lows, highs)).tolist()),
                float(random.uniform(0.3, 1.0) if random.random() < 0.4 else 0.0),
            )
            for onset, length, accent in zip(onsets, lengths, declination, strict=True)
        )
    )


def draw_cry(random: np.random.Generator, mean_pitch: float) -> Cry:
    """Draw a bout of 1 to 4 bursts of an infant with a mean pitch in Hz."""
    bursts: list[Burst] = []
    onset = 0.0
    for _ in range(int(random.integers(1, 5))):
        length = float(random.uniform(0.5, 1.5))
        peak = float(np.clip(mean_pitch * random.uniform(1.05, 1.25), 400, 590))
        start, end = (float(max(306, peak * share)) for share in random.uniform(0.65, 0.85, 2))
        climax, roughness = float(random.uniform(0.2, 0.6)), float(random.choice([0.02, 0.05, 0.25]))
        bursts.append(Burst(onset, length, start, peak, end, climax, roughness))
        onset += length + float(random.uniform(0.25, 0.7))
    size = random.uniform(0.92, 1.08)
    return Cry(tuple(bursts), tuple((size * np.array([1100.0, 3300.0, 5500.0])).tolist()))
