"""Files of predictions: every type of estimate comes back as it was, and nothing else is believed."""

import io
import json
import pickle
import zipfile
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import pytest

from mirbench.domain import LabelledIntervals
from mirbench.errors import RecordError
from mirbench.results.predictions import (
    MAX_BYTES,
    Predictions,
    UnstorableError,
    pack,
    path_of,
    read_predictions,
    sha256_of,
    unpack,
    write_predictions,
)
from mirbench_hospital.metrics import DetectedEvents

JOB = {"fingerprint": "f", "task": "key", "options": {"decoder": "dbn"}, "train_fraction": 1.0}
INTERVALS = [
    LabelledIntervals(np.array([[0.0, 0.1], [0.1, 1 / 3]]), ("C:maj", "Räuber's N")),
    LabelledIntervals(np.zeros((0, 2)), ()),
]
ESTIMATES = {
    "text": ["C major", "", "F# minor\0"],
    "times": [np.array([0.1, 1 / 3]), np.zeros(0), np.array([np.nextafter(1, 2)])],
    "label vectors": [np.array([0.1, 0.9], dtype=np.float32), np.array([0.0, np.float32(1e-30)], dtype=np.float32)],
    "matrices": [np.arange(6).reshape(2, 3), np.zeros((0, 7), dtype=np.int64)],
    "intervals": INTERVALS,
    "events": [DetectedEvents(each.intervals, each.labels, np.array([0.5], np.float32), 9.1) for each in INTERVALS],
    "a pair of arrays": [(np.array([0.1]), np.array([440.0])), (np.zeros(0), np.zeros(0))],
    "tuples of text": [("a", "b"), ()],
    "numbers": [0.1, 1e300, float("nan")],
}  # fmt: skip


def same(one, other):
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or one != one


@pytest.mark.parametrize("kind", ESTIMATES)
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_estimates_come_back_as_they_were(kind, n_seeds):
    estimates, empty = tuple(ESTIMATES[kind]), ESTIMATES[kind][-1]
    written = Predictions(JOB, tuple(map(str, range(len(estimates)))), (estimates,) * n_seeds)
    content = pack(written, empty)
    assert content == pack(written, empty)  # one job, one file
    read = unpack(content, empty)
    assert (read.job, read.clips) == (written.job, written.clips)
    assert len(read.estimates) == n_seeds
    assert all(same(*pair) for own in read.estimates for pair in zip(own, estimates, strict=True))


@dataclass
class Odd:
    value: object


@pytest.mark.parametrize(
    ("estimates", "empty", "reason"),
    [
        ([{"a": 1}], {}, "neither text, numbers nor arrays"),
        ([Odd(object())], Odd(object()), "neither text, numbers nor arrays"),
        (["C major", None], "", "is a NoneType; expected a str"),
        ([np.zeros(1), np.zeros(1, np.float32)], np.zeros(0), "of one type"),
        ([np.array([None])], np.zeros(0), "real numbers"),
        ([np.random.default_rng(0).random(MAX_BYTES // 7)], np.zeros(0), "at most 1 MB"),
        ([np.zeros(2 * 10**7)], np.zeros(0), "100 MB before compression"),
    ],
    ids=["mapping", "object", "none", "two types", "objects", "large", "large before compression"],
)
def test_what_cannot_be_stored_says_why(estimates, empty, reason):
    with pytest.raises(UnstorableError, match=reason):
        pack(Predictions(JOB, tuple(map(str, range(len(estimates)))), (tuple(estimates),)), empty)


CONTENT = pack(Predictions(JOB, ("a", "b"), ((np.zeros(3), np.ones(2)),)), np.zeros(0))


def altered(**members):
    """Return the file with other members; None removes one."""
    with zipfile.ZipFile(io.BytesIO(CONTENT)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    found |= {f"{name}.npy": value for name, value in members.items()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in found.items():
            if value is not None:
                archive.writestr(name, value)
    return file.getvalue()


def array(values, *, allow_pickle=False):
    file = io.BytesIO()
    np.save(file, values, allow_pickle=allow_pickle)
    return file.getvalue()


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


HEADER = array(np.zeros(2)).replace(b"(2,)", b"(9999999999999,)", 1)
HOSTILE = {
    "objects": altered(estimate=array(np.array([Bomb(), Bomb()], dtype=object), allow_pickle=True)),
    "a pickle": altered(estimate=pickle.dumps(Bomb())),
    "a bomb": altered(estimate=array(np.zeros(10**8 // 8 + 1))),
    "a claim": altered(estimate=array(np.zeros(2))[:16] + b"\x00" * 100),
    "a shape": altered(**{"estimate": HEADER}),
    "negative shapes": altered(**{"estimate.shape": array(np.array([[-1], [6]]))}),
    "other shapes": altered(**{"estimate.shape": array(np.array([[1], [1]]))}),
    "shapes of another type": altered(**{"estimate.shape": array(np.array([[3.0], [2.0]]))}),
    "text": altered(estimate=array(np.array(["a"] * 5))),
    "no estimates": altered(estimate=None),
    "no clips": altered(about=array(np.array(json.dumps({"format": 1, "job": {}, "clips": [], "n_seeds": 1})))),
    "seeds": altered(about=array(np.array(json.dumps({"format": 1, "job": {}, "clips": ["a"], "n_seeds": 10**12})))),
    "deep": altered(about=array(np.array("[" * 100_000))),
    "a list": altered(about=array(np.array("[]"))),
    "another format": altered(about=array(np.array('{"format": 2}'))),
    "no zip": b"nothing",
    "half": CONTENT[: len(CONTENT) // 2],
    "a flipped bit": CONTENT[:100] + bytes([CONTENT[100] ^ 1]) + CONTENT[101:],
    "large": CONTENT + b"\0" * MAX_BYTES,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_or_damaged_file_is_one_error(kind):
    with pytest.raises(RecordError, match="the file of predictions .*; expected what 'mirbench run' writes"):
        unpack(HOSTILE[kind], np.zeros(0))


def test_a_file_of_another_type_is_refused():
    for empty in ("", (), INTERVALS[0]):
        with pytest.raises(RecordError):
            unpack(CONTENT, empty)


def test_files_are_named_by_their_content(tmp_path):
    write_predictions(tmp_path, CONTENT)
    path = path_of(tmp_path, sha256_of(CONTENT))
    assert [path] == list(tmp_path.iterdir())
    assert read_predictions(tmp_path, sha256_of(CONTENT)) == CONTENT
    path.write_bytes(b"damaged")
    with pytest.raises(RecordError, match="the record says"):
        read_predictions(tmp_path, sha256_of(CONTENT))
    write_predictions(tmp_path, CONTENT)
    assert read_predictions(tmp_path, sha256_of(CONTENT)) == CONTENT
    path.unlink()
    assert read_predictions(tmp_path, sha256_of(CONTENT)) is None
