"""The data set `hospital-synth`: synthesised once, then read.

The folder is named by all that the audio depends on; see `mirbench.data.embedded`.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mirbench.data import embedded as generated
from mirbench.data.embedded import RenderedClip, generate, read_clips
from mirbench.domain import Clip, Dataset, LabelledIntervals, Split
from mirbench.errors import DatasetError
from mirbench.specs import DatasetRequest
from mirbench_data_hospital_synth.plan import CLIP_SECONDS, LABELS, ClipPlan, Event, clips
from mirbench_data_hospital_synth.room import Acoustics, Bands, impulse_response, level_db, octave_power
from mirbench_data_hospital_synth.signals import SAMPLE_RATE, Signal, convolved, n_samples

NAME = "hospital-synth"
TASK = "hospital"
RENDERING = 2  # raise whenever the same plan would give other audio or other labels
PEAK = 0.9  # louder clips are turned down


class HospitalSynth(Dataset):
    """Clips of synthetic rooms, with their events as `LabelledIntervals`.

    Raises
    ------
    DatasetError
        If it has not been synthesised in this size, or the request's task is another.
    """

    labels = LABELS

    def __init__(self, request: DatasetRequest) -> None:
        if request.task != TASK:
            raise DatasetError(f"{NAME} has no references for task {request.task!r}; it has {TASK}")
        path = manifest_path(request)
        stored = read_clips(request, path, NAME, items_of(request.size), label)
        self.name = NAME
        self.size = request.size
        self.version = path.parent.name
        self._clips = [
            Clip(
                id=plan.name,
                path=stored[plan.name].path,
                split=plan.room.split,
                group=plan.room.name,
                reference=_intervals(stored[plan.name].labels["events"]),
                duration=stored[plan.name].duration,
                sha256=stored[plan.name].sha256,
            )
            for plan in clips(request.size)
        ]

    def clips(self, split: Split) -> Sequence[Clip]:
        """List the clips of a split, room by room."""
        return [clip for clip in self._clips if clip.split == split]


def items_of(size: str) -> dict[str, ClipPlan]:
    """Return the clips of a size by the stem of their files."""
    return {plan.name: plan for plan in clips(size)}


def manifest_path(request: DatasetRequest) -> Path:
    """Return where the manifest of a size lies; the folder's name covers the plan."""
    return generated.manifest_path(request, NAME, RENDERING, _planned())


@cache
def _planned() -> str:
    return re.sub(r"(\.\d{6})\d+", r"\1", repr(clips("default")))  # machines may differ in the last digits


def prepare(request: DatasetRequest) -> None:
    """Synthesise the clips that are missing."""
    generate(
        manifest_path(request),
        items_of(request.size),
        make,
        title=f"synthesising {NAME}",
        workers=request.workers,
        verify=request.verify,
        about={"kind": "synthesised, no recordings"},
    )


def make(plan: ClipPlan) -> RenderedClip:
    """Synthesise one clip, with what is known about every event."""
    return RenderedClip(mix(plan), SAMPLE_RATE, _labels(plan))


def label(plan: ClipPlan) -> tuple[float, dict[str, Any]]:
    """Return the duration and the labels of one clip without synthesising it."""
    return n_samples(CLIP_SECONDS) / SAMPLE_RATE, _labels(plan)


def _labels(plan: ClipPlan) -> dict[str, Any]:
    events = [{"label": event.label, **_about(event)} for event in plan.labelled]
    return {"room": plan.room.name, "events": events}


def mix(plan: ClipPlan) -> Float32[np.ndarray, "samples"]:
    """Put the events of a clip into its room."""
    background = plan.room.background.render(np.random.default_rng(plan.seed), CLIP_SECONDS)
    bands = octave_power(background)
    total = background.copy()
    for event in plan.events:
        wet = placed(event, plan.room.acoustics, bands)
        start = n_samples(event.onset)
        begin, end = max(start, 0), min(start + len(wet), len(total))
        total[begin:end] += wet[begin - start : end - start]
    total *= np.float32(10 ** (plan.room.background.level_db / 20))
    peak = float(np.abs(total).max())
    return np.asarray(total * np.float32(min(1.0, PEAK / peak)), dtype=np.float32)


def placed(event: Event, acoustics: Acoustics, background: Bands) -> Signal:
    """Let an event sound at its place, at its level against the background; the room rings on after its end."""
    dry = event.sound.render(np.random.default_rng(event.seed))
    wet = convolved(dry, impulse_response(acoustics, acoustics.positions[event.position]))
    gain_db = event.level_db - level_db(octave_power(wet[: len(dry)]), background)
    return np.asarray(wet * np.float32(10 ** (gain_db / 20)), dtype=np.float32)


def _about(event: Event) -> dict[str, Any]:
    onset, offset = event.interval
    return {"onset": onset, "offset": offset, "level_db": round(event.level_db, 2)}


def _intervals(events: Sequence[dict[str, Any]]) -> LabelledIntervals:
    rows = [(event["onset"], event["offset"]) for event in events]
    return LabelledIntervals(np.array(rows, dtype=np.float64).reshape(-1, 2), tuple(event["label"] for event in events))
