"""Sensors between sound and encoder, and the levels that a third-octave sensor keeps as an encoder of their own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mirbench import EncoderSpec, SensorSpec, hookimpl

if TYPE_CHECKING:
    import click

    from mirbench import Encoder, Sensor

TAILLEUR = (
    "Tailleur, Lagrange, Aumond and Tourre, Spectral transcoder: using pretrained urban sound classifiers on "
    "undersampled spectral representations, DCASE 2023"
)


def load_levels(device: str) -> "Encoder":
    """Load the encoder of third-octave levels."""
    from mirbench_sensors.encoder import Levels

    return Levels()


def load_fast() -> "Sensor":
    """Load the sensor with a row every 125 ms."""
    from mirbench_sensors.sensors import LevelMeter
    from mirbench_sensors.third_octave import FAST

    return LevelMeter(FAST)


def load_slow() -> "Sensor":
    """Load the sensor with a row every second."""
    from mirbench_sensors.sensors import LevelMeter
    from mirbench_sensors.third_octave import SLOW

    return LevelMeter(SLOW)


def load_narrow() -> "Sensor":
    """Load the channel with a sample rate of 8 kHz."""
    from mirbench_sensors.sensors import Channel

    return Channel(is_telephone=False)


def load_telephone() -> "Sensor":
    """Load the telephone."""
    from mirbench_sensors.sensors import Channel

    return Channel(is_telephone=True)


@hookimpl
def mirbench_sensors() -> Iterator[SensorSpec]:
    """Offer the sensors."""
    yield SensorSpec(
        name="third-octave", load=load_fast, description="29 levels every 125 ms, and noise with these levels"
    )
    yield SensorSpec(
        name="third-octave-slow", load=load_slow, description="29 levels a second, and noise with these levels"
    )
    yield SensorSpec(name="8khz", load=load_narrow, description="a sample rate of 8 kHz")
    yield SensorSpec(name="telephone", load=load_telephone, description="300 to 3,400 Hz, 8 bits by the mu-law")


@hookimpl
def mirbench_commands() -> "Iterator[click.Command]":
    """Offer `mirbench intelligibility`."""
    from mirbench_sensors.command import intelligibility_command

    yield intelligibility_command


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer the levels."""
    yield EncoderSpec(
        name="levels",
        load=load_levels,
        description="29 third-octave levels every 125 ms, as a sensor keeps them; not trained",
        sample_rate=32000,
        frame_rate=8.0,
        n_dims=29,
        license="MIT",
        citation=TAILLEUR,
    )
