"""Data sets that are made on this machine: rendered or synthesised once, then read.

A folder holds one FLAC file and one JSON file of labels for every clip. Each is written at once or not at all, and the
manifest comes last: what was interrupted continues where it stopped.
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

from mirbench.errors import MissingDataError
from mirbench.files import content_hash, sweep, write_atomically
from mirbench.processes import process_pool
from mirbench.progress import Progress
from mirbench.specs import DatasetRequest

T = TypeVar("T")
Samples = Float32[np.ndarray, "_samples"] | Int16[np.ndarray, "_samples"]


@dataclass(frozen=True)
class Made:
    """A clip as it was made.

    Attributes
    ----------
    samples
        float32 in [-1, 1], or int16; stored with 16 bits.
    labels
        Anything that JSON can hold.
    """

    samples: Samples
    sample_rate: int
    labels: Any


@dataclass(frozen=True)
class Stored:
    """A clip as the manifest knows it."""

    path: Path
    sha256: str
    duration: float
    labels: Any


def manifest_path(request: DatasetRequest, name: str, rendering: int, inputs: str) -> Path:
    """Say where the manifest of a size lies; its folder is named by all that the audio depends on.

    Parameters
    ----------
    rendering
        Raised by the data set whenever the same inputs would give other audio or other labels.
    inputs
        Everything else; the version of the FLAC encoder is added here.
    """
    digest = sha256(f"{inputs} {soundfile.__libsndfile_version__}".encode()).hexdigest()[:10]
    return request.home / "data" / name / f"{rendering}-{digest}" / f"manifest-{request.size}.json"


def generate(
    manifest: Path,
    items: Mapping[str, T],
    make: Callable[[T], Made],
    *,
    title: str,
    workers: int,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Make the clips that are missing, in as many processes as there are workers.

    Parameters
    ----------
    manifest
        Written last; see `manifest_path`.
    items
        What to make, by the stem of its files.
    make
        A function that processes can be sent (of a module, or a partial of one).
    about
        What else the manifest says.
    """
    if manifest.is_file():
        return
    folder = manifest.parent
    sweep(folder)
    missing = {stem: item for stem, item in items.items() if not (folder / f"{stem}.flac").is_file()}
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
    write_atomically(manifest, json.dumps({**(about or {}), "clips": clips}, indent=1).encode())


def read_manifest(manifest: Path, name: str) -> dict[str, Stored]:
    """Read what `generate` wrote, by stem.

    Raises
    ------
    MissingDataError
        If the data set has not been made, saying how to.
    """
    if not manifest.is_file():
        raise MissingDataError(f"{name} is not made in {manifest.parent}; run 'mirbench data prepare {name}'")
    clips = json.loads(manifest.read_text())["clips"]
    return {
        stem: Stored(manifest.parent / f"{stem}.flac", clip["sha256"], clip["duration"], clip["labels"])
        for stem, clip in clips.items()
    }


def make_one(stem: str, item: T, folder: Path, make: Callable[[T], Made]) -> float:
    """Make one clip and its labels in a folder; returns its duration in seconds."""
    made = make(item)
    duration = len(made.samples) / made.sample_rate
    audio = io.BytesIO()
    soundfile.write(audio, made.samples, made.sample_rate, format="FLAC", subtype="PCM_16")
    labels = json.dumps({"duration": duration, "labels": made.labels})
    write_atomically(folder / f"{stem}.json", labels.encode())
    write_atomically(folder / f"{stem}.flac", audio.getvalue())  # last: it says that the clip is complete
    return duration


def _entry(folder: Path, stem: str) -> dict[str, Any]:
    return {
        "sha256": content_hash(folder / f"{stem}.flac"),
        **json.loads((folder / f"{stem}.json").read_text()),
    }
