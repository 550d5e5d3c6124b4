"""Sources that mirdata reads: its indices, checksums, downloads and readers of annotations (mirdata 1.0.0).

mirdata's wheel holds no indices: each is downloaded from Zenodo. mirbench keeps it beside the data and not among
Python's packages. An index names the files of a track, relative to the source's folder, each with its MD5::

    {"version": "1.2", "tracks": {"0101": {"audio": ["audio/....wav", "<md5>"], "chords": [...], ...}, ...}}
"""

import csv
import hashlib
import json
import logging
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from mirbench.data.download import fetch
from mirbench.errors import DatasetError
from mirbench_data_music.collection import Place, Recording, find_audio, named, refuse_missing, require_files

UNREADABLE = (ValueError, IndexError, KeyError, TypeError, OSError, csv.Error)  # what mirdata's readers raise
DAMAGED = (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error)  # what unpacking raises


@dataclass(frozen=True)
class Annotation:
    """Location of the references of a task in mirdata.

    Attributes
    ----------
    file
        Its name in the index.
    read
        Called with mirdata's track; returns the reference, or None if there is none.
    """

    file: str
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class Indexed:
    """A data set of mirdata.

    Attributes
    ----------
    module
        Its name in mirdata.
    version
        Of the index; other versions may name other files.
    annotations
        By task.
    group
        Called with mirdata's track; by default each is its own group.
    downloads
        Names of mirdata's downloads, and the files of the index that each of them holds.
    audio
        The name of the recordings in the index.
    audio_beside
        Whether the index's paths of recordings count from the folder above.
    steps
        What to do where recordings are not downloaded.
    left_out
        Ids of tracks that are not part of the data set.
    renamed
        Called with the id of a track; returns other paths of its recording, relative to the source's folder.
    """

    module: str
    version: str
    annotations: Mapping[str, Annotation] = field(default_factory=dict)
    group: Callable[[Any], str] = lambda track: str(track.track_id)
    downloads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    audio: str = "audio"
    audio_beside: bool = False
    steps: str = ""
    left_out: Collection[str] = field(default_factory=frozenset)
    renamed: Callable[[str], tuple[str, ...]] = lambda name: ()

    def read(self, place: Place, task: str) -> list[Recording]:
        """List all tracks of the index."""
        if not place.folder.is_dir():
            refuse_missing(place, "no such folder")  # whether mirdata is installed or not
        annotation = self.annotations[task]
        tracks = {name: track for name, track in self._tracks(place).items() if name not in self.left_out}
        paths = {name: track.get_path(annotation.file) for name, track in tracks.items()}
        require_files(place, [Path(path) for path in paths.values() if path])
        return [
            Recording(
                name,
                self._audio_path(place, name, Path(track.get_path(self.audio))),
                self.group(track),
                _read(annotation, track) if paths[name] else None,
            )
            for name, track in tracks.items()
        ]

    def prepare(self, place: Place) -> None:
        """Download the index and what mirdata may download of the files, verify them, and say how to get the rest."""
        self.fetch_index(place)
        for download, files in self.downloads.items():
            if any(not path.is_file() for path in self.checksums(place, files)):
                self.download(place, download)
        own = {file for files in self.downloads.values() for file in files}
        refuse_changed(place, self.checksums(place, own))
        if self.audio not in own:
            self._report_recordings(place)

    def fetch_index(self, place: Place) -> None:
        """Download the index."""
        published = self._published(place)
        fetch(published.remote.url, place.folder / published.filename, md5=published.remote.checksum)

    def checksums(self, place: Place, files: Collection[str]) -> dict[Path, str]:
        """Name the files that the index has under these names, and their MD5."""
        tracks = self._index(place).values()
        named_files = (entry for track in tracks for file, entry in track.items() if file in files)
        return {place.folder / path: checksum for path, checksum in named_files if path is not None}

    def _index(self, place: Place) -> dict[str, Any]:
        """Read the files of each track, with their MD5."""
        index = place.folder / self._published(place).filename
        tracks: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))["tracks"]
        return tracks

    def download(self, place: Place, name: str) -> None:
        """Fetch one of mirdata's downloads, resumed, and let mirdata unpack it.

        GitHub packs its archives anew at times: of those, the files inside are checked and not the archive.
        """
        mirdata = import_module("mirdata")
        remote = self._module(place).REMOTES[name]
        is_packed_anew = "//github.com/" in remote.url
        archive = place.folder / (remote.destination_dir or "") / remote.filename
        fetch(remote.url, archive, md5=None if is_packed_anew else remote.checksum, title=f"downloading {name}")
        local = mirdata.core.Index(filename=self.module)  # without an address: the index is not downloaded again
        try:
            with _quiet():
                mirdata.download_utils.downloader(
                    str(place.folder), {name: remote}, local, [name], cleanup=True, allow_invalid_checksum=True
                )
        except DAMAGED as error:
            raise DatasetError(f"{archive}: mirdata cannot unpack it ({error}); remove it and run again") from error

    def _module(self, place: Place) -> Any:
        """Import mirdata's module.

        Raises
        ------
        DatasetError
            If mirdata is not installed.
        """
        try:
            return import_module(f"mirdata.datasets.{self.module}")
        except ImportError as error:
            raise DatasetError(
                f"{place.name} is read through mirdata; run: pip install 'mirbench-audio[data]'"
            ) from error

    def _published(self, place: Place) -> Any:
        """Return mirdata's entry of the index.

        Raises
        ------
        DatasetError
            If this mirdata knows other versions only.
        """
        indexes = self._module(place).INDEXES
        if self.version not in indexes:
            raise DatasetError(
                f"{place.name} is read by index {self.version} of {self.module}, which this mirdata does not have; "
                "run: pip install mirdata==1.0.0"
            )
        return indexes[self.version]

    def _tracks(self, place: Place) -> dict[str, Any]:
        module = self._module(place)
        index = place.folder / self._published(place).filename
        require_files(place, [index])
        dataset = module.Dataset(data_home=str(place.folder), version=self.version)
        dataset.index_path = str(index)
        try:
            tracks: dict[str, Any] = dataset.load_tracks()
        except UNREADABLE as error:
            raise DatasetError(f"{index}: not the index that mirdata publishes; remove it and prepare again") from error
        return tracks

    def _audio_path(self, place: Place, name: str, published: Path) -> Path:
        """Return the path of a track's recording, or where it is expected."""
        expected = self._audio_root(place) / published.relative_to(place.folder)
        candidates = (find_audio(path) for path in (expected, *(place.folder / path for path in self.renamed(name))))
        return next((path for path in candidates if path.is_file()), expected)

    def _audio_root(self, place: Place) -> Path:
        return place.folder.parent if self.audio_beside else place.folder

    def _report_recordings(self, place: Place) -> None:
        """Report which recordings are expected where, and which are other than those that mirdata knows."""
        root = self._audio_root(place)
        index = self._index(place)
        entries = {name: files[self.audio] for name, files in index.items() if files[self.audio][0] is not None}
        recordings = {root / path: checksum for path, checksum in entries.values()}
        found = {name: self._audio_path(place, name, place.folder / path) for name, (path, _) in entries.items()}
        missing = [path for path in found.values() if not path.is_file()]
        if missing:
            click.echo(steps(self.steps, root, place, missing))
        others = [path for path, checksum in recordings.items() if path.is_file() and md5(path) != checksum]
        if others:
            click.echo(
                f"{len(others)} recordings are other copies than those that mirdata knows; another edition may begin "
                f"later, see that annotations fit: {named(Place(place.name, root), others)}",
                err=True,
            )


def steps(text: str, folder: Path, place: Place, missing: Sequence[Path]) -> str:
    """Return what to do about recordings that cannot be downloaded."""
    return f"{text.format(folder=folder)}\nExpected, in any audio format: {named(place, missing)}."


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence mirdata's remarks on archives: they, or the files inside, are verified here."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _read(annotation: Annotation, track: Any) -> Any:
    try:
        return annotation.read(track)
    except UNREADABLE as error:
        path = track.get_path(annotation.file)
        raise DatasetError(f"{path}: mirdata cannot read it ({error}); is this the published file?") from error


def refuse_changed(place: Place, checksums: Mapping[Path, str]) -> None:
    """See that all files are there, and are those that were published.

    Raises
    ------
    DatasetError
        Naming those that are not.
    """
    wrong = [path for path, checksum in checksums.items() if not path.is_file() or md5(path) != checksum]
    if wrong:
        raise DatasetError(
            f"{place.name}: {len(wrong)} of {len(checksums)} files in {place.folder} are missing, or differ from the "
            f"published ones (MD5): {named(place, wrong)}; remove their folders and run 'mirbench data prepare "
            f"{place.name}'"
        )


def md5(path: Path) -> str:
    """Hash a file's bytes as publishers do."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
