"""Published checkpoints of STONE, Semi-TONE (github.com/deezer/stone @9179423) and S-KEY (github.com/deezer/skey
@918b83d, models/skey.pt, MIT), read without running code.

Which class is which key differs from file to file, so that it is known for files by their content alone.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mirbench.errors import WeightsError
from mirbench.files import content_hash
from mirbench_ssl.weights import Header
from mirbench_stone.network import CHANNELS, N_CLASSES, OUTPUTS, ChromaNet


@dataclass(frozen=True)
class Published:
    """A published file.

    Attributes
    ----------
    model
        Name of its encoder.
    calibration
        Classes of C major and C minor; of 12 classes, of the signature without sharps and flats.
    """

    model: str
    license: str
    calibration: Mapping[str, int]


CALIBRATION = {"major": 3, "minor": 13}
PUBLISHED = {  # by SHA-256
    # Class 0 is A major, class 12 is B minor (skey/key_detection.py; all 24 keys were checked).
    "78dfd0ad4fa9434bf7cec70a25934b7c575bda9c80e994700140770ad3a5ead4": Published(
        "skey", "MIT, deezer/skey @918b83d", CALIBRATION
    ),
    # ckpt/semitone_ks.pt, which is STONE: class 0 is B flat major and G minor, then up by semitones.
    "d4bb627c78c164ee78bcd5472217a0943286a36b30b397d9c9da1ce33c026d73": Published(
        "stone", "none stated, deezer/stone @9179423", {"signature": 2}
    ),
    # ckpt/semisupervised_ks_mode.pt: class 0 is B minor, class 12 is D major.
    "eb7a456dcfaf53f9eba3a468071ca3f3214d2f56070d961fff8ac6434ecb3cd5": Published(
        "semitone", "none stated, deezer/stone @9179423", {"major": 22, "minor": 1}
    ),
}
# The state holds three numpy scalars beside tensors; nothing else that is not torch's own is let in.
NUMPY_SCALARS: list[Any] = [
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    np.dtype,
    np.dtypes.Float64DType,
]


def load_published(path: Path, model: str, network: ChromaNet) -> Header:
    """Fill a ChromaNet.

    Returns
    -------
    Header
        Without a calibration if the file is not one of the published ones.

    Raises
    ------
    WeightsError
        If it is not such a checkpoint, or another model's. Nothing in the file is executed.
    """
    try:
        known = PUBLISHED.get(content_hash(path))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    if known and known.model != model:
        raise WeightsError(f"{path}: weights of {known.model!r}, not of {model!r}; use --encoder {known.model}@{path}")
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            content = torch.load(path, weights_only=True, map_location="cpu")
        n_expected = OUTPUTS[model]
        state = {name.removeprefix("chromanet."): tensor for name, tensor in content["stone"].items()}
        n_outputs = N_CLASSES * len(state["classifier.weight"])
        if n_outputs != n_expected:
            others = " or ".join(f"--encoder {name}@{path}" for name, n in OUTPUTS.items() if n == n_outputs)
            raise WeightsError(
                f"{path}: {n_outputs} classes, {model!r} has {n_expected}; use {others or 'another file'}"
            )
        network.load_state_dict(_translated(state))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: not a checkpoint of the published code of STONE and S-KEY ({reason})") from error
    return Header(
        model=model,
        license=known.license if known else "its publisher's; not a published file",
        calibration=known.calibration if known else {},
    )


def _translated(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename, and turn kernels: here time comes before frequency, and channels come last."""
    found = {"head.weight": state["classifier.weight"][:, :, 0, 0], "head.bias": state["classifier.bias"]}
    is_affine = len(found["head.weight"]) == 1  # 12 classes
    if not is_affine:
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            found[f"norm.{name}"] = state[f"batch_norm.{name}"]
    for number in range(len(CHANNELS)):
        downsampling, block = f"time_downsampling_blocks.{number}", f"convnext_blocks.{number}"
        halve = f"{downsampling}.conv"
        found |= {
            f"stages.{number}.{name}": tensor
            for name, tensor in {
                "halve.weight": state[f"{halve}.weight"][:, :, 0].transpose(1, 2).flatten(1),
                "halve.bias": state[f"{halve}.bias"],
                "depthwise.weight": state[f"{block}.dwconv.weight"].transpose(2, 3),
                "depthwise.bias": state[f"{block}.dwconv.bias"],
                "expand.weight": state[f"{block}.pwconv1.weight"],
                "expand.bias": state[f"{block}.pwconv1.bias"],
                "contract.weight": state[f"{block}.pwconv2.weight"],
                "contract.bias": state[f"{block}.pwconv2.bias"],
                "scale": state[f"{block}.gamma"],
            }.items()
        }
        for own, theirs in (("norm_in", downsampling), ("norm", block)) if is_affine else ():
            for name in ("weight", "bias"):  # [bin, channel]
                found[f"stages.{number}.{own}.affine.{name}"] = state[f"{theirs}.norm.{name}"]
    return found
