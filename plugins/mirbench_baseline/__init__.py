"""Baselines: chroma, logmel, mfcc, and the floor: random."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Encoder


def load_chroma(device: str) -> "Encoder":
    """Load `chroma`."""
    from mirbench_baseline.encoder import Chroma

    return Chroma(device)


def load_logmel(device: str) -> "Encoder":
    """Load `logmel`."""
    from mirbench_baseline.encoder import LogMel

    return LogMel(device)


def load_mfcc(device: str) -> "Encoder":
    """Load `mfcc`."""
    from mirbench_baseline.encoder import Mfcc

    return Mfcc(device)


def load_random(device: str) -> "Encoder":
    """Load `random`."""
    from mirbench_baseline.random_network import RandomNetwork

    return RandomNetwork(device)


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer the baselines."""
    yield EncoderSpec(
        name="chroma",
        load=load_chroma,
        sample_rate=22050,
        frame_rate=22050 / 1024,
        n_dims=12,
        description="constant-Q chroma: 12 pitch classes, 21.5 frames/s",
        license="MIT",
        citation="Fujishima, Realtime chord recognition of musical sound, ICMC 1999",
    )
    yield EncoderSpec(
        name="logmel",
        load=load_logmel,
        sample_rate=22050,
        frame_rate=22050 / 512,
        n_dims=128,
        description="log mel spectrogram: 128 bands, 43 frames/s",
        license="MIT",
        citation="Slaney, Auditory Toolbox, Interval Research 1998-010",
    )
    yield EncoderSpec(
        name="mfcc",
        load=load_mfcc,
        sample_rate=22050,
        frame_rate=22050 / 512,
        n_dims=20,
        description="mel-frequency cepstrum: 20 coefficients, 43 frames/s",
        license="MIT",
        citation="Davis and Mermelstein, IEEE Trans. ASSP 28(4), 1980",
    )
    yield EncoderSpec(
        name="random",
        load=load_random,
        n_parameters=1_791_936,
        sample_rate=16000,
        frame_rate=25.0,
        n_dims=192,
        description="NOT TRAINED: a small transformer with random weights (seed 0), the floor for trained encoders",
        license="MIT",
    )
