"""Output of the command line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from mirbench.errors import MirbenchError
from mirbench.escaping import visible
from mirbench.hookspecs import hookimpl
from mirbench.plugins import Plugins
from mirbench.specs import DatasetRequest, DatasetSpec, EncoderSpec, Spec, TaskSpec

if TYPE_CHECKING:
    from mirbench.domain import Result
    from mirbench.plan import Plan
    from mirbench.runs.run import Failure


def echo(text: object = "", *, err: bool = False, **style: Any) -> None:
    """Print text; what a terminal would take for a command is spelled out."""
    click.secho(visible(str(text), keep="\n\t"), err=err, **style)


FOLDS, CHOICE, CAUTION = "folds", "readout, layer", "caution"  # the last rows of a table


class ResultTable:
    """Collect results and print them, one row for an encoder on a task."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    @hookimpl
    def mirbench_result(self, result: "Result") -> None:
        """Collect a result for the table."""
        self.results.append(result)

    def text(self) -> str:
        """Return one table for each task and data set, then the results of single labels; encoders are columns."""
        from tabulate import tabulate

        from mirbench.results.leaderboard import marks_of, options_of, spread_of

        tables: dict[str, dict[str, dict[str, str]]] = {}
        for result in map(_visible, self.results):
            task = " ".join(filter(None, (result.task, options_of(result))))
            split = "" if result.split == "test" else f" {result.split}"
            where = f"{task} on {result.dataset} ({result.size}, version {result.dataset_version}){split}"
            if result.label:
                rows = tables.setdefault(f"{where}: {result.metric} by label or part", {})
                rows.setdefault(result.label, {"label": result.label})[result.encoder] = _format(result)
            else:
                rows = tables.setdefault(f"{where}, {result.n} clips", {})
                rows.setdefault(result.metric, {"metric": result.metric})[result.encoder] = _format(result)
                if result.is_headline and (spread := spread_of(result)):
                    rows.setdefault(FOLDS, {"metric": FOLDS})[result.encoder] = visible(spread)
                chosen = rows.setdefault(CHOICE, {"metric": CHOICE})
                chosen[result.encoder] = f"{result.readout}, {result.layer}"
                if marks := marks_of(result):
                    row = rows.setdefault(CAUTION, {"metric": CAUTION})
                    row[result.encoder] = "; ".join(marks)
        ordered = {title: [rows[key] for key in sorted(rows, key=_is_choice)] for title, rows in tables.items()}
        return "\n\n".join(
            f"{title}\n{tabulate(rows, headers='keys', disable_numparse=True)}" for title, rows in ordered.items()
        )


def _visible(result: "Result") -> "Result":
    """Return a result with names of one line."""
    from dataclasses import replace

    names = ("encoder", "task", "dataset", "dataset_version", "size", "metric", "label", "readout")
    changed: dict[str, Any] = {name: visible(str(getattr(result, name))) for name in names}
    return replace(result, **changed)


def _is_choice(row: str) -> bool:
    return row in (FOLDS, CHOICE, CAUTION)


def _format(result: "Result") -> str:
    if result.is_headline:
        return f"{result.value:.3f} [{result.low:.3f}, {result.high:.3f}]"
    return f"{result.value:.0f}" if result.aggregate == "sum" else f"{result.value:.3f}"


def report_problems(plugins: Plugins) -> None:
    """Print the plugins that cannot be used."""
    for problem in plugins.problems:
        echo(f"mirbench: {problem}", fg="yellow", err=True)


def report_failures(failures: "Sequence[Failure]", n_jobs: int) -> None:
    """Print which jobs failed and why; bugs with their traceback."""
    shown: set[str] = set()
    for failure in failures:
        again = failure.reason in shown
        echo(f"failed: {failure.job}: {'as above' if again else failure.reason}", fg="red", err=True)
        if failure.trace and not again:
            echo(failure.trace, err=True)
        shown.add(failure.reason)
    if failures:
        echo(f"{n_jobs - len(failures)} of {n_jobs} done, {len(failures)} failed", err=True)


def report_absent(plan: "Plan") -> None:
    """Print what "all" leaves out: data sets that are not on this machine, encoders without weights."""
    for name, reason in plan.absent.items():
        echo(f"left out: {name}: {reason}", err=True)


def print_plan(plan: "Plan") -> None:
    """Print what a run would do."""
    from mirbench.domain import SPLITS
    from mirbench.evaluation.evaluate import clip_duration

    report_absent(plan)
    for job in plan.jobs:
        try:
            dataset = job.dataset.load(plan.settings.request(job.task))
        except MirbenchError as error:
            state = "will be prepared first" if job.dataset.is_embedded else str(error)
        else:
            clips = [clip for split in SPLITS for clip in dataset.clips(split)]
            state = f"{len(clips)} clips, {sum(map(clip_duration, clips)) / 3600:.2f} h"
        echo(f"{job}: {state}")


def print_specs(specs: Sequence[Spec], *, in_full: bool) -> None:
    """List names and descriptions; in full, what is known of encoders without loading them."""
    encoders = [spec for spec in specs if isinstance(spec, EncoderSpec)]
    if in_full:
        from tabulate import tabulate

        echo(tabulate([_row(spec) for spec in encoders], headers="keys", disable_numparse=True))
        return
    width = max((len(spec.name) for spec in specs), default=0)
    for spec in specs:
        echo(f"  {spec.name:<{width}}  {spec.description}")


def _row(spec: EncoderSpec) -> dict[str, str]:
    return {
        "name": spec.name,
        "parameters": f"{spec.n_parameters:,}" if spec.n_parameters else "",
        "Hz": str(spec.sample_rate or ""),
        "frames/s": f"{spec.frame_rate:.4g}" if spec.frame_rate else "",
        "dims": str(spec.n_dims or ""),
        "licence": spec.license,
        "of weights": spec.weights_license,
        "here": "yes" if spec.missing() is None else "no",
    }


def print_encoder(spec: EncoderSpec) -> None:
    """Show what an encoder is, once it is loaded; or what is missing."""
    missing = spec.missing()
    if missing is not None:
        echo(f"missing: {missing}")
        return
    encoder = spec.load("cpu")
    echo(f"parameters: {encoder.n_parameters if encoder.n_parameters is not None else 'none'}")
    echo(f"sample rate: {encoder.sample_rate} Hz")
    echo(f"readouts: frames; of clips {', '.join(encoder.readouts('clip'))}")
    echo(f"fingerprint: {encoder.fingerprint}")
    for name, text in encoder.about.items():
        echo(f"{name}: {text}")


def print_task(spec: TaskSpec) -> None:
    """Show labels and metrics."""
    task = spec.load()
    echo(f"scope: {task.scope}, {task.objective}")
    echo(f"CSV column: {task.label_column}")
    if task.scope == "frame":
        echo("times in annotation files: seconds from the beginning of the audio file (of the clip, if times=clip)")
    labels = ", ".join(task.labels)
    echo(f"labels ({len(task.labels)}): {labels}" if labels else "labels: those of the data set")
    for name, values in spec.options.items():
        echo(f"option {name}: {', '.join(values)} (default: {values[0]})")
    echo(f"default data set: {spec.default_dataset or 'none'}")
    if spec.limits:
        echo(f"does not show: {spec.limits}")
    for metric in task.metrics:
        echo(f"metric {metric.name}: {metric.source}")


def print_dataset(spec: DatasetSpec, request: DatasetRequest) -> None:
    """Show how many clips there are, or why there are none."""
    from mirbench.domain import SPLITS

    try:
        dataset = spec.load(request)
    except MirbenchError as error:
        echo(f"{request.size}: {error}")
        return
    counts = ", ".join(f"{len(dataset.clips(split))} {split}" for split in SPLITS)
    echo(f"{request.size}: {counts} clips, version {dataset.version}")
