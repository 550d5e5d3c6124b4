"""Samples that several tests share: a result, a sound, and where the recordings lie."""

import os
from pathlib import Path

import numpy as np

from mirbench import Result

SHARED = Path(os.environ.get("MIRBENCH_SHARED", Path(__file__).parents[2] / "shared"))
RESULT = Result(
    run="r", date="2026-01-01T00:00:00+00:00", encoder="chroma", fingerprint="f", task="key", dataset="d",
    dataset_version="1", size="default", split="test", options={}, metric="weighted_score", label="",
    is_headline=True, aggregate="mean",
    value=0.5, low=0.4, high=0.6, deviation=0.0, n=10, n_groups=5, n_train=20, n_valid=10, protocol="convex", n_seeds=0,
    train_fraction=1.0, readout="mean", layer=0,
    setting=1.0, seed=0, source="mir_eval", selection={"curve": [["mean", 0, 1.0, 0.7]]}, extraction={},
    versions={"numpy": "2"}, seconds={"probe": 1.0},
)  # fmt: skip


def triad(pitch_classes: tuple[int, ...], seed: int, seconds: float = 1.0, sample_rate: int = 22050) -> np.ndarray:
    """Three sinusoids in random octaves, and a little noise."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    tones = [440 * 2 ** ((pitch - 9) / 12 + random.integers(-1, 2)) for pitch in pitch_classes]
    sound = sum(0.2 * np.sin(2 * np.pi * tone * time + random.uniform(0, 6)) for tone in tones)
    return (sound + 0.001 * random.standard_normal(len(time))).astype(np.float32)
