"""Networks as packages bring them: parameters for torch, and the formats of other frameworks with small runtimes."""

import pickle
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mirbench.errors import WeightsError

NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def fill(network: nn.Module, path: Path) -> None:
    """Fill a network of torch from a file of its parameters; nothing in it is executed.

    Raises
    ------
    WeightsError
        If they are another network's.
    """
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:  # its text advises to run what the file holds
        raise WeightsError(f"{path}: not a file of tensors alone; install its package again") from error
    except (RuntimeError, EOFError, LookupError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split()) or "it ends too early"
        raise WeightsError(f"{path}: {reason}; if it is damaged, install its package again") from error


def fill_linear(linear: nn.Module, kernel: torch.Tensor, bias: torch.Tensor) -> None:
    """Fill a convolution or matrix from TensorFlow, which has the axes of the inputs before those of the outputs."""
    order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
    linear.load_state_dict({"weight": kernel.permute(order), "bias": bias})


def fill_norm(norm: nn.Module, tensor: Callable[[str], torch.Tensor]) -> None:
    """Fill a batch normalisation from TensorFlow; the function finds a tensor by TensorFlow's name for it."""
    filled = {ours: tensor(theirs) for ours, theirs in NORM.items()}
    norm.load_state_dict({**filled, "num_batches_tracked": torch.tensor(0)})


class TfLite:
    """A network in TensorFlow Lite's format, computed by ai-edge-litert.

    Parameters
    ----------
    outputs
        Names of tensors, in the middle of the network as well; None for its own output.

    Attributes
    ----------
    n_parameters
        Constants of the network, in floating point or in eight bits.

    Raises
    ------
    WeightsError
        If the file is another network.
    """

    def __init__(self, path: Path, outputs: Sequence[str] | None = None) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise WeightsError("ai-edge-litert is not installed; run: pip install ai-edge-litert") from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # keeping the tensors in the middle takes more memory, it says
                self._interpreter: Any = Interpreter(
                    str(path),
                    num_threads=torch.get_num_threads(),
                    experimental_preserve_all_tensors=outputs is not None,
                )
        except (ValueError, RuntimeError) as error:
            raise WeightsError(f"{path}: not a network in TensorFlow Lite's format ({error})") from error
        self.n_parameters = sum(map(self._n_constants, self._interpreter.get_tensor_details()))
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._shape: tuple[int, ...] = ()
        if outputs is None:
            self._outputs = self._interpreter.get_output_details()
        else:
            known = {details["name"]: details for details in self._interpreter.get_tensor_details()}
            absent = [name for name in outputs if name not in known]
            if absent:
                raise WeightsError(f"{path}: another network; it has no tensor {absent[0]!r}")
            self._outputs = [known[name] for name in outputs]

    def __call__(self, values: np.ndarray) -> list[np.ndarray]:
        """Compute the outputs for one input; quantised ones as the numbers that they stand for."""
        if values.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, values.shape)
            self._interpreter.allocate_tensors()
            self._shape = values.shape
        self._interpreter.set_tensor(self._input, values.astype(np.float32))
        self._interpreter.invoke()
        return [self._value(details) for details in self._outputs]

    def _n_constants(self, details: Any) -> int:
        if details["dtype"] not in (np.float32, np.float16, np.int8):
            return 0
        try:
            return int(self._interpreter.get_tensor(details["index"]).size)
        except ValueError:  # not a constant: it has no values before the network runs
            return 0

    def _value(self, details: Any) -> np.ndarray:
        value = np.array(self._interpreter.get_tensor(details["index"]))
        scale, zero = details["quantization"]
        return value.astype(np.float32) if not scale else ((value.astype(np.float32) - zero) * scale)


class Onnx:
    """A network in ONNX, computed by onnxruntime.

    Parameters
    ----------
    outputs
        Names of its outputs.
    """

    def __init__(self, path: Path, outputs: Sequence[str]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = list(outputs)

    def __call__(self, values: np.ndarray) -> list[np.ndarray]:
        """Compute the outputs for a batch."""
        found: list[np.ndarray] = self._session.run(self._outputs, {self._input: values})
        return found
