"""Commands that list, verify and remove stored features."""

import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirbench.cli.console import echo
from mirbench.cli.options import MAX_GIB, Number, Session, with_session
from mirbench.errors import MirbenchError

if TYPE_CHECKING:
    from mirbench.features.store import FeatureStore

GIB = 2**30
FAILED = 1


@click.group("store")
def store_group() -> None:
    """List, check and clear stored features."""


def _store(session: Session) -> "FeatureStore":
    from mirbench.features.store import FeatureStore

    return FeatureStore(session.home / "features")


@store_group.command("ls")
@with_session("home")
def store_list(session: Session) -> None:
    """List stored encoders and readouts, with clips, layers, size and time of last use."""
    from tabulate import tabulate

    from mirbench.features.shards import Shard
    from mirbench.features.store import readout_of

    store = _store(session)
    shards_of: dict[tuple[str, str], list[Shard]] = defaultdict(list)
    for path, shard in store.shards():
        if isinstance(shard, Shard):
            shards_of[path.parents[1].name, path.parent.name].append(shard)
    rows = [
        {
            "encoder": store.encoder(readout_of(fingerprint)),
            "fingerprint": readout_of(fingerprint),
            "readout": readout_of(folder),
            "clips": str(len({clip for shard in shards for clip in shard.clips})),
            "layers": str(shards[0].n_layers),
            "size": _size(sum(shard.n_bytes for shard in shards)),
            "used": datetime.fromtimestamp(max(shard.used for shard in shards)).strftime("%Y-%m-%d %H:%M"),
        }
        for (fingerprint, folder), shards in shards_of.items()
    ]
    rows.sort(key=lambda row: (row["encoder"], row["fingerprint"], row["readout"]))
    echo(tabulate(rows, headers="keys", disable_numparse=True) if rows else f"nothing in {store.folder}")


@store_group.command("du")
@with_session("home")
def store_usage(session: Session) -> None:
    """Print the disk space that the features of each encoder take, largest first."""
    from mirbench.features.store import readout_of

    store = _store(session)
    sizes: dict[str, int] = defaultdict(int)
    for path, _ in store.shards():
        sizes[path.parents[1].name] += path.stat().st_size
    for fingerprint, size in sorted(sizes.items(), key=lambda item: -item[1]):
        echo(f"{_size(size):>10}  {store.encoder(readout_of(fingerprint))} ({readout_of(fingerprint)})")
    echo(f"{_size(sum(sizes.values())):>10}  {store.folder}")


@store_group.command("verify")
@with_session("home")
def store_verify(session: Session) -> None:
    """Read all stored features and list damaged files; 'mirbench store gc' removes them."""
    n_files = n_damaged = 0
    for path, problem in _checked(_store(session)):
        n_files += 1
        n_damaged += problem is not None
        if problem is not None:
            echo(f"damaged: {path}: {problem}", fg="red")
    echo(f"{n_files} files, {n_damaged} damaged")
    if n_damaged:
        sys.exit(FAILED)


@store_group.command("gc")
@click.option(
    "--limit",
    type=Number(min=0, max=MAX_GIB),
    metavar="GIB",
    help="Size of the store to keep; the most recently used files stay.",
)
@with_session("home")
def store_clear(limit: float | None, session: Session) -> None:
    """Remove damaged files and, beyond a limit, those that were used least recently.

    Removed features are computed again when a run needs them.
    """
    store = _store(session)
    damaged = [path for path, problem in _checked(store) if problem is not None]
    for path in damaged:
        store.drop(path)
    evicted = store.evict(limit * GIB) if limit is not None else []
    echo(f"removed: {len(damaged)} damaged files, {len(evicted)} least recently used files")


@store_group.command("purge")
@click.option(
    "--dataset", "name", metavar="NAME", required=True, help="Data set, or name of a CSV file without its suffix."
)
@with_session("home")
def store_purge(name: str, session: Session) -> None:
    """Remove all stored features and finished jobs of a data set, and remains of killed runs with --no-store.

    Results, scores of single clips and predictions lie in the folders that 'mirbench run --out' named; they stay.
    """
    from mirbench.features.shards import remove
    from mirbench.features.store import UNKEPT
    from mirbench.runs.cache import FinishedJobs

    place = session.home
    n_files, n_jobs = _store(session).purge(name), FinishedJobs(place / "finished").purge(name)
    unkept = sorted(place.glob(f"{UNKEPT}*"))
    for folder in unkept:
        remove(folder)
    echo(f"removed: {n_files} files of features, {n_jobs} finished jobs, {len(unkept)} folders of killed runs")


def _checked(store: "FeatureStore") -> "list[tuple[Path, str | None]]":
    """Return each file of the store with its problem, or None."""
    from mirbench.features.shards import Shard

    checked: list[tuple[Path, str | None]] = []
    for path, shard in store.shards():
        if not isinstance(shard, Shard):
            checked.append((path, str(shard)))
            continue
        try:
            checked.append(
                (path, None if shard.hash() == shard.sha256 else "its features are not those that were written")
            )
        except MirbenchError:
            continue  # another process removed it
    return checked


def _size(n_bytes: int) -> str:
    return f"{n_bytes / GIB:.2f} GiB" if n_bytes >= GIB / 10 else f"{n_bytes / 2**20:.1f} MiB"
