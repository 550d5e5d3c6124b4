"""A user's CSV file: what is right is taken, what is wrong is named with its line."""

import csv

import numpy as np
import pytest
import soundfile

from mirbench import DatasetError
from mirbench.data.csv import CsvDataset
from mirbench_anuran.task import AnuranTask
from mirbench_key.task import KeyTask
from mirbench_tagging.task import TaggingTask

COLUMNS = ["path", "start", "end", "split", "group", "key"]
ROWS = [
    ["a.wav", "", "", "train", "a", "C major"],
    ["b.wav", "0", "1.5", "train", "b", "Db minor"],
    ["c.wav", "", "", "valid", "c", "A minor"],
    ["d.wav", "0.5", "", "test", "d", "B major"],
]


@pytest.fixture
def write(tmp_path):
    for place, name in enumerate("abcd"):
        soundfile.write(tmp_path / f"{name}.wav", np.full(16000, 0.1 + place / 10, np.float32), 8000)

    def write_csv(rows=ROWS, columns=COLUMNS, encoding="utf-8"):
        with (tmp_path / "my.csv").open("w", newline="", encoding=encoding) as file:
            csv.writer(file).writerows([columns, *rows])
        return tmp_path / "my.csv"

    return write_csv


def changed(line, column, text):
    rows = [row.copy() for row in ROWS]
    rows[line - 2][COLUMNS.index(column)] = text
    return rows


def test_clips_have_path_region_group_and_reference(write, tmp_path):
    dataset = CsvDataset(write(), KeyTask())
    first, second = dataset.clips("train")
    assert (first.path, first.start, first.duration, first.reference) == (tmp_path / "a.wav", 0.0, None, "C major")
    assert (second.start, second.duration, second.reference, second.group) == (0.0, 1.5, "C# minor", "b")
    [last] = dataset.clips("test")
    assert (last.start, last.duration) == (0.5, 1.5)


def test_start_and_end_may_be_left_out(write):
    rows = [[row[0], *row[3:]] for row in ROWS]
    assert len(CsvDataset(write(rows, ["path", "split", "group", "key"]), KeyTask()).clips("train")) == 2


def test_a_byte_order_mark_does_no_harm(write):
    assert CsvDataset(write(encoding="utf-8-sig"), KeyTask()).clips("test")


def test_the_version_follows_the_content(write):
    assert CsvDataset(write(), KeyTask()).version != CsvDataset(write(changed(2, "key", "D major")), KeyTask()).version


@pytest.mark.parametrize("column", ["path", "split", "group", "key"])
def test_a_missing_column_is_named(write, column):
    columns = [name if name != column else "other" for name in COLUMNS]
    with pytest.raises(DatasetError, match=rf"my\.csv:1: no column {column} \(found: "):
        CsvDataset(write(columns=columns), KeyTask())


@pytest.mark.parametrize(
    ("line", "column", "text", "message"),
    [
        (3, "key", "C# mino", "key 'C# mino' is not spelled as"),
        (3, "split", "dev", "split 'dev'; expected train, valid or test"),
        (2, "group", "", "the group is empty"),
        (4, "path", "gone.wav", "no such file"),
        (5, "start", "abc", "start 'abc'; expected a number of seconds"),
        (5, "end", "9", "do not lie in the 2.00 s"),
        (5, "start", "nan", "expected a number of seconds"),
        (4, "group", "a", "group 'a' is in valid here and in train on line 2"),
        (4, "path", "a.wav", "the same audio is in train on line 2"),
    ],
)
def test_an_error_is_named_with_its_line(write, line, column, text, message):
    with pytest.raises(DatasetError, match=rf"(?s)my\.csv:{line}: .*{message}"):
        CsvDataset(write(changed(line, column, text)), KeyTask())


def test_all_errors_are_told_at_once(write):
    rows = [[*row[:5], "nonsense"] for row in ROWS]
    with pytest.raises(DatasetError) as raised:
        CsvDataset(write(rows), KeyTask())
    assert str(raised.value).count("nonsense") == len(ROWS)


def test_a_split_without_rows_is_named(write):
    with pytest.raises(DatasetError, match="no rows with split test"):
        CsvDataset(write(ROWS[:3]), KeyTask())


def test_parts_of_one_file_in_two_splits_may_not_overlap(write):
    rows = [*ROWS, ["b.wav", "1.5", "2", "test", "other part", "C major"]]
    assert len(CsvDataset(write(rows), KeyTask()).clips("test")) == 2
    rows[-1][1] = "1.4"
    with pytest.raises(DatasetError, match=":6: the same audio is in train on line 3"):
        CsvDataset(write(rows), KeyTask())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"my\.csv: No such file"):
        CsvDataset(tmp_path / "my.csv", KeyTask())


def test_the_vocabulary_of_tags_is_what_the_file_names(write):
    rows = [[*row[:-1], tags] for row, tags in zip(ROWS, ["flute;voice", "", "drums", "voice"], strict=True)]
    dataset = CsvDataset(write(rows, [*COLUMNS[:-1], "tags"]), TaggingTask())
    assert dataset.labels == ("drums", "flute", "voice")
    assert [clip.reference.tolist() for clip in dataset.clips("train")] == [[0, 1, 1], [0, 0, 0]]


def test_species_are_read_and_sorted_into_groups(write):
    rows = [[*row[:-1], species] for row, species in zip(ROWS, ["b", "a;b", "c", ""], strict=True)]
    dataset = CsvDataset(write(rows, [*COLUMNS[:-1], "species"]), AnuranTask())
    assert dataset.labels == ("a", "b", "c")
    assert AnuranTask().with_labels_of(dataset).groups == {"frequent": ("b",), "common": ("a",), "rare": ("c",)}
