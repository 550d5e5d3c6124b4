"""The front end of STONE, S-KEY and MT2: a constant-Q spectrogram with the numbers of nnAudio's `VQT`.

nnAudio 0.3.4 (`features.vqt.VQT`, gamma 0, its defaults otherwise) computes one octave at a time: the clip is halved in
rate by a 256-tap low-pass filter for each octave down, and correlated with Hann-windowed complex exponentials of
`ceil(Q * rate / frequency)` samples, of unit l1 norm, every `hop_length` samples. Beyond the ends of the clip, the
filters see zeros and the exponentials see it mirrored. A network must get the numbers it was trained on, so all of
this is kept; here both steps are matrix products over a strided view of the signal, and no convolutions.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32
from scipy.signal import firwin2
from scipy.signal.windows import hann

LOWEST_HZ = 27.5
BINS_PER_OCTAVE = 12
N_BINS = 99  # 84 that a network sees, and 15 to transpose by
N_TAPS = 256
TRANSITION = 0.001  # of the low-pass filter, around half the band
BLOCK = 256  # samples that one product of the low-pass filter makes


class Vqt(torch.nn.Module):
    """Magnitudes of 99 bins from 27.5 Hz, 12 per octave; `1 + samples // hop_length` frames.

    Parameters
    ----------
    sample_rate
        16,000 Hz or more: the highest bin lies at 7,902 Hz.
    hop_length
        A multiple of 256: it is halved for each of eight octaves.
    """

    def __init__(self, sample_rate: int, hop_length: int = 512) -> None:
        super().__init__()
        n_octaves = -(-N_BINS // BINS_PER_OCTAVE)
        frequencies = LOWEST_HZ * 2 ** (np.arange(N_BINS) / BINS_PER_OCTAVE)
        if frequencies[-1] >= sample_rate / 2 or hop_length % 2 ** (n_octaves - 1):
            raise ValueError(
                f"sample rate {sample_rate} and hop length {hop_length}; expected > 15804 and a multiple of 256"
            )
        self.hop_length, self.n_octaves = hop_length, n_octaves
        self.q = 1 / (2 ** (1 / BINS_PER_OCTAVE) - 1)
        self.register_buffer("low_pass", _toeplitz(_low_pass()), persistent=False)
        lengths = np.ceil(self.q * sample_rate / frequencies)
        self.register_buffer("scale", torch.from_numpy(np.sqrt(lengths).astype(np.float32)), persistent=False)
        top = frequencies[-BINS_PER_OCTAVE:]
        for octave in range(n_octaves):
            kernels = _kernels(self.q, sample_rate / 2**octave, top / 2**octave)
            self.register_buffer(f"kernels_{octave}", torch.from_numpy(kernels), persistent=False)

    def forward(self, audio: Float32[torch.Tensor, "batch samples"]) -> Float32[torch.Tensor, "batch 99 time"]:
        """Compute the magnitudes."""
        octaves: list[torch.Tensor] = []
        for octave in range(self.n_octaves):
            if octave:
                audio = _halve(audio, self.get_buffer("low_pass"))
            kernels = self.get_buffer(f"kernels_{octave}")
            half = kernels.shape[0] // 2
            mode = "reflect" if audio.shape[-1] > half else "constant"
            padded = torch.nn.functional.pad(audio[:, None], (half, half), mode=mode)[:, 0]
            parts = padded.unfold(-1, 2 * half, self.hop_length >> octave) @ kernels
            octaves.insert(0, torch.linalg.vector_norm(parts.unflatten(-1, (2, -1)), dim=-2))
        n_frames = min(octave.shape[1] for octave in octaves)
        magnitudes = torch.cat([octave[:, :n_frames] for octave in octaves], dim=-1)[..., -N_BINS:]
        return (magnitudes * self.get_buffer("scale")).transpose(1, 2)


def _low_pass() -> Float32[np.ndarray, "tap"]:
    """Keep the lower half of the band."""
    edges = [0.0, 0.5 / (1 + TRANSITION), 0.5 * (1 + TRANSITION), 1.0]
    return np.asarray(firwin2(N_TAPS, edges, [1.0, 1.0, 0.0, 0.0]), dtype=np.float32)


def _toeplitz(taps: Float32[np.ndarray, "tap"]) -> Float32[torch.Tensor, "window block"]:
    """Turn filtering and halving into a matrix: every column holds the taps, two samples further down."""
    matrix = np.zeros((2 * (BLOCK - 1) + N_TAPS, BLOCK), dtype=np.float32)
    for column in range(BLOCK):
        matrix[2 * column : 2 * column + N_TAPS, column] = taps
    return torch.from_numpy(matrix)


def _halve(
    audio: Float32[torch.Tensor, "batch samples"], matrix: Float32[torch.Tensor, "window block"]
) -> Float32[torch.Tensor, "batch halved"]:
    n_halved = audio.shape[-1] // 2
    n_blocks = -(-n_halved // BLOCK)
    before = (N_TAPS - 1) // 2
    after = (n_blocks - 1) * 2 * BLOCK + len(matrix) - before - audio.shape[-1]
    padded = torch.nn.functional.pad(audio, (before, max(0, after)))
    windows = padded.unfold(-1, len(matrix), 2 * BLOCK)[:, :n_blocks]
    return (windows @ matrix).flatten(1)[:, :n_halved]


def _kernels(
    q: float, sample_rate: float, frequencies: Float[np.ndarray, "bin"]
) -> Float32[np.ndarray, "window 2*bin"]:
    """Make one octave's exponentials, real parts beside imaginary ones."""
    lengths = np.ceil(q * sample_rate / frequencies).astype(int)
    window = int(2 ** np.ceil(np.log2(lengths.max())))
    kernels = np.zeros((window, len(frequencies)), dtype=np.complex128)
    for column, (length, frequency) in enumerate(zip(lengths, frequencies, strict=True)):
        first = -(-(window - length) // 2) - length % 2
        phase = np.arange(length) + (-length // 2)
        kernel = hann(length, sym=False) * np.exp(2j * np.pi * frequency / sample_rate * phase)
        kernels[first : first + length, column] = kernel / np.abs(kernel).sum()
    return np.concatenate([kernels.real, kernels.imag], axis=1).astype(np.float32)
