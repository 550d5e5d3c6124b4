"""YAMNet (Plakal and Ellis, 2020) in eight bits, from the file that Google publishes for its Coral boards.

`models/yamnet_spectra_in.tflite` of github.com/google-coral/coralmicro (Apache-2.0): 96 frames of 64 mel bands in,
1,024 features and 521 scores of AudioSet's classes out.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from mirbench import WindowedEncoder, WindowFeatures, fingerprint
from mirbench_packaged.runtimes import TfLite

VERSION = 1  # raise whenever the numbers change
SCORES = "tower0/network/layer32/final_output:0"
EMBEDDING = "tower0/network/layer28/reduce_mean"
# github.com/tensorflow/models, research/audioset/yamnet/params.py
N_FFT, WINDOW, HOP, N_MELS, LOWEST_HZ, HIGHEST_HZ, LOG_OFFSET, PATCH = 512, 400, 160, 64, 125.0, 7500.0, 0.001, 96


class Yamnet(WindowedEncoder):
    """Patches of 0.96 s, one every 0.48 s: the 1,024 features before the classes are the frame."""

    sample_rate = 16000
    window_length = WINDOW + HOP * (PATCH - 1)
    hop_length = HOP * PATCH // 2
    n_frames = 1
    offset = window_length / 2

    def __init__(self, path: Path) -> None:
        self._network = TfLite(path, (EMBEDDING, SCORES))
        self._filters = torch.from_numpy(mel_filters())
        self.n_parameters = self._network.n_parameters
        self.fingerprint = fingerprint("Yamnet", VERSION, path.read_bytes())

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network, patch by patch."""
        patches = self.log_mel(windows).numpy()
        embeddings = np.stack([self._network(patch[None])[0].reshape(-1) for patch in patches])
        return WindowFeatures(frames=torch.from_numpy(embeddings)[:, None, None])

    def scores(self, patch: Float32[np.ndarray, "time mel"]) -> Float32[np.ndarray, "label"]:
        """Return the scores of the 521 classes for one patch."""
        return np.asarray(self._network(patch[None])[1].reshape(-1), dtype=np.float32)

    def log_mel(self, windows: Float32[torch.Tensor, "batch samples"]) -> Float32[torch.Tensor, "batch time mel"]:
        """Compute the logarithm of the mel spectrogram; frames begin at 0, none is padded."""
        framed = windows.unfold(1, WINDOW, HOP) * torch.hann_window(WINDOW)
        return torch.log(torch.fft.rfft(framed, N_FFT).abs() @ self._filters + LOG_OFFSET)


def mel_filters() -> Float32[np.ndarray, "frequency mel"]:
    """Make triangles on the mel scale of HTK, in mel, as `tf.signal.linear_to_mel_weight_matrix` does."""
    frequencies = _mel(np.fft.rfftfreq(N_FFT, 1 / Yamnet.sample_rate))
    corners = np.linspace(_mel(np.array(LOWEST_HZ)), _mel(np.array(HIGHEST_HZ)), N_MELS + 2)
    rise = (frequencies[:, None] - corners[:-2]) / (corners[1:-1] - corners[:-2])
    fall = (corners[2:] - frequencies[:, None]) / (corners[2:] - corners[1:-1])
    filters = np.maximum(0, np.minimum(rise, fall))
    filters[0] = 0
    return filters.astype(np.float32)


def _mel(hz: np.ndarray) -> np.ndarray:
    return np.asarray(1127 * np.log(1 + hz / 700))
