"""Which class is which key: a self-supervised network does not say, one reference chord does.

STONE's authors play a C major recording; here a triad is synthesised. It is encoded at twelve crops of its spectrogram,
twelve transpositions, whose answers, moved back, are averaged. Each mode has a reference and an offset of its own: in
the published S-KEY, C major sits beside D minor. Which twelve of 24 classes are major differs, too: the first in S-KEY,
the last in the published Semi-TONE.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import nn

from mirbench_ssl.frontends import STONE_FRONT_END, crop, vqt_of
from mirbench_stone.network import N_CLASSES

C2_HZ = 440 * 2 ** (-33 / 12)
TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}  # semitones above C
CADENCES = {  # I IV V I
    "major": ((0, 4, 7), (5, 9, 0), (7, 11, 2), (0, 4, 7)),
    "minor": ((0, 3, 7), (5, 8, 0), (7, 11, 2), (0, 3, 7)),
}
SURE = 0.5  # probability of a class of 24
OCTAVES, HARMONICS = 4, 8
SECONDS, SECONDS_BETWEEN_ATTACKS, DECAY_SECONDS = 15.0, 0.5, 0.4
TONICS = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}


def calibrate(network: nn.Module) -> dict[str, int]:
    """Find the class of each reference.

    Returns
    -------
    dict
        Of 24 classes the "major" class of C major (0 to 11) and the "minor" class of C minor (12 to 23); of 12 the
        "signature" of C major.
    """
    major = _heard(network, chord("major"))
    if len(major) == N_CLASSES:
        return {"signature": int(major.argmax())}
    minor = _heard(network, chord("minor"))
    return {"major": int(major[:N_CLASSES].argmax()), "minor": N_CLASSES + int(minor[N_CLASSES:].argmax())}


def measured_calibration(network: nn.Module) -> dict[str, int] | None:
    """Find the class of C major and of C minor among 24 classes of which nothing is known.

    The triad and a cadence of each mode are encoded at twelve transpositions. They are accepted only if all 24
    outputs for a mode, moved back, are one class, each with a probability of 0.5 or more, and the modes have twelve
    classes each.

    Returns
    -------
    dict or None
        The "major" and the "minor" class; None if the answers contradict each other.
    """
    found: dict[str, int] = {}
    for mode, cadence in CADENCES.items():
        views = [_moved_back(network, audio) for audio in (chord(mode), synthesised(cadence))]
        probabilities = torch.cat(views).flatten(1).softmax(dim=-1)
        sureness, classes = probabilities.max(dim=1)
        if len(classes.unique()) > 1 or float(sureness.min()) < SURE:
            return None
        found[mode] = int(classes[0])
    return found if found["major"] // N_CLASSES != found["minor"] // N_CLASSES else None


def chord(mode: str) -> Float32[np.ndarray, "samples"]:
    """Synthesise the triad on C: four octaves, struck twice a second for 15 s, harmonics falling as 1 / number."""
    return synthesised([TRIADS[mode]])


def synthesised(chords: Sequence[Sequence[int]]) -> Float32[np.ndarray, "samples"]:
    """Synthesise chords in turn, two a second for 15 s, each in four octaves.

    Parameters
    ----------
    chords
        Their pitch classes, in semitones above C.
    """
    rate = STONE_FRONT_END.sample_rate
    time = np.arange(int(SECONDS * rate)) / rate
    turn = (time // SECONDS_BETWEEN_ATTACKS).astype(int) % len(chords)
    audio = np.zeros_like(time)
    for number, pitch_classes in enumerate(chords):
        on = turn == number
        for interval in pitch_classes:
            for octave in range(OCTAVES):
                tone = C2_HZ * 2 ** (octave + interval / 12)
                for harmonic in range(1, HARMONICS + 1):
                    if tone * harmonic < rate / 2:
                        audio[on] += np.sin(2 * np.pi * tone * harmonic * time[on]) / harmonic
    audio *= np.exp(-(time % SECONDS_BETWEEN_ATTACKS) / DECAY_SECONDS)
    return (audio / np.abs(audio).max()).astype(np.float32)


def key_names(calibration: Mapping[str, int]) -> list[str]:
    """Name the 24 classes of a calibrated network, spelled as mir_eval spells keys."""
    modes = sorted(TONICS, key=lambda mode: calibration[mode] // N_CLASSES)
    return [
        f"{TONICS[mode][(index - calibration[mode]) % N_CLASSES]} {mode}"
        for mode in modes
        for index in range(N_CLASSES)
    ]


def _heard(network: nn.Module, audio: Float32[np.ndarray, "samples"]) -> Float[torch.Tensor, "output"]:
    """Average the class scores over twelve transpositions, each moved back."""
    return _moved_back(network, audio).mean(dim=0).flatten()


def _moved_back(
    network: nn.Module, audio: Float32[np.ndarray, "samples"]
) -> Float[torch.Tensor, "transposition channel 12"]:
    """Return the class scores of twelve transpositions, each moved back."""
    levels = torch.from_numpy(STONE_FRONT_END.levels(audio).T[None].copy())
    device = next(network.parameters()).device
    views = torch.cat([crop(vqt_of(levels), start) for start in range(N_CLASSES)]).to(device)
    with torch.inference_mode():
        scores = network(views).float().cpu().unflatten(1, (-1, N_CLASSES))
    return torch.stack([one.roll(start, dims=-1) for start, one in enumerate(scores)])
