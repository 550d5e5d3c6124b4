"""Audio to train on: found, decoded once, kept as levels on disk."""

import hashlib
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float16

from mirbench.data import audio
from mirbench.errors import AudioError, TrainingError, of_system
from mirbench.files import content_hash, sweep, write_atomically
from mirbench.processes import process_pool
from mirbench.progress import Progress
from mirbench.specs import PretrainRequest
from mirbench_ssl.frontends import FrontEnd

MAX_NAMED = 5
RENDERING = re.compile(r"(.+)__([+-]\d+)")


@dataclass(frozen=True)
class Region:
    """A region of a file.

    Attributes
    ----------
    path
        Audio file.
    start, duration
        In seconds; a duration of None extends to the end.
    """

    path: Path
    start: float
    duration: float | None


@dataclass(frozen=True, eq=False)
class Track:
    """A track to train on.

    Attributes
    ----------
    source
        Its file, for messages.
    levels
        What the front end makes of it, in decibels; mapped from disk.
    label
        The reference of its clip, where the training needs one.
    piece
        What is rendered, for renderings of one piece at several transpositions: files named PIECE__+3.flac, in one
        folder; empty for other files.
    transposition
        In semitones, from the file's name; 0 for other files.
    """

    source: str
    levels: Float16[np.ndarray, "_time level"]
    label: Any = None
    piece: str = ""
    transposition: int = 0


@dataclass(frozen=True, eq=False)
class Corpus:
    """All tracks, with what a header says of them.

    Attributes
    ----------
    digest
        Of the content of all regions: equal if and only if the audio is.
    names
        Of the folders and data sets.
    """

    tracks: tuple[Track, ...]
    digest: str
    names: tuple[str, ...]
    hours: float


def open_corpus(request: PretrainRequest, front_end: FrontEnd, say: Callable[[str], None]) -> Corpus:
    """Find the audio, compute the levels that are missing, and map them all.

    Equal files count once. A file that cannot be read is named and left out.

    Raises
    ------
    TrainingError
        If nothing is left.
    """
    regions: dict[tuple[str, float, float | None], tuple[Region, Any]] = {}
    problems: list[str] = []
    for region, label in _regions(request):
        try:
            regions.setdefault((content_hash(region.path), region.start, region.duration), (region, label))
        except OSError as error:
            problems.append(of_system(error, str(region.path)))
    folder = request.home / "pretraining" / f"{front_end.name}-{front_end.fingerprint}"
    paths = {key: folder / f"{_name(key)}.npy" for key in regions}
    problems += _compute_missing(
        {paths[key]: region for key, (region, _) in regions.items() if not paths[key].is_file()}, front_end, request
    )
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:MAX_NAMED])
        more = f"\n  ... and {len(problems) - MAX_NAMED} more" if len(problems) > MAX_NAMED else ""
        say(f"left out, since they cannot be read: {len(problems)} files\n{shown}{more}")
    used = {key: value for key, value in regions.items() if paths[key].is_file()}
    if not used:
        raise TrainingError(
            f"no audio to train on in {', '.join(map(str, request.audio)) or 'the data sets'}; expected files that end "
            f"in {' '.join(audio.SUFFIXES)}"
        )
    tracks = tuple(
        Track(str(region.path), np.load(paths[key], mmap_mode="r"), label, *_rendering(region.path))
        for key, (region, label) in used.items()
    )
    digest = hashlib.sha256(repr(sorted(map(repr, used))).encode()).hexdigest()[:16]
    hours = sum(len(track.levels) for track in tracks) / front_end.frame_rate / 3600
    names = (*(path.name for path in request.audio), *request.datasets)
    return Corpus(tracks, digest, names, hours)


def _regions(request: PretrainRequest) -> Iterable[tuple[Region, Any]]:
    for given in request.audio:
        for path in audio.find(given):
            yield Region(path, 0.0, None), None
    for clip in request.clips:
        yield Region(clip.path, clip.start, clip.duration), clip.reference


def _rendering(path: Path) -> tuple[str, int]:
    """Return the piece and the transposition that a file's name holds."""
    match = RENDERING.fullmatch(path.stem)
    return (str(path.parent / match[1]), int(match[2])) if match else ("", 0)


def _name(key: tuple[str, float, float | None]) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:32]


def _compute_missing(missing: dict[Path, Region], front_end: FrontEnd, request: PretrainRequest) -> list[str]:
    """Compute levels in as many processes as there are workers; return what went wrong."""
    problems: list[str] = []
    if missing:
        first = next(iter(missing))
        first.parent.mkdir(parents=True, exist_ok=True)
        sweep(first.parent)
        with Progress(f"front end {front_end.name}", len(missing)) as progress, process_pool(request.workers) as pool:
            try:
                for seconds, problem in pool.map(
                    partial(_compute, front_end=front_end), *zip(*missing.items(), strict=True)
                ):
                    problems += [problem] if problem else []
                    progress.advance(seconds)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return problems


def _compute(path: Path, region: Region, *, front_end: FrontEnd) -> tuple[float, str]:
    """Compute and store the levels of one track; return its length, or what is wrong with it."""
    torch.set_num_threads(1)
    try:
        samples = audio.load(region.path, front_end.sample_rate, region.start, region.duration)
    except AudioError as error:
        return 0.0, str(error)
    with torch.inference_mode():
        levels = front_end.levels(samples)
    content = io.BytesIO()
    np.save(content, levels.astype(np.float16))
    write_atomically(path, content.getvalue())
    return len(samples) / front_end.sample_rate, ""
