"""Data sets that are rendered or synthesised once on the user's machine, then read.

A folder holds one FLAC file and one JSON file of labels for every clip. Each is written atomically, and the manifest is
written last: an interrupted run continues where it stopped. The manifest holds the hash of every FLAC file, and one of
its own list of clips.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
from jaxtyping import Float32, Int16

from mirbench.errors import DatasetError, MissingDataError
from mirbench.files import content_hash, sweep, write_atomically
from mirbench.processes import process_pool
from mirbench.progress import Progress
from mirbench.specs import DatasetRequest

T = TypeVar("T")
CHECKSUM = "sha256"  # of the clips that a manifest lists
Samples = Float32[np.ndarray, "_samples"] | Int16[np.ndarray, "_samples"]


@dataclass(frozen=True)
class RenderedClip:
    """A clip that was rendered or synthesised.

    Attributes
    ----------
    samples
        float32 in [-1, 1], or int16; stored with 16 bits.
    sample_rate
        Sample rate in Hz.
    labels
        Annotation, of any type that JSON can represent.
    """

    samples: Samples
    sample_rate: int
    labels: Any


@dataclass(frozen=True)
class StoredClip:
    """A stored clip, as listed in the manifest.

    Attributes
    ----------
    path
        FLAC file.
    sha256
        SHA-256 of the file's bytes in hexadecimal; empty where the clip has no audio, see `read_clips`.
    duration
        Length in seconds.
    labels
        Annotation, of any type that JSON can represent.
    """

    path: Path
    sha256: str
    duration: float
    labels: Any


def manifest_path(request: DatasetRequest, name: str, rendering: int, inputs: str) -> Path:
    """Return the path of a size's manifest; its folder is named after everything on which the audio depends.

    Parameters
    ----------
    request
        Request with the size and the folder of data.
    name
        Name of the data set.
    rendering
        Version of the code; raised whenever the same inputs would produce other audio or other labels.
    inputs
        Everything else on which the audio depends. The version of the FLAC encoder is added by this function.
    """
    digest = sha256(f"{inputs} {soundfile.__libsndfile_version__}".encode()).hexdigest()[:10]
    return request.home / "data" / name / f"{rendering}-{digest}" / f"manifest-{request.size}.json"


def generate(
    manifest: Path,
    items: Mapping[str, T],
    make: Callable[[T], RenderedClip],
    *,
    title: str,
    workers: int,
    about: Mapping[str, Any] | None = None,
    verify: bool = False,
) -> None:
    """Render the missing clips in several processes, and write the manifest.

    Parameters
    ----------
    manifest
        Path of the manifest, see `manifest_path`.
    items
        Descriptions of the clips, by the stem of their files.
    make
        Renders one clip from its description; must be picklable (a function of a module, or a partial of one).
    title
        Title of the progress bar.
    workers
        Number of processes.
    about
        Further entries of the manifest.
    verify
        If true, read every file that the manifest lists and render again those that have changed; all of them if the
        manifest itself is damaged. Otherwise an existing manifest is trusted.
    """
    if manifest.is_file() and not verify:
        return
    folder = manifest.parent
    sweep(folder)
    whole = {stem for stem in items if _entry(folder, stem) is not None}
    if manifest.exists():
        listed = _read(manifest) or {}
        whole = {stem for stem in whole if _entry(folder, stem) == listed.get(stem)}
    missing = {stem: item for stem, item in items.items() if stem not in whole}
    if missing:
        with Progress(title, len(missing)) as progress, process_pool(workers) as pool:
            try:
                done = pool.map(partial(make_one, folder=folder, make=make), *zip(*missing.items(), strict=True))
                for seconds in done:
                    progress.advance(seconds)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    clips = {stem: _entry(folder, stem) for stem in items}
    content = json.dumps({**(about or {}), CHECKSUM: _checksum(clips), "clips": clips}, indent=1).encode()
    if not manifest.exists() or manifest.read_bytes() != content:
        write_atomically(manifest, content)


class _Clips(dict[str, StoredClip]):
    """Clips by stem; one that is not listed is an error of the data set."""

    def __init__(self, clips: Mapping[str, StoredClip], problem: str) -> None:
        super().__init__(clips)
        self._problem = problem

    def __missing__(self, stem: str) -> StoredClip:
        raise DatasetError(f"{stem} is not listed in {self._problem}")


def read_manifest(manifest: Path, name: str) -> dict[str, StoredClip]:
    """Return the clips that `generate` has stored, by stem.

    Parameters
    ----------
    manifest
        Path of the manifest.
    name
        Name of the data set, for error messages.

    Raises
    ------
    MissingDataError
        If the data set has not been rendered; the message states how to.
    DatasetError
        If the manifest is damaged. Looking up a stem that is not listed raises it, too.
    """
    size = manifest.stem.removeprefix("manifest").removeprefix("-")
    command = f"run 'mirbench data prepare {name}{f' --size {size}' if size not in ('', 'default') else ''}'"
    if not manifest.exists():
        raise MissingDataError(f"{name} is not made in {manifest.parent}; {command}")
    clips = _read(manifest)
    if clips is None:
        raise DatasetError(f"{manifest}: a damaged manifest; {command}, which makes {name} again")
    return _as_stored(clips, manifest.parent, f"{manifest}; {command}")


def _as_stored(clips: Mapping[str, dict[str, Any]], folder: Path, problem: str) -> dict[str, StoredClip]:
    stored = {
        stem: StoredClip(folder / f"{stem}.flac", clip["sha256"], clip["duration"], clip["labels"])
        for stem, clip in clips.items()
    }
    return _Clips(stored, problem)


def read_clips(
    request: DatasetRequest,
    manifest: Path,
    name: str,
    items: Mapping[str, T],
    label: Callable[[T], tuple[float, Any]],
) -> dict[str, StoredClip]:
    """Return the clips of a data set, by stem; without audio where the request needs none and none is stored.

    Labels that are computed for such a request are kept in an index beside the place of the manifest.

    Parameters
    ----------
    request
        Request to the data set.
    manifest
        Path of the manifest, see `manifest_path`.
    name
        Name of the data set, for error messages.
    items
        Descriptions of the clips, by the stem of their files.
    label
        Returns the duration in seconds and the labels of a clip from its description, as they will be when it is
        rendered; must be picklable.

    Raises
    ------
    MissingDataError
        If audio is needed and the data set has not been rendered; the message states how to.
    DatasetError
        If the manifest is damaged. Looking up a stem that is not listed raises it, too.
    """
    if request.needs_audio or manifest.exists():
        return read_manifest(manifest, name)
    index = manifest.with_name(f"references-{request.size}.json")
    clips = _read(index) if index.exists() else None
    if clips is None:
        clips = {}
        with Progress(f"references of {name}", len(items)) as progress, process_pool(request.workers) as pool:
            for stem, (duration, labels) in zip(items, pool.map(label, items.values(), chunksize=8), strict=True):
                clips[stem] = {"sha256": "", "duration": duration, "labels": labels}
                progress.advance(duration)
        clips = json.loads(json.dumps(clips))  # as a manifest holds them
        write_atomically(index, json.dumps({CHECKSUM: _checksum(clips), "clips": clips}, indent=1).encode())
    return _as_stored(clips, manifest.parent, f"{index}; remove it")


def make_one(stem: str, item: T, folder: Path, make: Callable[[T], RenderedClip]) -> float:
    """Render one clip, write its audio and its labels, and return its duration.

    Parameters
    ----------
    stem
        Stem of the files.
    item
        Description of the clip.
    folder
        Folder of the files.
    make
        Renders the clip.

    Returns
    -------
    duration
        Length of the clip in seconds.
    """
    made = make(item)
    duration = len(made.samples) / made.sample_rate
    audio = io.BytesIO()
    soundfile.write(audio, made.samples, made.sample_rate, format="FLAC", subtype="PCM_16")
    labels = json.dumps({"duration": duration, "labels": made.labels})
    write_atomically(folder / f"{stem}.json", labels.encode())
    write_atomically(folder / f"{stem}.flac", audio.getvalue())  # last: it says that the clip is complete
    return duration


def _entry(folder: Path, stem: str) -> dict[str, Any] | None:
    """Return the manifest's entry of a clip, from its files; None if one is missing or unreadable."""
    try:
        about = json.loads((folder / f"{stem}.json").read_text())
        entry = {"sha256": content_hash(folder / f"{stem}.flac"), **about}
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return entry if _is_entry(entry) else None


def _read(manifest: Path) -> dict[str, dict[str, Any]] | None:
    """Read the entries of a manifest; None if it is not what `generate` wrote."""
    try:
        content = json.loads(manifest.read_text())
        clips = content["clips"]
        is_whole = all(map(_is_entry, clips.values())) and content.get(CHECKSUM) in (None, _checksum(clips))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return dict(clips) if is_whole else None


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"sha256", "duration", "labels"}
        and isinstance(entry["sha256"], str)
        and isinstance(entry["duration"], int | float)
        and 0 < entry["duration"] < float("inf")
    )


def _checksum(clips: Mapping[str, Any]) -> str:
    """Return the hash of a list of clips; older manifests do not hold one."""
    return sha256(json.dumps(clips, sort_keys=True).encode()).hexdigest()
