"""Sensors: what becomes of audio before an encoder gets it."""

from abc import ABC, abstractmethod

from mirbench.domain.encoder import Audio


class Sensor(ABC):
    """A sensor or a channel between the sound and the encoder: a telephone, or a meter that keeps levels only.

    A subclass sets both attributes and implements `transmit`.

    Attributes
    ----------
    sample_rate
        Sample rate in Hz of the audio that it takes and returns.
    fingerprint
        Changes whenever the transmitted audio does; part of the fingerprint of every encoder behind the sensor.
    """

    sample_rate: int
    fingerprint: str

    @abstractmethod
    def transmit(self, audio: Audio) -> Audio:
        """Return the audio that reaches the encoder; as many samples, the same for equal input.

        Parameters
        ----------
        audio
            Mono samples in [-1, 1] at `sample_rate`. The array must not be modified.
        """
