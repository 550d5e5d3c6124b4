"""AnuraSet, hospital-like ESC-50 and third-octave sensor files, on miniature trees in the published layouts."""

import csv
import hashlib
import json
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mirbench_data_sounds
from mirbench import DatasetError, DatasetRequest, MissingDataError
from mirbench.data import audio
from mirbench.testing.dataset_checks import DATASET_CHECKS
from mirbench_anuran.task import AnuranTask
from mirbench_data_sounds import anuraset, esc50, sensors
from mirbench_hospital.task import HospitalTask
from mirbench_sensors import third_octave
from mirbench_sensors.third_octave import FAST

SPECS = {spec.name: spec for spec in mirbench_data_sounds.mirbench_datasets()}
TASKS = {"anuran": AnuranTask(), "hospital": HospitalTask()}
RECORDINGS = [f"INCT4_2020010{day}_{hour:02d}0000" for day in range(1, 5) for hour in range(18, 24)]
CLASSES = (*esc50.LABELS, "dog")


def noise(seed: int, seconds: float, sample_rate: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * sample_rate))


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def anuraset_rows() -> list[dict[str, object]]:
    """Two overlapping windows of each recording; the first window of a recording has no frog every third time."""
    rows = []
    for number, recording in enumerate([*RECORDINGS, "INCT20955_20191123_041500_000"]):
        for start in range(2):
            calls = {code: int((number + place + start) % 9 == 0) for place, code in enumerate(anuraset.SPECIES)}
            if number % 3 == 0 and start == 0:
                calls = dict.fromkeys(calls, 0)
            rows.append(
                {
                    "sample_name": f"{recording}_{start}_{start + 3}.wav",
                    "fname": recording,
                    "min_t": start,
                    "max_t": start + 3,
                    "site": recording.split("_")[0],
                    "date": "2020-01-01 18:00:00",
                    "species_number": sum(calls.values()),
                    "subset": "test" if number % 4 == 0 else "train",
                    **calls,
                }
            )
    return rows


def make_anuraset(home: Path) -> Path:
    """Write metadata.csv and audio/<site>/<fname>_<min_t>_<max_t>.wav."""
    root = home / "data" / "anuraset"
    rows = anuraset_rows()
    write_csv(root / "metadata.csv", rows)
    for seed, row in enumerate(rows):
        path = root / "audio" / str(row["site"]) / str(row["sample_name"])
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(seed, 0.2, 22050), 22050)
    return root


def make_esc50(home: Path) -> Path:
    """Write meta/esc50.csv and audio/{fold}-{source}-{take}-{target}.wav; every clip ends in digital silence."""
    root = home / "data" / "esc50-hospital" / "ESC-50-master"
    (root / "audio").mkdir(parents=True)
    rows = []
    for fold in range(1, 6):
        for target, category in enumerate(CLASSES):
            source = 1000 * fold + target
            name = f"{fold}-{source}-A-{target}.wav"
            rows.append(
                {
                    "filename": name,
                    "fold": fold,
                    "target": target,
                    "category": category,
                    "esc10": False,
                    "src_file": source,
                    "take": "A",
                }
            )
            samples = np.concatenate(
                [noise(source, 0.2, 8000), np.zeros(1600), noise(source, 0.1, 8000), np.zeros(800)]
            )
            soundfile.write(root / "audio" / name, samples, 8000)
    write_csv(root / "meta" / "esc50.csv", rows)
    return root


def make_sensor_files(home: Path) -> Path:
    """Write five sensor files, one of them longer than a clip, and their events."""
    folder = home / "data" / "third-octave"
    folder.mkdir(parents=True)
    recordings, events = [], []
    for number, split in enumerate(("train", "train", "valid", "test", "test")):
        seconds = 70 if number == 0 else 3
        sound = noise(number, seconds, third_octave.SAMPLE_RATE)
        sound[16000:48000] += np.sin(2 * np.pi * 1000 * np.arange(32000) / 32000)
        np.save(folder / f"{number}.npy", FAST.levels(sound) + 60)
        recordings.append({"path": f"{number}.npy", "split": split, "group": f"sensor {number}"})
        events.append({"path": f"{number}.npy", "onset": 0.5, "offset": 1.5, "label": "alarm"})
    events.append({"path": "0.npy", "onset": 30, "offset": 40, "label": "steps"})
    write_csv(folder / "recordings.csv", recordings)
    write_csv(folder / "events.csv", events)
    return folder


def make_prepared_sensor_files(home: Path) -> Path:
    folder = make_sensor_files(home)
    sensors.prepare(request_for("third-octave", home))
    return folder


MAKERS = {
    "anuraset": make_anuraset,
    "anuraset-36": make_anuraset,
    "esc50-hospital": make_esc50,
    "third-octave": make_prepared_sensor_files,
}


def request_for(name: str, home: Path) -> DatasetRequest:
    return DatasetRequest(task=SPECS[name].tasks[0], size="default", home=home)


def load(name: str, home: Path):
    return SPECS[name].load(request_for(name, home))


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A miniature of each data set, which no test changes."""
    found = {name: tmp_path_factory.mktemp(name) for name in MAKERS}
    for name, home in found.items():
        MAKERS[name](home)
    return found


def test_every_data_set_has_a_miniature():
    assert set(SPECS) == set(MAKERS)


@pytest.mark.parametrize("check", DATASET_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MAKERS)
def test_conformance(name, check, homes):
    dataset = load(name, homes[name])
    check(dataset, TASKS[SPECS[name].tasks[0]].with_labels_of(dataset))


@pytest.mark.parametrize("name", MAKERS)
def test_a_data_set_that_is_absent_says_in_one_line_what_to_run(name, tmp_path):
    with pytest.raises(MissingDataError, match=f"{name} is not in .*; run 'mirbench data prepare {name}'$") as caught:
        load(name, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "pattern", "counted"),
    [
        ("anuraset", "audio/INCT4/*.wav", "48 of 50 files are missing.* and 43 more"),
        ("esc50-hospital", "audio/1-*.wav", "16 of 80 files are missing.*audio/1-1000-A-0.wav"),
        ("third-octave", "1.npy", "1 of 5 files are missing in .*: 1.npy"),
    ],
)
def test_a_data_set_that_is_partly_there_counts_and_names_what_is_missing(name, pattern, counted, tmp_path):
    for path in (make_sensor_files if name == "third-octave" else MAKERS[name])(tmp_path).glob(pattern):
        path.unlink()
    with pytest.raises(DatasetError, match=f"{name}: {counted}.*; run 'mirbench data prepare {name}'") as caught:
        load(name, tmp_path)
    assert not isinstance(caught.value, MissingDataError)


# AnuraSet


def test_there_are_4_frequent_8_common_and_30_rare_frogs():
    assert len(set(anuraset.SPECIES)) == 42
    assert [len(labels) for labels in anuraset.group(anuraset.SPECIES).values()] == [4, 8, 30]
    assert [len(labels) for labels in anuraset.group(anuraset.AnuraSet36.labels).values()] == [4, 8, 24]
    assert set(anuraset.NOT_IN_BOTH_SUBSETS) <= set(anuraset.SPECIES)


def test_a_reference_holds_the_labels_of_its_window(homes):
    dataset = load("anuraset", homes["anuraset"])
    [clip] = [clip for clip in dataset.clips("test") if clip.id == f"{RECORDINGS[4]}_1_4"]
    calls = {species for species, is_there in zip(dataset.labels, clip.reference, strict=True) if is_there}
    assert calls == {code for place, code in enumerate(anuraset.SPECIES) if (4 + place + 1) % 9 == 0}
    assert clip.reference.dtype == np.float32


def test_published_subsets_are_kept_and_only_training_recordings_are_set_apart(homes):
    dataset = load("anuraset", homes["anuraset"])
    subsets = {row["fname"]: row["subset"] for row in anuraset_rows()}
    assert {subsets[clip.group] for clip in dataset.clips("test")} == {"test"}
    for split in ("train", "valid"):
        assert {subsets[clip.group] for clip in dataset.clips(split)} == {"train"}


def test_an_eighth_of_training_recordings_is_for_validation_always_the_same():
    names = [f"INCT17_20200101_{number:06d}" for number in range(4000)]
    share = np.mean([anuraset.split_of("train", name) == "valid" for name in names])
    assert share == pytest.approx(1 / 8, abs=0.02)
    chosen = {name for name in RECORDINGS if anuraset.split_of("train", name) == "valid"}
    assert chosen == {"INCT4_20200101_190000", "INCT4_20200102_230000", "INCT4_20200103_220000"}


def test_anuraset_36_has_neither_lonely_frogs_nor_clips_without_any(homes):
    whole, dataset = load("anuraset", homes["anuraset"]), load("anuraset-36", homes["anuraset"])
    kept = [species not in anuraset.NOT_IN_BOTH_SUBSETS for species in whole.labels]
    for split in ("train", "valid", "test"):
        expected = [clip.id for clip in whole.clips(split) if clip.reference[kept].any()]
        assert [clip.id for clip in dataset.clips(split)] == expected
        assert all(len(clip.reference) == 36 for clip in dataset.clips(split))
    assert len(dataset.clips("train")) < len(whole.clips("train"))


def test_a_folder_inside_the_archive_is_found(tmp_path):
    root = make_anuraset(tmp_path)
    root.rename(tmp_path / "data" / "moved")
    root.mkdir()
    (tmp_path / "data" / "moved").rename(root / "anuraset")
    assert load("anuraset", tmp_path).clips("train")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address where a server on this machine offers it."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_incomplete_is_downloaded_and_unpacked(served, monkeypatch):
    pytest.importorskip("mirbench.data.download")
    folder, address = served
    shutil.make_archive(str(folder / "anuraset"), "zip", make_anuraset(folder / "published").parent)
    monkeypatch.setattr(anuraset, "URL", f"{address}/anuraset.zip")
    monkeypatch.setattr(anuraset, "MD5", hashlib.md5((folder / "anuraset.zip").read_bytes()).hexdigest())
    shutil.rmtree(make_anuraset(folder / "home") / "audio" / "INCT4")
    anuraset.prepare(request_for("anuraset", folder / "home"))
    assert len(load("anuraset", folder / "home").clips("train")) > 0
    assert not (folder / "home" / "data" / "anuraset" / "anuraset.zip").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("SPHSUR", "FROG", "metadata.csv:1: other columns than expected: SPHSUR missing, FROG too many"),
        ("sample_name", ",sample_name", r"metadata.csv:1: .*: none missing, \(unnamed\) too many"),
        (",train,", ",training,", r"metadata.csv:\d+: subset 'training'; expected train or test"),
        (",test,0,", ",test,2,", r"metadata.csv:\d+: '2' for SPHSUR; expected 0 or 1"),
        (",test,0,", ",test,0,0,", r"metadata.csv:\d+: not 50 cells"),
    ],
)
def test_odd_metadata_is_refused_with_its_line(old, new, message, tmp_path):
    change(make_anuraset(tmp_path) / "metadata.csv", old, new)
    with pytest.raises(DatasetError, match=message):
        load("anuraset", tmp_path)


# ESC-50


def test_an_event_lasts_while_its_clip_is_not_digitally_silent(homes):
    [clip] = [
        clip for clip in load("esc50-hospital", homes["esc50-hospital"]).clips("valid") if clip.id == "4-4003-A-3"
    ]
    np.testing.assert_allclose(clip.reference.intervals, [[0, 0.2], [0.4, 0.5]], atol=2e-4)
    assert clip.reference.labels == ("crying_baby", "crying_baby")


@pytest.mark.parametrize(("n_zeros", "n_parts"), [(100, 1), (101, 2)])
def test_only_a_pause_of_more_than_a_tenth_of_a_second_splits_an_event(n_zeros, n_parts):
    samples = np.concatenate([np.ones(50), np.zeros(n_zeros), np.ones(50), np.zeros(300)]).astype(np.float32)
    parts = esc50.sounding_parts(samples, 1000)
    assert len(parts) == n_parts
    assert (parts[0, 0], parts[-1, 1]) == (0, (100 + n_zeros) / 1000)


def test_a_clip_without_silence_is_one_event_and_one_without_sound_none():
    assert esc50.sounding_parts(np.ones(500, np.float32), 1000).tolist() == [[0, 0.5]]
    assert esc50.sounding_parts(np.zeros(500, np.float32), 1000).shape == (0, 2)


def test_folds_1_to_3_train_4_validates_5_tests(homes):
    dataset = load("esc50-hospital", homes["esc50-hospital"])
    folds = {split: {clip.id[0] for clip in dataset.clips(split)} for split in ("train", "valid", "test")}
    assert folds == {"train": {"1", "2", "3"}, "valid": {"4"}, "test": {"5"}}
    assert {label for clip in dataset.clips("test") for label in clip.reference.labels} == set(dataset.labels)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("category", "label", "esc50.csv:1: other columns than expected: category missing, label too many"),
        (",4,0,breathing", ",6,0,breathing", r"esc50.csv:\d+: fold '6'; expected 1 to 5"),
    ],
)
def test_an_odd_csv_file_of_esc50_is_refused(old, new, message, tmp_path):
    change(make_esc50(tmp_path) / "meta" / "esc50.csv", old, new)
    with pytest.raises(DatasetError, match=message):
        load("esc50-hospital", tmp_path)


def test_esc50_in_the_place_where_soundata_puts_it_is_found(tmp_path):
    root = make_esc50(tmp_path)
    for folder in ("meta", "audio"):
        (root / folder).rename(root.parent / folder)
    assert len(load("esc50-hospital", tmp_path).clips("test")) == 16


def test_what_is_complete_is_not_downloaded_again(homes):
    esc50.prepare(request_for("esc50-hospital", homes["esc50-hospital"]))
    anuraset.prepare(request_for("anuraset", homes["anuraset"]))


def test_without_soundata_prepare_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundata", None)
    with pytest.raises(DatasetError, match=r"pip install 'mirbench-audio\[data\]'"):
        esc50.prepare(request_for("esc50-hospital", tmp_path))


# Third octaves

PUBLISHED_BINS = (
    "3-3,3-4,4-5,5-6,6-8,8-10,10-12,12-15,15-19,19-23,23-29,29-37,37-46,46-58,58-72,72-91,91-115,115-144,144-181,"
    "181-228,228-287,287-361,361-455,455-572,572-720,720-907,907-1141,1141-1437,1437-1809"
)


def test_the_bands_hold_the_published_bins():
    assert ",".join("{}-{}".format(*FAST.bin_range(band)) for band in range(29)) == PUBLISHED_BINS


def test_a_tone_of_1_khz_falls_into_band_17_with_its_level():
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(32000) / 32000)
    levels = FAST.levels(tone)
    assert levels.shape == (8, 29)
    assert set(levels.argmax(axis=1)) == {17}
    np.testing.assert_allclose(levels[:7, 17], 20 * np.log10(0.5 / np.sqrt(2)) + 26, atol=0.01)


def test_white_noise_rises_by_a_decibel_a_band():
    levels = FAST.levels(noise(0, 60, 32000)).mean(axis=0)
    assert np.polyfit(np.arange(10, 29), levels[10:], 1)[0] == pytest.approx(1, abs=0.05)
    total = third_octave.broadband_levels(levels[None])[0]
    assert total == pytest.approx(20 * np.log10(0.1) + 26 + 10 * np.log10(14100 / 16000), abs=0.3)


def changing_sound() -> np.ndarray:
    """Noise in which beeps begin and end, 27 dB up."""
    time = np.arange(10 * 32000) / 32000
    beeps = np.sin(2 * np.pi * 960 * time) * (time % 1.3 < 0.4) + 0.3 * np.sin(2 * np.pi * 2880 * time) * (
        time % 2 < 0.5
    )
    return 0.1 * noise(1, 10, 32000) + 0.3 * beeps


@pytest.mark.parametrize("sound", [noise(0, 10, 32000), changing_sound()], ids=["white noise", "beeps"])
def test_levels_come_back_from_resynthesised_noise(sound):
    levels = FAST.levels(sound)
    samples = np.round(32768 * FAST.noise(levels, [1])) / 32768
    error = np.abs(FAST.levels(samples) - levels)
    assert np.median(error[:, 8:]) < 0.1  # bands above 100 Hz
    assert np.percentile(error[:, 8:], 95) < 1.5
    assert np.median(error) < 0.3


def test_resynthesis_repeats_itself_and_keeps_no_waveform():
    sound = changing_sound()
    levels = FAST.levels(sound)
    one, again, other = (FAST.noise(levels, [seed]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert len(one) == len(sound)
    for known in (sound, other):
        assert abs(np.corrcoef(one, known)[0, 1]) < 0.05


def test_a_long_recording_is_cut_and_so_are_its_events(homes):
    clips = load("third-octave", homes["third-octave"]).clips("train")
    found = {
        clip.id: list(zip(clip.reference.intervals.tolist(), clip.reference.labels, strict=True)) for clip in clips
    }
    assert found == {
        "0.npy at 0 s": [([0.5, 1.5], "alarm"), ([30, 35], "steps")],
        "0.npy at 35 s": [([0, 5], "steps")],
        "1.npy at 0 s": [([0.5, 1.5], "alarm")],
    }
    assert {clip.duration for clip in clips} == {35, 3}


def test_stored_noise_has_the_levels_of_its_file_and_does_not_clip(homes):
    home = homes["third-octave"]
    [clip] = load("third-octave", home).clips("valid")
    samples = audio.load(clip.path, 32000)
    offset = json.loads((clip.path.parent / "manifest.json").read_text())["offset_db"]
    error = FAST.levels(samples) - offset - np.load(home / "data" / "third-octave" / "2.npy")
    assert np.median(np.abs(error[:, 8:])) < 0.1
    assert 0.3 < np.abs(samples).max() < 0.99


def test_the_same_sensor_files_give_the_same_clips(homes, tmp_path):
    make_prepared_sensor_files(tmp_path)
    one, other = (load("third-octave", home).clips("train") for home in (homes["third-octave"], tmp_path))
    assert [clip.sha256 for clip in one] == [clip.sha256 for clip in other]


def test_another_split_is_another_version(homes, tmp_path):
    folder = make_prepared_sensor_files(tmp_path)
    change(folder / "recordings.csv", "1.npy,train", "1.npy,valid")
    assert load("third-octave", tmp_path).version != load("third-octave", homes["third-octave"]).version


def test_prepare_without_sensor_files_prints_the_layout(tmp_path, capsys):
    with pytest.raises(MissingDataError, match="recordings.csv and events.csv are expected there"):
        sensors.prepare(request_for("third-octave", tmp_path))
    assert "path,onset,offset,label" in capsys.readouterr().out


def test_sensor_files_that_were_not_made_into_noise_say_what_to_run(tmp_path):
    make_sensor_files(tmp_path)
    with pytest.raises(MissingDataError, match="run 'mirbench data prepare third-octave'"):
        load("third-octave", tmp_path)


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (
            "recordings.csv",
            "split",
            "part",
            "recordings.csv:1: other columns than expected: split missing, part too many",
        ),
        (
            "recordings.csv",
            "valid",
            "validation",
            "recordings.csv:4: split 'validation'; expected train, valid or test",
        ),
        ("recordings.csv", "sensor 2", "sensor 1", "recordings.csv:4: group 'sensor 1' is empty or in two splits"),
        ("recordings.csv", "1.npy", "./0.npy", "recordings.csv:3: 0.npy has the content of the file on line 2"),
        ("events.csv", "3.npy", "9.npy", "events.csv:5: '9.npy' is not in recordings.csv"),
        (
            "events.csv",
            "0.5,1.5",
            "1.5,0.5",
            "events.csv:2: from '1.5' to '0.5': 'alarm'; expected seconds, the offset aft",
        ),
        ("events.csv", "0.5,1.5", "0.5,nan", "events.csv:2: from '0.5' to 'nan'"),
        ("events.csv", "30,40", "30,90", "steps ends at 90 s, 0.npy at 70 s"),
    ],
)
def test_odd_tables_of_sensor_files_are_refused(table, old, new, message, homes, tmp_path):
    folder = make_sensor_files(tmp_path)
    made = "third-octave-resynthesised"
    (tmp_path / "data" / made).symlink_to(homes["third-octave"] / "data" / made)
    change(folder / table, old, new)
    with pytest.raises(DatasetError, match=message):
        load("third-octave", tmp_path)


LEVELS = np.random.default_rng(0).uniform(20, 80, (16, 29)).astype(np.float32)


def sensor_table() -> np.ndarray:
    """The table of a Cense sensor: time in milliseconds, 29 bands, totals."""
    names = ["epoch", *(f"band {band}" for band in range(29)), "leq", "laeq"]
    table = np.zeros(16, [(name, "f8") for name in names])
    table["epoch"] = 1.6e12 + 125 * np.arange(16)
    for band in range(29):
        table[f"band {band}"] = LEVELS[:, band]
    return table


@pytest.mark.parametrize("table", [LEVELS, LEVELS.reshape(2, 8, 29), sensor_table()], ids=["rows", "chunks", "sensor"])
@pytest.mark.parametrize("suffix", [".npy", ".h5"])
def test_the_published_shapes_of_sensor_files_are_read(table, suffix, tmp_path):
    path = tmp_path / f"levels{suffix}"
    if suffix == ".npy":
        np.save(path, table)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["fast_125ms"] = table
    np.testing.assert_array_equal(sensors.read_levels(path), LEVELS)


def with_gap() -> np.ndarray:
    table = sensor_table()
    table["epoch"][9:] += 60000
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (LEVELS[:, :28], r"shape \(16, 28\); expected \[time, 29\]"),
        (10 ** (LEVELS / 10), "row 0; expected levels between -200 and 150 dB"),
        (np.where(np.arange(16)[:, None] == 5, np.nan, LEVELS), "row 5; expected levels"),
        (LEVELS[:0], "no row at all"),
        (with_gap(), "60125 ms between rows 8 and 9; expected 125: cut the file at its gaps"),
        (sensor_table()[["epoch", "leq"]], "a table of epoch, leq; expected epoch and 29 bands"),
    ],
)
def test_a_sensor_file_that_holds_no_levels_is_refused(table, message, tmp_path):
    np.save(tmp_path / "odd.npy", table)
    with pytest.raises(DatasetError, match=message):
        sensors.read_levels(tmp_path / "odd.npy")


def test_a_file_that_is_no_array_is_refused(tmp_path):
    (tmp_path / "text.npy").write_text("levels")
    with pytest.raises(DatasetError, match=r"text.npy: not an array that numpy can read"):
        sensors.read_levels(tmp_path / "text.npy")


def test_without_h5py_a_sensor_file_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DatasetError, match=r"pip install 'mirbench-audio\[sensor\]'"):
        sensors.read_levels(tmp_path / "levels.h5")


def test_an_hdf5_file_without_levels_names_what_it_holds(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["slow_1s"] = LEVELS
    with pytest.raises(DatasetError, match=r"no data set 'fast_125ms' \(found: slow_1s\)"):
        sensors.read_levels(tmp_path / "odd.h5")
    (tmp_path / "odd.h5").write_text("levels")
    with pytest.raises(DatasetError, match="not an HDF5 file"):
        sensors.read_levels(tmp_path / "odd.h5")
