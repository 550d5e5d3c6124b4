"""The data set `rendered-scores`: rendered once, then read.

The folder is named by all that the audio depends on; see `mirbench.data.embedded`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from mirbench.data import embedded as generated
from mirbench.data.embedded import Made, Stored, generate, read_clips
from mirbench.domain import Clip, Dataset, LabelledIntervals, Split
from mirbench.errors import DatasetError
from mirbench.files import content_hash
from mirbench.specs import DatasetRequest
from mirbench_data_rendered import render
from mirbench_data_rendered.annotate import COLLECTIONS, FAMILIES, Annotation, annotate
from mirbench_data_rendered.corpus import Score, read_score
from mirbench_data_rendered.index import INDEX, Entry, read_index

NAME = "rendered-scores"
RENDERING = 3  # raise whenever the same index would give other audio or other labels


class RenderedScores(Dataset):
    """Clips with the references of one task.

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
            reference = REFERENCES[request.task](entry, Annotation.from_json(stored[entry.file_stem].labels))
            if reference is not None:
                self._clips.append(_clip(entry, stored[entry.file_stem], reference))

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split in the order of the index."""
        return [clip for clip in self._clips if clip.split == split]


def _clip(entry: Entry, stored: Stored, reference: object) -> Clip:
    return Clip(
        id=entry.id,
        path=stored.path,
        split=_split(entry),
        group=entry.group,
        reference=reference,
        duration=stored.duration,
        sha256=stored.sha256,
    )


def _key(entry: Entry, annotation: Annotation) -> str:
    return entry.key


def _beats(entry: Entry, annotation: Annotation) -> Float64[np.ndarray, "beat"] | None:
    """Give the beats; no clip where the bars of the score are irregular."""
    return np.array(annotation.beats, dtype=np.float64) if annotation.beats else None


def _chords(entry: Entry, annotation: Annotation) -> LabelledIntervals | None:
    """Give the chords; no clip where one voice sings alone."""
    if not annotation.chords:
        return None
    starts, ends, labels = zip(*annotation.chords, strict=True)
    return LabelledIntervals(np.array([starts, ends], dtype=np.float64).T, labels)


def _tags(entry: Entry, annotation: Annotation) -> Float32[np.ndarray, "label"]:
    """Mark what plays and where the piece is from."""
    return np.array([tag in annotation.tags for tag in TAGS], dtype=np.float32)


TAGS = (*FAMILIES.values(), *COLLECTIONS.values())
REFERENCES: dict[str, Callable[[Entry, Annotation], Any]] = {
    "key": _key,
    "beat": _beats,
    "chord": _chords,
    "tagging": _tags,
}


def entries_of(size: str) -> list[Entry]:
    """List the clips of a size; the small size is part of the default."""
    return [entry for entry in read_index() if size == "default" or entry.size == size]


def items_of(size: str) -> dict[str, Entry]:
    """Return the clips of a size by the stem of their files."""
    return {entry.file_stem: entry for entry in entries_of(size)}


def manifest_path(request: DatasetRequest) -> Path:
    """Say where the manifest of a size lies; the folder's name covers scores, index, renderer and synthesiser."""
    inputs = f"{INDEX.read_text()} {version('music21')} {render.synthesiser_version()}"
    return generated.manifest_path(request, NAME, RENDERING, inputs)


def prepare(request: DatasetRequest) -> None:
    """Render the clips that are missing."""
    generate(
        manifest_path(request),
        items_of(request.size),
        make,
        title=f"rendering {NAME}",
        workers=request.workers,
        verify=request.verify,
        about={
            "synthesiser": render.synthesiser_version(),
            "soundfont": {"name": "TimGM6mb", "sha256": content_hash(render.soundfont())},
            "music21": version("music21"),
        },
    )


def make(entry: Entry) -> Made:
    """Render one clip."""
    score = read_score(entry.id)
    samples = render.render(entry, render.sounding_notes(entry, score.notes))
    return Made(samples, render.SAMPLE_RATE, _labels(entry, score))


def label(entry: Entry) -> tuple[float, dict[str, Any]]:
    """Return the duration and the labels of one clip without rendering it."""
    return render.n_samples(entry) / render.SAMPLE_RATE, _labels(entry, read_score(entry.id))


def _labels(entry: Entry, score: Score) -> dict[str, Any]:
    return {"key": entry.key, **asdict(annotate(entry, score))}


def _split(entry: Entry) -> Split:
    splits: dict[str, Split] = {"train": "train", "valid": "valid", "test": "test"}
    return splits[entry.split]
