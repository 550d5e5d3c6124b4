"""Figures are drawn from records; the numbers under them are right."""

import json

import numpy as np
import pytest
import soundfile

from mirbench.domain import LabelledIntervals
from mirbench.errors import UsageError
from mirbench.figures.inspection import Inspection, numbers, read_times
from mirbench_chord.task import ChordTask
from mirbench_key.task import KeyTask


@pytest.fixture
def results(mirbench, recordings, tmp_path):
    out = tmp_path / "results"
    code, _, err = mirbench("run", "--encoder", "chroma,random", "--task", "key", "--data", recordings, "--out", out)
    assert code == 0, err
    return out


@pytest.mark.parametrize("kind", ["confusion", "calibration", "timeline"])
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_figures_of_a_probe(mirbench, recordings, results, tmp_path, kind, suffix):
    path = tmp_path / f"figure.{suffix}"
    words = ("plot", kind, "--encoder", "chroma", "--results", results, "--data", recordings, "--out", path)
    code, _, err = mirbench(*words)
    assert code == 0, err
    first = path.read_bytes()
    assert len(first) > 5000
    assert first.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


def test_layers_of_several_encoders(mirbench, results, tmp_path):
    code, _, err = mirbench(
        "plot", "layers", "--encoder", "chroma,random", "--results", results, "--out", tmp_path / "layers.svg"
    )
    assert code == 0, err
    text = (tmp_path / "layers.svg").read_text()
    assert "<!-- random, mean -->" in text
    assert "chroma" not in text  # one layer


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("labels", "--encoder", "chroma"), "no vectors of labels to show"),
        (("confusion", "--encoder", "nobody"), "no record of nobody"),
        (("confusion", "--encoder", "chroma,random"), "2 records fit"),
        (("layers", "--encoder", "chroma"), "one layer each"),
        (("timeline", "--encoder", "chroma", "--clip", "none"), "no test clip 'none'"),
    ],
)
def test_what_cannot_be_drawn_says_why(mirbench, recordings, results, tmp_path, words, reason):
    code, _, err = mirbench("plot", *words, "--results", results, "--data", recordings, "--out", tmp_path / "f.png")
    assert code == 2
    assert reason in err
    assert not (tmp_path / "f.png").exists()
    code, _, err = mirbench("plot", *words, "--results", results, "--out", tmp_path / "f.gif")
    assert "ends in .png" in err


def test_keys_are_confused_along_the_circle_of_fifths():
    found = KeyTask().confusion(["C major", "C# minor", "C major"], ["G major", "C# minor", "C major"])
    assert found.rows[:4] == ("C major", "G major", "D major", "A major")
    assert found.rows[12:16] == ("A minor", "E minor", "B minor", "F# minor")
    assert found.counts.sum() == 3
    assert found.counts[0, 1] == found.counts[0, 0] == 1
    assert found.counts[found.rows.index("C# minor"), found.columns.index("C# minor")] == 1


def test_chords_are_confused_by_intervals_between_roots():
    reference = LabelledIntervals(np.array([[0.0, 2.0], [2.0, 3.0], [3.0, 4.0]]), ("D:maj", "E:min", "N"))
    estimate = LabelledIntervals(np.array([[0.0, 1.5], [1.5, 2.5], [2.5, 4.0]]), ("A:maj", "D:maj", "N"))
    found = ChordTask().confusion([reference], [estimate])
    places = zip(*np.nonzero(found.counts), strict=True)
    assert {(found.rows[i], found.columns[j]): found.counts[i, j] for i, j in places} == {
        ("maj", "5th maj"): 1.5,
        ("maj", "unison maj"): 0.5,
        ("min", "b7th maj"): 0.5,
        ("min", "N"): 0.5,
        ("N", "N"): 1.0,
    }


def inspection(attention=None):
    same = np.kron(np.eye(2), np.ones((2, 2))).astype(np.float32)
    bins = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    return Inspection("e", np.stack([same, np.ones((4, 4), np.float32)]), bins, attention, np.arange(0, 4, 0.02))


def test_contrast_is_what_segments_share_less_what_they_do_not():
    found = numbers(inspection(), None, np.array([2.0]))
    assert found["contrast"] == [1.0, 0.0]
    with pytest.raises(UsageError, match="no two segments"):
        numbers(inspection(), None, np.array([9.0]))


def test_attention_that_falls_on_onsets_is_found():
    onsets = np.array([0.5, 1.3, 2.1, 3.44])
    attention = np.ones((1, 200, 2), np.float32)
    attention[0, np.round(onsets / 0.02).astype(int), 1] = 5
    found = numbers(inspection(attention), onsets, None)
    assert found["onset_f_measure"][0][1] == 1.0
    assert found["onset_f_measure"][0][0] < 0.2
    assert found["onset_f_measure_by_chance"][0][1] < 0.5


def test_inspect_writes_figures_and_numbers(mirbench, tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.1 * np.sin(np.arange(6 * 16000) * 0.2), 16000)
    (tmp_path / "onsets.txt").write_text("0.5\n1.0,extra\n\n2.5 4\n")
    (tmp_path / "segments.txt").write_text("2\n4\n")
    out = tmp_path / "out"
    code, _, err = mirbench(
        "inspect", path, "--encoder", "vit1d", "--out", out, "--onsets", tmp_path / "onsets.txt",
        "--boundaries", tmp_path / "segments.txt",
    )  # fmt: skip
    assert code == 0, err
    assert {file.name for file in out.iterdir()} == {
        "similarity.png",
        "similarity.npz",
        "attention.png",
        "numbers.json",
    }
    found = json.loads((out / "numbers.json").read_text())
    assert len(found["contrast"]) == found["layers"] == 5
    assert np.shape(found["onset_f_measure"]) == (found["blocks"], found["heads"]) == (4, 3)
    assert np.load(out / "similarity.npz")["similarity"].shape[0] == 5


def test_attention_adds_up(mirbench):
    from mirbench.plugins import Plugins

    encoder = Plugins([]).encoders["mt2"].load("cpu").attention()
    frames = encoder.encode(np.random.default_rng(0).standard_normal(4 * 16000).astype(np.float32)).frames
    assert frames.min() >= 0
    assert 0.3 < frames.mean() < 1.2  # two class tokens take the rest


def test_times_are_read_or_refused_with_their_line(tmp_path):
    path = tmp_path / "times.txt"
    path.write_text("1.5\nnoise\n")
    with pytest.raises(UsageError, match=r"times.txt:2: 'noise'; expected a time"):
        read_times(path)
    with pytest.raises(UsageError, match="No such file"):
        read_times(tmp_path / "gone.txt")
