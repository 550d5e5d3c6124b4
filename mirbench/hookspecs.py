"""The hooks. A plugin implements those it needs, each marked with `mirbench.hookimpl`.

A plugin is a Python file (`mirbench --plugin FILE`, or MIRBENCH_PLUGINS) or a module that a package names as an entry
point of the group `mirbench`. The docstring of each hook holds a complete plugin.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from mirbench.specs import DatasetSpec, EncoderSpec, SensorSpec, SuiteSpec, TaskSpec

if TYPE_CHECKING:
    import click

    from mirbench.domain import Result
    from mirbench.plan import Plan

hookspec = pluggy.HookspecMarker("mirbench")
hookimpl = pluggy.HookimplMarker("mirbench")


@hookspec
def mirbench_encoders() -> Iterable[EncoderSpec]:  # type: ignore[empty-body]
    """Return the encoders that the plugin offers.

    Examples
    --------
    The level of every 10 ms, as an encoder with one layer of one dimension:

    .. code-block:: python

        import numpy as np

        from mirbench import Encoder, EncoderSpec, Features, hookimpl


        class Level(Encoder):
            sample_rate = 16000  # Hz
            fingerprint = "level-1"  # change it whenever the features change

            def encode(self, audio):
                frames = audio[: len(audio) // 160 * 160].reshape(1, -1, 160)
                levels = np.log(1e-5 + frames.std(axis=2, keepdims=True))
                return Features(levels, times=(np.arange(levels.shape[1]) + 0.5) * 0.01)


        @hookimpl
        def mirbench_encoders():
            yield EncoderSpec(name="level", load=lambda device: Level(), license="MIT")
    """


@hookspec
def mirbench_tasks() -> Iterable[TaskSpec]:  # type: ignore[empty-body]
    """Return the tasks that the plugin offers.

    Examples
    --------
    Major or minor, one label a clip, written in the column `mode` of a CSV file:

    .. code-block:: python

        import numpy as np

        from mirbench import ClipMetric, Task, TaskSpec, hookimpl


        class Mode(Task):
            name, scope, objective, label_column = "mode", "clip", "multiclass", "mode"
            labels = ("major", "minor")
            metrics = (ClipMetric("accuracy", lambda reference, estimate: float(reference == estimate), "equality"),)

            def read_reference(self, text, folder):
                if text not in self.labels:
                    raise ValueError(f"mode {text!r}; expected major or minor")
                return text

            def target(self, reference, times):
                return np.array(self.labels.index(reference))

            def decode(self, logits, times, duration):
                return self.labels[int(logits.argmax())]

            def empty(self):
                return ""

            def example(self, random):
                return str(random.choice(self.labels)), 20.0


        @hookimpl
        def mirbench_tasks():
            yield TaskSpec(name="mode", load=Mode, license="MIT")
    """


@hookspec
def mirbench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Return the data sets that the plugin offers.

    Examples
    --------
    Recordings in the folders `train`, `valid` and `test`, with names such as `piece1-major.wav`:

    .. code-block:: python

        from mirbench import Clip, Dataset, DatasetSpec, MissingDataError, hookimpl


        class Recordings(Dataset):
            name, version = "recordings", "1"

            def __init__(self, request):
                self.folder = request.home / "data" / "recordings"
                if not self.folder.is_dir():
                    raise MissingDataError(f"recordings is not in {self.folder}; copy the files there")

            def clips(self, split):
                files = sorted((self.folder / split).glob("*.wav"))
                names = [file.stem.split("-") for file in files]
                return [Clip(f.stem, f, split, group=n[0], reference=n[1]) for f, n in zip(files, names, strict=True)]


        @hookimpl
        def mirbench_datasets():
            yield DatasetSpec(name="recordings", load=Recordings, tasks=("mode",), license="CC0")
    """


@hookspec
def mirbench_suites() -> Iterable[SuiteSpec]:  # type: ignore[empty-body]
    """Return the suites that the plugin offers: lists of tasks under one name, for `mirbench run --suite NAME`.

    Examples
    --------
    The tasks of a lab that asks about tonality alone:

    .. code-block:: python

        from mirbench import SuiteSpec, hookimpl


        @hookimpl
        def mirbench_suites():
            yield SuiteSpec(name="tonality", tasks=("key", "chord"), description="keys and chords")
    """


@hookspec
def mirbench_sensors() -> Iterable[SensorSpec]:  # type: ignore[empty-body]
    """Return the sensors that the plugin offers: what audio passes through first, for `mirbench run --sensor NAME`.

    Examples
    --------
    A recorder that clips at a tenth of full scale:

    .. code-block:: python

        import numpy as np

        from mirbench import Sensor, SensorSpec, hookimpl


        class Overdriven(Sensor):
            sample_rate = 48000  # Hz
            fingerprint = "overdriven-1"

            def transmit(self, audio):
                return np.clip(10 * audio, -1, 1)


        @hookimpl
        def mirbench_sensors():
            yield SensorSpec(name="overdriven", load=Overdriven, description="clips at a tenth of full scale")
    """


@hookspec
def mirbench_commands() -> "Iterable[click.Command]":  # type: ignore[empty-body]
    """Return the commands that the plugin adds, each called as `mirbench NAME`.

    Examples
    --------
    A command that prints the length of a recording, `mirbench length FILE`:

    .. code-block:: python

        from pathlib import Path

        import click

        from mirbench import hookimpl
        from mirbench.data import audio


        @click.command("length")
        @click.argument("path", type=click.Path(path_type=Path))
        def length(path):
            click.echo(f"{audio.info(path).duration:.2f} s")


        @hookimpl
        def mirbench_commands():
            yield length
    """


@hookspec
def mirbench_run_start(plan: "Plan") -> None:
    r"""Observe the plan of a run before anything is computed.

    Parameters
    ----------
    plan
        Jobs and settings of the run.

    Examples
    --------
    A list of all jobs beside the results:

    .. code-block:: python

        from mirbench import hookimpl


        @hookimpl
        def mirbench_run_start(plan):
            plan.settings.out.mkdir(parents=True, exist_ok=True)
            jobs = [f"{job.encoder.name}, {job.task.name}, {job.dataset.name}" for job in plan.jobs]
            (plan.settings.out / "jobs.txt").write_text("\n".join(jobs) + "\n")
    """


@hookspec
def mirbench_result(result: "Result") -> None:
    r"""Observe a result as soon as it is computed.

    The record writer and the printed table are implementations of this hook, too.

    Parameters
    ----------
    result
        Value of one metric with its interval.

    Examples
    --------
    A log of headline results in the current folder:

    .. code-block:: python

        from pathlib import Path

        from mirbench import hookimpl


        @hookimpl
        def mirbench_result(result):
            if result.is_headline:
                with Path("results.log").open("a") as log:
                    log.write(f"{result.encoder} {result.task} {result.value:.3f}\n")
    """
