"""The sensors: third-octave meters, and channels of low quality."""

import hashlib

import numpy as np
import soxr
from scipy.signal import butter, sosfiltfilt

from mirbench import Sensor, fingerprint
from mirbench.domain import Audio
from mirbench_sensors.third_octave import SAMPLE_RATE, ThirdOctaves

VERSION = 1  # raise whenever the transmitted audio changes
CHANNEL_RATE = 8000  # Hz, of a telephone
SPEECH_BAND = (300.0, 3400.0)  # Hz (ITU-T G.712)
MU = 255  # of the compression of ITU-T G.711


class LevelMeter(Sensor):
    """A sensor that keeps third-octave levels; noise with the same levels reaches the encoder.

    The phases of the noise follow from the levels: equal audio is transmitted equally.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, analysis: ThirdOctaves) -> None:
        self._analysis = analysis
        self.fingerprint = fingerprint(type(self).__name__, analysis.frame_length, analysis.hop_length, VERSION)

    def transmit(self, audio: Audio) -> Audio:
        levels = self._analysis.levels(audio)
        digest = hashlib.sha256(levels.round(6).tobytes()).digest()
        noise = self._analysis.noise(levels, [int.from_bytes(digest[:8], "big")])
        found = np.zeros(len(audio), dtype=np.float32)
        found[: min(len(audio), len(noise))] = noise[: len(audio)]
        return found


class Channel(Sensor):
    """A channel of 8 kHz: audio above 4 kHz is lost; of a telephone also the rest outside of the band of speech.

    Parameters
    ----------
    is_telephone
        If true, the band is 300 to 3,400 Hz, with 8 bits by the mu-law.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, *, is_telephone: bool) -> None:
        self._is_telephone = is_telephone
        self.fingerprint = fingerprint(type(self).__name__, int(is_telephone), VERSION)

    def transmit(self, audio: Audio) -> Audio:
        narrow = soxr.resample(audio, self.sample_rate, CHANNEL_RATE, quality="HQ")
        if self._is_telephone:
            narrow = _telephone(narrow)
        wide = soxr.resample(narrow.astype(np.float32), CHANNEL_RATE, self.sample_rate, quality="HQ")
        found = np.zeros(len(audio), dtype=np.float32)
        found[: min(len(audio), len(wide))] = wide[: len(audio)]
        return found


def _telephone(audio: np.ndarray) -> np.ndarray:
    """Filter a band without delay, and quantise to 8 bits by the mu-law."""
    filtered = sosfiltfilt(butter(3, SPEECH_BAND, "bandpass", fs=CHANNEL_RATE, output="sos"), audio, padlen=0)
    clipped = np.clip(filtered, -1, 1)
    compressed = np.sign(clipped) * np.log1p(MU * np.abs(clipped)) / np.log1p(MU)
    quantised = np.round(compressed * 127) / 127
    return np.asarray(np.sign(quantised) * np.expm1(np.abs(quantised) * np.log1p(MU)) / MU)
