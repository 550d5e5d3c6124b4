"""rendered-scores: what sounds is what the composer wrote, in the key that the label says."""

import csv
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mirbench import DatasetError, MissingDataError
from mirbench.data import audio
from mirbench.plugins import Plugins
from mirbench.specs import DatasetRequest
from mirbench_data_rendered import dataset, render
from mirbench_data_rendered.annotate import COLLECTIONS, FAMILIES, annotate
from mirbench_data_rendered.corpus import TONICS, read_score
from mirbench_data_rendered.index import (
    CHORALE_ENSEMBLES,
    FOLK_INSTRUMENTS,
    LEFT_OUT,
    PER_KEY,
    PROFILES,
    SMALL_PER_KEY,
    estimate_key,
    melodic_groups,
    read_index,
    reason_to_leave_out,
)

INDEX = read_index()
CHORALE = next(entry for entry in INDEX if entry.id.startswith("bach/"))
TUNE = next(entry for entry in INDEX if not entry.id.startswith("bach/"))


def test_there_are_at_least_600_clips_of_15_to_30_seconds():
    assert len(INDEX) >= 600
    seconds = [render.n_samples(entry) / render.SAMPLE_RATE for entry in INDEX]
    assert min(seconds) >= 15
    assert max(seconds) <= 30


@pytest.mark.parametrize(("size", "per_key"), [("default", PER_KEY), ("small", SMALL_PER_KEY)])
def test_all_24_keys_are_balanced_in_every_split(size, per_key):
    counts = Counter((entry.split, entry.key) for entry in dataset.entries_of(size))
    assert len(counts) == 3 * 24
    assert all(count == per_key[split] for (split, _), count in counts.items())


def test_groups_never_cross_splits():
    splits = {}
    for entry in INDEX:
        splits.setdefault(entry.group, set()).add(entry.split)
    assert all(len(found) == 1 for found in splits.values())


def test_both_modes_have_the_same_sources_in_every_split():
    counts = Counter((entry.split, entry.id.startswith("bach/"), entry.mode) for entry in INDEX)
    for split in PER_KEY:
        for is_chorale in (True, False):
            assert counts[split, is_chorale, "major"] == counts[split, is_chorale, "minor"]


def test_instruments_do_not_tell_the_mode():
    share = Counter((entry.programs, entry.mode) for entry in INDEX if not entry.id.startswith("bach/"))
    for program in FOLK_INSTRUMENTS:
        major, minor = share[(program,), "major"], share[(program,), "minor"]
        assert 0.2 < major / (major + minor) < 0.8


def test_what_was_left_out_is_counted():
    with LEFT_OUT.open() as file:
        reasons = {row["reason"]: int(row["pieces"]) for row in csv.DictReader(file)}
    assert reasons["two of three key profiles hear another key in the excerpt"] > 0
    assert sum(reasons.values()) + len(INDEX) == 4841


@pytest.mark.parametrize("entry", INDEX[::40], ids=lambda entry: entry.id)
def test_the_rules_of_the_index_hold_for_the_installed_corpus(entry):
    score = read_score(entry.id)
    assert (score.tonic, score.mode) == (entry.tonic, entry.mode)
    assert reason_to_leave_out(score) is None
    assert score.n_parts == len(entry.programs)


def test_key_profiles_name_the_key_of_a_scale():
    scale = np.array(
        [[i, 2 if pitch in (62, 69) else 1, pitch, 0] for i, pitch in enumerate((62, 64, 66, 67, 69, 71, 73))], float
    )
    assert {estimate_key(scale, profile) for profile in PROFILES} == {(2, "major")}


def test_a_transposed_setting_of_a_tune_is_in_its_group():
    one, other = (read_score(score_id) for score_id in ("bach/bwv112.5", "bach/bwv253"))
    moved = replace(one, id="moved", melody=one.melody + 5)
    groups = melodic_groups([one, moved, other])
    assert groups["moved"] == groups[one.id] != groups[other.id]


def test_a_piece_that_the_corpus_does_not_hold_is_an_error():
    with pytest.raises(DatasetError, match=r"cannot read its piece 'bach/none'"):
        read_score("bach/none")


def piano_roll(entry, times):
    """Which pitch classes sound at which time, from the score alone."""
    notes = render.sounding_notes(entry, read_score(entry.id).notes)
    onsets = render.quarters_to_seconds(entry, notes[:, 0])
    ends = render.quarters_to_seconds(entry, notes[:, 0] + notes[:, 1])
    roll = np.zeros((len(times), 12))
    for onset, end, pitch in zip(onsets, ends, notes[:, 2], strict=True):
        roll[(times >= onset + 0.02) & (times < end - 0.02), int(pitch) % 12] = 1
    return roll


def agreement(entry, sound):
    """The share of chroma energy on the pitch classes that the score names, and the same for the 11 transpositions."""
    chroma = Plugins().encoders["chroma"].load("cpu").encode(sound)
    roll = piano_roll(entry, chroma.times)
    kept = roll.any(axis=1)
    energy = chroma.frames[0][kept] ** 2
    return [(energy * np.roll(roll[kept], shift, axis=1)).sum() / energy.sum() for shift in range(12)]


ENSEMBLES = [(TUNE, (program,)) for program in FOLK_INSTRUMENTS] + [
    (CHORALE, ensemble) for ensemble in CHORALE_ENSEMBLES
]


@pytest.mark.parametrize(("entry", "ensemble"), ENSEMBLES, ids=lambda value: getattr(value, "id", str(value)))
def test_the_audio_holds_the_notes_of_the_score(entry, ensemble):
    """A synthesiser that plays wrong pitches cannot pass: every instrument is listened to."""
    played = replace(entry, programs=tuple(ensemble[part % len(ensemble)] for part in range(len(entry.programs))))
    sound = render.render(played, render.sounding_notes(played, read_score(entry.id).notes))
    shares = agreement(played, sound)
    others = [share for shift, share in enumerate(shares) if shift not in (0, 7)]
    assert shares[0] > (0.4 if entry is TUNE else 0.6)
    assert (
        shares[0] > (1.4 if entry is TUNE else 1.2) * shares[7]
    )  # a fifth above lies the third harmonic, strong in some reeds and organs
    assert shares[0] > (4 if entry is TUNE else 1.6) * max(others)


@pytest.mark.slow
def test_every_clip_of_the_small_size_sounds_as_written(tmp_path: Path):
    request = DatasetRequest(task="key", size="small", home=tmp_path, workers=2)
    dataset.prepare(request)
    paths = {clip.id: clip.path for split in PER_KEY for clip in dataset.RenderedScores(request).clips(split)}
    for entry in dataset.entries_of("small"):
        shares = agreement(entry, audio.load(paths[entry.id], render.SAMPLE_RATE))
        assert int(np.argmax(shares)) == 0, entry


def test_listening_would_catch_the_whistle_of_this_soundfont():
    """Program 78 sounds three semitones sharp: it is not among the instruments, and this is why."""
    whistle = replace(TUNE, programs=(78,))
    sound = render.render(whistle, render.sounding_notes(whistle, read_score(TUNE.id).notes))
    assert int(np.argmax(agreement(whistle, sound))) == 3


def test_listening_catches_a_wrong_transposition():
    notes = render.sounding_notes(CHORALE, read_score(CHORALE.id).notes)
    notes[:, 2] += 2
    shares = agreement(CHORALE, render.render(CHORALE, notes))
    assert int(np.argmax(shares)) == 2


def test_notes_sound_when_the_tempo_curve_says():
    """The onsets that rise from the audio lie where the score and its tempo curve put them."""
    entry = replace(TUNE, programs=(0,))
    notes = render.sounding_notes(entry, read_score(entry.id).notes)
    sound = render.render(entry, notes)
    onsets = np.unique(render.quarters_to_seconds(entry, notes[:, 0]))
    hop = 110  # 5 ms
    spectra = np.abs(
        np.fft.rfft(np.lib.stride_tricks.sliding_window_view(np.pad(sound, 512), 1024)[::hop] * np.hanning(1024))
    )
    flux = np.maximum(0, np.diff(np.log1p(1000 * spectra), axis=0)).sum(axis=1)
    times = (np.arange(len(flux)) + 1) * hop / render.SAMPLE_RATE
    lags = np.arange(-0.1, 0.1, 0.005)
    strength = [np.interp(onsets + lag, times, flux).sum() for lag in lags]
    assert abs(lags[int(np.argmax(strength))]) < 0.02


CHORALES = [entry for entry in INDEX if entry.id.startswith("bach/")]


@pytest.mark.parametrize("entry", CHORALES[::30], ids=lambda entry: entry.id)
def test_chord_labels_name_what_the_audio_holds(entry):
    """Chroma energy lies on the tones of the labelled triads, more than on any transposition of them."""
    score = read_score(entry.id)
    labels = annotate(entry, score).chords
    assert labels[0][0] == 0
    assert all(end == start for (_, end, _), (start, _, _) in pairwise(labels))
    named = sum(end - start for start, end, label in labels if label not in ("N", "X"))
    assert named > 0.5 * labels[-1][1]
    played = replace(entry, programs=(0,) * len(entry.programs))
    chroma = (
        Plugins()
        .encoders["chroma"]
        .load("cpu")
        .encode(render.render(played, render.sounding_notes(played, score.notes)))
    )
    roll = np.zeros((len(chroma.times), 12))
    for start, end, label in labels:
        root, _, quality = label.partition(":")
        if quality in ("maj", "min"):
            tones = [(TONICS.index(root) + step) % 12 for step in (0, 4 if quality == "maj" else 3, 7)]
            roll[np.ix_((chroma.times >= start) & (chroma.times < end), tones)] = 1
    energy = chroma.frames[0] ** 2 * roll.any(axis=1, keepdims=True)
    shares = [(energy * np.roll(roll, shift, axis=1)).sum() / energy.sum() for shift in range(12)]
    assert int(np.argmax(shares)) == 0
    assert shares[0] > 0.7


@pytest.mark.parametrize("entry", INDEX[5::50], ids=lambda entry: entry.id)
def test_beats_follow_the_tempo_curve_and_fall_on_onsets(entry):
    score = read_score(entry.id)
    beats = np.array(annotate(entry, score).beats)
    if len(beats) == 0:
        return  # its bars are irregular: no clip of the beat task
    steps = np.diff(beats)
    assert steps.max() / steps.min() < 1.25
    notes = render.sounding_notes(entry, score.notes)
    onsets = render.quarters_to_seconds(entry, np.unique(notes[:, 0]))
    with_onset = np.mean([np.abs(onsets - beat).min() < 0.01 for beat in beats])
    between = np.mean([np.abs(onsets - beat).min() < 0.01 for beat in (beats[:-1] + steps / 3.1)])
    assert with_onset > 0.6
    assert with_onset > between


def test_most_clips_have_beats_and_every_chorale_has_chords():
    labels = [annotate(entry, read_score(entry.id)) for entry in INDEX[::25]]
    assert np.mean([bool(label.beats) for label in labels]) > 0.8
    for entry, label in zip(INDEX[::25], labels, strict=True):
        assert bool(label.chords) == entry.id.startswith("bach/")


def test_the_tempo_is_not_a_metronome():
    tempi = render.microseconds_per_quarter(TUNE)
    assert max(tempi) / min(tempi) > 1.05


def test_rendering_gives_the_same_bytes_every_time():
    first, second = (dataset.make(CHORALE) for _ in range(2))
    assert first.samples.tobytes() == second.samples.tobytes()
    assert first.labels == second.labels


def test_a_rendered_clip_has_its_announced_length_and_peak():
    made = dataset.make(TUNE)
    samples = made.samples / (np.iinfo(np.int16).max if made.samples.dtype == np.int16 else 1)
    assert (len(samples), made.sample_rate) == (render.n_samples(TUNE), render.SAMPLE_RATE)
    assert np.abs(samples).max() == pytest.approx(render.PEAK, abs=1e-3)
    assert np.abs(samples[: render.SAMPLE_RATE]).max() > 0.01


def test_what_is_not_rendered_says_what_to_run(tmp_path: Path):
    request = DatasetRequest(task="key", size="small", home=tmp_path)
    with pytest.raises(MissingDataError, match="run 'mirbench data prepare rendered-scores --size small'"):
        dataset.RenderedScores(request)


def test_tags_are_what_plays_and_where_it_is_from(tmp_path: Path, monkeypatch):
    request = DatasetRequest(task="tagging", size="small", home=tmp_path)
    monkeypatch.setattr(dataset, "entries_of", lambda size: [TUNE])
    dataset.prepare(request)
    scores = dataset.RenderedScores(request)
    [clip] = scores._clips
    tags = {label for label, holds in zip(scores.labels, clip.reference, strict=True) if holds}
    assert len(scores.labels) == len(FAMILIES) + len(COLLECTIONS)
    assert tags == set(annotate(TUNE, read_score(TUNE.id)).tags)
    assert len(tags & set(COLLECTIONS.values())) == 1


def test_without_a_synthesiser_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match="pip install midirenderer"):
        render.synthesiser.__wrapped__()


@pytest.mark.parametrize("name", ["tinysoundfont", "fluidsynth"])
def test_another_synthesiser_plays_the_same_notes(name, monkeypatch):
    pytest.importorskip(name)
    monkeypatch.setattr(render, "synthesiser", lambda: name)
    sound = render.render(CHORALE, render.sounding_notes(CHORALE, read_score(CHORALE.id).notes))
    shares = agreement(CHORALE, sound)
    assert int(np.argmax(shares)) == 0
    assert shares[0] > 0.6
