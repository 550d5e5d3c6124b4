"""The data set `rendered-scores`: rendered once, then read.

The folder is named by all that the audio depends on. Every clip is written at once or not at all, and the manifest
comes last, so that an interrupted rendering continues where it stopped.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float64

from mirbench.domain import Clip, Dataset, LabelledIntervals, Split
from mirbench.errors import DatasetError
from mirbench.files import content_hash, sweep, write_atomically
from mirbench.processes import process_pool
from mirbench.progress import Progress
from mirbench.specs import DatasetRequest
from mirbench_scores import render
from mirbench_scores.annotate import Annotation, annotate
from mirbench_scores.corpus import read_score
from mirbench_scores.index import INDEX, Entry, read_index

NAME = "rendered-scores"
RENDERING = 2  # raise whenever the same index would give other audio or other labels


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
        if not path.is_file():
            raise DatasetError(f"{NAME} is not rendered in {path.parent}; run 'mirbench data prepare {NAME}'")
        known = {clip["file"]: clip for clip in json.loads(path.read_text())["clips"]}
        self.name = NAME
        self.size = request.size
        self.version = path.parent.name
        self._clips = []
        for entry in entries_of(request.size):
            clip = known[file_name(entry)]
            reference = REFERENCES[request.task](entry, Annotation.from_json(clip["labels"]))
            if reference is not None:
                self._clips.append(_clip(entry, path.parent, clip["sha256"], reference))

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split in the order of the index."""
        return [clip for clip in self._clips if clip.split == split]


def _clip(entry: Entry, folder: Path, digest: str, reference: object) -> Clip:
    return Clip(
        id=entry.id,
        path=folder / file_name(entry),
        split=_split(entry),
        group=entry.group,
        reference=reference,
        duration=render.n_samples(entry) / render.SAMPLE_RATE,
        sha256=digest,
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


REFERENCES: dict[str, Callable[[Entry, Annotation], Any]] = {"key": _key, "beat": _beats, "chord": _chords}


def entries_of(size: str) -> list[Entry]:
    """List the clips of a size; the small size is part of the default."""
    return [entry for entry in read_index() if size == "default" or entry.size == size]


def file_name(entry: Entry) -> str:
    """Name the audio of a clip."""
    return f"{entry.file_stem}.flac"


def manifest_path(request: DatasetRequest) -> Path:
    """Say where the manifest of a size lies; the folder's name covers scores, index, renderer and synthesiser."""
    inputs = (
        f"{INDEX.read_text()} {version('music21')} {render.synthesiser_version()} {soundfile.__libsndfile_version__}"
    )
    folder = f"{RENDERING}-{sha256(inputs.encode()).hexdigest()[:10]}"
    return request.home / "data" / NAME / folder / f"manifest-{request.size}.json"


def prepare(request: DatasetRequest) -> None:
    """Render the clips that are missing, in as many processes as the request has workers."""
    path = manifest_path(request)
    if path.is_file():
        return
    sweep(path.parent)
    entries = entries_of(request.size)
    missing = [entry for entry in entries if not (path.parent / file_name(entry)).is_file()]
    if missing:
        with (
            Progress(f"rendering {NAME}", len(missing)) as progress,
            process_pool(request.workers) as pool,
        ):
            try:
                for seconds in pool.map(partial(render_clip, folder=path.parent), missing, chunksize=4):
                    progress.advance(seconds)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    write_atomically(path, json.dumps(_manifest(entries, path.parent), indent=1).encode())


def render_clip(entry: Entry, folder: Path) -> float:
    """Render one clip to its file; returns its duration in seconds."""
    score = read_score(entry.id)
    notes = render.sounding_notes(entry, score.notes)
    labels = json.dumps(asdict(annotate(entry, score)))
    buffer = io.BytesIO()
    soundfile.write(buffer, render.render(entry, notes), render.SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    write_atomically(folder / f"{entry.file_stem}.json", labels.encode())
    write_atomically(folder / file_name(entry), buffer.getvalue())  # last: it says that the clip is complete
    return render.n_samples(entry) / render.SAMPLE_RATE


def _manifest(entries: Sequence[Entry], folder: Path) -> dict[str, object]:
    return {
        "synthesiser": render.synthesiser_version(),
        "soundfont": {"name": "TimGM6mb", "sha256": content_hash(render.soundfont())},
        "music21": version("music21"),
        "clips": [
            {
                "file": file_name(entry),
                "sha256": content_hash(folder / file_name(entry)),
                "key": entry.key,
                **asdict(entry),
                "labels": json.loads((folder / f"{entry.file_stem}.json").read_text()),
            }
            for entry in entries
        ],
    }


def _split(entry: Entry) -> Split:
    splits: dict[str, Split] = {"train": "train", "valid": "valid", "test": "test"}
    return splits[entry.split]
