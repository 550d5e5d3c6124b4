"""The filterbank with which an encoder begins: found while it encodes noise, then measured."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Inexact
from scipy.signal import fftconvolve
from torch import nn
from torch.overrides import TorchFunctionMode

from mirbench.domain import Encoder
from mirbench.errors import EncoderError
from mirbench_filterbanks.aliasing import AliasTerms, alias_ratio, alias_terms, power_spread_db
from mirbench_filterbanks.bounds import frame_bounds, shortest_signal
from mirbench_filterbanks.statistics import expected_alias_ratio, parseval_deviation

SECONDS = 4.0  # of the noise that is encoded
SHORTEST = 32  # samples by which a waveform is recognised
SIMILAR = 0.99  # correlation from which the input of a layer is a part of the waveform
SNR_DB = 40.0  # of the noise by which the sensitivity is measured
LONGEST = 8  # kernels: length of the circular signal whose bounds are computed
N_DRAWS = 3  # of random weights
CONVOLUTIONS = (nn.functional.conv1d, nn.functional.conv2d)


@dataclass(frozen=True)
class FoundBank:
    """The first filters that a waveform meets.

    Attributes
    ----------
    layer
        "STFT", or "convolution" and the shape of its weights.
    kernels
        Real, or complex for an STFT.
    hop_length, dilation
        In samples.
    is_learned
        Whether they are weights of the network.
    """

    layer: str
    kernels: Inexact[torch.Tensor, "channel tap"]
    hop_length: int
    dilation: int = 1
    is_learned: bool = True

    @property
    def n_samples(self) -> int:
        """Length of the circular signal at which the bank is measured: a multiple of the hop, `LONGEST` kernels."""
        reach = (self.kernels.shape[1] - 1) * self.dilation + 1
        return max(shortest_signal(reach, self.hop_length), -(-LONGEST * reach // self.hop_length) * self.hop_length)


def find_bank(encoder: Encoder) -> FoundBank:
    """Return the first strided convolution over the waveform, or the STFT, that an encoder computes with torch.

    Parameters
    ----------
    encoder
        It encodes four seconds of noise.

    Raises
    ------
    EncoderError
        If neither is found.
    """
    audio = noise(encoder.sample_rate)
    with _Watcher(audio) as watcher, torch.inference_mode():
        encoder.encode(audio)
    if not watcher.found:
        raise EncoderError(
            "no filters found: the encoder neither convolves the waveform with torch nor calls torch.stft; expected "
            "one of the two"
        )
    return watcher.found[0]


def noise(sample_rate: int, seed: int = 0) -> Float32[np.ndarray, "sample"]:
    """Return white noise with an RMS of 0.1.

    Parameters
    ----------
    sample_rate
        In Hz.
    seed
        Seed of the noise.
    """
    drawn = 0.1 * np.random.default_rng(seed).standard_normal(round(SECONDS * sample_rate))
    return np.asarray(drawn, dtype=np.float32)


class _Watcher(TorchFunctionMode):
    """Collect convolutions over the waveform and calls of `torch.stft`, in their order."""

    def __init__(self, audio: Float32[np.ndarray, "sample"]) -> None:
        super().__init__()
        self.audio = audio
        self.found: list[FoundBank] = []

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        given = dict(options or {})
        if not self.found and function in (torch.stft, torch.Tensor.stft):
            settings = {**dict(zip(("hop_length", "win_length", "window"), arguments[2:], strict=False)), **given}
            self.found.append(_bank_of_stft(arguments[1] if len(arguments) > 1 else given["n_fft"], **settings))
        elif not self.found and function in CONVOLUTIONS:
            names = ("input", "weight", "bias", "stride", "padding", "dilation")
            settings = {**dict(zip(names, arguments, strict=False)), **given}
            weight = settings["weight"]
            axis = _time_axis(weight)
            if axis is not None and _is_waveform(settings["input"], axis, self.audio):
                hop, gap = (_of_axis(settings.get(name, 1), axis) for name in ("stride", "dilation"))
                kernels = weight.detach().cpu().double().flatten(1)
                self.found.append(FoundBank(f"convolution {tuple(weight.shape)}", kernels, hop, gap))
        return function(*arguments, **given)


def _bank_of_stft(
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: torch.Tensor | None = None,
    **_: object,
) -> FoundBank:
    length = win_length or n_fft
    shape = torch.ones(length) if window is None else window.detach().cpu()
    left = (n_fft - length) // 2
    padded = nn.functional.pad(shape.double(), (left, n_fft - length - left))
    angles = 2 * torch.pi / n_fft * torch.outer(torch.arange(n_fft // 2 + 1), torch.arange(n_fft)).double()
    kernels = padded * torch.polar(torch.ones_like(angles), angles)
    return FoundBank("STFT", kernels, hop_length or n_fft // 4, is_learned=False)


def _time_axis(weight: torch.Tensor) -> int | None:
    """Return the axis, from the last one, of a convolution of one input channel along one axis; None for others."""
    axes = [axis - weight.ndim for axis, size in enumerate(weight.shape) if axis > 1 and size > 1]
    return axes[0] if weight.shape[1] == 1 and len(axes) == 1 else None


def _of_axis(setting: Any, axis: int) -> int:
    """Return the stride or the dilation along an axis; torch takes one number for all."""
    return setting if isinstance(setting, int) else setting[axis if len(setting) > 1 else 0]


def _is_waveform(value: object, axis: int, audio: Float32[np.ndarray, "sample"]) -> bool:
    """Test whether an axis of a tensor holds a part of the audio, perhaps scaled and moved."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.numel() < SHORTEST:
        return False
    rows = value.detach().float().cpu().movedim(axis, -1).flatten(0, -2)
    row = rows[len(rows) // 2].double().numpy()  # the first frames of a clip may hold padding
    sounding = np.flatnonzero(row)
    if len(sounding) < 2 * SHORTEST:
        return False
    row = row[sounding[0] : sounding[-1] + 1]  # layers pad with zeros,
    row = row[len(row) // 4 : 3 * len(row) // 4]  # or mirror the ends
    row = row - row.mean()
    n = len(row)
    sums, squares = (np.concatenate([[0], np.cumsum(np.float64(audio) ** power)]) for power in (1, 2))
    mean, square = (sums[n:] - sums[:-n]) / n, (squares[n:] - squares[:-n]) / n
    products = fftconvolve(np.float64(audio), row[::-1], mode="valid")
    scale = np.sqrt(np.maximum(square - mean**2, 1e-20) * np.mean(row**2)) * n
    return bool(np.max(np.abs(products) / np.maximum(scale, 1e-20)) > SIMILAR)


def measured(bank: FoundBank) -> dict[str, Any]:
    """Measure a bank.

    Parameters
    ----------
    bank
        The filters.

    Returns
    -------
    dict
        Channels, taps, hop and dilation; `A`, `B` and `kappa_db` (exact, of circular signals of `n_samples`; A is 0 and
        kappa None where the bank is no frame); `alias_ratio`, the energy of the alias terms over that of G_0;
        `spread_db` of G_0. Of learned filters also `alias_ratio_random`, its expectation for uniform taps, and
        `kappa_db_random`, the median over three draws of uniform taps.
    """
    n_channels, n_taps = bank.kernels.shape
    bounds = frame_bounds(bank.kernels, bank.hop_length, bank.n_samples, bank.dilation)
    found: dict[str, Any] = {
        "layer": bank.layer,
        "channels": n_channels,
        "taps": n_taps,
        "hop": bank.hop_length,
        "dilation": bank.dilation,
        "n_samples": bank.n_samples,
        "A": bounds.lower,
        "B": bounds.upper,
        "kappa_db": bounds.kappa_db if bounds.lower > 0 else None,
    }
    if bank.dilation == 1:
        terms = terms_of(bank)
        found |= {"alias_ratio": alias_ratio(terms), "spread_db": power_spread_db(terms)}
    return found | (_random(bank) if bank.is_learned else {})


def _random(bank: FoundBank) -> dict[str, Any]:
    """Return what uniform random taps, as torch draws them, have in the place of a learned bank."""
    n_channels, n_taps = bank.kernels.shape
    limit = 3**0.5 * parseval_deviation(n_channels, n_taps, bank.hop_length)
    generator = torch.Generator().manual_seed(0)
    bounds = [
        frame_bounds(
            limit * (2 * torch.rand(n_channels, n_taps, generator=generator, dtype=torch.float64) - 1),
            bank.hop_length,
            bank.n_samples,
            bank.dilation,
        )
        for _ in range(N_DRAWS)
    ]
    kappas = [each.kappa_db for each in bounds if each.lower > 0]
    ratio = expected_alias_ratio(n_channels, n_taps, bank.hop_length, bank.n_samples, "uniform")
    return {"kappa_db_random": float(np.median(kappas)) if kappas else None, "alias_ratio_random": ratio}


def terms_of(bank: FoundBank) -> AliasTerms:
    """Return the alias terms of a bank without dilation."""
    return alias_terms(bank.kernels, bank.hop_length, bank.n_samples)


def sensitivity(encoder: Encoder) -> float:
    """Return the relative change of the frames over that of the input, for noise 40 dB below the input.

    Parameters
    ----------
    encoder
        Encodes white noise without and with the disturbance.
    """
    audio = noise(encoder.sample_rate)
    disturbance = noise(encoder.sample_rate, seed=1) * np.float32(10 ** (-SNR_DB / 20))
    with torch.inference_mode():
        first, second = (encoder.encode(each).frames.astype(np.float64) for each in (audio, audio + disturbance))
    of_features = np.linalg.norm(second - first) / np.linalg.norm(first)
    return float(of_features / (np.linalg.norm(disturbance) / np.linalg.norm(audio)))
