"""Weights of trained networks: safetensors in half precision, with a header that says what they are."""

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from mirbench.errors import WeightsError, first_line
from mirbench.files import write_atomically

FORMAT = "mirbench 1"
REMEDY = "remove the file, and download or train it again"
FIELDS: Mapping[str, type] = {
    "model": str, "configuration": dict, "data": dict, "steps": int, "seed": int, "commit": str, "version": str,
    "license": str, "training": dict, "calibration": dict,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Header:
    """Header of a file of weights.

    Attributes
    ----------
    model
        The encoder's name.
    configuration
        What the network is built with, and what its training chose.
    data
        What it was trained on: names, hours, tracks, hash of the list of files.
    steps, seed
        Of the training.
    commit, version
        Of mirbench; the commit is empty where mirbench was installed from a package.
    calibration
        What is measured after training: of STONE and S-KEY the class of each reference.
    """

    model: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0
    seed: int = 0
    commit: str = ""
    version: str = ""
    license: str = "unknown"
    training: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)

    def about(self) -> dict[str, str]:
        """Return the header as titles and texts, for `mirbench info`."""
        data, training = self.data, self.training
        said = {"weights": f"{self.model}, {self.license}"}
        if self.steps:
            said["trained on"] = (
                f"{data.get('hours')} h of audio, {data.get('tracks')} tracks of {', '.join(data.get('names', ()))} "
                f"(digest {data.get('digest')})"
            )
            said["training"] = ", ".join(
                [
                    f"{self.steps} steps",
                    *(f"{name} {_short(value)}" for name, value in training.items()),
                    f"seed {self.seed}",
                ]
            )
        if self.configuration:
            said["configuration"] = ", ".join(f"{name} {value}" for name, value in self.configuration.items())
        return said


@contextmanager
def untrained() -> Iterator[Header]:
    """Build a network in here whose random weights are always the same; gives the header for it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield Header(model="untrained", license="MIT")


def shipped_weights(folder: Path, model: str) -> Path:
    """Find weights that are part of this installation.

    Raises
    ------
    WeightsError
        If they are not.
    """
    path = folder / f"{model}.safetensors"
    if not path.is_file():
        raise WeightsError(
            f"no weights of {model!r} are part of this installation; train them with 'mirbench pretrain {model} ...' "
            f"and give them with --checkpoint, or take the untrained network, {model}@random"
        )
    return path


def write_weights(path: Path, network: torch.nn.Module, header: Header) -> None:
    """Write weights and header, whole or not at all; floating-point numbers in half precision."""
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    metadata = {"format": FORMAT, **{name: json.dumps(value) for name, value in asdict(header).items()}}
    write_atomically(path, save(tensors, metadata=metadata))


def read_header(path: Path) -> Header:
    """Read the header alone.

    Raises
    ------
    WeightsError
        If it is not a file of weights that mirbench has written.
    """
    metadata = _metadata(path)
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: format {metadata.get('format')!r}; expected {FORMAT!r}, as 'mirbench pretrain' writes it"
        )
    try:
        values = {name: json.loads(value) for name, value in metadata.items() if name != "format"}
        odd = [name for name, value in values.items() if not isinstance(value, FIELDS[name])]
    except (ValueError, KeyError, RecursionError) as error:
        raise WeightsError(f"{path}: its header holds {error!s:.60}; expected {', '.join(FIELDS)}; {REMEDY}") from error
    if odd or "model" not in values:
        found = f"{odd[0]} {values[odd[0]]!r:.60}" if odd else "no model"
        raise WeightsError(f"{path}: its header holds {found}; expected what 'mirbench pretrain' writes; {REMEDY}")
    return Header(**values)


def load_weights(path: Path, model: str, network: torch.nn.Module) -> Header:
    """Fill a network, in single precision.

    Raises
    ------
    WeightsError
        If the weights are another model's, or do not fit.
    """
    header = read_header(path)
    if header.model != model:
        raise WeightsError(
            f"{path}: weights of {header.model!r}, not of {model!r}; use --encoder {header.model}@{path}"
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: damaged or cut off ({first_line(error)}); {REMEDY}") from error
    try:
        network.load_state_dict(
            {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        )
    except RuntimeError as error:
        raise WeightsError(f"{path}: the weights do not fit the network: {' '.join(str(error).split())}") from error
    return header


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file: eight bytes of length, then JSON."""
    if path.exists() and not path.is_file():
        raise WeightsError(f"{path}: not a file; expected weights as 'mirbench pretrain' writes them")
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > path.stat().st_size:
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    except (ValueError, struct.error, RecursionError) as error:
        raise WeightsError(f"{path}: not a safetensors file ({error}); {REMEDY}") from error
    found = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise WeightsError(f"{path}: not a safetensors file (its header is no table of texts); {REMEDY}")
    return found
