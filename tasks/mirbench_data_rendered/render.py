"""Turn a score into audio: a MIDI file with a tempo curve, a synthesiser, 22,050 Hz mono.

Synthesisers, in this order: midirenderer; tinysoundfont; pyfluidsynth. All play the SoundFont TimGM6mb, which ships
inside the package pretty_midi. (symusic's synthesiser is not among them: it ignores the root keys of this SoundFont and
plays wrong pitches. `tests/tasks/test_scores.py` listens.)
"""

import importlib.util
import io
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mido
import numpy as np
import soundfile
import soxr
from jaxtyping import Float32, Float64

from mirbench import DatasetError
from mirbench_data_rendered.index import Entry, generator

SAMPLE_RATE = 22050
LIVE_RATE = 44100  # Hz, of synthesisers that are driven note by note
TICKS_PER_QUARTER = 480
RELEASE = 1.0  # seconds after the last note-off; midirenderer stops right there
PEAK = 0.7
VELOCITY = 90
PERCUSSION_CHANNEL = 9
# The tempo breathes by this share, once in so many quarter notes.
TEMPO_SWING, SWING_QUARTERS = 0.06, 16
SYNTHESISERS = {"midirenderer": "midirenderer", "tinysoundfont": "tinysoundfont", "fluidsynth": "pyfluidsynth"}


def microseconds_per_quarter(entry: Entry) -> list[int]:
    """Make the tempo curve of a clip: one duration for each quarter note from its start."""
    n_quarters = int(np.ceil(entry.end - entry.start)) + 1
    phase = generator("phase", entry.id).uniform(0, 2 * np.pi)
    swing = 1 + TEMPO_SWING * np.sin(2 * np.pi * np.arange(n_quarters) / SWING_QUARTERS + phase)
    return [round(60e6 / (entry.tempo_bpm * factor)) for factor in swing]


def quarters_to_seconds(entry: Entry, quarters: Float64[np.ndarray, "event"]) -> Float64[np.ndarray, "event"]:
    """Say when score positions (quarter notes from the clip's start) sound, in seconds from the clip's start."""
    grid = np.concatenate([[0.0], np.cumsum(microseconds_per_quarter(entry)) / 1e6])
    return np.asarray(np.interp(quarters, np.arange(len(grid)), grid))


def sounding_notes(entry: Entry, notes: Float64[np.ndarray, "note 4"]) -> Float64[np.ndarray, "kept 4"]:
    """Cut the excerpt out of a score and transpose it; onsets count from the excerpt's start."""
    kept = notes[(notes[:, 0] >= entry.start) & (notes[:, 0] < entry.end)].copy()
    kept[:, 0] -= entry.start
    kept[:, 2] += entry.transpose
    return kept


def midi_bytes(entry: Entry, notes: Float64[np.ndarray, "note 4"]) -> bytes:
    """Write the notes of `sounding_notes` as a MIDI file, one track a part."""
    midi = mido.MidiFile(ticks_per_beat=TICKS_PER_QUARTER)
    tempi = microseconds_per_quarter(entry)
    changes = [
        mido.MetaMessage("set_tempo", tempo=tempo, time=TICKS_PER_QUARTER if i else 0) for i, tempo in enumerate(tempi)
    ]
    midi.tracks.append(mido.MidiTrack(changes))
    for part, program in enumerate(entry.programs):
        channel = part % 15
        channel += channel >= PERCUSSION_CHANNEL
        track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program)])
        events = []
        for onset, length, pitch, _ in notes[notes[:, 3] == part]:
            first = round(onset * TICKS_PER_QUARTER)
            last = first + max(1, round(length * TICKS_PER_QUARTER))
            events += [(first, 1, int(pitch)), (last, 0, int(pitch))]
        now = 0
        for tick, is_on, pitch in sorted(events):
            kind = "note_on" if is_on else "note_off"
            track.append(mido.Message(kind, channel=channel, note=pitch, velocity=VELOCITY, time=tick - now))
            now = tick
        midi.tracks.append(track)
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


def render(entry: Entry, notes: Float64[np.ndarray, "note 4"]) -> Float32[np.ndarray, "samples"]:
    """Play the notes of `sounding_notes`; mono at 22,050 Hz with a peak of 0.7."""
    sound = _PLAYERS[synthesiser()](midi_bytes(entry, notes))
    sound = np.pad(sound, (0, max(0, n_samples(entry) - len(sound))))[: n_samples(entry)]
    fade = round(0.05 * SAMPLE_RATE)
    sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return np.asarray(sound * (PEAK / np.abs(sound).max()), dtype=np.float32)


def n_samples(entry: Entry) -> int:
    """Count the samples of a clip."""
    end = quarters_to_seconds(entry, np.array([entry.end - entry.start]))[0]
    return round((float(end) + RELEASE) * SAMPLE_RATE)


@cache
def synthesiser() -> str:
    """Name the first synthesiser that is installed.

    Raises
    ------
    DatasetError
        If there is none.
    """
    for module in SYNTHESISERS:
        if importlib.util.find_spec(module):
            return module
    raise DatasetError(
        "no synthesiser is installed; run 'pip install midirenderer', or where it has no wheel "
        "'pip install --no-deps tinysoundfont' or 'pip install pyfluidsynth' (with the system's libfluidsynth)"
    )


def synthesiser_version() -> str:
    """Name synthesiser and version: audio differs between them, features must not be confused."""
    return f"{synthesiser()} {version(SYNTHESISERS[synthesiser()])}"


@cache
def soundfont() -> Path:
    """Find the SoundFont without importing pretty_midi."""
    spec = importlib.util.find_spec("pretty_midi")
    path = Path(spec.origin).parent / "TimGM6mb.sf2" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DatasetError(
            "the SoundFont TimGM6mb.sf2 of the package pretty_midi is missing; run 'pip install pretty_midi'"
        )
    return path


def _play_midirenderer(midi: bytes) -> Float32[np.ndarray, "samples"]:
    import midirenderer

    wave, rate = soundfile.read(
        io.BytesIO(bytes(midirenderer.render_wave_from(_soundfont_bytes(), midi))), dtype="float32"
    )
    return _mono(wave, rate)


def _play_tinysoundfont(midi: bytes) -> Float32[np.ndarray, "samples"]:
    import tinysoundfont

    synth = tinysoundfont.Synth(samplerate=LIVE_RATE)
    font = synth.sfload(str(soundfont()))
    return _play_live(
        midi,
        synth,
        choose=lambda channel, program: synth.program_select(channel, font, 0, program),
        generate=lambda n_frames: np.frombuffer(synth.generate(n_frames), np.float32),
    )


def _play_fluidsynth(midi: bytes) -> Float32[np.ndarray, "samples"]:
    import fluidsynth

    synth = fluidsynth.Synth(samplerate=float(LIVE_RATE))
    font = synth.sfload(str(soundfont()))
    return _play_live(
        midi,
        synth,
        choose=lambda channel, program: synth.program_select(channel, font, 0, program),
        generate=lambda n_frames: synth.get_samples(n_frames).astype(np.float32) / 32768,
    )


def _play_live(
    midi: bytes, synth: Any, choose: Callable[[int, int], Any], generate: Callable[[int], np.ndarray]
) -> Float32[np.ndarray, "samples"]:
    """Drive a synthesiser that is told notes and asked for sound in between."""
    blocks: list[np.ndarray] = []
    now = due = 0.0
    for message in mido.MidiFile(file=io.BytesIO(midi)):
        due += message.time
        n_frames = round((due - now) * LIVE_RATE)
        if n_frames:
            blocks.append(np.array(generate(n_frames)))
            now += n_frames / LIVE_RATE
        if message.type == "program_change":
            choose(message.channel, message.program)
        elif message.type == "note_on":
            synth.noteon(message.channel, message.note, message.velocity)
        elif message.type == "note_off":
            synth.noteoff(message.channel, message.note)
    blocks.append(np.array(generate(round(RELEASE * LIVE_RATE))))
    return _mono(np.concatenate(blocks).reshape(-1, 2), LIVE_RATE)


def _mono(wave: np.ndarray, rate: int) -> Float32[np.ndarray, "samples"]:
    mono: np.ndarray = soxr.resample(wave.mean(axis=1), rate, SAMPLE_RATE, quality="HQ").astype(np.float32)
    return mono


@cache
def _soundfont_bytes() -> bytes:
    return soundfont().read_bytes()


_PLAYERS: dict[str, Callable[[bytes], np.ndarray]] = {
    "midirenderer": _play_midirenderer,
    "tinysoundfont": _play_tinysoundfont,
    "fluidsynth": _play_fluidsynth,
}
