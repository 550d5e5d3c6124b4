"""The encoder `levels`: what a third-octave sensor keeps."""

import numpy as np

from mirbench import Encoder, Features, fingerprint
from mirbench.domain import Audio
from mirbench_sensors.third_octave import FAST, SAMPLE_RATE

VERSION = 1  # raise whenever the numbers change


class Levels(Encoder):
    """The 29 levels in dB of each frame of 125 ms."""

    sample_rate = SAMPLE_RATE
    fingerprint = fingerprint("levels", VERSION)
    is_parallel = True

    def encode(self, audio: Audio) -> Features:
        levels = FAST.levels(audio).astype(np.float32)
        times = (np.arange(len(levels)) * FAST.hop_length + FAST.frame_length / 2) / SAMPLE_RATE
        duration = len(audio) / SAMPLE_RATE
        if duration <= times[0]:
            times[0] = duration / 2
        inside = times < duration
        return Features(levels[None, inside], times[inside])
