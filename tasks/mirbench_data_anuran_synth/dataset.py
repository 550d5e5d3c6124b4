"""The data set `anuran-synth`: synthesised once, then read.

The folder is named by all that the audio depends on; see `mirbench.data.embedded`.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mirbench.data import embedded as generated
from mirbench.data.embedded import RenderedClip, StoredClip, generate, read_clips
from mirbench.domain import Clip, Dataset, Split
from mirbench.errors import DatasetError
from mirbench.specs import DatasetRequest
from mirbench_data_anuran_synth.calls import SAMPLE_RATE, TABLE, read_species
from mirbench_data_anuran_synth.plan import GROUPS, ClipPlan, clips, recordings
from mirbench_data_anuran_synth.scene import N_SAMPLES, render_scene

NAME = "anuran-synth"
TASK = "anuran"
RENDERING = 2  # raise whenever the same plan would give other audio


class AnuranSynth(Dataset):
    """Clips of synthetic choruses; a reference marks with 1 the species that are heard, in the order of `labels`.

    Raises
    ------
    DatasetError
        If it has not been synthesised in this size, or the request's task is another.
    """

    def __init__(self, request: DatasetRequest) -> None:
        if request.task != TASK:
            raise DatasetError(f"{NAME} has no references for task {request.task!r}; it has {TASK}")
        path = manifest_path(request)
        stored = read_clips(request, path, NAME, items_of(request.size), label)
        species = read_species()
        self.name = NAME
        self.size = request.size
        self.version = path.parent.name
        self.labels = tuple(species)
        self.label_groups = {name: tuple(code for code in species if species[code].group == name) for name in GROUPS}
        self._clips = [_clip(plan, stored[plan.name]) for plan in clips(request.size)]

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split, site by site."""
        return [clip for clip in self._clips if clip.split == split]


def _clip(plan: ClipPlan, stored: StoredClip) -> Clip:
    return Clip(
        id=plan.name,
        path=stored.path,
        split=plan.site.split,
        group=plan.site.name,
        reference=_reference(stored.labels["species"]),
        duration=stored.duration,
        sha256=stored.sha256,
    )


def _reference(codes: Sequence[str]) -> Float32[np.ndarray, "label"]:
    return np.array([code in codes for code in read_species()], dtype=np.float32)


def items_of(size: str) -> dict[str, ClipPlan]:
    """Return the clips of a size by the stem of their files."""
    return {plan.name: plan for plan in clips(size)}


def manifest_path(request: DatasetRequest) -> Path:
    """Return where the manifest of a size lies; the folder's name covers species and plan."""
    return generated.manifest_path(request, NAME, RENDERING, _planned())


@cache
def _planned() -> str:
    return f"{TABLE.read_text()} {recordings()!r}"


def prepare(request: DatasetRequest) -> None:
    """Synthesise the clips that are missing."""
    generate(
        manifest_path(request),
        items_of(request.size),
        make,
        title=f"synthesising {NAME}",
        workers=request.workers,
        verify=request.verify,
        about={"synthetic": "calls and backgrounds are computed from published acoustics; there are no recordings"},
    )


def make(plan: ClipPlan) -> RenderedClip:
    """Synthesise one clip."""
    sound = render_scene(plan.singers, plan.ambience, plan.site.room, list(plan.seed))
    return RenderedClip(sound, SAMPLE_RATE, _labels(plan))


def label(plan: ClipPlan) -> tuple[float, dict[str, Any]]:
    """Return the duration and the labels of one clip without synthesising it."""
    return N_SAMPLES / SAMPLE_RATE, _labels(plan)


def _labels(plan: ClipPlan) -> dict[str, Any]:
    return {"species": list(plan.labels)}
