"""The rows to which a probe is fitted: one layer of one readout, with or without context."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from mirbench.domain import Clip
from mirbench.errors import MirbenchError
from mirbench.features.stored import StoredFeatures
from mirbench.probes.context import MAX_DIMS, WINDOWS, ContextRows, Offsets, Projection, offsets_of

IN_CONTEXT = " in context"  # what the names of readouts with context end with


@dataclass(frozen=True)
class View:
    """One layer of one readout of stored features, as probes get it.

    Attributes
    ----------
    features
        Stored features.
    readout
        Name of the readout in the store.
    layer
        Layer, counted from 0.
    offsets
        Windows of the context; none for the bare readout.
    projection
        Applied to frames before they get their context; None for none.
    """

    features: StoredFeatures
    readout: str
    layer: int
    offsets: Offsets = ()
    projection: Projection | None = None

    @property
    def name(self) -> str:
        """Name of the readout in results."""
        return self.readout + (IN_CONTEXT if self.offsets else "")

    @property
    def rank(self) -> int | None:
        """Number of principal components of a frame; None if it is not projected."""
        return None if self.projection is None else self.projection.rank

    def stored_as(self, clip: Clip) -> str:
        """Return the type in which the store holds the values of a clip, such as "float16".

        Parameters
        ----------
        clip
            Clip whose features are stored.
        """
        return str(self.features.read(clip, self.readout, self.layer)[0].dtype)

    def read(self, clip: Clip) -> tuple[Any, Float64[np.ndarray, "time"]]:
        """Return the rows of a clip and the times of its frames (none for readouts of whole clips).

        Parameters
        ----------
        clip
            Clip whose features are stored.
        """
        values, times = self.features.read(clip, self.readout, self.layer)
        return (ContextRows(values, self.offsets, self.projection) if self.offsets else values), times

    def in_context(self, clips: Sequence[Clip]) -> "View | None":
        """Return the view with context; None where the frames are too far apart to have any.

        Parameters
        ----------
        clips
            Training clips, to which a projection is fitted where frames have too many dimensions.
        """
        values, times = self.features.read(clips[0], self.readout, self.layer)
        offsets = offsets_of(times)
        if not offsets:
            return None
        projection = None
        if values.shape[1] * (1 + len(offsets)) > MAX_DIMS:
            parts = [self.features.read(clip, self.readout, self.layer)[0] for clip in clips]
            projection = Projection.fitted(parts, MAX_DIMS // (1 + len(WINDOWS)))
        return View(self.features, self.readout, self.layer, offsets, projection)


def stored_readout(name: str) -> str:
    """Return the name in the store of a readout as results name it."""
    return name.removesuffix(IN_CONTEXT)


def view_named(features: StoredFeatures, name: str, layer: int, train: Sequence[Clip]) -> View:
    """Return the view that a result names.

    Parameters
    ----------
    features
        Stored features.
    name, layer
        Readout and layer of the result.
    train
        Training clips, to which a projection is fitted.

    Raises
    ------
    MirbenchError
        If the result has context and the frames are too far apart to have any.
    """
    bare = View(features, stored_readout(name), layer)
    found = bare.in_context(train) if name.endswith(IN_CONTEXT) else bare
    if found is None:
        raise MirbenchError(f"readout {name!r}: the frames of these features are too far apart to have a context")
    return found
