"""Turn an arrangement into audio: each track through a SoundFont or the synthesiser, levels, a recording, 22,050 Hz.

Programs that play SoundFonts, in this order: midirenderer; tinysoundfont; pyfluidsynth. (symusic's synthesiser is not
among them: it ignores the root keys of TimGM6mb and plays wrong pitches. `tests/tasks/test_data_rendered.py` listens.)
"""

import importlib.util
import io
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import mido
import numpy as np
import soundfile
import soxr
from jaxtyping import Float32, Float64

from mirbench import DatasetError
from mirbench_data_rendered import fonts
from mirbench_data_rendered.arrange import Notes, Track
from mirbench_data_rendered.effects import recorded
from mirbench_data_rendered.patches import PATCHES, Wave
from mirbench_data_rendered.patches import SAMPLE_RATE as SAMPLE_RATE
from mirbench_data_rendered.sounds import DRUMS, Sound

LIVE_RATE = 44100  # Hz, of programs that are driven note by note
TICKS_PER_SECOND = 2000  # of the MIDI files: half a millisecond
RELEASE = 1.0  # seconds after the last note-off
PEAK = 0.7
PERCUSSION_CHANNEL = 9
BEND_RANGE = 200  # cents of a full pitch bend, as General MIDI has it
PLAYERS = {"midirenderer": "midirenderer", "tinysoundfont": "tinysoundfont", "fluidsynth": "pyfluidsynth"}


def render(
    tracks: Sequence[Track],
    seconds: Callable[[Float64[np.ndarray, "event"]], Float64[np.ndarray, "event"]],
    duration: float,
    cents: float,
    folder: Path,
    random: np.random.Generator,
) -> Float32[np.ndarray, "sample"]:
    """Play an arrangement; mono at 22,050 Hz with a peak of 0.7.

    Parameters
    ----------
    tracks
        What plays, in quarter notes.
    seconds
        Returns the times of places in quarter notes.
    duration
        Length of the clip in seconds; the last `RELEASE` of it is for tones to end.
    cents
        Deviation from 440 Hz.
    folder
        Folder of SoundFonts.
    random
        Source of randomness for the synthesiser and the recording.
    """
    n_samples = round(duration * SAMPLE_RATE)
    mixture = np.zeros(n_samples)
    for track in tracks:
        onsets = seconds(track.notes[:, 0])
        ends = seconds(track.notes[:, 0] + track.notes[:, 1])
        timed = np.column_stack([onsets, np.maximum(0.03, ends - onsets), track.notes[:, 2:]])
        wave = play(track.sound, timed, cents, folder, random)[:n_samples]
        loudness = loud(wave)
        if loudness > 0:
            mixture[: len(wave)] += wave * 10 ** (track.level / 20) / loudness
    wave = recorded(mixture, random)
    fade = round(0.05 * SAMPLE_RATE)
    wave[-fade:] *= np.linspace(1, 0, fade)
    return np.asarray(wave * (PEAK / np.abs(wave).max()), dtype=np.float32)


def loud(wave: Wave, block: int = 1024) -> float:
    """Return the root mean square of the louder half of a signal's blocks, 0 for silence."""
    blocks = wave[: len(wave) // block * block].reshape(-1, block)
    if not len(blocks):
        return 0.0
    return float(np.sqrt(np.mean(np.sort(np.mean(blocks**2, axis=1))[len(blocks) // 2 :])))


def play(sound: Sound, notes: Notes, cents: float, folder: Path, random: np.random.Generator) -> Wave:
    """Return what one instrument plays.

    Parameters
    ----------
    sound
        The instrument.
    notes
        Onset and length in seconds, MIDI pitch, velocity.
    cents, folder, random
        See `render`.
    """
    if sound.source == "synthesiser":
        return _synthesised(sound, notes, cents, random)
    midi = midi_bytes(sound, notes, cents)
    font = fonts.tim_gm() if sound.source == "TimGM6mb" else fonts.merlin(folder)
    return np.asarray(_PLAYERS[player()](midi, font), dtype=np.float64)


def _synthesised(sound: Sound, notes: Notes, cents: float, random: np.random.Generator) -> Wave:
    patch = PATCHES[sound.program]
    tuning = 0.0 if sound.family == DRUMS else cents
    mixture = np.zeros(round((float((notes[:, 0] + notes[:, 1]).max()) + 2 * RELEASE) * SAMPLE_RATE))
    for onset, length, pitch, velocity in notes:
        wave = patch.play(440 * 2 ** ((pitch - 69 + tuning / 100) / 12), float(length), random)
        start = round(onset * SAMPLE_RATE)
        wave = wave[: len(mixture) - start]
        mixture[start : start + len(wave)] += wave * (velocity / 127) ** 2
    return mixture


def midi_bytes(sound: Sound, notes: Notes, cents: float) -> bytes:
    """Return a MIDI file of one instrument.

    Parameters
    ----------
    sound, notes, cents
        See `play`; a tick of the file lasts half a millisecond.
    """
    midi = mido.MidiFile(ticks_per_beat=TICKS_PER_SECOND // 2)
    is_drums = sound.family == DRUMS
    channel = PERCUSSION_CHANNEL if is_drums else 0
    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=500_000),
            mido.Message("program_change", channel=channel, program=sound.program),
        ]
    )
    if not is_drums:
        bend = round(8192 * cents / BEND_RANGE)
        track.append(mido.Message("pitchwheel", channel=channel, pitch=bend))
    events = []
    for onset, length, pitch, velocity in notes:
        first = round(onset * TICKS_PER_SECOND)
        last = first + max(1, round(length * TICKS_PER_SECOND))
        events += [(first, 1, int(pitch), int(velocity)), (last, 0, int(pitch), 0)]
    now = 0
    for tick, is_on, pitch, velocity in sorted(events):
        kind = "note_on" if is_on else "note_off"
        track.append(mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - now))
        now = tick
    track.append(mido.Message("control_change", channel=channel, control=7, value=100, time=TICKS_PER_SECOND))
    midi.tracks.append(track)
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


@cache
def player() -> str:
    """Return the first program that plays SoundFonts and is installed.

    Raises
    ------
    DatasetError
        If there is none.
    """
    for module in PLAYERS:
        if importlib.util.find_spec(module):
            return module
    raise DatasetError(
        "nothing that plays a SoundFont is installed; run 'pip install midirenderer', or where it has no wheel "
        "'pip install --no-deps tinysoundfont' or 'pip install pyfluidsynth' (with the system's libfluidsynth)"
    )


def player_version() -> str:
    """Return the name and the version of that program: audio differs between them, features must not be confused."""
    return f"{player()} {version(PLAYERS[player()])}"


def _play_midirenderer(midi: bytes, font: bytes) -> Float32[np.ndarray, "sample"]:
    import midirenderer

    wave, rate = soundfile.read(io.BytesIO(bytes(midirenderer.render_wave_from(font, midi))), dtype="float32")
    return _mono(wave, rate)


def _play_tinysoundfont(midi: bytes, font: bytes) -> Float32[np.ndarray, "sample"]:
    import tinysoundfont

    synth = tinysoundfont.Synth(samplerate=LIVE_RATE)
    place = synth.sfload(font)
    return _play_live(
        midi,
        synth,
        choose=lambda channel, program: synth.program_select(
            channel, place, 128 if channel == PERCUSSION_CHANNEL else 0, program, channel == PERCUSSION_CHANNEL
        ),
        generate=lambda n_frames: np.frombuffer(synth.generate(n_frames), np.float32),
    )


def _play_fluidsynth(midi: bytes, font: bytes) -> Float32[np.ndarray, "sample"]:
    import fluidsynth

    synth = fluidsynth.Synth(samplerate=float(LIVE_RATE))
    with NamedTemporaryFile(suffix=".sf2") as file:
        file.write(font)
        file.flush()
        place = synth.sfload(file.name)
        return _play_live(
            midi,
            synth,
            choose=lambda channel, program: synth.program_select(
                channel, place, 128 if channel == PERCUSSION_CHANNEL else 0, program
            ),
            generate=lambda n_frames: synth.get_samples(n_frames).astype(np.float32) / 32768,
        )


def _play_live(
    midi: bytes, synth: Any, choose: Callable[[int, int], Any], generate: Callable[[int], np.ndarray]
) -> Float32[np.ndarray, "sample"]:
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
        elif message.type == "pitchwheel":
            synth.pitchbend(message.channel, message.pitch + 8192)
        elif message.type == "note_on":
            synth.noteon(message.channel, message.note, message.velocity)
        elif message.type == "note_off":
            synth.noteoff(message.channel, message.note)
    return _mono(np.concatenate(blocks).reshape(-1, 2), LIVE_RATE)


def _mono(wave: np.ndarray, rate: int) -> Float32[np.ndarray, "sample"]:
    mono: np.ndarray = soxr.resample(wave.mean(axis=1), rate, SAMPLE_RATE, quality="HQ").astype(np.float32)
    return mono


_PLAYERS: dict[str, Callable[[bytes, bytes], np.ndarray]] = {
    "midirenderer": _play_midirenderer,
    "tinysoundfont": _play_tinysoundfont,
    "fluidsynth": _play_fluidsynth,
}
