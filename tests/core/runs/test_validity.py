"""Facts of a data set: chance and ceiling from references alone, and the baselines of the core tasks."""

from pathlib import Path

import numpy as np
import pytest

from mirbench.domain import Clip, LabelledIntervals
from mirbench.plugins import Plugins
from mirbench.runs.validity import chance
from mirbench_anuran.task import AnuranTask
from mirbench_beat.task import BeatTask, f_measure
from mirbench_chord.task import ChordTask
from mirbench_hospital.task import HospitalTask
from mirbench_key.task import KeyTask
from mirbench_tagging.task import TaggingTask


def clips(references, duration=10.0):
    return [
        Clip(str(place), Path("none"), "train", str(place), each, duration=duration)
        for place, each in enumerate(references)
    ]


def spans(*rows):
    return LabelledIntervals(np.array([row[:2] for row in rows], dtype=np.float64), tuple(row[2] for row in rows))


def test_the_most_frequent_key_is_baseline_and_chance():
    references = ["A minor", "C# major", "Db major"]  # two spellings of one key
    kind, estimates = chance(KeyTask(), clips(references), [3.0, 4.0])
    assert (kind, estimates) == ("majority class", ["C# major", "C# major"])
    assert KeyTask().baselines(references, [3.0, 4.0]) == {"majority": ["C# major", "C# major"]}


def test_the_chord_that_sounds_longest_is_baseline_and_chance():
    references = [spans((0, 1, "C:maj"), (1, 2, "X"), (2, 3, "C:maj")), spans((0, 8, "X"), (8, 10, "G:7"))]
    references.append(spans((0, 0.5, "G:maj")))  # G for 2.5 s, because G:7 counts as major; C for 2 s
    kind, [estimate] = chance(ChordTask(), clips(references), [4.0])
    [[baseline]] = ChordTask().baselines(references, [4.0]).values()
    assert kind == "majority class"
    for each in (estimate, baseline):
        assert each.labels == ("G:maj",)
        assert each.intervals.tolist() == [[0.0, 4.0]]


def test_beats_have_two_grids():
    training = [np.arange(0, 10, 0.6), np.arange(0, 10, 0.8), np.arange(0.1, 10, 0.8), np.array([1.0])]
    found = BeatTask().baselines(training, [2.0, 1.0])
    assert [each.tolist() for each in found["120 bpm"]] == [[0, 0.5, 1, 1.5], [0, 0.5]]
    assert found["median tempo"][0] == pytest.approx([0, 0.8, 1.6])
    assert list(BeatTask().baselines([np.array([1.0])], [1.0])) == ["120 bpm"]
    assert f_measure(np.arange(0, 10, 0.5), found["120 bpm"][1]) == pytest.approx(2 * 2 / 22)
    kind, [estimate] = chance(BeatTask(), clips(training), [2.0])
    assert (kind, len(estimate)) == ("empty estimate", 0)


@pytest.mark.parametrize("kind", [TaggingTask, AnuranTask])
def test_labels_have_their_training_frequencies(kind):
    task = kind(("a", "b", "c"))
    references = [np.array(row, dtype=np.float32) for row in ([1, 0, 1], [1, 0, 0], [1, 1, 0], [1, 0, 1])]
    name, estimates = chance(task, clips(references), [3.0, 3.0])
    assert name == "label frequencies"
    assert np.stack(estimates) == pytest.approx(np.array([[1, 0.25, 0.5]] * 2), abs=1e-6)
    [baseline] = task.baselines(references, [3.0, 3.0]).values()
    assert np.stack(baseline) == pytest.approx(np.array([[1, 0.25, 0.5]] * 2))


def test_hospital_rooms_have_nothing_or_always_the_longest_event():
    task = HospitalTask(("door", "alarm"))
    training = [spans((0, 1, "door"), (2, 3, "door")), spans((0, 3, "alarm")), LabelledIntervals(np.zeros((0, 2)), ())]
    found = task.baselines(training, [10.0])
    assert list(found) == ["nothing", "always alarm"]
    references = [spans((0, 4, "alarm"), (5, 6, "door"))]
    headline = task.metrics[0]
    assert headline.score(references, found["nothing"]) == 0
    assert headline.score(references, found["always alarm"]) == pytest.approx(2 * 4 / (5 + 10))  # of segments


def test_every_core_task_states_its_limits_and_offers_baselines():
    plugins = Plugins()
    for name in plugins.suites["core"].tasks:
        spec = plugins.tasks[name]
        assert len(spec.limits) > 80
        task = spec.load()
        if name in ("tagging", "anuran", "hospital"):
            task = type(task)(("a", "b"))
            example = spans((0, 1, "a")) if name == "hospital" else np.array([1, 0], dtype=np.float32)
        else:
            example, _ = task.example(np.random.default_rng(0))
        found = task.baselines([example], [5.0, 6.0, 7.0])
        assert found
        assert {len(estimates) for estimates in found.values()} == {3}
