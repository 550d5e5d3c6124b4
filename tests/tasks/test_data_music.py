"""Recorded music: published layouts in miniature, odd spellings, and what is said when files are missing.

The miniatures are written here. Paths of what mirdata reads are those of its indices 1.2 (beatles), 1.0 (queen,
rwc_popular, gtzan_genre) and 1.1.0 (guitarset), as bundled with mirdata 0.3.8; for ballroom those of mirdata's tests.
"""

import hashlib
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import mir_eval
import numpy as np
import pytest
import soundfile

import mirbench_data_music
from mirbench import DatasetError, MissingDataError
from mirbench.data.reference_hash import digest_of
from mirbench.domain import LabelledIntervals
from mirbench.plugins import Plugins
from mirbench.specs import DatasetRequest
from mirbench.testing import checks_of
from mirbench_data_music import fmakv2, giantsteps, sets
from mirbench_data_music.beats import rising
from mirbench_data_music.chords import chord_sequence, spell_chord
from mirbench_data_music.collection import split_groups
from mirbench_data_music.keys import numbered_key, only_key, spell_key

SPECS = {spec.name: spec for spec in mirbench_data_music.mirbench_datasets()}
TASKS = {task: Plugins().tasks[task].load() for task in ("key", "chord", "beat")}
WITHOUT_MIRDATA = {"giantsteps_key", "gtzan_key", "fmakv2", "fmakv2-giantsteps_key", "schubert_winterreise"}


def request_for(task: str, home: Path) -> DatasetRequest:
    return DatasetRequest(task=task, size="default", home=home)


def load(name: str, task: str, home: Path) -> sets.Recordings:
    if name not in WITHOUT_MIRDATA:
        pytest.importorskip("mirdata")
    return SPECS[name].load(request_for(task, home))


def all_clips(dataset) -> list:
    return [clip for split in ("train", "valid", "test") for clip in dataset.clips(split)]


def ids(dataset, split: str) -> set[str]:
    return {clip.id.partition("/")[2] for clip in dataset.clips(split)}


# Miniatures


def write_text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_audio(path: Path) -> None:
    """A second of noise, another one for every path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(hashlib.sha256(str(path.name).encode()).digest()[:4])
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(16000), 16000)


def write_index(
    folder: Path, filename: str, tracks: dict[str, dict[str, str | None]], root: Path | None = None
) -> None:
    """An index as mirdata writes it, of files that are there (in the root, if not in the folder)."""

    def entry(path: str | None) -> list[str | None]:
        if path is None:
            return [None, None]
        found = next(place / path for place in (folder, root or folder) if (place / path).is_file())
        return [path, hashlib.md5(found.read_bytes()).hexdigest()]

    entries = {name: {file: entry(path) for file, path in files.items()} for name, files in tracks.items()}
    write_text(folder / filename, json.dumps({"version": "miniature", "tracks": entries}))


def write_lab(path: Path, number: int) -> None:
    write_text(path, "0.0\t0.25\tN", f"0.25\t0.6\t{'CDEFGAB'[number % 7]}:min7/5", "0.6\t0.6\tA", "0.6\t1.0\tBb/3")


BEATLES = {
    "01_-_Please_Please_Me": ("01_-_I_Saw_Her_Standing_There", "02_-_Misery"),
    "02_-_With_the_Beatles": ("01_-_It_Won't_Be_Long", "02_-_All_I've_Got_To_Do"),
    "03_-_A_Hard_Day's_Night": ("01_-_A_Hard_Day's_Night", "02_-_I_Should_Have_Known_Better"),
    "06_-_Rubber_Soul": ("05_-_Think_For_Yourself", "07_-_Michelle"),
    "10CD1_-_The_Beatles": ("CD1_-_01_-_Back_in_the_USSR", "CD1_-_02_-_Dear_Prudence"),
    "10CD2_-_The_Beatles": ("CD2_-_01_-_Birthday", "CD2_-_12_-_Revolution_9"),
}


def make_beatles(home: Path) -> Path:
    folder = home / "data" / "beatles"
    tracks = {}
    for album, titles in BEATLES.items():
        for title in titles:
            number = len(tracks)
            stem = f"The Beatles/{album}/{title}"
            files = {
                "audio": f"audio/{album}/{title}.wav",
                "beat": f"annotations/beat/{stem}.txt",
                "chords": f"annotations/chordlab/{stem}.lab",
                "keys": f"annotations/keylab/{stem}.lab",
                "sections": f"annotations/seglab/{stem}.lab",
            }
            write_audio(folder / files["audio"])
            write_text(folder / files["beat"], *(f"{beat / 4:.3f} {beat % 4 + 1}" for beat in range(4)))
            write_lab(folder / files["chords"], number)
            changed = "1.0\t2.0\tKey\tA:mixolydian" if title == "07_-_Michelle" else "1.0\t1.2\tSilence"
            write_text(folder / files["keys"], f"0.0\t1.0\tKey\t{('E', 'A:minor')[number % 2]}", changed)
            write_text(folder / files["sections"], "0.0\t1.0\t0.0\tverse")
            tracks[f"{number:04d}"] = files | ({"beat": None, "keys": None} if "Revolution" in title else {})
    write_index(folder, "beatles_index_1.2.json", tracks)
    return folder


def make_queen(home: Path) -> Path:
    folder = home / "data" / "queen"
    tracks = {}
    for number in range(8):
        stem = f"Greatest Hits I/{number + 1:02d} Song {number}"
        files = {
            "audio": f"audio/{stem}.flac",
            "chords": f"annotations/chordlab/Queen/{stem}.lab",
            "keys": f"annotations/keylab/Queen/{stem}.lab",
            "sections": f"annotations/seglab/Queen/{stem}.lab",
        }
        write_audio(folder / files["audio"])
        write_lab(folder / files["chords"], number)
        write_text(folder / files["keys"], "0.0\t1.0\tKey\tBb:major" if number else "0.0\t1.0\tKey\tEb:minor")
        write_text(folder / files["sections"], "0.0\t1.0\t0.0\tverse")
        tracks[str(number)] = files | ({"chords": None, "keys": None} if number == 2 else {})
    write_index(folder, "queen_index_1.0.json", tracks)
    return folder


def make_rwc_popular(home: Path) -> Path:
    folder = home / "data" / "rwc_popular"
    tracks = {}
    for number in range(1, 11):
        files = {
            "audio": f"audio/rwc-p-m01/{number}.wav",
            "sections": None,
            "beats": f"annotations/AIST.RWC-MDB-P-2001.BEAT/RM-P{number:03d}.BEAT.TXT",
            "chords": f"annotations/AIST.RWC-MDB-P-2001.CHORD/RWC_Pop_Chords/N{number:03d}-M01-T{number:02d}.lab",
            "voca_inst": None,
        }
        write_audio(folder / files["audio"])
        write_lab(folder / files["chords"], number)
        write_text(folder / files["beats"], *(f"{25 * i}\t{25 * i + 25}\t{(384, 48, 96, 144)[i]}" for i in range(4)))
        tracks[f"RM-P{number:03d}"] = files
    write_index(folder, "rwc_popular_index_1.0.json", tracks)
    return folder


def make_guitarset(home: Path) -> Path:
    folder = home / "data" / "guitarset"
    tracks = {}
    for player in range(4):
        for mode in ("comp", "solo"):
            name = f"{player:02d}_BN1-129-Eb_{mode}"
            chords = [
                {"time": 0.0, "duration": 0.1 + 0.2, "value": "Eb:maj"},
                {"time": 0.3, "duration": 0.7, "value": "C:hdim7"},
            ]
            annotations = [{"namespace": "chord", "data": chords}, {"namespace": "chord", "data": chords[:1]}]
            write_text(folder / "annotation" / f"{name}.jams", json.dumps({"annotations": annotations}))
            write_audio(folder / "audio_mono-mic" / f"{name}_mic.wav")
            tracks[name] = {
                "audio_hex_cln": None,
                "audio_hex": None,
                "audio_mic": f"audio_mono-mic/{name}_mic.wav",
                "audio_mix": None,
                "jams": f"annotation/{name}.jams",
            }
    write_index(folder, "guitarset_index_1.1.0.json", tracks)
    return folder


BALLROOM = {
    "Quickstep": (
        "Albums-AnaBelen_Veneo-11",
        "Albums-AnaBelen_Veneo-13",
        "Albums-Chrisanne2-12",
        "Albums-Chrisanne2-01",
    ),
    "Waltz": ("Media-105901", "Media-104705", "Albums-Secret_Garden-01"),
    "ChaChaCha": ("Albums-Latin_Jam2-05", "Albums-Cafe_Paradiso-05", "Media-103402"),
}


def make_ballroom(home: Path) -> Path:
    folder = home / "data" / "ballroom"
    tracks = {}
    for dance, names in BALLROOM.items():
        for name in names:
            files = {
                "audio": f"B_1.0/audio/{dance}/{name}.wav",
                "beats": f"B_1.0/annotations/beats/{name}.beats",
                "tempo": None,
            }
            write_audio(folder / files["audio"])
            separator = "\t" if name == "Media-103402" else " "
            write_text(folder / files["beats"], *(f"{beat / 3:.4f}{separator}{beat + 1}" for beat in range(3)))
            tracks[name] = files
    write_index(folder, "ballroom_full_index_1.0.json", tracks)
    return folder


GTZAN = (
    "blues.00000",
    "blues.00001",
    "disco.00002",
    "disco.00003",
    "jazz.00054",
    "pop.00004",
    "pop.00005",
    "rock.00006",
)
LISTED = {"train": GTZAN[:3] + GTZAN[4:5], "valid": GTZAN[3:4], "test": GTZAN[5:7]}


def make_gtzan_audio(home: Path) -> Path:
    folder = home / "data" / "gtzan_genre"
    for name in GTZAN:
        write_audio(folder / "genres" / name.partition(".")[0] / f"{name}.wav")
    for split, names in LISTED.items():
        write_text(folder / f"{split}_filtered.txt", *(f"{name.partition('.')[0]}/{name}.au" for name in names))
    return folder


def make_gtzan_rhythm(home: Path) -> Path:
    make_gtzan_audio(home)
    folder = home / "data" / "gtzan_rhythm"
    tracks = {}
    for name in GTZAN:
        genre, number = name.split(".")
        beats = f"gtzan_tempo_beat-main/beats/gtzan_{genre}_{number}.beats"
        write_text(folder / beats, "0.1\t1", "0.5\t2", "0.9\t3")
        audio = f"gtzan_genre/genres/{genre}/{name}.wav"
        tracks[name] = {"audio": audio, "beats": None if name == "pop.00005" else beats, "tempo": None}
    write_index(folder, "gtzan_genre_index_1.0.json", tracks, root=home / "data")
    return folder


def make_gtzan_key(home: Path) -> Path:
    make_gtzan_audio(home)
    folder = home / "data" / "gtzan_key"
    for number, name in enumerate(GTZAN):
        path = folder / "gtzan_key" / "gtzan_key" / "genres" / name.partition(".")[0] / f"{name}.lerch.txt"
        write_text(path, "-1" if name == "pop.00005" else ("3", "12")[number % 2])
    return folder


MTG_ROWS = ("-\t0", "A-A# minor\t0", "E major\t1", "C minor / F# minor\t2", "A/E major\t1", " \t0", "B major \t2")


def make_giantsteps_key(home: Path) -> Path:
    folder = home / "data" / "giantsteps_key"
    key, mtg = folder / giantsteps.KEY, folder / giantsteps.MTG
    rows = [f"{5061 + number}\t{('D# minor', 'B major')[number % 2]}\t2" for number in range(8)]
    rows += [f"{9000 + number}\t{row}" for number, row in enumerate(MTG_ROWS)]
    write_text(mtg / "annotations" / "annotations.txt", "ID\tMANUAL KEY\tC", *rows)
    names = {mtg: [row.split("\t")[0] for row in rows], key: ["0010089", "1234749", "3687442"]}
    for root, stems in names.items():
        for stem in stems:
            audio = root / "audio" / f"{stem}.LOFI.mp3"
            write_audio(audio)
            write_text(root / "md5" / f"{stem}.LOFI.md5", hashlib.md5(audio.read_bytes()).hexdigest())
    for number, stem in enumerate(names[key]):
        write_text(key / "annotations" / "key" / f"{stem}.LOFI.key", ("Eb minor", "B major")[number % 2])
    return folder


FMAK_URIS = ("spotify:track:a", "nan", "nan", *(f"spotify:track:{name}" for name in "bacdefgha"))


def make_fmakv2(home: Path) -> Path:
    folder = home / "data" / "fmakv2"
    rows = [
        f"{number},{('B Major', 'D# minor')[number % 2]},{10 + 997 * number},{FMAK_URIS[number]}"
        for number in range(12)
    ]
    write_text(folder / "fmakv2.csv", ",key_and_mode,track_id,spotify_uri", *rows)
    for number in range(12):
        name = f"{10 + 997 * number:06d}"
        write_audio(folder / "fma_large" / name[:3] / f"{name}.mp3")
    return folder


def make_schubert_winterreise(home: Path) -> Path:
    folder = home / "data" / "schubert_winterreise"
    keys = ["WorkID;PerformanceID;key"]
    for song in range(1, 9):
        for performance in ("HU33", "SC06", "AL98"):
            stem = f"Schubert_D911-{song:02d}_{performance}"
            keys.append(f'"Schubert_D911-{song:02d}";"{performance}";"{("D:min", "Gb:maj")[song % 2]}"')
            write_text(
                folder / "02_Annotations" / "ann_audio_chord" / f"{stem}.csv",
                "start;end;shorthand;extended;majmin;majmin_inv",
                '0.1;0.5;"D:min7/F";"D:(b3,5,b7)/F";"D:min";"D:min/F"',
                '0.5;1.0;"A:maj";"A:(3,5)";"A:maj";"A:maj"',
            )
            if performance != "AL98":
                write_audio(folder / "01_RawData" / "audio_wav" / f"{stem}.wav")
    write_text(folder / "02_Annotations" / "ann_audio_globalkey.csv", *keys)
    return folder


MAKERS = {
    "giantsteps_key": make_giantsteps_key,
    "gtzan_key": make_gtzan_key,
    "fmakv2": make_fmakv2,
    "beatles": make_beatles,
    "queen": make_queen,
    "rwc_popular": make_rwc_popular,
    "schubert_winterreise": make_schubert_winterreise,
    "guitarset": make_guitarset,
    "ballroom": make_ballroom,
    "gtzan_rhythm": make_gtzan_rhythm,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with every source in miniature; nothing in it is changed."""
    place = tmp_path_factory.mktemp("music")
    for make in MAKERS.values():
        make(place)
    return place


# All of them


@pytest.mark.parametrize(("name", "task"), [(spec.name, task) for spec in SPECS.values() for task in spec.tasks])
def test_a_miniature_of_the_published_layout_passes_the_conformance_checks(name, task, home):
    load(name, task, home)
    for check in checks_of(SPECS[name], request=request_for(task, home), task=TASKS[task]):
        check()


def test_the_specs_are_those_of_the_table_with_licence_and_citation():
    assert set(SPECS) == set(sets.SETS)
    assert all(spec.license != "unknown" and spec.citation for spec in SPECS.values())
    for name, spec in SPECS.items():
        assert all(set(part.source.tasks) == set(spec.tasks) for part in sets.SETS[name])


@pytest.mark.parametrize("name", SPECS)
def test_what_is_not_there_says_in_one_line_what_to_run(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mirdata", None)  # nor needs mirdata to
    with pytest.raises(MissingDataError, match=f"run 'mirbench data prepare {name}'$") as caught:
        SPECS[name].load(request_for(SPECS[name].tasks[0], tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("beatles", "audio/06_-_Rubber_Soul/05_-_Think_For_Yourself.wav"),
        ("rwc_popular", "annotations/AIST.RWC-MDB-P-2001.BEAT/RM-P003.BEAT.TXT"),
        ("giantsteps_key", "giantsteps-key-dataset/audio/1234749.LOFI.mp3"),
        ("fmakv2", "fma_large/001/001007.mp3"),
        ("schubert_winterreise", "01_RawData/audio_wav/Schubert_D911-02_SC06.wav"),
        ("schubert_winterreise", "02_Annotations/ann_audio_chord/Schubert_D911-02_SC06.csv"),
    ],
)
def test_what_is_there_in_part_counts_and_names_what_is_missing(name, gone, tmp_path):
    (MAKERS[name](tmp_path) / gone).unlink()
    with pytest.raises(
        DatasetError, match=rf"{name}: 1 of \d+ files are missing in .*: {gone}; run 'mirbench"
    ) as caught:
        load(name, SPECS[name].tasks[0], tmp_path)
    assert not isinstance(caught.value, MissingDataError)


def test_annotations_without_any_recording_count_as_not_there(tmp_path):
    shutil.rmtree(make_guitarset(tmp_path) / "audio_mono-mic")
    with pytest.raises(MissingDataError, match=r"no audio_mono-mic/00_BN1-129-Eb_comp_mic.wav, .* and 3 more\); run"):
        load("guitarset", "chord", tmp_path)


@pytest.mark.parametrize(("name", "task"), [(spec.name, task) for spec in SPECS.values() for task in spec.tasks])
def test_references_are_those_of_the_annotations_without_any_audio(name, task, tmp_path):
    """`mirbench verify` computes scores where nobody has the recordings."""
    for make in MAKERS.values():
        make(tmp_path)
    before = load(name, task, tmp_path)
    for clip in all_clips(before):
        clip.path.unlink()
    assert digest_of(SPECS[name].load(replace(request_for(task, tmp_path), needs_audio=False))) == digest_of(before)


def test_a_task_without_references_is_refused(home):
    with pytest.raises(DatasetError, match="queen has no references for task 'beat'; it has chord, key"):
        load("queen", "beat", home)


def test_another_annotation_is_another_version(home, tmp_path):
    folder = make_fmakv2(tmp_path)
    assert load("fmakv2", "key", tmp_path).version == load("fmakv2", "key", home).version
    write_text(folder / "fmakv2.csv", (folder / "fmakv2.csv").read_text().replace("0,B Major", "0,A minor"))
    assert load("fmakv2", "key", tmp_path).version != load("fmakv2", "key", home).version


# Splits


def test_groups_are_shared_out_eight_to_one_to_one_and_never_otherwise():
    splits = split_groups([f"song {number}" for number in range(100)], sets.THREE)
    shares = {split: [group for group in splits if splits[group] == split] for split in ("train", "valid", "test")}
    assert {split: len(groups) for split, groups in shares.items()} == {"train": 80, "valid": 10, "test": 10}
    assert shares["test"][:3] == ["song 18", "song 90", "song 98"]
    assert split_groups(["one", "two", "three"], sets.THREE).keys() == {"one", "two", "three"}
    assert sorted(split_groups(["one", "two", "three"], sets.THREE).values()) == ["test", "train", "valid"]


def test_a_song_is_in_the_same_split_for_every_task(home):
    of_task = [{clip.id: clip.split for clip in all_clips(load("beatles", task, home))} for task in TASKS]
    shared = set.intersection(*map(set, of_task))
    assert len(shared) == 10
    assert all(len({splits[name] for splits in of_task}) == 1 for name in shared)


def test_the_two_discs_of_an_album_are_one_group(home):
    groups = {clip.group for clip in all_clips(load("beatles", "chord", home)) if "The_Beatles" in str(clip.path)}
    assert groups == {"beatles/10_-_The_Beatles"}


def test_copies_are_left_out_of_ballroom_and_albums_are_groups(home):
    clips = all_clips(load("ballroom", "beat", home))
    names = {name for dance in BALLROOM.values() for name in dance}
    assert {clip.path.stem for clip in clips} == names - {"Albums-Chrisanne2-12", "Media-104705"}
    assert len(sets.BALLROOM_COPIES) == 13
    assert len({clip.group for clip in clips if "AnaBelen" in clip.id}) == 1


@pytest.mark.parametrize("name", ["fmakv2", "fmakv2-giantsteps_key"])
def test_tracks_of_one_song_are_one_group_of_fmakv2(name, home):
    tracks = {int(clip.path.stem): clip for clip in all_clips(load(name, "key", home)) if "fmakv2/" in clip.group}
    group = {number: tracks[10 + 997 * number].group.removeprefix("fmakv2/") for number in range(12)}
    assert [group[number] for number in (0, 4, 11)] == ["spotify:track:a"] * 3
    assert [group[number] for number in (1, 2)] == ["001007", "002004"]
    assert len(set(group.values())) == 10
    assert len({tracks[10 + 997 * number].split for number in (0, 4, 11)}) == 1


def test_identical_recordings_are_one_group_of_giantsteps_mtg(tmp_path):
    root = make_giantsteps_key(tmp_path) / giantsteps.MTG
    before = load("giantsteps_key", "key", tmp_path)
    train, valid = (before.clips(split)[0].path.stem for split in ("train", "valid"))
    for folder, suffix in (("audio", "mp3"), ("md5", "md5")):
        shutil.copy(root / folder / f"{train}.{suffix}", root / folder / f"{valid}.{suffix}")
    pair = [clip for clip in all_clips(load("giantsteps_key", "key", tmp_path)) if clip.path.stem in (train, valid)]
    assert len(pair) == 2
    assert len({clip.group for clip in pair}) == len({clip.split for clip in pair}) == 1
    for check in checks_of(SPECS["giantsteps_key"], request=request_for("key", tmp_path), task=TASKS["key"]):
        check()


def test_giantsteps_mtg_without_its_checksums_is_refused(tmp_path):
    path = make_giantsteps_key(tmp_path) / giantsteps.MTG / "md5" / "5063.LOFI.md5"
    path.write_text("")
    with pytest.raises(DatasetError, match=r"5063.LOFI.md5: an empty file; expected the MD5 of 5063.LOFI.mp3"):
        load("giantsteps_key", "key", tmp_path)
    path.unlink()
    with pytest.raises(DatasetError, match=r"1 of 15 files are missing in .*5063.LOFI.md5; run 'mirbench data prep"):
        load("giantsteps_key", "key", tmp_path)


@pytest.mark.parametrize("name", ["gtzan_rhythm", "gtzan_key"])
def test_gtzan_alone_is_split_by_the_published_lists(name, home):
    dataset = load(name, SPECS[name].tasks[0], home)
    assert ids(dataset, "train") == {"blues.00000", "blues.00001", "disco.00002"}
    assert ids(dataset, "valid") == {"disco.00003"}
    assert ids(dataset, "test") == {"pop.00004"}


def test_a_protocol_trains_on_one_set_and_tests_on_all_of_another(home):
    dataset = load("ballroom-gtzan", "beat", home)
    assert ids(dataset, "test") == set(GTZAN) - {"jazz.00054", "pop.00005"}
    assert {clip.id.partition("/")[0] for split in ("train", "valid") for clip in dataset.clips(split)} == {"ballroom"}
    dataset = load("fmakv2-giantsteps_key", "key", home)
    assert ids(dataset, "test") == {"0010089", "1234749", "3687442"}
    assert len(dataset.clips("train")) + len(dataset.clips("valid")) == 12


def test_a_split_list_that_is_not_as_published_is_refused(tmp_path):
    make_gtzan_key(tmp_path)
    write_text(tmp_path / "data" / "gtzan_genre" / "test_filtered.txt", "pop/pop.00004.au", "pop.4")
    with pytest.raises(DatasetError, match=r"test_filtered.txt:2: 'pop.4'; expected such as blues/blues.00029.au"):
        load("gtzan_key", "key", tmp_path)


# Keys


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Bb major", "Bb major"),
        ("D# minor", "Eb minor"),
        ("B major ", "B major"),
        ("G# minor", "Ab minor"),
        ("F# Major", "F# major"),
        ("Db:min", "C# minor"),
        ("Gb:maj", "F# major"),
        ("Cb:major", "B major"),
        ("C#:minor", "C# minor"),
        ("E", "E major"),
        ("D:mixolydian", None),
        ("A:modal", None),
        ("C minor / F# minor", None),
        ("A-A# minor", None),
        ("G minor/major", None),
        ("-", None),
        ("", None),
    ],
)
def test_a_key_is_spelled_as_the_task_spells_it_or_is_none(text, key):
    assert spell_key(text) == key
    assert key is None or key in TASKS["key"].labels


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        (["E"], "E major"),
        (["Silence", "A:minor", "A:minor", "Silence"], "A minor"),
        (["N", "D#:minor", "Eb:minor"], "Eb minor"),
        (["E", "A:minor"], None),
        (["E", "E:mixolydian"], None),
        (["Silence"], None),
    ],
)
def test_a_recording_has_a_key_if_it_keeps_it(labels, key):
    assert only_key(labels) == key


def test_keys_are_numbered_from_a():
    assert [numbered_key(number) for number in (0, 3, 11, 12, 23, -1)] == [
        *("A major", "C major", "Ab major"),
        *("A minor", "Ab minor", None),
    ]
    with pytest.raises(ValueError, match="key number 24; expected -1 to 23"):
        numbered_key(24)


def test_songs_that_modulate_or_have_no_key_are_left_out(home):
    names = {clip.path.stem for clip in all_clips(load("beatles", "key", home))}
    assert names == {title for titles in BEATLES.values() for title in titles} - {
        *("07_-_Michelle", "CD2_-_12_-_Revolution_9")
    }


def test_giantsteps_mtg_trains_where_its_annotator_was_sure_of_one_key(home):
    dataset = load("giantsteps_key", "key", home)
    assert ids(dataset, "train") | ids(dataset, "valid") == {*(str(5061 + number) for number in range(8)), "9006"}
    assert ids(dataset, "test") == {"0010089", "1234749", "3687442"}


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        (
            "giantsteps_key",
            f"{giantsteps.MTG}/annotations/annotations.txt",
            "ID,KEY",
            "annotations.txt:1: expected the c",
        ),
        ("giantsteps_key", f"{giantsteps.MTG}/annotations/annotations.txt", "ID\tMANUAL KEY\tC\n1", ".txt:2: 1 cells"),
        ("fmakv2", "fmakv2.csv", "track,key\n", "fmakv2.csv:1: no columns track_id, key_and_mode, sp"),
        (
            "fmakv2",
            "fmakv2.csv",
            "track_id,key_and_mode,spotify_uri\nx,C Major,nan\n",
            "fmakv2.csv:2: track_id 'x'; expected a number",
        ),
        ("gtzan_key", "gtzan_key/gtzan_key/genres/pop/pop.00004.lerch.txt", "24", "pop.00004.lerch.txt: key number 24"),
        ("gtzan_key", "gtzan_key/gtzan_key/genres/pop/pop.00004.lerch.txt", "C", "expected one number"),
        ("schubert_winterreise", "02_Annotations/ann_audio_globalkey.csv", "a,b\n", "csv:1: no column WorkID, Perf"),
    ],
)
def test_a_table_of_keys_that_is_not_as_published_is_refused(name, file, content, message, tmp_path):
    (MAKERS[name](tmp_path) / file).write_text(content)
    with pytest.raises(DatasetError, match=message):
        load(name, "key", tmp_path)


def test_fmakv2_takes_the_recordings_of_fmak_and_says_which_it_took(home, tmp_path):
    folder = make_fmakv2(tmp_path)
    excerpts = load("fmakv2", "key", home)
    for path in (folder / "fma_large").iterdir():
        path.rename(folder / path.name)
    (folder / "fma_large").rmdir()
    songs = load("fmakv2", "key", tmp_path)
    assert {f"fma_large/{name}" for name in ids(songs, "test")} == ids(excerpts, "test")
    assert songs.version != excerpts.version


# Chords


ODD = {
    "C:min7/G": "C:min7/5",
    "Bb:maj/D": "Bb:maj/3",
    "C:(b3,5,b7)/Bb": "C:(b3,5,b7)/b7",
    "F#m": "F#:min",
    "Cm7": "C:min7",
    "G:7sus4": "G:sus4(b7)",
    "B:hdim": "B:hdim7",
    "D:6": "D:maj6",
    "E:aug7": "E:aug(b7)",
    "A:/3": "A:maj/3",
    "N.C.": "N",
    "Silence": "N",
    "E:4": "X",
    "C:maj/H": "X",
    "&pause": "X",
    "H:maj": "X",
}
TAKEN = ("C", "C/3", "Db:maj", "F:min(9)", "A:7(#9)", "C:(3,5,b7)", "Ab:sus4(b7,9)", "E:minmaj7", "B:dim7/b3", "N", "X")


@pytest.mark.parametrize(("label", "spelled"), [*ODD.items(), *((label, label) for label in TAKEN)])
def test_every_chord_comes_out_as_mir_eval_takes_it(label, spelled):
    assert spell_chord(label) == spelled
    mir_eval.chord.encode(spelled)


@pytest.mark.parametrize(
    ("bass", "degree"), [("E", "3"), ("Eb", "b3"), ("F#", "b5"), ("Gb", "b5"), ("B", "7"), ("C", "1")]
)
def test_a_bass_named_by_its_note_is_counted_from_the_root(bass, degree):
    assert spell_chord(f"C:7/{bass}") == f"C:7/{degree}"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, 1, "C"), (1, 2, "G")], [(0, 1, "C"), (1, 2, "G")]),
        ([(0, 1.2, "C"), (1, 2, "G")], [(0, 1, "C"), (1, 2, "G")]),
        ([(0, 0.95, "C"), (1, 2, "G")], [(0, 1, "C"), (1, 2, "G")]),
        ([(0, 0.5, "C"), (1, 2, "G")], [(0, 0.5, "C"), (0.5, 1, "X"), (1, 2, "G")]),
        ([(1, 2, "G"), (0, 1, "C")], [(0, 1, "C"), (1, 2, "G")]),
        ([(0, 1, "C"), (0.5, 0.5, "D"), (1, 2, "G")], [(0, 1, "C"), (1, 2, "G")]),
        ([(0, 1, "C"), (0, 2, "G")], [(0, 2, "G")]),
        ([(0, 0.1 + 0.2, "C"), (0.3, 1, "G")], [(0, 0.3, "C"), (0.3, 1, "G")]),
    ],
    ids=["contiguous", "overlap", "small gap", "long gap", "unsorted", "no duration", "same start", "rounding"],
)
def test_chords_follow_each_other_without_gaps_or_overlaps(rows, expected):
    made = chord_sequence(np.array([row[:2] for row in rows], dtype=np.float64), [row[2] for row in rows])
    assert [(*times, label) for times, label in zip(made.intervals.tolist(), made.labels, strict=True)] == expected


LABELS = Path(__file__).parent / "labels"
# All distinct labels of the 180 files of the Beatles' chords by Isophonics; mirdata 1.0.0 refuses four of them.
PUBLISHED_CHORDS = (LABELS / "beatles-chords.txt").read_text(encoding="utf-8").split()
# Those of N024-M02-T08.lab of RWC, one of the 18 files that mirdata refuses, and sus2, which others of the 18 hold.
RWC_CHORDS = (LABELS / "rwc-chords.txt").read_text(encoding="utf-8").split()
PUBLISHED_KEYS = ["C#:modal", "E", "A:minor", "D:mixolydian", "Bb:major"]


@pytest.mark.parametrize(
    ("name", "labels"), [("beatles", PUBLISHED_CHORDS), ("queen", PUBLISHED_CHORDS), ("rwc_popular", RWC_CHORDS)]
)
@pytest.mark.parametrize("separator", [" ", "\t"])
def test_every_published_chord_is_read_and_none_becomes_unknown(name, labels, separator, tmp_path):
    folder = MAKERS[name](tmp_path)
    rows = [separator.join((f"{i:.6f}", f"{i + 1:.6f}", label)) for i, label in enumerate(labels)]
    for path in folder.rglob("*.lab"):
        if "chord" in str(path).lower():
            write_text(path, *rows, "")
    for clip in all_clips(load(name, "chord", tmp_path)):
        assert list(clip.reference.labels) == labels
        np.testing.assert_array_equal(clip.reference.intervals[:, 0], np.arange(len(labels)))
    assert name != "beatles" or len(set(labels)) == 407


def test_a_key_that_mirdata_refuses_leaves_out_its_song_only(tmp_path):
    paths = sorted(make_beatles(tmp_path).rglob("keylab/**/*.lab"))[: len(PUBLISHED_KEYS)]
    for path, key in zip(paths, PUBLISHED_KEYS, strict=True):
        write_text(path, "0.000\t0.724\tSilence", f"0.724\t174.775\tKey\t{key}")
    keys = {clip.path.stem: clip.reference for clip in all_clips(load("beatles", "key", tmp_path))}
    assert [keys.get(path.stem) for path in paths] == [None, "E major", "A minor", None, "Bb major"]


def test_no_chords_are_no_reference():
    assert chord_sequence(np.zeros((0, 2)), []) is None
    assert chord_sequence(np.array([[1.0, 1.0]]), ["C"]) is None


@pytest.mark.parametrize("name", ["beatles", "queen", "rwc_popular", "schubert_winterreise", "guitarset"])
def test_references_score_1_against_themselves(name, home):
    for clip in all_clips(load(name, "chord", home)):
        reference: LabelledIntervals = clip.reference
        scores = mir_eval.chord.evaluate(
            reference.intervals, list(reference.labels), reference.intervals, list(reference.labels)
        )
        assert scores["majmin"] == scores["seg"] == 1


def test_guitarset_has_the_instructed_chords(home):
    clip = load("guitarset", "chord", home).clips("test")[0]
    assert clip.reference.labels == ("Eb:maj", "C:hdim7")


def test_winterreise_takes_performances_of_which_recordings_are_there(home, tmp_path):
    folder = make_schubert_winterreise(tmp_path)
    assert {clip.id[-4:] for clip in all_clips(load("schubert_winterreise", "chord", home))} == {"HU33", "SC06"}
    for song in range(1, 9):
        write_audio(folder / "01_RawData" / "audio_wav" / f"Schubert_D911-{song:02d}_AL98.wav")
    both = load("schubert_winterreise", "key", tmp_path)
    assert len(all_clips(both)) == 24
    assert {clip.group for clip in both.clips("test")} == {
        clip.group for clip in load("schubert_winterreise", "chord", home).clips("test")
    }


def test_winterreise_is_found_in_the_folder_of_its_archive(tmp_path):
    folder = make_schubert_winterreise(tmp_path)
    inside = folder / "Schubert_Winterreise_Dataset_v2-0"
    inside.mkdir()
    for name in ("01_RawData", "02_Annotations"):
        (folder / name).rename(inside / name)
    assert len(all_clips(load("schubert_winterreise", "key", tmp_path))) == 16


# Beats


def test_beats_rise():
    times = np.array([0.5, -0.1, 0.2, 0.2, np.nan])
    np.testing.assert_array_equal(rising(times), [0.2, 0.5])
    assert rising(np.array([np.nan])) is None


@pytest.mark.parametrize(
    ("name", "beats"),
    [
        ("beatles", [0, 0.25, 0.5, 0.75]),
        ("rwc_popular", [0, 0.25, 0.5, 0.75]),
        ("ballroom", [0, 0.3333, 0.6667]),
        ("gtzan_rhythm", [0.1, 0.5, 0.9]),
    ],
)
def test_beats_are_seconds(name, beats, home):
    for clip in all_clips(load(name, "beat", home)):
        np.testing.assert_allclose(clip.reference, beats)


# mirdata and downloads


def test_a_recording_may_be_of_another_format(tmp_path):
    folder = make_queen(tmp_path)
    for path in folder.glob("audio/*/*.flac"):
        path.rename(path.with_suffix(".mp3"))
    clips = all_clips(load("queen", "chord", tmp_path))
    assert {clip.path.suffix for clip in clips} == {".mp3"}


@pytest.mark.parametrize("folder", ["", "RWC-P/"])
def test_rwc_popular_takes_the_names_of_its_release_of_2026(folder, home, served, tmp_path, monkeypatch, capsys):
    root = make_rwc_popular(tmp_path)
    for path in sorted(root.glob("audio/rwc-p-m01/*.wav")):
        new = root / "audio" / f"{folder}RWC_P{int(path.stem):03d}.flac"
        new.parent.mkdir(exist_ok=True)
        path.rename(new)
    for task in ("chord", "beat"):
        dataset = load("rwc_popular", task, tmp_path)
        assert digest_of(dataset) == digest_of(load("rwc_popular", task, home))
        assert all(clip.path.stem == clip.id[-7:].replace("RM-P", "RWC_P") for clip in all_clips(dataset))
    module = pytest.importorskip("mirdata.datasets.rwc_popular")
    publish(monkeypatch, served, module, root, "1.0", {})
    (root / "audio" / f"{folder}RWC_P003.flac").rename(tmp_path / "elsewhere.flac")
    with pytest.raises(DatasetError, match=r"1 of 10 files are missing in .*: audio/rwc-p-m01/3.wav"):
        SPECS["rwc_popular"].prepare(request_for("chord", tmp_path))
    printed = capsys.readouterr().out
    assert "RWC_P001.wav to RWC_P100.wav" in printed
    assert printed.endswith("Expected, in any audio format: audio/rwc-p-m01/3.wav.\n")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("annotations/chordlab/Queen/Greatest Hits I/01 Song 0.lab", "01 Song 0.lab:1: 'chords'; expected start, end"),
        ("queen_index_1.0.json", "queen_index_1.0.json: not the index that mirdata publishes"),
    ],
)
def test_a_file_of_another_form_is_named(file, message, tmp_path):
    write_text(make_queen(tmp_path) / file, "chords")
    with pytest.raises(DatasetError, match=message):
        load("queen", "chord", tmp_path)


def test_a_file_that_mirdata_cannot_read_is_named(tmp_path):
    folder = make_rwc_popular(tmp_path)
    write_text(folder / "annotations" / "AIST.RWC-MDB-P-2001.BEAT" / "RM-P003.BEAT.TXT", "beats")
    with pytest.raises(DatasetError, match=r"RM-P003.BEAT.TXT: mirdata cannot read it"):
        load("rwc_popular", "beat", tmp_path)


@pytest.mark.parametrize("call", ["load", "prepare"])
def test_without_mirdata_the_error_says_what_to_install(call, home, monkeypatch):
    monkeypatch.setitem(sys.modules, "mirdata", None)
    monkeypatch.delitem(sys.modules, "mirdata.datasets.beatles", raising=False)
    with pytest.raises(DatasetError, match=r"read through mirdata; run: pip install 'mirbench-audio\[data\]'$"):
        getattr(SPECS["beatles"], call)(request_for("chord", home))


def test_a_mirdata_with_other_indices_says_which_one_is_needed(home, monkeypatch):
    module = pytest.importorskip("mirdata.datasets.rwc_popular")
    monkeypatch.delitem(module.INDEXES, "1.0")
    with pytest.raises(DatasetError, match=r"index 1.0 of rwc_popular, .*; run: pip install mirdata==1.0.0$"):
        load("rwc_popular", "chord", home)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address where a server on this machine offers it."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *message: object) -> None:
        pass


def publish(monkeypatch, served, module, folder: Path, version: str, archives: dict[str, tuple[str, str]]) -> None:
    """Let mirdata's index and downloads be those of a miniature: name of the download, folder, destination."""
    root, address = served
    core = pytest.importorskip("mirdata.core")
    utils = pytest.importorskip("mirdata.download_utils")
    index = Path(module.INDEXES[version].filename)
    shutil.copy(folder / index, root / index)

    def checksum(path: Path) -> str:
        return hashlib.md5(path.read_bytes()).hexdigest()

    published = core.Index(filename=str(index), url=f"{address}/{index}", checksum=checksum(root / index))
    monkeypatch.setitem(module.INDEXES, version, published)
    for name, (content, destination) in archives.items():
        archive = Path(shutil.make_archive(str(root / name), "zip", folder / content))
        remote = utils.RemoteFileMetadata(archive.name, f"{address}/{archive.name}", checksum(archive), destination)
        monkeypatch.setitem(module.REMOTES, name, remote)


def test_prepare_downloads_unpacks_and_verifies_through_mirdata(served, tmp_path, monkeypatch):
    module = pytest.importorskip("mirdata.datasets.guitarset")
    archives = {"annotations": ("annotation",) * 2, "audio_mic": ("audio_mono-mic",) * 2}
    publish(monkeypatch, served, module, make_guitarset(tmp_path / "published"), "1.1.0", archives)
    request = request_for("chord", tmp_path / "home")
    SPECS["guitarset"].prepare(request)
    assert len(all_clips(load("guitarset", "chord", tmp_path / "home"))) == 8
    assert not list((tmp_path / "home").rglob("*.zip"))
    shutil.rmtree(served[0])
    SPECS["guitarset"].prepare(request)  # what is complete is not downloaded again
    annotation = tmp_path / "home" / "data" / "guitarset" / "annotation" / "00_BN1-129-Eb_comp.jams"
    annotation.write_text(annotation.read_text().replace("Eb:maj", "Eb:min"))
    with pytest.raises(DatasetError, match=r"1 of 16 files in .* differ from the published ones .*00_BN1-129"):
        SPECS["guitarset"].prepare(request)


def test_an_archive_that_github_packs_anew_is_verified_by_its_files(served, tmp_path, monkeypatch):
    module = pytest.importorskip("mirdata.datasets.ballroom")
    archives = {"audio": ("B_1.0/audio",) * 2, "beats": ("B_1.0/annotations/beats",) * 2}
    publish(monkeypatch, served, module, make_ballroom(tmp_path / "published"), "1.0", archives)
    root, address = served
    (root / "github.com").mkdir()
    (root / "beats.zip").rename(root / "github.com" / "beats.zip")
    module.REMOTES["beats"].url = f"{address}//github.com/beats.zip"
    module.REMOTES["beats"].checksum = "of another packing"
    SPECS["ballroom"].prepare(request_for("beat", tmp_path / "home"))
    assert len(all_clips(load("ballroom", "beat", tmp_path / "home"))) == 8


def test_prepare_says_where_recordings_that_are_not_free_belong(served, tmp_path, monkeypatch, capsys):
    module = pytest.importorskip("mirdata.datasets.queen")
    folder = make_queen(tmp_path / "published")
    publish(monkeypatch, served, module, folder, "1.0", {"annotations": ("annotations", "annotations")})
    with pytest.raises(MissingDataError, match="queen is not in .* run 'mirbench data prepare queen'"):
        SPECS["queen"].prepare(request_for("chord", tmp_path / "home"))
    printed = capsys.readouterr().out
    assert f"Copy the CDs Greatest Hits I and II to {tmp_path / 'home' / 'data' / 'queen' / 'audio'}" in printed
    assert "Expected, in any audio format: audio/Greatest Hits I/01 Song 0.flac, " in printed
    shutil.copytree(folder / "audio", tmp_path / "home" / "data" / "queen" / "audio")
    write_audio(tmp_path / "home" / "data" / "queen" / "audio" / "Greatest Hits I" / "other.flac")
    others = tmp_path / "home" / "data" / "queen" / "audio" / "Greatest Hits I"
    shutil.copy(others / "other.flac", others / "01 Song 0.flac")
    SPECS["queen"].prepare(request_for("chord", tmp_path / "home"))
    assert "1 recordings are other copies than those that mirdata knows" in capsys.readouterr().err


def test_prepare_downloads_giantsteps_recording_by_recording(served, tmp_path, monkeypatch):
    root, address = served
    made = make_giantsteps_key(tmp_path / "published")
    monkeypatch.setattr(giantsteps, "KEY_AUDIO", f"{address}/{giantsteps.KEY}/audio")
    monkeypatch.setattr(giantsteps, "MTG_AUDIO", f"{address}/{giantsteps.MTG}/audio")
    shutil.copytree(made, root, dirs_exist_ok=True)
    folder = tmp_path / "home" / "data" / "giantsteps_key"
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("audio"))
    SPECS["giantsteps_key"].prepare(request_for("key", tmp_path / "home"))
    assert len(list(folder.rglob("*.mp3"))) == 12  # of the MTG set, only those that count
    (folder / giantsteps.KEY / "audio" / "1234749.LOFI.mp3").unlink()
    (root / giantsteps.KEY / "audio" / "1234749.LOFI.mp3").write_bytes(b"another file")
    with pytest.raises(DatasetError, match=r"MD5"):
        SPECS["giantsteps_key"].prepare(request_for("key", tmp_path / "home"))


def test_prepare_downloads_the_recordings_of_fmak(served, tmp_path, monkeypatch):
    module = pytest.importorskip("mirdata.datasets.fma_keys")
    folder = make_fmakv2(tmp_path / "published")
    audio = folder / "fma_large"
    tracks = {path.stem.lstrip("0"): {"audio": f"{path.parent.name}/{path.name}"} for path in audio.glob("*/*.mp3")}
    write_index(audio, "fma_keys_index_1.0.json", tracks)
    publish(monkeypatch, served, module, audio, "1.0", {"tracks-000-019": (".", None)})
    shutil.copy(folder / "fmakv2.csv", served[0])
    monkeypatch.setattr(fmakv2, "URL", f"{served[1]}/fmakv2.csv")
    monkeypatch.setattr(fmakv2, "MD5", hashlib.md5((folder / "fmakv2.csv").read_bytes()).hexdigest())
    SPECS["fmakv2"].prepare(request_for("key", tmp_path / "home"))
    assert len(all_clips(load("fmakv2", "key", tmp_path / "home"))) == 12


def test_prepare_says_where_gtzan_belongs(tmp_path, capsys):
    shutil.rmtree(make_gtzan_key(tmp_path).parent / "gtzan_genre" / "genres")
    with pytest.raises(MissingDataError, match="run 'mirbench data prepare gtzan_key'"):
        SPECS["gtzan_key"].prepare(request_for("key", tmp_path))
    assert f"{tmp_path / 'data'}/gtzan_genre/genres/blues/blues.00000.wav (or .au)" in capsys.readouterr().out


def test_what_is_complete_needs_no_network(tmp_path):
    make_schubert_winterreise(tmp_path)
    make_fmakv2(tmp_path)
    for name in ("schubert_winterreise", "fmakv2"):
        SPECS[name].prepare(request_for("key", tmp_path))


def test_the_archives_of_fmak_cover_all_folders():
    covered = [(int(first), int(last)) for first, last in fmakv2.FOLDERS_OF_DOWNLOADS]
    assert (covered[0][0], covered[-1][1]) == (0, 124)
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(covered))
