"""The commands that turn records into tables, pages and sentences."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirbench.cli.console import ResultTable, echo, report_problems
from mirbench.cli.options import F, Session, names, with_session
from mirbench.errors import UsageError
from mirbench.escaping import visible
from mirbench.plugins import Plugins, plugin_files

if TYPE_CHECKING:
    from mirbench.domain import Result
    from mirbench.results.formats import Table

FAILED = 1
SUFFIXES = {"csv": "csv", "md": "md", "latex": "tex", "json": "json", "html": "html"}
out_option = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="results",
    show_default=True,
    help="Folder of results, with records/, scores/ and predictions/.",
)


def _choice(name: str, text: str) -> Callable[[F], F]:
    return click.option(f"--{name}", f"{name}s", callback=names, default="", metavar="NAME[,NAME]", help=text)


def read_all(out: Path) -> "list[Result]":
    """Read the records of a folder; those that are withdrawn are named and left out.

    Raises
    ------
    UsageError
        If there are none.
    """
    from mirbench.results.records import read_records
    from mirbench.results.withdrawals import counted, read_withdrawals

    results = read_records(out / "records")
    if not results:
        raise UsageError(f"no records in {out / 'records'}; 'mirbench run' writes them")
    for each in read_withdrawals(out):
        echo(f"withdrawn: {each}", fg="yellow", err=True)
    return counted(results, out)


def _chosen(every: "Sequence[Result]", **named: list[str]) -> "list[Result]":
    """Keep the newest results of what was named, and refuse names that nothing has."""
    from mirbench.results.formats import choose

    for kind, values in named.items():
        known = sorted({str(getattr(result, kind.removesuffix("s"))) for result in every})
        for value in values:
            if value not in known:
                raise UsageError(f"no record has {kind.removesuffix('s')} {value!r}; there are {', '.join(known)}")
    results = choose(every, **named)
    if not results:
        raise UsageError("no record has all of what was asked for")
    return results


@click.command("leaderboard")
@out_option
@click.option("--format", "kind", type=click.Choice(list(SUFFIXES)), default="csv", show_default=True)
@click.option("--long", "is_long", is_flag=True, help="With csv: one row a number, with intervals and choices.")
@_choice("task", "These tasks only.")
@_choice("dataset", "These data sets only.")
@_choice("metric", "These metrics instead of the headlines (csv: of all).")
@_choice("protocol", "These protocols only.")
@click.option("--published", "with_published", is_flag=True, help="Also show, apart, what others have published.")
@with_session("plugins")
def leaderboard_command(
    out: Path,
    kind: str,
    is_long: bool,
    tasks: list[str],
    datasets: list[str],
    metrics: list[str],
    protocols: list[str],
    with_published: bool,
    session: Session,
) -> None:
    """Turn OUT/records into OUT/leaderboard.csv, .md, .tex, .html or .json.

    The best of each headline is bold, the second underlined. Encoders are ordered by their mean win rate over the other
    encoders in bootstrap resamples, which gives each rank an interval; a task that an encoder lacks counts as lost.
    """
    from mirbench.files import write_atomically
    from mirbench.results.formats import FORMATS, lay_out, published
    from mirbench.results.leaderboard import as_csv
    from mirbench.results.records import read_scores
    from mirbench.runs.api import about_encoders

    if is_long and kind != "csv":
        raise UsageError("--long goes with --format csv")
    if with_published and kind == "csv":
        raise UsageError("--published has no place in --format csv; take md, latex, json or html")
    every = read_all(out)
    results = _chosen(every, tasks=tasks, datasets=datasets, metrics=metrics, protocols=protocols)
    plugins = session.plugins
    report_problems(plugins)
    path = out / f"leaderboard{'-long' if is_long else ''}.{SUFFIXES[kind]}"
    standings = ""
    others = [row for row in published() if not tasks or row["task"] in tasks] if with_published else []
    if is_long:
        text = as_csv(result for result in every if result in results or (result.label and not metrics))
    else:
        only_headlines = kind != "csv" and not metrics
        known = about_encoders(plugins, {result.encoder for result in results})
        scores = read_scores(out / "scores", [result for result in results if result.is_headline])
        table = lay_out(results, known, scores, only_headlines=only_headlines)
        standings = _standings(table)
        if kind == "html":
            from mirbench.results.html import as_html

            text = as_html(table, results, others)
        else:
            text = FORMATS[kind](table, others)
    write_atomically(path, text.encode())
    shown = ResultTable()
    shown.results = [result for result in results if result.is_headline]
    echo(shown.text())
    if standings:
        echo(standings)
    echo(f"written: {path}")


def _standings(table: "Table") -> str:
    """Lay out win rates and ranks; empty where there is no other encoder to beat."""
    from tabulate import tabulate

    rows = [
        {
            "encoder": row.encoder,
            "win rate": f"{row.standing.win_rate:.2f}",
            "rank (95 %)": str(row.standing),
            "tasks": f"{row.n_tasks} of {len(table.ranked)}",
        }
        for row in table.rows
        if row.standing
    ]
    return (
        f"\nall tasks, a missing one counts as lost\n{tabulate(rows, headers='keys', disable_numparse=True)}\n"
        if rows
        else ""
    )


@click.command("compare")
@click.argument("encoders", nargs=-1, required=True, metavar="ENCODER ENCODER...")
@out_option
@_choice("task", "These tasks only.")
@_choice("dataset", "These data sets only.")
@_choice("metric", "These metrics instead of the headlines.")
@_choice("protocol", "These protocols only.")
@click.option("--format", "kind", type=click.Choice(["text", "json"]), default="text", show_default=True)
def compare_command(
    encoders: tuple[str, ...],
    out: Path,
    tasks: list[str],
    datasets: list[str],
    metrics: list[str],
    protocols: list[str],
    kind: str,
) -> None:
    """Report whether encoders differ, task by task, by more than chance.

    Paired bootstrap over groups of related clips, with Holm's correction over tasks (and over pairs, of more than two
    encoders), and a sign test over tasks. Where there are too few groups, no claim is made. Weights that differ in the
    seed of their training are one model: NAME@1,NAME@2 against another; its intervals hold seeds and groups.
    NAME:mix=mix2, NAME:protocol=last-layer and NAME:decoder=peaks are the results of NAME with these settings.

    Without --protocol, of the standard one with all training clips; options of tasks (such as decoder=peaks) count
    where --task names the task.
    """
    from tabulate import tabulate

    from mirbench.results.compare import compare_all
    from mirbench.results.leaderboard import is_standard
    from mirbench.results.records import read_scores
    from mirbench.results.variants import add_variants

    if len(encoders) < 2:
        raise UsageError(f"one encoder, {encoders[0]!r}; name at least two to compare")
    every = _chosen(read_all(out), tasks=tasks, datasets=datasets, metrics=metrics, protocols=protocols)
    results, scores = add_variants(encoders, every, read_scores(out / "scores", every))
    if not protocols:
        results = [each for each in results if is_standard(replace(each, options={} if tasks else each.options))]
    comparisons = compare_all(results, scores, encoders, metrics)
    if kind == "json":
        content = [{**asdict(found), "sentences": found.sentences()} for found in comparisons]
        echo(json.dumps(content[0] if len(content) == 1 else content, indent=1))
        return
    for found in comparisons:
        rows = [
            {
                "task": each.task,
                "metric": each.metric,
                found.one: f"{each.one:.3f}",
                found.other: f"{each.other:.3f}",
                "difference": f"{each.value:+.3f} [{each.low:+.3f}, {each.high:+.3f}]",
                "p": each.shown_p(),
                "p (Holm)": each.shown_p(is_adjusted=True) if each.can_be_claimed else "no claim",
                "groups": str(each.n_groups),
            }
            for each in found.differences
        ]
        echo(tabulate(rows, headers="keys", disable_numparse=True))
        for task, why in found.left_out.items():
            echo(f"left out: {task}: {why}", fg="yellow")
        echo()
        for sentence in found.sentences():
            echo(sentence)
        if found is not comparisons[-1]:
            echo()


@click.command("reproduce")
@click.argument("record")
@out_option
@click.option("--checkpoint", metavar="FILE", help="Where the encoder's weights lie, if they were given by name.")
@click.option(
    "--trust-record", is_flag=True, help="Load the weights, or import the code, that the record names; read it before."
)
@click.option("--data", "csv", type=click.Path(path_type=Path), help="The CSV file, if the data are your own.")
@with_session("device", "home", "workers", "plugins")
def reproduce_command(
    record: str,
    out: Path,
    checkpoint: str | None,
    trust_record: bool,
    csv: Path | None,
    session: Session,
) -> None:
    """Run a RECORD again and compare its number, or print what has changed.

    RECORD is the beginning of its hash, FILE:LINE, or FILE. Stored features are used; with an empty --home they are
    computed again, too.
    """
    from mirbench.plan import Settings
    from mirbench.runs.reproduce import TOLERANCE, find_record, reproduce, trusted_encoder

    recorded = find_record(record, out)
    encoder = trusted_encoder(recorded, checkpoint, is_trusted=trust_record)
    echo(f"loading encoder {encoder}", err=True)
    settings = Settings(home=session.home, out=out, device=session.device, workers=session.workers)
    found = reproduce(recorded, session.plugins, settings, encoder, csv)
    name = f"{recorded.encoder} on {recorded.task} ({recorded.dataset}), {recorded.metric}"
    echo(f"{name}: recorded {recorded.value!r} [{recorded.low!r}, {recorded.high!r}]")
    echo(f"{' ' * len(name)}  now      {found.found.value!r} [{found.found.low!r}, {found.found.high!r}]")
    for what, (before, now) in found.differences.items():
        echo(f"differs: {what}: {before} then, {now} now")
    if found.is_close:
        how = "to the last digit" if found.is_equal else f"within {TOLERANCE:g}"
        echo(f"The number comes back, {how}.", fg="green")
        return
    why = "see what differs above" if found.differences else "nothing that is recorded differs: is it the machine?"
    echo(f"The number does not come back ({found.found.value - recorded.value:+.2e}); {why}.", fg="red")
    sys.exit(FAILED)


@click.command("verify")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--data", "csv", type=click.Path(path_type=Path), help="CSV file of results on your own recordings.")
@with_session("home", "workers", "plugins")
def verify_command(folder: Path, csv: Path | None, session: Session) -> None:
    """Compute the scores of FOLDER again from its predictions, and stop at the first difference.

    FOLDER is a folder of results, or one that 'mirbench export' wrote. Schema, hashes and duplicates are checked, too.
    Neither audio nor features nor a GPU are needed, only the references of the data sets. One line is printed for each
    job: verified, not verifiable (with the reason), or differs; the exit code is 1 if a job differs.
    """
    from mirbench.runs.verify import verify

    report_problems(session.plugins)
    colours = {"verified": "green", "not verifiable": "yellow", "differs": "red"}
    for verification in verify(folder, session.plugins, session.home, workers=session.workers, csv=csv):
        echo(visible(str(verification)), fg=colours[verification.outcome])  # names in records hold anything
        if verification.outcome == "differs":
            sys.exit(FAILED)


@click.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@out_option
def export_command(folder: Path, out: Path) -> None:
    """Bundle records, scores of clips, predictions, leaderboard and environment into a new FOLDER."""
    from mirbench.results.bundle import export
    from mirbench.results.formats import as_csv, choose, lay_out
    from mirbench.results.records import read_scores
    from mirbench.runs.api import about_encoders

    results = choose(read_all(out))
    known = about_encoders(Plugins(plugin_files(())), {result.encoder for result in results})
    scores = read_scores(out / "scores", [result for result in results if result.is_headline])
    n_records = export(out, folder, as_csv(lay_out(results, known, scores, only_headlines=False)))
    echo(f"{n_records} records: {folder}")


@click.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@out_option
def import_command(folder: Path, out: Path) -> None:
    """Merge a FOLDER that 'mirbench export' wrote; what is there already is recognised."""
    from mirbench.results.bundle import merge

    merged = merge(folder, out)
    echo(f"{merged.n_new} new records ({merged.n_scores} with scores of clips), {merged.n_known} known already")


@click.group("records")
def records_group() -> None:
    """Maintain records."""


@records_group.command("repair")
@out_option
def repair_command(out: Path) -> None:
    """Move lines that are no records, and unfinished ones, out of OUT/records and OUT/scores into files beside them."""
    from mirbench.results.records import repair

    moved = repair(out)
    for line, aside in moved:
        echo(f"{line}; moved to {aside}")
    echo(f"{len(moved)} bad lines moved aside")


@records_group.command("withdraw")
@click.argument("record")
@click.option("--why", required=True, help="The reason, which stands in the file of withdrawals.")
@click.option("--by", default="", metavar="RECORD", help="The record that stands for it.")
@out_option
def withdraw_command(record: str, why: str, by: str, out: Path) -> None:
    """Withdraw a RECORD, named by the beginning of its hash, with the other metrics of the same run and task.

    The record stays in its file; tables and comparisons leave it out, and say by what and why.
    """
    from mirbench.results.withdrawals import FILE, withdraw

    withdrawn = withdraw(out, record, why, by)
    echo(f"{len(withdrawn)} records withdrawn in {out / FILE}")


@records_group.command("replaced")
@out_option
def replaced_command(out: Path) -> None:
    """List records that do not count: withdrawn ones, and headlines that a later run of the encoder replaces."""
    from mirbench.results.withdrawals import replaced

    for each in replaced(read_all(out)):
        echo(f"replaced: {each}")


REPORTS = (
    records_group,
    leaderboard_command,
    compare_command,
    reproduce_command,
    verify_command,
    export_command,
    import_command,
)
