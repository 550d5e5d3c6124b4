"""The API of the HEAR benchmark (hearbenchmark.com/hear-api.html), 2021.

A module has `load_model(path="")`, which returns a model with `sample_rate`; `get_timestamp_embeddings(audio, model)`,
which returns embeddings `[sound, time, dim]` and their times in milliseconds `[sound, time]`; and
`get_scene_embeddings(audio, model)`, which returns `[sound, dim]`. Audio is a tensor `[sound, samples]` in [-1, 1].
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from mirbench import Encoder, EncoderError, Features, fingerprint
from mirbench.domain import Audio
from mirbench.errors import UsageError, WeightsError
from mirbench.files import content_hash

FUNCTIONS = ("load_model", "get_timestamp_embeddings", "get_scene_embeddings")
VERSION = 1  # raise whenever the numbers change


class HearEncoder(Encoder):
    """One layer of frames, the timestamp embeddings; and the token "scene".

    The fingerprint holds the module's file, the weights' file, and, if the model is a torch network, all its weights.
    Code that the module imports is not part of it: `mirbench` cannot see that it has changed.

    Parameters
    ----------
    reference
        `MODULE` or `MODULE:WEIGHTS`; the module is imported, the path of the weights given to `load_model`.

    Raises
    ------
    UsageError
        If there is no such module, or it lacks a function.
    WeightsError
        If the weights are not there.
    """

    tokens = ("scene",)

    def __init__(self, reference: str, device: str = "cpu") -> None:
        name, _, weights = reference.partition(":")
        if weights and not Path(weights).exists():
            raise WeightsError(f"hear:{reference}: no such file or folder {weights!r}")
        self._module = _import(name)
        self._model = self._module.load_model(weights) if weights else self._module.load_model()
        self.device = device
        parts: list[Any] = [name, Path(str(self._module.__file__)).read_bytes()]
        if weights and Path(weights).is_file():
            parts.append(content_hash(Path(weights)))
        if isinstance(self._model, torch.nn.Module):
            self._model = self._model.eval().to(device)
            parts.append(self._model)
            self.n_parameters = sum(parameter.numel() for parameter in self._model.parameters())
        self.sample_rate = int(self._model.sample_rate)
        self.fingerprint = fingerprint("HearEncoder", VERSION, *parts)

    def encode(self, audio: Audio) -> Features:
        """Turn one clip into features."""
        sound = torch.from_numpy(audio.copy())[None].to(self.device)
        with torch.no_grad():
            embeddings, milliseconds = self._module.get_timestamp_embeddings(sound, self._model)
            scene = self._module.get_scene_embeddings(sound, self._model)
        frames, times = _array(embeddings), _array(milliseconds).astype(np.float64) / 1000
        if frames.ndim != 3 or len(frames) != 1 or times.shape != frames.shape[:2] or _array(scene).ndim != 2:
            raise EncoderError(
                f"{self._module.__name__} returned embeddings {frames.shape}, times {times.shape} and a scene "
                f"{_array(scene).shape}; expected [1, time, dim], [1, time] and [1, dim]"
            )
        inside = (times[0] >= 0) & (times[0] <= len(audio) / self.sample_rate)
        return Features(frames[:, inside], times[0, inside], tokens={"scene": _array(scene)})


def _array(values: Any) -> np.ndarray:
    """Turn a tensor of torch, TensorFlow or JAX into an array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().float()
    return np.asarray(values, dtype=np.float32)


def _import(name: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"hear:{name}: the module cannot be imported ({error}); is its package installed?") from error
    missing = [function for function in FUNCTIONS if not callable(getattr(module, function, None))]
    if missing:
        raise UsageError(
            f"hear:{name}: the module has no {', '.join(missing)}; HEAR's API asks for {', '.join(FUNCTIONS)}"
        )
    return module
