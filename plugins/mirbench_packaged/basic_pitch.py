"""Basic Pitch (Bittner et al., ICASSP 2022), from the ONNX network of its package."""

import torch
from jaxtyping import Float32

from mirbench import WindowedEncoder, WindowFeatures, fingerprint
from mirbench_packaged.packages import PACKAGES
from mirbench_packaged.runtimes import Onnx

PACKAGE = PACKAGES["basic_pitch"]
VERSION = 1  # raise whenever the numbers change
NETWORK = "basic_pitch/saved_models/icassp_2022/nmp.onnx"
# In the order of the features: 264 pitch contours (three a semitone from 27.5 Hz), 88 notes, 88 onsets.
OUTPUTS = tuple(f"StatefulPartitionedCall:{number}" for number in (0, 1, 2))
N_FRAMES, HOP_LENGTH, OVERLAP = 172, 256, 30  # of a window, and of two neighbours, as published


class BasicPitch(WindowedEncoder):
    """Activations of its three heads (contours, notes, onsets), averaged over pairs of frames, 43 a second.

    Where windows overlap, they are averaged; the published code takes the first half from one and the second from the
    other.
    """

    sample_rate = 22050
    window_length = 43844
    hop_length = 2 * HOP_LENGTH
    n_frames = N_FRAMES // 2
    overlap = OVERLAP // 2
    offset = HOP_LENGTH / 2
    n_parameters = 16_782

    def __init__(self) -> None:
        path = PACKAGE.file(NETWORK)
        self._network = Onnx(path, OUTPUTS)
        self.fingerprint = fingerprint("BasicPitch", VERSION, path.read_bytes())

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network."""
        heads = [torch.from_numpy(head) for head in self._network(windows[..., None].numpy())]
        frames = torch.cat(heads, dim=2)
        return WindowFeatures(frames=frames.unflatten(1, (-1, 2)).mean(dim=2)[:, None])


def load(device: str) -> BasicPitch:
    """Load it; it runs on the processor, whatever the device.

    Raises
    ------
    WeightsError
        If the package is not installed.
    """
    return BasicPitch()
