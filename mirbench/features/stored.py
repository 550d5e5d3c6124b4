"""Read the stored features of one encoder, clip by clip."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from mirbench.domain import Clip, Encoder, Scope
from mirbench.features.region import Region
from mirbench.features.store import FeatureStore


@dataclass(frozen=True)
class StoredFeatures:
    """Features of an encoder in a store: all that probes need to know of either.

    Attributes
    ----------
    store
        The store that holds them.
    encoder
        The encoder that computed them; it is not called.
    """

    store: FeatureStore
    encoder: Encoder

    def readouts(self, scope: Scope) -> tuple[str, ...]:
        """Return the readouts that a task of a scope may choose from."""
        return self.encoder.readouts(scope)

    def n_layers(self, clip: Clip, readout: str) -> int:
        """Return the number of layers of a readout, as stored for a clip."""
        return self.store.n_layers(Region.of(clip).key(self.encoder, readout))

    def read(
        self, clip: Clip, readout: str, layer: int
    ) -> tuple[Float[np.ndarray, "*time dim"], Float64[np.ndarray, "time"]]:
        """Read one layer of a readout of a clip, and the times of its frames (none for readouts of whole clips).

        Frames that lose next to nothing in half precision are stored, and returned, in it (see
        `mirbench.features.shards.fits_half`).

        Raises
        ------
        DamagedFeaturesError
            If what is stored is not what was written.
        MirbenchError
            If nothing is stored.
        """
        return self.store.read(Region.of(clip).key(self.encoder, readout), layer)
