"""MagnaTagATune, GTZAN genre, TinySOL and MTG-Jamendo, on miniature trees in the published layouts."""

import csv
import hashlib
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mirbench_data_tags
from mirbench import Dataset, DatasetError, DatasetRequest, MissingDataError
from mirbench.data.reference_hash import digest_of
from mirbench.domain import SPLITS
from mirbench.testing.dataset_checks import DATASET_CHECKS
from mirbench_data_tags import gtzan_genre, magnatagatune, mtg_jamendo, tinysol
from mirbench_tagging.task import TaggingTask

SPECS = {spec.name: spec for spec in mirbench_data_tags.mirbench_datasets()}
ALBUMS = {"0": "ann-one", "9": "ann-two", "b": "bob-three", "c": "ann-four", "d": "bob-five", "f": "cid-six"}


def request_for(home: Path) -> DatasetRequest:
    return DatasetRequest(task="tagging", size="default", home=home)


def load(name: str, home: Path) -> Dataset:
    return SPECS[name].load(request_for(home))


def ids(dataset: Dataset) -> dict[str, list[str]]:
    return {split: [clip.id for clip in dataset.clips(split)] for split in SPLITS}


def write_sound(path: Path) -> None:
    """Half a second of noise that no other file has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:4])
    noise = 0.1 * np.random.default_rng(seed).standard_normal(8000)
    soundfile.write(path, noise, 16000, format={".mp3": "MP3", ".au": "AU", ".wav": "WAV"}[path.suffix])


def write_table(path: Path, rows: list[list[object]], delimiter: str, quoting: int = csv.QUOTE_MINIMAL) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=quoting).writerows(rows)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def make_magnatagatune(home: Path) -> Path:
    """annotations_final.csv (tab-separated, quoted) and mp3/<0 to f>/*.mp3, the broken ones empty."""
    folder = home / "data" / "magnatagatune"
    header = ["clip_id", "singer", *sorted(magnatagatune.TAGS), "mp3_path"]
    tags = {}
    for number, (shard, album) in enumerate(ALBUMS.items()):
        for track in ("01-sun-0-29", "01-sun-30-59", "02-no_tags-0-29"):
            present = {"singer"} if "no_tags" in track else {magnatagatune.TAGS[number], "no vocals", "singer"}
            tags[f"{shard}/{album}-{track}.mp3"] = present
    for path in tags:
        write_sound(folder / "mp3" / path)
    for path in magnatagatune.BROKEN:
        tags[path] = {"flute"}
        (folder / "mp3" / path).parent.mkdir(exist_ok=True)
        (folder / "mp3" / path).touch()
    rows = [[2 * n, *(int(tag in tags[path]) for tag in header[1:-1]), path] for n, path in enumerate(tags)]
    write_table(folder / "annotations_final.csv", [header, *rows], "\t", csv.QUOTE_ALL)
    return folder


def make_gtzan_genre(home: Path) -> Path:
    """genres/<genre>/<genre>.<number>.wav and three lists of .au files."""
    folder = home / "data" / "gtzan_genre"
    for split, name in gtzan_genre.LISTS.items():
        number = {"train": 54, "valid": 7, "test": 99}[split]
        stems = [f"{genre}/{genre}.{number:05d}" for genre in gtzan_genre.GENRES]
        for stem in stems:
            write_sound(folder / "genres" / f"{stem}.wav")
        (folder / name).write_text("".join(f"{stem}.au\n" for stem in stems))
    return folder


def make_tinysol(home: Path) -> Path:
    """TinySOL_metadata.csv and TinySOL/<family>/<instrument>/ordinario/*.wav."""
    folder = home / "data" / "tinysol"
    rows: list[list[object]] = [["Path", "Fold", "Family", "Instrument (abbr.)", "Instrument (in full)", "Pitch"]]
    for abbreviation in tinysol.INSTRUMENTS:
        for fold in range(5):
            path = f"Family/{abbreviation}/ordinario/{abbreviation}-ord-A#{fold}-mf-N-N.wav"
            write_sound(folder / "TinySOL" / path)
            rows.append([path, fold, "Family", abbreviation, "In full", f"A#{fold}"])
    write_table(folder / "TinySOL_metadata.csv", rows, ",")
    return folder


def make_mtg_jamendo(home: Path, suffix: str = ".low.mp3") -> Path:
    """The three tables of split 0, and audio/<nn>/<track>.low.mp3 or .mp3."""
    folder = home / "data" / "mtg_jamendo"
    for start, (split, name) in enumerate(mtg_jamendo.TABLES.items()):
        rows = []
        for track in range(100 * (start + 1), 100 * (start + 1) + 6):
            path = f"{track % 100:02d}/{track}"
            write_sound(folder / "audio" / f"{path}{suffix}")
            tags = ["genre---rock", "mood/theme---film"] if track % 2 else ["instrument---voice"]
            rows.append([f"track_{track:07d}", f"artist_{split}{track // 3}", "album_1", f"{path}.mp3", 0.5, *tags])
        write_table(folder / name, [mtg_jamendo.HEADER, *rows], "\t")
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    "magnatagatune": make_magnatagatune,
    "gtzan_genre": make_gtzan_genre,
    "tinysol": make_tinysol,
    "mtg_jamendo": make_mtg_jamendo,
}
TABLES = {
    "magnatagatune": "annotations_final.csv",
    "gtzan_genre": "train_filtered.txt",
    "tinysol": "TinySOL_metadata.csv",
    "mtg_jamendo": mtg_jamendo.TABLES["test"],
}


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All miniature trees; not to be changed."""
    found = {name: tmp_path_factory.mktemp(name) for name in MAKERS}
    for name, home in found.items():
        MAKERS[name](home)
    return found


@pytest.mark.parametrize("check", DATASET_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MAKERS)
def test_conformance(name, check, homes):
    check(load(name, homes[name]), TaggingTask())


@pytest.mark.parametrize("name", MAKERS)
def test_licence_and_citation_are_stated(name):
    assert SPECS[name].license != "unknown"
    assert SPECS[name].citation


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_not_there_is_one_line_that_says_what_to_run(name, tmp_path):
    with pytest.raises(MissingDataError, match=f"run 'mirbench data prepare {name}'$") as error:
        load(name, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", MAKERS)
def test_tables_without_any_audio_are_as_good_as_nothing(name, tmp_path):
    folder = MAKERS[name](tmp_path)
    for path in folder.iterdir():
        if path.is_dir() and path.name != "data":
            shutil.rmtree(path)
    with pytest.raises(MissingDataError, match=rf"is not in {folder} \(no .* more\); run"):
        load(name, tmp_path)


@pytest.mark.parametrize("name", MAKERS)
def test_references_are_those_of_the_tables_without_any_audio(name, tmp_path):
    """`mirbench verify` computes scores where nobody has the recordings."""
    MAKERS[name](tmp_path)
    before = load(name, tmp_path)
    for split in SPLITS:
        for clip in before.clips(split):
            clip.path.unlink(missing_ok=True)
    assert digest_of(SPECS[name].load(replace(request_for(tmp_path), needs_audio=False))) == digest_of(before)


@pytest.mark.parametrize("name", MAKERS)
def test_missing_audio_is_counted_and_named(name, tmp_path):
    folder = MAKERS[name](tmp_path)
    clips = [clip for split in SPLITS for clip in load(name, tmp_path).clips(split)]
    for clip in clips[:2]:
        clip.path.unlink()
    expected = rf"2 of {len(clips)} files are missing in {folder}: {clips[0].path.relative_to(folder)}, .*; run 'mirb"
    with pytest.raises(DatasetError, match=expected) as error:
        load(name, tmp_path)
    assert not isinstance(error.value, MissingDataError)


@pytest.mark.parametrize("name", MAKERS)
def test_the_version_changes_with_the_table(name, tmp_path):
    folder = MAKERS[name](tmp_path)
    before = load(name, tmp_path).version
    table = folder / TABLES[name]
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))
    assert load(name, tmp_path).version != before


def test_magnatagatune_is_split_by_folder_without_untagged_and_broken_clips(homes):
    dataset = load("magnatagatune", homes["magnatagatune"])
    assert {split: sorted({clip.path.parent.name for clip in dataset.clips(split)}) for split in SPLITS} == {
        "train": ["0", "9", "b"],
        "valid": ["c"],
        "test": ["d", "f"],
    }
    clips = [clip for split in SPLITS for clip in dataset.clips(split)]
    assert len(clips) == 2 * len(ALBUMS)
    assert {clip.group for clip in clips} == set(ALBUMS.values())


def test_magnatagatune_gives_the_tags_of_the_table_in_its_own_order(homes):
    dataset = load("magnatagatune", homes["magnatagatune"])
    assert len(dataset.labels) == 50
    first = dataset.clips("train")[0]
    assert {tag for tag, holds in zip(dataset.labels, first.reference, strict=True) if holds} == {"guitar", "no vocals"}


def test_magnatagatune_may_lie_beside_its_table(tmp_path):
    folder = make_magnatagatune(tmp_path)
    before = ids(load("magnatagatune", tmp_path))
    for path in list((folder / "mp3").iterdir()):
        path.rename(folder / path.name)
    assert ids(load("magnatagatune", tmp_path)) == before


def test_gtzan_leaves_out_the_damaged_file_and_hears_one_genre_a_clip(homes):
    dataset = load("gtzan_genre", homes["gtzan_genre"])
    assert {split: len(found) for split, found in ids(dataset).items()} == {"train": 9, "valid": 10, "test": 10}
    for clip in dataset.clips("test"):
        assert dataset.labels[int(np.argmax(clip.reference))] == clip.path.parent.name
        assert clip.reference.sum() == 1


def test_gtzan_may_be_the_original_au_files(tmp_path):
    folder = make_gtzan_genre(tmp_path)
    for path in list(folder.rglob("*.wav")):
        path.unlink()
        write_sound(path.with_suffix(".au"))
    for check in DATASET_CHECKS:
        check(load("gtzan_genre", tmp_path), TaggingTask())


def test_tinysol_trains_on_three_folds(homes):
    dataset = load("tinysol", homes["tinysol"])
    assert {split: {clip.id.split("-")[2] for clip in dataset.clips(split)} for split in SPLITS} == {
        "train": {"A#0", "A#1", "A#2"},
        "valid": {"A#3"},
        "test": {"A#4"},
    }
    tuba = dataset.clips("test")[0]
    assert dataset.labels[int(np.argmax(tuba.reference))] == "Bass Tuba"
    assert tuba.path.name.startswith("BTb-")


def test_mtg_jamendo_groups_by_artist_and_reads_all_tags_of_a_track(homes):
    dataset = load("mtg_jamendo", homes["mtg_jamendo"])
    assert {split: len(found) for split, found in ids(dataset).items()} == {"train": 6, "valid": 6, "test": 6}
    assert len({clip.group for clip in dataset.clips("train")}) == 3
    track = dataset.clips("train")[1]
    tags = {tag for tag, holds in zip(dataset.labels, track.reference, strict=True) if holds}
    assert tags == {"genre---rock", "mood/theme---film"}


def test_mtg_jamendo_says_which_quality_it_is(homes, tmp_path):
    make_mtg_jamendo(tmp_path, ".mp3")
    low, full = load("mtg_jamendo", homes["mtg_jamendo"]), load("mtg_jamendo", tmp_path)
    assert ids(low) == ids(full)
    assert (low.version.removesuffix("-low"), "-full") == (full.version.removesuffix("-full"), full.version[-5:])


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("magnatagatune", '"no vocals"', '"no vocal"', "csv:1: no column no vocals; is this the published file"),
        ("magnatagatune", '\t"0"', '\t"2"', "csv:2: tags .*'2'.; expected 0 and 1"),
        ("magnatagatune", '\t"1"', "", "csv:2: 52 cells; expected 53"),
        ("magnatagatune", "0/ann", "mp3/0/ann", "csv:2: mp3_path 'mp3/0/ann-.*; expected 0 to f"),
        ("gtzan_genre", "blues/blues.00054.au", "30", r"train_filtered.txt:1: '30'; expected such as"),
        ("gtzan_genre", "jazz/jazz", "jazz/rock", r"train_filtered.txt:6: 'jazz/rock.00054.au'"),
        ("tinysol", "Fold", "Fault", "csv:1: no column Fold"),
        ("tinysol", ",0,", ",5,", "csv:2: fold '5' and instrument 'BTb'; expected 0 to 4"),
        ("tinysol", ",BTb,", ",Tuba,", "csv:2: fold '0' and instrument 'Tuba'"),
        ("mtg_jamendo", "ALBUM_ID\t", "", "tsv:1: other columns"),
        ("mtg_jamendo", "\tgenre---rock", "\tgenre---polka", "tsv:3: tags genre---polka; expected some of the top 50"),
    ],
)
def test_a_table_that_is_not_as_published_is_refused_with_its_line(name, old, new, message, tmp_path):
    change(MAKERS[name](tmp_path) / TABLES[name], old, new)
    with pytest.raises(DatasetError, match=message):
        load(name, tmp_path)


class Handler(SimpleHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path.partition("?")[0].rpartition("/")[2])
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address where a server on this machine offers it."""
    Handler.asked = []
    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "served"))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield tmp_path / "served", f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def digest(name: str, path: Path) -> str:
    return hashlib.new(name, path.read_bytes()).hexdigest()


def test_magnatagatune_is_downloaded_in_three_parts(served, homes, tmp_path, monkeypatch):
    folder, address = served
    published = homes["magnatagatune"] / "data" / "magnatagatune"
    shutil.copy(published / "annotations_final.csv", folder)
    archive = Path(shutil.make_archive(str(tmp_path / "mp3"), "zip", published / "mp3")).read_bytes()
    for number in range(3):
        third = len(archive) // 3 + 1
        (folder / f"mp3.zip.00{number + 1}").write_bytes(archive[number * third : (number + 1) * third])
    monkeypatch.setattr(magnatagatune, "URL", address)
    SPECS["magnatagatune"].prepare(request_for(tmp_path))
    assert ids(load("magnatagatune", tmp_path)) == ids(load("magnatagatune", homes["magnatagatune"]))
    assert {path.name for path in (tmp_path / "data" / "magnatagatune").iterdir()} == {"annotations_final.csv", "mp3"}
    n_asked = len(Handler.asked)
    SPECS["magnatagatune"].prepare(request_for(tmp_path))
    assert len(Handler.asked) == n_asked == 4


def test_tinysol_is_downloaded_and_verified(served, homes, tmp_path, monkeypatch):
    folder, address = served
    published = homes["tinysol"] / "data" / "tinysol"
    shutil.copy(published / "TinySOL_metadata.csv", folder)
    shutil.make_archive(str(folder / "TinySOL"), "gztar", published / "TinySOL")
    monkeypatch.setattr(tinysol, "URL", address)
    monkeypatch.setattr(tinysol, "TABLE_MD5", digest("md5", folder / "TinySOL_metadata.csv"))
    with pytest.raises(DatasetError, match=rf"TinySOL.tar.gz\?download=1: MD5 .*, expected {tinysol.ARCHIVE_MD5}"):
        SPECS["tinysol"].prepare(request_for(tmp_path))
    monkeypatch.setattr(tinysol, "ARCHIVE_MD5", digest("md5", folder / "TinySOL.tar.gz"))
    SPECS["tinysol"].prepare(request_for(tmp_path))
    assert ids(load("tinysol", tmp_path)) == ids(load("tinysol", homes["tinysol"]))
    assert {path.name for path in (tmp_path / "data" / "tinysol").iterdir()} == {"TinySOL_metadata.csv", "TinySOL"}


def test_gtzan_lists_are_downloaded_and_the_steps_for_the_audio_printed(served, homes, tmp_path, monkeypatch, capsys):
    folder, address = served
    published = homes["gtzan_genre"] / "data" / "gtzan_genre"
    for name in gtzan_genre.LISTS.values():
        shutil.copy(published / name, folder)
    monkeypatch.setattr(gtzan_genre, "URL", address)
    with pytest.raises(MissingDataError, match="gtzan_genre is not in"):
        SPECS["gtzan_genre"].prepare(request_for(tmp_path))
    assert f"{tmp_path}/data/gtzan_genre/genres/blues/blues.00000.wav" in capsys.readouterr().out
    shutil.copytree(published / "genres", tmp_path / "data" / "gtzan_genre" / "genres")
    SPECS["gtzan_genre"].prepare(request_for(tmp_path))
    assert not capsys.readouterr().out


def test_mtg_jamendo_downloads_the_archives_whose_tracks_are_missing(served, homes, tmp_path, monkeypatch):
    folder, address = served
    published = homes["mtg_jamendo"] / "data" / "mtg_jamendo"
    shutil.copytree(published / "data", folder / "data")
    sums = []
    for shard in range(6):
        path = folder / f"raw_30s_audio-low-{shard:02d}.tar"
        with tarfile.open(path, "w") as tape:
            tape.add(published / "audio" / f"{shard:02d}", f"{shard:02d}")
        sums.append(f"{digest('sha256', path)} {path.name}\n")
    (folder / mtg_jamendo.CHECKSUMS).write_text("".join(sums))
    for constant in ("TABLES_URL", "CHECKSUMS_URL", "AUDIO_URL"):
        monkeypatch.setattr(mtg_jamendo, constant, address)
    here = tmp_path / "data" / "mtg_jamendo" / "audio"
    for shard in ("00", "01", "02", "03"):
        shutil.copytree(published / "audio" / shard, here / shard)
    next((here / "03").iterdir()).unlink()
    SPECS["mtg_jamendo"].prepare(request_for(tmp_path))
    assert ids(load("mtg_jamendo", tmp_path)) == ids(load("mtg_jamendo", homes["mtg_jamendo"]))
    assert [name for name in Handler.asked if name.endswith(".tar")] == [
        f"raw_30s_audio-low-{shard}.tar" for shard in ("03", "04", "05")
    ]
    assert not list((tmp_path / "data" / "mtg_jamendo").glob("*.tar"))
