"""What a perfect probe scores, and probes that need context."""

from pathlib import Path

import numpy as np
import pytest

from mirbench.domain import Clip, Dataset
from mirbench.errors import MirbenchError
from mirbench.evaluation.ceiling import ceiling
from mirbench.evaluation.evaluate import Fitting, evaluate
from mirbench.evaluation.views import IN_CONTEXT, View, view_named
from mirbench.features.stored import StoredFeatures
from mirbench.probes.protocols import PROTOCOLS
from mirbench_beat.task import BeatTask


class Frames(StoredFeatures):
    """Stored features by clip, without a store."""

    def __init__(self, values, n=1):
        vars(self).update(values=values, n=n)

    def readouts(self, scope):
        return ("frames",)

    def n_layers(self, clip, readout):
        return self.n

    def read(self, clip, readout, layer):
        values, times = self.values[clip.id]
        return values[layer], times


def beat_clip(name, split, beats, duration=12.0):
    return Clip(name, Path("none"), split, name, beats, duration=duration)


@pytest.mark.parametrize(
    ("rate", "low", "high"), [(1.0, 0.0, 0.4), (2.0, 0.0, 0.5), (10.0, 0.9, 1.0), (50.0, 0.9, 1.0)]
)
def test_the_ceiling_of_beats_falls_with_the_frame_rate(rate, low, high):
    clips = [beat_clip(str(k), "test", 0.3 + np.arange(20) * (0.45 + 0.03 * k)) for k in range(4)]
    times = np.arange(int(12 * rate)) / rate
    features = Frames({clip.id: (np.zeros((1, len(times), 2), np.float32), times) for clip in clips})
    value = ceiling(BeatTask(), View(features, "frames", 0), clips, [12.0] * 4)
    assert low <= value <= high


class Data(Dataset):
    name, version, size = "made", "1", "default"
    labels, label_groups = (), {}

    def __init__(self, clips):
        self._clips = clips

    def clips(self, split):
        return [clip for clip in self._clips if clip.split == split]


def made(n_dims=2, n_layers=1):
    """Clips whose beats show only 0.2 s before and after them, never in the frame itself."""
    random = np.random.default_rng(0)
    clips, values = [], {}
    for number in range(12):
        split = ("train", "train", "valid", "test")[number % 4]
        beats = 0.4 + np.cumsum(random.uniform(0.58, 0.62, 18))
        times = np.arange(600) / 50
        layer = random.normal(0, 0.1, (n_layers, 600, n_dims)).astype(np.float32)
        for beat in beats[beats < 11.8]:
            layer[:, np.abs(times - beat + 0.2) < 0.011, 0] += 5
            layer[:, np.abs(times - beat - 0.2) < 0.011, 1] += 5
        clips.append(beat_clip(f"c{number}", split, beats[beats < 12]))
        values[f"c{number}"] = layer, times
    return Data(clips), Frames(values, n_layers)


def test_validation_chooses_context_where_it_helps():
    data, features = made()
    found = evaluate(features, BeatTask(), data, Fitting())
    bare = [loss for name, *_, loss in found.choices[0].curve if not name.endswith(IN_CONTEXT)]
    wide = [loss for name, *_, loss in found.choices[0].curve if name.endswith(IN_CONTEXT)]
    assert found.choices[0].readout == "frames in context"
    assert min(wide) < 0.8 * min(bare)
    assert found.scores[0].value > 0.9
    assert found.ceiling is not None and found.ceiling > 0.95


def test_other_protocols_have_no_context():
    data, features = made()
    found = evaluate(features, BeatTask(), data, Fitting(PROTOCOLS["sgd"]))
    assert {choice.readout for choice in found.choices} == {"frames"}


def test_the_protocol_last_layer_tries_no_other_layer():
    data, features = made(n_layers=3)
    found = evaluate(features, BeatTask(), data, Fitting(PROTOCOLS["last-layer"]))
    assert {layer for _, layer, *_ in found.choices[0].curve} == {2}


def test_wide_frames_are_projected_before_they_get_context():
    data, features = made(n_dims=500)
    view = View(features, "frames", 0).in_context(data.clips("train"))
    assert view.rank == 409
    assert view.read(data.clips("test")[0])[0].shape == (600, 5 * 409)
    again = view_named(features, view.name, 0, data.clips("train"))
    one, other = (np.asarray(each.read(data.clips("test")[0])[0]) for each in (view, again))
    np.testing.assert_array_equal(one, other)


def test_a_context_that_cannot_be_is_an_error():
    data, features = made()
    slow = Frames({name: (values[:, ::50], times[::50]) for name, (values, times) in features.values.items()})
    assert View(slow, "frames", 0).in_context(data.clips("train")) is None
    with pytest.raises(MirbenchError, match="too far apart"):
        view_named(slow, "frames in context", 0, data.clips("train"))
