"""The data set `rendered-scores`: rendered once, then read.

The folder is named by all that the audio depends on; see `mirbench.data.embedded`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from mirbench.data import embedded as generated
from mirbench.data.embedded import RenderedClip, StoredClip, generate, read_clips
from mirbench.domain import Clip, Dataset, LabelledIntervals, Split
from mirbench.errors import DatasetError
from mirbench.specs import DatasetRequest
from mirbench_data_rendered import fonts, render
from mirbench_data_rendered.clips import Arranged, arranged
from mirbench_data_rendered.index import INDEX, Entry, read_index
from mirbench_data_rendered.seeds import generator
from mirbench_data_rendered.sounds import DRUMS, FAMILIES

NAME = "rendered-scores"
RENDERING = 4  # raise whenever the same index would give other audio or other labels
SPLITS: dict[str, Split] = {"train": "train", "valid": "valid", "test": "test"}
TAGS = (*FAMILIES, DRUMS)
# Clips of chorales have no references here: nearly all of their onsets are beats.
WITHOUT_BEATS = "chorale"


class RenderedScores(Dataset):
    """Clips with the references of one task.

    Parameters
    ----------
    request
        Task, size and folder.

    Raises
    ------
    DatasetError
        If it has not been rendered in this size, or the request's task has no references here.
    """

    def __init__(self, request: DatasetRequest) -> None:
        if request.task not in REFERENCES:
            raise DatasetError(f"{NAME} has no references for task {request.task!r}; it has {', '.join(REFERENCES)}")
        path = manifest_path(request)
        stored = read_clips(request, path, NAME, items_of(request.size), label)
        self.name = NAME
        self.size = request.size
        self.version = path.parent.name
        self.labels = TAGS if request.task == "tagging" else ()
        self._clips = []
        for entry in entries_of(request.size):
            reference = REFERENCES[request.task](entry, stored[entry.file_stem].labels)
            if reference is not None:
                self._clips.append(_clip(entry, stored[entry.file_stem], reference))

    def clips(self, split: Split) -> Sequence[Clip]:
        """Return the clips of a split in the order of the index.

        Parameters
        ----------
        split
            "train", "valid" or "test".
        """
        return [clip for clip in self._clips if clip.split == split]


def _clip(entry: Entry, stored: StoredClip, reference: object) -> Clip:
    return Clip(
        id=entry.id,
        path=stored.path,
        split=SPLITS[entry.split],
        group=entry.group,
        reference=reference,
        duration=stored.duration,
        sha256=stored.sha256,
        part=entry.kind,
    )


def _key(entry: Entry, labels: Mapping[str, Any]) -> str:
    return entry.key


def _beats(entry: Entry, labels: Mapping[str, Any]) -> Float64[np.ndarray, "beat"] | None:
    return None if entry.kind == WITHOUT_BEATS else np.array(labels["beats"], dtype=np.float64)


def _chords(entry: Entry, labels: Mapping[str, Any]) -> LabelledIntervals:
    starts, ends, names = zip(*labels["chords"], strict=True)
    return LabelledIntervals(np.array([starts, ends], dtype=np.float64).T, tuple(names))


def _tags(entry: Entry, labels: Mapping[str, Any]) -> Float32[np.ndarray, "label"]:
    return np.array([tag in labels["instruments"] for tag in TAGS], dtype=np.float32)


REFERENCES: dict[str, Callable[[Entry, Mapping[str, Any]], Any]] = {
    "key": _key,
    "beat": _beats,
    "chord": _chords,
    "tagging": _tags,
}


def entries_of(size: str) -> list[Entry]:
    """Return the entries of a size; the small size is part of the default."""
    return [entry for entry in read_index() if size == "default" or entry.size == size]


def font_folder(home: Path) -> Path:
    """Return the folder of SoundFonts."""
    return home / "data" / "soundfonts"


def items_of(size: str) -> dict[str, Entry]:
    """Return the clips of a size by the stem of their files."""
    return {entry.file_stem: entry for entry in entries_of(size)}


def manifest_path(request: DatasetRequest) -> Path:
    """Return the manifest of a size; the folder's name covers scores, index, SoundFonts and what plays them."""
    inputs = f"{INDEX.read_text()} {version('music21')} {render.player_version()} {fonts.MERLIN_SHA256}"
    return generated.manifest_path(request, NAME, RENDERING, inputs)


def prepare(request: DatasetRequest) -> None:
    """Render the clips that are missing.

    Parameters
    ----------
    request
        Size, folder and number of processes.

    Raises
    ------
    DatasetError
        If a SoundFont or a program that plays it is missing.
    """
    folder = font_folder(request.home)
    if not manifest_path(request).is_file() or request.verify:
        fonts.fetch_merlin(folder)
        fonts.merlin(folder)
    generate(
        manifest_path(request),
        items_of(request.size),
        partial(make, folder=folder),
        title=f"rendering {NAME}",
        workers=request.workers,
        verify=request.verify,
        about={
            "player": render.player_version(),
            "soundfonts": ["TimGM6mb", "Merlin"],
            "music21": version("music21"),
        },
    )


def make(entry: Entry, folder: Path) -> RenderedClip:
    """Render one clip.

    Parameters
    ----------
    entry
        What to render.
    folder
        Folder of SoundFonts.
    """
    clip = arranged(entry)
    samples = render.render(
        clip.tracks, clip.seconds, clip.duration, clip.cents, folder, generator("recording", entry.id)
    )
    return RenderedClip(samples, render.SAMPLE_RATE, _labels(entry, clip))


def label(entry: Entry) -> tuple[float, dict[str, Any]]:
    """Return the duration in seconds and the labels of one clip without rendering it."""
    clip = arranged(entry)
    return round(clip.duration * render.SAMPLE_RATE) / render.SAMPLE_RATE, _labels(entry, clip)


def _labels(entry: Entry, clip: Arranged) -> dict[str, Any]:
    return {"key": entry.key, **clip.labels}
