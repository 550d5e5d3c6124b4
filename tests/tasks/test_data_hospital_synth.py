"""hospital-synth: what the plan and the standard say can be measured in the sound."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, fftconvolve, find_peaks, sosfilt

from mirbench import DatasetError
from mirbench.domain import SPLITS, LabelledIntervals
from mirbench.specs import DatasetRequest
from mirbench.testing import checks_of
from mirbench.testing.dataset_checks import DATASET_CHECKS
from mirbench_data_hospital_synth import dataset, mirbench_datasets, plan, room, signals
from mirbench_data_hospital_synth.alarms import MELODIES, PRIORITIES, Alarm, draw_maker
from mirbench_data_hospital_synth.impacts import draw_floor, draw_steps
from mirbench_data_hospital_synth.machines import Ventilator, draw_ventilator
from mirbench_data_hospital_synth.voices import draw_cry, draw_voice
from mirbench_hospital.task import HospitalTask

RATE = signals.SAMPLE_RATE
PULSES = {"high": (10,), "medium": (3,), "low": (1, 2)}
DURATIONS = {"high": (0.075, 0.2), "medium": (0.125, 0.25), "low": (0.125, 0.25)}
SPACINGS = {"high": (0.05, 0.125), "medium": (0.125, 0.25), "low": (0.125, 0.25)}
MAKERS = [plan.rooms()[number].maker for number in (0, 35)]


def envelope(sound, seconds=0.005):
    """The loudness over time, scaled to its maximum."""
    length = round(seconds * RATE)
    window = np.hanning(length + 2)[1:-1]
    level = np.sqrt(np.maximum(fftconvolve(np.square(sound, dtype=float), window / window.sum(), mode="same"), 0))
    return level / level.max()


def runs(mask):
    """Starts and ends of where a mask is true, in seconds."""
    steps = np.diff(np.concatenate([[0], mask.astype(int), [0]]))
    return np.stack([np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)], axis=1) / RATE


def spectrum(sound):
    """Levels in dB and a function that gives the level of the peak within 1 % of a frequency."""
    levels = 20 * np.log10(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * RATE)) + 1e-9)
    frequencies = np.arange(len(levels)) / 8
    return lambda at: levels[np.abs(frequencies - at) < max(0.01 * at, 4)].max(), frequencies, levels


def measured_pulses(alarm):
    """Pulses as they sound: from 90 % of the rise to 90 % of the fall is a little less than what is found here."""
    sound = alarm.render(np.random.default_rng(0))
    level = envelope(sound, 0.012)
    return sound, runs(level > 0.25)


@pytest.mark.parametrize("priority", PRIORITIES)
@pytest.mark.parametrize("category", MELODIES)
@pytest.mark.parametrize("maker", MAKERS, ids=["0", "35"])
def test_alarm_bursts_have_the_pulses_of_the_standard(priority, category, maker):
    alarm = Alarm(priority, category, maker)
    _, found = measured_pulses(alarm)
    assert len(found) in PULSES[priority]
    lengths, gaps = found[:, 1] - found[:, 0], found[1:, 0] - found[:-1, 1]
    shortest, longest = DURATIONS[priority]
    assert (lengths > shortest).all()
    assert (lengths < longest * 1.35).all()  # the ramps below 90 % are longer the longer the pulse is
    close, far = SPACINGS[priority]
    if priority == "high":
        np.testing.assert_allclose(gaps[[2, 7]], 2 * gaps[0] + lengths[0], atol=0.06)
        assert 0.3 < gaps[4] < 1.3
        gaps = np.delete(gaps, [2, 4, 7])
    assert ((gaps > close - 0.04) & (gaps < far)).all()
    assert np.ptp(gaps) < 0.02 if len(gaps) else True


@pytest.mark.parametrize("priority", PRIORITIES)
@pytest.mark.parametrize("category", MELODIES)
@pytest.mark.parametrize("maker", MAKERS, ids=["0", "35"])
def test_alarm_pulses_play_the_melody_with_four_harmonics_within_15_db(priority, category, maker):
    alarm = Alarm(priority, category, maker)
    sound, found = measured_pulses(alarm)
    fundamentals = []
    for (onset, offset), pulse in zip(found, alarm.pulses(), strict=True):
        piece = sound[round(onset * RATE) : round(offset * RATE)]
        at, frequencies, levels = spectrum(piece)
        near = np.abs(frequencies / pulse.fundamental - 1) < 0.03
        fundamentals.append(frequencies[near][np.argmax(levels[near])])
        first = at(fundamentals[-1])
        harmonics = [at(n * fundamentals[-1]) for n in range(2, 30) if 300 <= n * fundamentals[-1] <= 4000]
        assert sum(abs(level - first) <= 15 for level in harmonics) >= 4
        assert at(0.5 * pulse.fundamental) < first - 20
    assert min(fundamentals) >= 150
    assert max(fundamentals) <= 1000
    semitones = {"C4": 0, "D4": 2, "E4": 4, "F4": 5, "F#4": 6, "G4": 7, "A4": 9, "B4": 11, "C5": 12}
    notes = {"high": 2 * MELODIES[category], "medium": MELODIES[category][:3], "low": ("E4", "C4")}[priority]
    expected = [semitones[note] - semitones[notes[0]] for note in notes[: len(found)]]
    np.testing.assert_allclose(12 * np.log2(np.array(fundamentals) / fundamentals[0]), expected, atol=0.35)


def test_the_pulses_of_every_maker_keep_to_the_limits():
    for seed in range(60):
        maker = draw_maker(np.random.default_rng(seed))
        for priority in PRIORITIES:
            for category in MELODIES:
                pulses = Alarm(priority, category, maker).pulses()
                length, gap = maker.durations[priority != "high"], maker.spacings[priority != "high"]
                assert DURATIONS[priority][0] <= length <= DURATIONS[priority][1]
                assert SPACINGS[priority][0] <= gap <= SPACINGS[priority][1]
                assert all(150 <= pulse.fundamental <= 800 for pulse in pulses)
                assert all(min(pulse.rise, pulse.fall) > 0 for pulse in pulses)
                assert all(0.1 * length <= 0.8 * pulse.rise <= 0.2 * length + 1e-9 for pulse in pulses)
        assert max(abs(level) for levels in maker.harmonics_db for level in levels[:5]) < 15


@pytest.mark.parametrize(("is_neonatal", "slowest", "fastest"), [(True, 30, 60), (False, 12, 20)])
@pytest.mark.parametrize("seed", range(4))
def test_a_ventilator_breathes_as_often_as_it_should(is_neonatal, slowest, fastest, seed):
    random = np.random.default_rng(seed)
    model = draw_ventilator(random, is_neonatal)
    sound = Ventilator(model, 8).render(random)
    level = envelope(sound, 0.3 if is_neonatal else 0.6)[::320]
    level = level - level.mean()
    own = np.correlate(level, level, "full")[len(level) :]
    lags = np.arange(len(own)) * 0.01 + 0.01
    window = (lags > 60 / fastest * 0.9) & (lags < 60 / slowest * 1.1)
    rate = 60 / lags[window][np.argmax(own[window])]
    assert rate == pytest.approx(model.rate, rel=0.04)
    assert slowest <= model.rate <= fastest
    assert 1.5 <= (1 - model.inspiration) / model.inspiration <= 2


@pytest.mark.parametrize("seed", range(6))
def test_walkers_take_90_to_120_steps_a_minute(seed):
    random = np.random.default_rng(seed)
    floor = draw_floor(random)
    steps = draw_steps(random, floor)
    level = envelope(replace(steps, levels_db=(0.0,) * len(steps.heels)).render(random), 0.03)
    heels, _ = find_peaks(level, height=0.5, distance=round(0.35 * RATE))
    assert len(heels) == len(steps.heels)
    cadence = 60 * RATE / np.diff(heels).mean()
    assert 86 < cadence < 125


@pytest.mark.parametrize("seed", range(5))
def test_cries_are_arcs_between_300_and_600_hz(seed):
    random = np.random.default_rng(seed)
    cry = draw_cry(random, 470.0)
    sound = cry.render(random)
    for burst in cry.bursts:
        assert 0.5 <= burst.duration <= 1.5
        pitches = []
        for place in (0.15, burst.climax, 0.85):
            middle = burst.onset + place * burst.duration
            piece = sound[max(0, round((middle - 0.03) * RATE)) :][: round(0.06 * RATE)]
            own = np.correlate(piece, piece, "full")[len(piece) - 1 :]
            lags = np.arange(len(own))
            window = (lags >= RATE / 640) & (lags <= RATE / 280)
            pitches.append(RATE / lags[window][np.argmax(own[window])])
        assert min(pitches) > 295
        assert max(pitches) < 605
        assert pitches[1] >= max(pitches) - 15
    gaps = [after.onset - before.onset - before.duration for before, after in pairwise(cry.bursts)]
    assert all(0.2 < gap < 0.8 for gap in gaps)


@pytest.mark.parametrize("seed", range(4))
def test_syllables_come_3_to_5_times_a_second(seed):
    voice = draw_voice(np.random.default_rng(seed))
    assert 2.7 < (len(voice.syllables) - 1) / (voice.syllables[-1].onset) < 5.5


EXAMPLES = {
    label: [event for clip in plan.clips("default") for event in clip.labelled if event.label == label][::8]
    for label in plan.LABELS
}


@pytest.mark.parametrize("label", plan.LABELS)
def test_a_dry_event_fills_its_interval_and_nothing_else(label):
    """It is as long as planned, and within 50 ms of both ends it is at most 40 dB below its loudest."""
    for event in EXAMPLES[label]:
        dry = event.sound.render(np.random.default_rng(event.seed))
        assert len(dry) == signals.n_samples(event.sound.duration)
        assert event.interval == (max(0.0, event.onset), min(10.0, event.onset + event.sound.duration))
        assert np.isfinite(dry).all()
        level = envelope(dry)
        edge = round(0.05 * RATE)
        assert level[:edge].max() > 0.01
        assert level[-edge:].max() > 0.01


@pytest.mark.parametrize("label", plan.LABELS)
def test_an_event_is_as_loud_as_planned_against_the_background_in_its_bands(label):
    for event in EXAMPLES[label][:3]:
        acoustics = plan.rooms()[0].acoustics
        noise = plan.rooms()[0].background.render(np.random.default_rng(1), 10.0)
        bands = room.octave_power(noise)
        wet = dataset.placed(event, acoustics, bands)
        inside = wet[: signals.n_samples(event.sound.duration)]
        assert room.level_db(room.octave_power(inside), bands) == pytest.approx(event.level_db, abs=0.01)
        assert np.square(inside).sum() > 0.5 * np.square(wet).sum()


def test_a_mixture_changes_only_where_an_event_and_its_reverberation_are():
    clip = next(clip for clip in plan.clips("default") if clip.labelled and not clip.labelled[0].interval[0] < 2)
    event = clip.labelled[0]
    silent = dataset.mix(replace(clip, events=()))
    change = dataset.mix(replace(clip, events=(event,))) - silent
    start = round(event.interval[0] * RATE)
    assert not change[:start].any()
    assert change[start : round(event.interval[1] * RATE)].any()


@pytest.mark.parametrize("number", [0, 13, 39])
def test_reverberation_decays_in_the_time_of_the_room(number):
    acoustics = plan.rooms()[number].acoustics
    assert 0.3 <= acoustics.reverberation <= 0.9
    response = room.impulse_response(acoustics, replace(acoustics.positions[0], distance=5.0))
    middle = sosfilt(butter(4, (500, 1400), "bandpass", fs=RATE, output="sos"), response)
    decay = 10 * np.log10(np.cumsum(middle[::-1] ** 2)[::-1] / np.sum(middle**2))
    places = np.flatnonzero((decay < -5) & (decay > -25))
    assert 3 * (places[-1] - places[0]) / RATE == pytest.approx(acoustics.reverberation, rel=0.25)
    assert np.argmax(np.abs(response)) == 0


@pytest.mark.parametrize(("size", "n_clips"), [("default", 600), ("small", 96)])
def test_every_label_is_in_every_split(size, n_clips):
    clips = plan.clips(size)
    assert len(clips) == n_clips
    for split in SPLITS:
        counts = Counter(event.label for clip in clips if clip.room.split == split for event in clip.labelled)
        assert set(counts) == set(plan.LABELS)
        assert size == "small" or min(counts.values()) >= 15
        assert max(counts.values()) < 6 * min(counts.values())


def test_rooms_do_not_cross_splits_and_the_small_size_is_part_of_the_default():
    splits = {}
    for clip in plan.clips("default"):
        splits.setdefault(clip.room.name, set()).add(clip.room.split)
    assert len(splits) == 40
    assert all(len(found) == 1 for found in splits.values())
    assert set(plan.clips("small")) <= set(plan.clips("default"))
    assert Counter(clip.room.split for clip in plan.clips("default")) == {"train": 360, "valid": 90, "test": 150}


def test_rooms_do_not_share_their_equipment():
    rooms = plan.rooms()
    for device in ("maker", "ventilator", "trolley", "floor", "background", "acoustics"):
        assert len({getattr(each, device) for each in rooms}) == len(rooms)


def test_events_lie_in_the_clip_and_keep_their_distance():
    for clip in plan.clips("default"):
        events = clip.labelled
        assert len(events) <= 6
        for event in events:
            onset, offset = event.interval
            assert 0 <= onset < offset <= 10
            assert offset - onset >= 0.1
            assert -5 <= event.level_db <= 20
            others = [other for other in events if other is not event]
            assert sum(other.interval[0] <= onset < other.interval[1] for other in others) <= 3
            for other in others:
                if other.label == event.label:
                    assert other.interval[1] + 1 <= onset or offset + 1 <= other.interval[0]


def test_bursts_of_one_alarm_are_as_far_apart_as_the_standard_asks():
    for clip in plan.clips("default"):
        for label, gap in (("alarm high priority", 2.5), ("alarm medium priority", 2.5), ("alarm low priority", 15)):
            bursts = [event for event in clip.labelled if event.label == label]
            same = [(a, b) for a in bursts for b in bursts if a.seed == b.seed and a.onset < b.onset]
            assert all(b.interval[0] - a.interval[1] >= gap - 1e-3 for a, b in same)


@pytest.fixture(scope="session")
def request_of_small(tmp_path_factory: pytest.TempPathFactory) -> DatasetRequest:
    request = DatasetRequest(task="hospital", size="small", home=tmp_path_factory.mktemp("hospital-synth"), workers=2)
    dataset.prepare(request)
    return request


@pytest.mark.parametrize("place", range(len(DATASET_CHECKS)), ids=[check.__name__ for check in DATASET_CHECKS])
def test_conformance(request_of_small: DatasetRequest, place: int):
    [spec] = mirbench_datasets()
    checks_of(spec, request=request_of_small, task=HospitalTask())[place]()


def test_stored_clips_neither_clip_nor_are_silent(request_of_small: DatasetRequest):
    data = dataset.HospitalSynth(request_of_small)
    for clip in (clip for split in SPLITS for clip in data.clips(split)):
        samples, rate = soundfile.read(clip.path)
        assert (len(samples), rate) == (320000, 32000)
        assert 0.001 < np.abs(samples).max() < 0.95
        assert np.sqrt(np.mean(samples**2)) > 1e-4


def test_references_are_the_plan(request_of_small: DatasetRequest):
    data = dataset.HospitalSynth(request_of_small)
    assert data.labels == tuple(sorted(plan.LABELS))
    by_name = {clip.name: clip for clip in plan.clips("small")}
    for clip in (clip for split in SPLITS for clip in data.clips(split)):
        assert isinstance(clip.reference, LabelledIntervals)
        events = by_name[clip.id].labelled
        assert clip.reference.labels == tuple(event.label for event in events)
        np.testing.assert_allclose(
            clip.reference.intervals, np.array([event.interval for event in events]).reshape(-1, 2)
        )
        assert (np.diff(clip.reference.intervals[:, 0]) >= 0).all()


def test_synthesis_gives_the_same_samples_every_time_and_as_stored(request_of_small: DatasetRequest):
    clip = plan.clips("small")[5]
    once, again = dataset.mix(clip), dataset.mix(clip)
    room.impulse_response.cache_clear()
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, dataset.mix(clip))
    stored, _ = soundfile.read(dataset.manifest_path(request_of_small).parent / f"{clip.name}.flac", dtype="float32")
    np.testing.assert_allclose(stored, once, atol=1e-4)


def test_another_task_is_an_error_that_names_it(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"no references for task 'key'; it has hospital"):
        dataset.HospitalSynth(DatasetRequest(task="key", size="small", home=tmp_path))


def test_what_is_not_synthesised_says_what_to_run(tmp_path: Path):
    with pytest.raises(DatasetError, match="run 'mirbench data prepare hospital-synth --size small'"):
        dataset.HospitalSynth(DatasetRequest(task="hospital", size="small", home=tmp_path))
