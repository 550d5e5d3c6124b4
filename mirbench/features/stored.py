"""Read the stored features of one encoder, clip by clip."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from mirbench.domain import Clip, Encoder, Scope
from mirbench.features.region import Region
from mirbench.features.store import FeatureStore


@dataclass(frozen=True)
class StoredFeatures:
    """Stored features of one encoder: the interface that probes use.

    Attributes
    ----------
    store
        Feature store.
    encoder
        Encoder that computed the features; it is not called.
    """

    store: FeatureStore
    encoder: Encoder

    def readouts(self, scope: Scope) -> tuple[str, ...]:
        """Return the readouts among which a task of this scope chooses on validation."""
        return self.encoder.readouts(scope)

    def n_layers(self, clip: Clip, readout: str) -> int:
        """Return the number of layers of a readout, as stored for one clip."""
        return self.store.n_layers(Region.of(clip).key(self.encoder, readout))

    def read(
        self, clip: Clip, readout: str, layer: int
    ) -> tuple[Float[np.ndarray, "*time dim"], Float64[np.ndarray, "time"]]:
        """Return one layer of a readout of a clip, and its frame times in seconds (empty for readouts of clips).

        Frames that lose next to nothing in half precision are stored, and returned, in it (see
        `mirbench.features.shards.fits_half`).

        Raises
        ------
        DamagedFeaturesError
            If the stored features are damaged.
        MirbenchError
            If there are no stored features of the clip.
        """
        return self.store.read(Region.of(clip).key(self.encoder, readout), layer)
