"""Google's speech embedding as openWakeWord ships it (Lin et al., 2020), from the package pyopen-wakeword."""

import numpy as np
import torch
from jaxtyping import Float32

from mirbench import WindowedEncoder, WindowFeatures, fingerprint
from mirbench_packaged.packages import PACKAGES
from mirbench_packaged.runtimes import TfLite

PACKAGE = PACKAGES["openwakeword"]
VERSION = 1  # raise whenever the numbers change
FOLDER = "pyopen_wakeword/models"
FULL_SCALE = 32768  # the network takes the numbers of 16-bit samples
MEL_WINDOW, MEL_HOP = 512, 160  # samples
N_MELS, STEP = 76, 8  # frames of an embedding, and between two
N_EMBEDDINGS = 50  # of a window


class OpenWakeWord(WindowedEncoder):
    """96 features of 0.775 s, 12.5 times a second."""

    sample_rate = 16000
    hop_length = STEP * MEL_HOP
    n_frames = N_EMBEDDINGS
    window_length = MEL_WINDOW + MEL_HOP * (N_MELS + STEP * (N_EMBEDDINGS - 1) - 1)
    offset = (MEL_WINDOW + MEL_HOP * (N_MELS - 1)) / 2
    shortest = MEL_WINDOW + MEL_HOP * (N_MELS - 1)

    def __init__(self) -> None:
        paths = [PACKAGE.file(f"{FOLDER}/{name}.tflite") for name in ("melspectrogram", "embedding_model")]
        self._mel, self._embedding = map(TfLite, paths)
        self.n_parameters = self._embedding.n_parameters
        self.fingerprint = fingerprint("OpenWakeWord", VERSION, *(path.read_bytes() for path in paths))

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run both networks."""
        [mel] = self._mel(windows.numpy() * FULL_SCALE)
        frames = np.lib.stride_tricks.sliding_window_view(mel[:, 0] / 10 + 2, N_MELS, axis=1)[:, ::STEP]
        batch, n_frames = frames.shape[:2]
        inputs = frames.transpose(0, 1, 3, 2).reshape(batch * n_frames, N_MELS, -1, 1)
        [embeddings] = self._embedding(inputs)
        return WindowFeatures(frames=torch.from_numpy(embeddings.reshape(batch, 1, n_frames, -1)))


def load(device: str) -> OpenWakeWord:
    """Load it; it runs on the processor, whatever the device.

    Raises
    ------
    WeightsError
        If the package is not installed.
    """
    return OpenWakeWord()
