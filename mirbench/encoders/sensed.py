"""Encoders of audio that has passed through a sensor."""

from collections.abc import Iterable, Iterator

from mirbench.domain import Audio, Encoder, Features, Scope
from mirbench.domain.sensor import Sensor
from mirbench.encoders.fingerprint import fingerprint
from mirbench.errors import EncoderError


class Sensed(Encoder):
    """An encoder of what a sensor transmits: the sensor is part of its input, in every split and data set.

    Parameters
    ----------
    encoder
        Encoder of the transmitted audio.
    sensor
        Sensor through which audio passes first.
    """

    def __init__(self, encoder: Encoder, sensor: Sensor) -> None:
        self._encoder, self._sensor = encoder, sensor
        self.sample_rate = sensor.sample_rate
        self.tokens, self.clip_readouts = encoder.tokens, encoder.clip_readouts
        self.n_parameters, self.about = encoder.n_parameters, {**encoder.about, "sensor": sensor.fingerprint}
        self.is_parallel = encoder.is_parallel
        self.device = str(getattr(encoder, "device", "cpu"))
        self.fingerprint = fingerprint(encoder.fingerprint, sensor.fingerprint)

    def encode(self, audio: Audio) -> Features:
        return self._encoder.encode(self._transmitted(audio))

    def encode_all(self, clips: Iterable[Audio], batch_size: int) -> Iterator[Features]:
        return self._encoder.encode_all((self._transmitted(audio) for audio in clips), batch_size)

    def readouts(self, scope: Scope) -> tuple[str, ...]:
        return self._encoder.readouts(scope)

    def _transmitted(self, audio: Audio) -> Audio:
        from mirbench.data.audio import resample

        found = self._sensor.transmit(audio)
        if found.shape != audio.shape:
            raise EncoderError(
                f"the sensor returned {found.shape[0]} samples of {audio.shape[0]}; expected as many as it gets"
            )
        return resample(found, self.sample_rate, self._encoder.sample_rate)
