"""Folds: each part is tested once, and no group crosses from training to test."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mirbench import Clip, Dataset
from mirbench.data.csv import CsvDataset
from mirbench.data.folds import cross_validation, leave_group_out
from mirbench.data.reference_hash import digest_of
from mirbench.domain import SPLITS
from mirbench.errors import DatasetError
from mirbench_key.task import KeyTask


class Sites(Dataset):
    name = "sites"
    version = "1"

    def __init__(self, n_sites=7):
        self.n_sites = n_sites

    def clips(self, split):
        """Two clips of each site; the own splits do not matter."""
        return [
            Clip(f"{site} {i}", Path(f"{site}.wav"), split, f"site {site}", "C major")
            for site in range(1, self.n_sites + 1)
            for i in range(2)
            if SPLITS[site % 3] == split
        ]


def groups(dataset, split):
    return sorted({clip.group for clip in dataset.clips(split)})


def test_each_group_is_tested_in_turn_and_the_next_fifth_of_the_others_validates():
    folds = leave_group_out(Sites())
    assert [fold.fold for fold in folds] == [f"site {site}" for site in range(1, 8)]
    for place, fold in enumerate(folds):
        assert groups(fold, "test") == [fold.fold]
        names = [f"site {(place + step) % 7 + 1}" for step in (1, 2)]
        assert groups(fold, "valid") == sorted(names)
        assert len(groups(fold, "train")) == 4
        assert all(clip.split == split for split in SPLITS for clip in fold.clips(split))
    assert (folds[0].name, folds[0].version) == ("sites", "1")


def test_numbers_in_names_are_in_order():
    clips = [Clip(str(i), Path(), "train", str(i), "C major") for i in range(12)]
    folds = cross_validation(Sites(), clips, {clip.id: f"fold {clip.id}" for clip in clips})
    assert [fold.fold for fold in folds] == [f"fold {i}" for i in range(12)]


def test_too_few_parts_and_groups_in_two_are_refused():
    with pytest.raises(DatasetError, match=r"'sites' has 2 parts .*\(site 1, site 2\); expected at least 3"):
        leave_group_out(Sites(2))
    clips = [Clip(str(i), Path(), "train", "g", "C major") for i in range(3)]
    with pytest.raises(DatasetError, match="group 'g' lies in parts '0' and '1'"):
        cross_validation(Sites(), clips, {clip.id: clip.id for clip in clips})


def with_folds(recordings, tmp_path, folds, **columns):
    """The recordings with a column fold instead of split; `folds` is called with the row's number."""
    with recordings.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        del row["split"]
        row["path"] = str(recordings.parent / row["path"])
        row["fold"] = folds(number)
        row.update(columns)
    path = tmp_path / "folds.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_column_of_folds_makes_a_cross_validation(recordings, tmp_path):
    dataset = CsvDataset(with_folds(recordings, tmp_path, lambda n: n % 4 + 1), KeyTask())
    assert [fold.fold for fold in dataset.folds] == ["1", "2", "3", "4"]
    tested = [clip.id for fold in dataset.folds for clip in fold.clips("test")]
    assert len(tested) == len(set(tested)) == 36
    assert groups(dataset.folds[1], "valid") == groups(dataset.folds[2], "test")
    assert groups(dataset.folds[3], "valid") == groups(dataset.folds[0], "test")
    assert [clip.id for clip in dataset.clips("test")] == [clip.id for clip in dataset.folds[0].clips("test")]
    other = CsvDataset(with_folds(recordings, tmp_path, lambda n: n // 12 + 1), KeyTask())
    assert digest_of(dataset) != digest_of(other)


@pytest.mark.parametrize(
    ("folds", "columns", "message"),
    [
        (lambda n: n % 2, {}, "has 2 parts"),
        (lambda n: "" if n == 4 else n % 3, {}, "6: the fold is empty"),
        (lambda n: n % 3, {"group": "one"}, "3: group 'one' is in fold 1 here and in fold 0 on line 2"),
        (lambda n: n % 3, {"split": "train"}, "columns split and fold; remove fold for one fixed split"),
    ],
)
def test_what_is_wrong_with_folds_is_an_error_with_its_line(recordings, tmp_path, folds, columns, message):
    with pytest.raises(DatasetError, match=message):
        CsvDataset(with_folds(recordings, tmp_path, folds, **columns), KeyTask())


def test_neither_split_nor_fold_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_text("path,group,key\n")
    with pytest.raises(DatasetError, match="no column split .*a column fold may stand for split"):
        CsvDataset(tmp_path / "a.csv", KeyTask())


def test_a_run_averages_over_folds_and_records_each(recordings, tmp_path, mirbench):
    import json

    path = with_folds(recordings, tmp_path, lambda n: n % 4 + 1)
    out = tmp_path / "out"
    code, said, err = mirbench("run", "--encoder", "mfcc", "--task", "key", "--data", path, "--out", out)
    assert code == 0, err
    assert "36 clips" in said
    assert "4: " in next(line for line in said.splitlines() if line.startswith("folds"))
    [records] = (out / "records").glob("*.jsonl")
    headline, *others = map(json.loads, records.read_text().splitlines())
    selection = headline["selection"]
    assert (selection["n_folds"], list(selection["folds"])) == (4, ["1", "2", "3", "4"])
    assert headline["value"] == pytest.approx(np.mean(list(selection["folds"].values())))
    assert (headline["n"], headline["n_groups"], headline["n_train"], headline["n_valid"]) == (36, 36, 18, 9)
    assert [choice["fold"] for choice in selection["choices"]] == ["1", "2", "3", "4"]
    assert all(choice["curve"] for choice in selection["choices"])
    assert [bool(choice["curve"]) for choice in others[0]["selection"]["choices"]] == [False] * 4
    code, said, err = mirbench("reproduce", records, "--data", path, "--out", out)
    assert code == 0, said + err


def test_leaving_groups_out_is_a_result_of_its_own(recordings, tmp_path, mirbench):
    """Groups of six clips each: sites."""
    path = with_folds(recordings, tmp_path, lambda n: "abcdef"[n % 6])
    text = path.read_text().splitlines()
    head = text[0].split(",")
    rows = [dict(zip(head, line.split(","), strict=True)) for line in text[1:]]
    lines = [",".join(["path", "split", "group", "key"])]
    splits = {"a": "train", "b": "train", "c": "train", "d": "train", "e": "valid", "f": "test"}
    lines += [",".join([row["path"], splits[row["fold"]], row["fold"], row["key"]]) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    common = ("run", "--encoder", "mfcc", "--task", "key", "--data", path, "--out", out)
    assert mirbench(*common)[0] == 0
    code, said, err = mirbench(*common, "--leave-group-out")
    assert code == 0, err
    assert "leave-group-out, 36 clips" in said
    assert "6: " in next(line for line in said.splitlines() if line.startswith("folds"))
    code, said, err = mirbench("leaderboard", "--out", out)
    head = (out / "leaderboard.csv").read_text().splitlines()[0]
    assert "key/folds/weighted_score," in head
    assert "key/folds/weighted_score[leave-group-out]" in head
    record = next(path for path in (out / "records").glob("*.jsonl") if "leave-group-out" in path.read_text())
    code, said, err = mirbench("reproduce", record, "--data", path, "--out", out)
    assert code == 0, said + err
