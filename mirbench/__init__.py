"""mirbench: what do frozen audio encoders represent?

The names that plugins need, and the Python API: `run`, `leaderboard`, `compare` and `encoder`, with the types that they
return: `Results`, `Table` and `Comparison`; and `load_encoder` and `load_sensors` by name. They are imported when first
used, so that offering a plugin stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mirbench.errors import AudioError, DatasetError, EncoderError, MirbenchError, MissingDataError
from mirbench.hookspecs import hookimpl
from mirbench.specs import DatasetRequest, DatasetSpec, EncoderSpec, SensorSpec, SuiteSpec, TaskSpec

if TYPE_CHECKING:
    from mirbench.domain import (
        Clip,
        ClipMetric,
        Dataset,
        Encoder,
        Features,
        LabelledIntervals,
        Result,
        Sensor,
        SetMetric,
        Task,
    )
    from mirbench.encoders.fingerprint import fingerprint
    from mirbench.encoders.function import encoder
    from mirbench.encoders.references import find_weights
    from mirbench.encoders.windows import WindowedEncoder, WindowFeatures
    from mirbench.evaluation.multilabel import VectorTask
    from mirbench.results.compare import Comparison
    from mirbench.results.formats import Table
    from mirbench.runs.api import Results, compare, leaderboard, load_encoder, load_sensors, run

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "Clip",
    "ClipMetric",
    "Comparison",
    "Dataset",
    "DatasetError",
    "DatasetRequest",
    "DatasetSpec",
    "Encoder",
    "EncoderError",
    "EncoderSpec",
    "Features",
    "LabelledIntervals",
    "MirbenchError",
    "MissingDataError",
    "Result",
    "Results",
    "Sensor",
    "SensorSpec",
    "SetMetric",
    "SuiteSpec",
    "Table",
    "Task",
    "TaskSpec",
    "VectorTask",
    "WindowFeatures",
    "WindowedEncoder",
    "compare",
    "encoder",
    "find_weights",
    "fingerprint",
    "hookimpl",
    "leaderboard",
    "load_encoder",
    "load_sensors",
    "run",
]

_LATE = {
    **dict.fromkeys(("Results", "compare", "leaderboard", "load_encoder", "load_sensors", "run"), "mirbench.runs.api"),
    "Comparison": "mirbench.results.compare",
    "Table": "mirbench.results.formats",
    "encoder": "mirbench.encoders.function",
    "find_weights": "mirbench.encoders.references",
    "fingerprint": "mirbench.encoders.fingerprint",
    "VectorTask": "mirbench.evaluation.multilabel",
    "WindowedEncoder": "mirbench.encoders.windows",
    "WindowFeatures": "mirbench.encoders.windows",
    **dict.fromkeys(
        (
            "Clip",
            "ClipMetric",
            "Dataset",
            "Encoder",
            "Features",
            "LabelledIntervals",
            "Result",
            "Sensor",
            "SetMetric",
            "Task",
        ),
        "mirbench.domain",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'mirbench' has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)
