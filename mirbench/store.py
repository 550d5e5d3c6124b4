"""Keep features on disk, found by what they were computed from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mirbench.errors import MirbenchError
from mirbench.files import sweep, write_atomically


@dataclass(frozen=True)
class FeatureKey:
    """All that features depend on.

    Attributes
    ----------
    fingerprint
        Of the encoder.
    audio
        Hash of the file's bytes.
    start, duration
        Of the region, in seconds; None means to the end.
    """

    fingerprint: str
    audio: str
    start: float
    duration: float | None
    readout: str

    @property
    def file_name(self) -> str:
        """The name of the file that holds these features, relative to the store."""
        region = f"{self.audio} {self.start!r} {self.duration!r} {self.readout}"
        name = hashlib.sha256(region.encode()).hexdigest()[:40]
        return f"{self.fingerprint}/{name[:2]}/{name}.safetensors"


class FeatureStore:
    """One file for every clip and readout, written at once or not at all.

    Parameters
    ----------
    folder
        Several processes may use one at a time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sweep(folder)

    def __contains__(self, key: FeatureKey) -> bool:
        return (self.folder / key.file_name).is_file()

    def write(
        self, key: FeatureKey, values: Float32[np.ndarray, "layer ... dim"], times: Float64[np.ndarray, "time"]
    ) -> None:
        """Store one readout of one clip; `times` belong to its frames."""
        arrays = {"values": np.ascontiguousarray(values), "times": np.ascontiguousarray(times)}
        write_atomically(self.folder / key.file_name, save(arrays))

    def n_layers(self, key: FeatureKey) -> int:
        """Count the layers without reading them."""
        with self._open(key) as file:
            return int(file.get_slice("values").get_shape()[0])

    def read(self, key: FeatureKey, layer: int) -> tuple[Float32[np.ndarray, "*time dim"], Float64[np.ndarray, "time"]]:
        """Read one layer, and the frame times of the clip."""
        with self._open(key) as file:
            return file.get_slice("values")[layer], file.get_tensor("times")

    def _open(self, key: FeatureKey) -> "safe_open":
        path = self.folder / key.file_name
        try:
            return safe_open(path, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise MirbenchError(
                f"stored features {path} cannot be read ({error}); delete the file and rerun"
            ) from error
