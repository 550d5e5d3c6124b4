"""anuran-synth: the calls are those of the table, and the labels are what is in the mix."""

import csv
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import soundfile
from scipy.signal import hilbert

from mirbench import DatasetError, MissingDataError
from mirbench.domain import SPLITS
from mirbench.plugins import Plugins
from mirbench.specs import DatasetRequest
from mirbench.testing import checks_of
from mirbench_data_anuran_synth import mirbench_datasets
from mirbench_data_anuran_synth.calls import QUANTITIES, SAMPLE_RATE, TABLE, draw_voice, note_onsets, read_species, sing
from mirbench_data_anuran_synth.dataset import AnuranSynth, make, manifest_path, prepare
from mirbench_data_anuran_synth.plan import CLIP_SECONDS, HEARD_SECONDS, SITES, SMALL, clips, recordings
from mirbench_data_anuran_synth.scene import AUDIBLE_DB, PEAK, air_absorption, excess_loss_db, render_scene, snr_db

SPECIES = read_species()
DEFAULT = clips("default")
each_species = pytest.mark.parametrize("species", SPECIES.values(), ids=list(SPECIES))


def voices(species, count=5):
    random = np.random.default_rng(1)
    return [draw_voice(species, random) for _ in range(count)]


def note(voice):
    """One note of a male, alone."""
    return sing(voice, np.array([0.01]), round((voice.note_seconds + 0.05) * SAMPLE_RATE), seed=0)[0]


def envelope(sound):
    return np.abs(hilbert(sound.astype(float)))


def peak_frequency(sound, low=0.0, high=np.inf):
    n_fft = 2 ** int(np.ceil(np.log2(8 * len(sound))))
    power = np.abs(np.fft.rfft(sound, n_fft)) ** 2
    frequencies = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE)
    inside = (frequencies >= low) & (frequencies <= high)
    return frequencies[inside][np.argmax(power[inside])]


def labels_of(split, size="default"):
    return Counter(code for clip in clips(size) if clip.site.split == split for code in clip.labels)


@each_species
def test_the_strongest_frequency_is_the_dominant_one_of_the_table(species):
    for voice in voices(species):
        slack = max(0.04 * voice.frequency, 0.7 / voice.note_seconds)
        low, high = (voice.frequency * bound for bound in (min(1, *species.glide), max(1, *species.glide)))
        assert low - slack < peak_frequency(note(voice)) < high + slack
        assert species.frequency[0] <= voice.frequency <= species.frequency[1]


@each_species
def test_a_note_lasts_as_long_as_in_the_table(species):
    for voice in voices(species):
        sounding = np.flatnonzero(np.abs(note(voice)) > 1e-3)
        assert np.ptp(sounding) / SAMPLE_RATE == pytest.approx(voice.note_seconds, rel=0.1)
        assert species.note_seconds[0] <= voice.note_seconds <= species.note_seconds[1]


@pytest.mark.parametrize("species", [s for s in SPECIES.values() if s.pulse_depth > 0], ids=lambda s: s.code)
def test_pulses_come_at_the_rate_of_the_table(species):
    for voice in voices(species):
        slowest_beat = voice.frequency / species.dominant_harmonic  # of two harmonics
        slope = np.diff(envelope(note(voice)))
        found = peak_frequency(slope, low=1.6 / voice.note_seconds, high=min(500, 0.6 * slowest_beat))
        assert found == pytest.approx(voice.pulse_rate, rel=0.12, abs=0.5 / voice.note_seconds)


@pytest.mark.parametrize("species", [s for s in SPECIES.values() if s.notes[1] > 1], ids=lambda s: s.code)
def test_notes_of_a_call_follow_each_other_at_the_rate_of_the_table(species):
    voice = replace(voices(species)[0], n_notes=max(2, int(species.notes[1])))
    onsets = np.arange(voice.n_notes) / voice.note_rate + 0.05
    sound, _ = sing(voice, onsets, round((onsets[-1] + 0.3) * SAMPLE_RATE), seed=0)
    width = round(0.02 * SAMPLE_RATE)
    loud = np.convolve(envelope(sound), np.ones(width) / width, "same")
    rises = np.flatnonzero(np.diff((loud > 0.2 * loud.max()).astype(int)) == 1) / SAMPLE_RATE
    assert len(rises) == voice.n_notes
    assert (len(rises) - 1) / np.ptp(rises) == pytest.approx(voice.note_rate, rel=0.1)


@each_species
def test_calls_come_at_the_rate_of_the_table_and_never_overlap(species):
    for voice in voices(species):
        calls = note_onsets(voice)[:: voice.n_notes]
        assert all(later - earlier > voice.call_seconds for earlier, later in pairwise(calls))
        fastest = 60 / (voice.call_seconds + 0.03)
        assert np.sum(calls >= 0) == pytest.approx(min(voice.calls_per_minute, fastest), rel=0.25, abs=1.5)


@pytest.mark.parametrize("code", ["SPHSUR", "PHYNAT", "PHYMAR", "BOAFAB", "SCIFUV"])
def test_harmonics_have_the_levels_of_the_table(code):
    voice, species = voices(SPECIES[code])[0], SPECIES[code]
    power = np.abs(np.fft.rfft(note(voice), 2**17)) ** 2
    frequencies = np.fft.rfftfreq(2**17, 1 / SAMPLE_RATE)
    fundamental = voice.frequency / species.dominant_harmonic
    bands = [abs(frequencies - k * fundamental) < fundamental / 2 for k in range(1, len(species.harmonics_db) + 1)]
    levels = 10 * np.log10([power[band].sum() for band in bands])
    assert levels - levels.max() == pytest.approx(np.array(species.harmonics_db), abs=1.5)


def test_the_table_says_what_was_checked_and_where():
    assert len(SPECIES) == 24
    assert sum(bool(species.checked) for species in SPECIES.values()) == 19
    for species in SPECIES.values():
        assert set(species.checked) <= set(QUANTITIES)
        assert bool(species.checked) == bool(species.source)
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            lows = {name: float(row[name]) for name in row if "_low" in name}
            assert all(low <= float(row[name.replace("_low", "_high")]) for name, low in lows.items()), row["code"]


def test_air_absorbs_as_the_standard_says():
    """ISO 9613-2, table 2: 20 degrees, 70 % humidity, octave bands at their exact midbands."""
    midbands = 1000 * 10 ** (0.3 * np.arange(-4, 4))
    expected = [0.1, 0.3, 1.1, 2.8, 5.0, 9.0, 22.9, 76.6]
    assert 1000 * air_absorption(midbands, 293.15, 70.0) == pytest.approx(expected, abs=0.05)


def test_distance_takes_more_from_high_frequencies():
    near, far = (excess_loss_db(np.array([500.0, 4000.0]), distance) for distance in (5.0, 50.0))
    assert np.all(far > near)
    assert far[1] - far[0] > 2


def test_the_plan_is_a_pure_function():
    first = repr(recordings())
    recordings.cache_clear()
    assert repr(recordings()) == first


def test_there_are_2224_clips_of_52_sites_and_no_site_is_in_two_splits():
    assert len(DEFAULT) == 2224
    assert len({clip.name for clip in DEFAULT}) == len(DEFAULT)
    sites = {split: {clip.site.name for clip in DEFAULT if clip.site.split == split} for split in SPLITS}
    assert {split: len(names) for split, names in sites.items()} == SITES
    assert len(set.union(*sites.values())) == sum(SITES.values())


@pytest.mark.parametrize("split", SPLITS)
def test_every_species_is_in_clips_of_three_sites_of_every_split(split):
    for code in SPECIES:
        assert len({clip.site.name for clip in DEFAULT if clip.site.split == split and code in clip.labels}) >= 3, code


@pytest.mark.parametrize("split", SPLITS)
def test_every_species_is_in_every_split(split):
    counts = labels_of(split)
    assert all(counts[code] >= {"train": 15, "valid": 5, "test": 8}[split] for code in SPECIES)
    small = labels_of(split, "small")
    assert all(small[code] >= {"train": 4, "valid": 1, "test": 2}[split] for code in SPECIES)


def test_the_small_size_is_part_of_the_default():
    small = clips("small")
    assert Counter(clip.site.split for clip in small) == SMALL
    assert {clip.name for clip in small} <= {clip.name for clip in DEFAULT}


def test_frequencies_have_a_long_tail_in_the_order_of_the_groups():
    counts = Counter(code for clip in DEFAULT for code in clip.labels)
    assert counts.most_common()[0][1] > 10 * counts.most_common()[-1][1]
    groups = [[counts[code] for code in SPECIES if SPECIES[code].group == group] for group in ("frequent", "common")]
    rare = [counts[code] for code in SPECIES if SPECIES[code].group == "rare"]
    assert [len(group) for group in (*groups, rare)] == [4, 8, 12]
    assert np.mean(groups[0]) > 2 * np.mean(groups[1]) > 4 * np.mean(rare)


def test_some_clips_are_empty_and_some_hold_many_species():
    numbers = [len(clip.labels) for clip in DEFAULT]
    assert 0.10 <= numbers.count(0) / len(numbers) <= 0.15
    assert max(numbers) >= 5


def test_notes_that_the_window_cuts_are_counted_or_left_out():
    for clip in DEFAULT:
        for singer in clip.singers:
            onsets, length = np.array(singer.onsets), singer.voice.note_seconds
            inside = np.minimum(onsets + length, CLIP_SECONDS) - np.maximum(onsets, 0)
            assert np.all(inside >= min(length, HEARD_SECONDS) - 1 / SAMPLE_RATE)
            assert singer.snr_db >= AUDIBLE_DB


SOLOS = [clip for clip in DEFAULT if len(clip.singers) == 1][::25]


@pytest.mark.parametrize("clip", SOLOS, ids=lambda clip: clip.name)
def test_a_call_is_as_far_above_the_background_as_planned(clip):
    background, mix = (
        render_scene(singers, clip.ambience, clip.site.room, list(clip.seed)) for singers in ((), clip.singers)
    )
    [singer] = clip.singers
    _, seconds = sing(singer.voice, np.array(singer.onsets), len(mix), seed=0)
    spectrum = np.square(np.abs(scipy.fft.rfft(background)))
    assert snr_db(mix - background, seconds, singer.voice, spectrum) == pytest.approx(singer.snr_db, abs=0.2)


def test_labels_are_the_species_in_the_mix_and_an_empty_clip_holds_none():
    for clip in DEFAULT[::100]:
        assert set(clip.labels) == {singer.voice.code for singer in clip.singers}
    empty = next(clip for clip in DEFAULT if not clip.labels)
    background = render_scene((), empty.ambience, empty.site.room, list(empty.seed))
    assert make(empty).samples.tobytes() == background.tobytes()


def test_a_clip_is_made_of_the_same_bytes_every_time():
    clip = max(DEFAULT, key=lambda clip: len(clip.singers))
    assert make(clip).samples.tobytes() == make(clip).samples.tobytes()


@pytest.fixture(scope="session")
def request_of_made(tmp_path_factory):
    """The small size, synthesised."""
    request = DatasetRequest(task="anuran", size="small", home=tmp_path_factory.mktemp("anuran"), workers=2)
    prepare(request)
    return request


def test_it_passes_the_conformance_checks(request_of_made):
    [spec] = mirbench_datasets()
    task = Plugins().tasks["anuran"].load()
    problems = {check.name: check.problem() for check in checks_of(spec, request=request_of_made, task=task)}
    assert set(problems.values()) == {None}, problems


def test_references_are_the_plan(request_of_made):
    data = AnuranSynth(request_of_made)
    references = {clip.id: clip.reference for split in SPLITS for clip in data.clips(split)}
    for clip in clips("small"):
        assert [code for code, mark in zip(data.labels, references[clip.name], strict=True) if mark] == [*clip.labels]
    assert sorted(code for group in data.label_groups.values() for code in group) == sorted(data.labels)


def test_clips_have_three_seconds_and_do_not_clip(request_of_made):
    for path in sorted(manifest_path(request_of_made).parent.glob("*.flac"))[::5]:
        samples, sample_rate = soundfile.read(path)
        assert (len(samples), sample_rate) == (CLIP_SECONDS * SAMPLE_RATE, SAMPLE_RATE)
        assert np.isfinite(samples).all()
        assert 1e-3 < np.abs(samples).max() <= PEAK + 1e-4


def test_what_is_not_made_says_what_to_run(tmp_path: Path):
    with pytest.raises(MissingDataError, match="run 'mirbench data prepare anuran-synth --size small'"):
        AnuranSynth(DatasetRequest(task="anuran", size="small", home=tmp_path))


def test_another_task_is_refused(tmp_path: Path):
    with pytest.raises(DatasetError, match="no references for task 'key'"):
        AnuranSynth(DatasetRequest(task="key", size="small", home=tmp_path))
