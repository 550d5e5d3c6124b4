"""S-KEY's published checkpoint (github.com/deezer/skey @918b83d, models/skey.pt, MIT), read without running code."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mirbench.errors import WeightsError
from mirbench.files import content_hash
from mirbench_ssl.weights import Header
from mirbench_stone.network import CHANNELS, ChromaNet

SHA256 = "78dfd0ad4fa9434bf7cec70a25934b7c575bda9c80e994700140770ad3a5ead4"
# Class 0 is A major, class 12 is B minor (skey/key_detection.py; all 24 keys were checked): C major is 3, C minor 13.
CALIBRATION = {"major": 3, "minor": 13}
# The state holds three numpy scalars beside tensors; nothing else that is not torch's own is let in.
NUMPY_SCALARS: list[Any] = [
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    np.dtype,
    np.dtypes.Float64DType,
]


def load_published(path: Path, network: ChromaNet) -> Header:
    """Fill a 24-way ChromaNet.

    Raises
    ------
    WeightsError
        If it is not such a checkpoint. Nothing in the file is executed.
    """
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            content = torch.load(path, weights_only=True, map_location="cpu")
        state = {name.removeprefix("chromanet."): tensor for name, tensor in content["stone"].items()}
        network.load_state_dict(_translated(state))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: not a checkpoint of S-KEY's published code ({reason})") from error
    is_published = content_hash(path) == SHA256
    return Header(
        model="skey",
        license="MIT, deezer/skey @918b83d" if is_published else "its publisher's; not the published file",
        calibration=CALIBRATION,
    )


def _translated(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename, and turn kernels: here time comes before frequency, and channels come last."""
    found = {
        "head.weight": state["classifier.weight"][:, :, 0, 0],
        "head.bias": state["classifier.bias"],
        "norm.running_mean": state["batch_norm.running_mean"],
        "norm.running_var": state["batch_norm.running_var"],
        "norm.num_batches_tracked": state["batch_norm.num_batches_tracked"],
    }
    for number in range(len(CHANNELS)):
        halve, block = f"time_downsampling_blocks.{number}.conv", f"convnext_blocks.{number}"
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
    return found
