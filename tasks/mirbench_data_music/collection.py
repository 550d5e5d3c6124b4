"""Shared parts of the data sets: recordings, their splits, and errors about missing files."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mirbench.data import required_files as published
from mirbench.domain import Clip, Dataset, LabelledIntervals, Split
from mirbench.errors import DatasetError
from mirbench.specs import DatasetRequest

SPLIT = "1"  # the version of `split_groups`: other groups in other splits need another
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".aiff", ".au", ".m4a")


@dataclass(frozen=True)
class Place:
    """Folder of the files of a source, and name of the data set that needs them (for errors)."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Recording:
    """A file and what is known about it.

    Attributes
    ----------
    group
        What must not be shared between splits: song, album, player.
    reference
        None where there is none for the task; the recording then keeps its split but is no clip.
    """

    id: str
    path: Path
    group: str
    reference: Any


@dataclass(frozen=True)
class Source:
    """Recordings from one place.

    Attributes
    ----------
    name
        Of its folder.
    read
        Called with the place and the task; lists all recordings, whether their audio is there or not.
    prepare
        Downloads what may be downloaded, verifies it, and says how to get the rest.
    """

    name: str
    tasks: tuple[str, ...]
    read: Callable[[Place, str], list[Recording]]
    prepare: Callable[[Place], None]

    def place(self, name: str, home: Path) -> Place:
        """Return where the files lie."""
        return Place(name, home / "data" / self.name)


SplitRule = Callable[[Sequence[Recording], Place], Mapping[str, Split]]


@dataclass(frozen=True)
class Part:
    """A source in a data set.

    Attributes
    ----------
    split
        Names the split of each recording by its id; those that it leaves out are not part of the data set.
    """

    source: Source
    split: SplitRule

    def clips(self, name: str, request: DatasetRequest) -> list[Clip]:
        """Return the clips that have a reference.

        Raises
        ------
        MissingDataError
            If the files are not there.
        DatasetError
            If some of them are missing, or are not as published.
        """
        if request.task not in self.source.tasks:
            raise DatasetError(
                f"{name} has no references for task {request.task!r}; it has {', '.join(self.source.tasks)}"
            )
        place = self.source.place(name, request.home)
        recordings = self.source.read(place, request.task)
        splits = self.split(recordings, place)
        used = [one for one in recordings if one.id in splits and one.reference is not None]
        if request.needs_audio:
            require_files(place, [one.path for one in used])
        source = self.source.name
        return [
            Clip(f"{source}/{one.id}", one.path, splits[one.id], f"{source}/{one.group}", one.reference) for one in used
        ]


class Recordings(Dataset):
    """Whole recordings with the references of one task."""

    def __init__(self, name: str, clips: Sequence[Clip]) -> None:
        self.name = name
        self.version = f"{SPLIT}-{_digest(clips)[:10]}"
        self._clips = clips

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split in the order of their source."""
        return [clip for clip in self._clips if clip.split == split]


def _digest(clips: Sequence[Clip]) -> str:
    """Hash what defines the data set: ids, splits, groups and references."""
    rows = [[clip.id, clip.split, clip.group, _plain(clip.reference)] for clip in clips]
    return sha256(json.dumps(rows).encode()).hexdigest()


def _plain(reference: Any) -> Any:
    if isinstance(reference, LabelledIntervals):
        return [reference.intervals.tolist(), list(reference.labels)]
    return reference.tolist() if isinstance(reference, np.ndarray) else reference


def split_groups(groups: Iterable[str], shares: Mapping[Split, int]) -> dict[str, Split]:
    """Share groups out between splits, always in the same way.

    Groups are ranked by a hash of their names and `SPLIT`. All splits but the first take their share of them (at least
    one) from the head of the ranking, the first takes the rest. The groups are those of the published set, not of the
    files that are there, so that nothing moves when files are added.

    Parameters
    ----------
    shares
        Of the groups, for example ``{"train": 8, "valid": 1, "test": 1}``.
    """
    ranked = sorted(set(groups), key=lambda group: sha256(f"{SPLIT} {group}".encode()).digest())
    first, *others = shares
    splits, place = dict.fromkeys(ranked, first), 0
    for split in others:
        n_groups = max(1, round(len(ranked) * shares[split] / sum(shares.values())))
        splits |= dict.fromkeys(ranked[place : place + n_groups], split)
        place += n_groups
    return splits


def by_group(shares: Mapping[Split, int]) -> SplitRule:
    """Make the rule that shares groups out."""

    def split(recordings: Sequence[Recording], place: Place) -> Mapping[str, Split]:
        of_group = split_groups((one.group for one in recordings), shares)
        return {one.id: of_group[one.group] for one in recordings}

    return split


def find_audio(path: Path) -> Path:
    """Find a recording, in another format if it is not there in the published one."""
    candidates = (path, *(path.with_suffix(suffix) for suffix in SUFFIXES))
    return next((candidate for candidate in candidates if candidate.is_file()), path)


def require_files(place: Place, paths: Sequence[Path]) -> None:
    """See that all files are there, or raise what `mirbench.data.required_files.require_files` does."""
    published.require_files(place.name, place.folder, paths)


def refuse_missing(place: Place, why: str) -> NoReturn:
    """Raise the `MissingDataError` of a source that is not there at all."""
    published.refuse_missing(place.name, place.folder, why)


def named(place: Place, paths: Sequence[Path]) -> str:
    """Name the first files and count the others."""
    return published.named(place.folder, paths)
