"""Encoders in fewer bits: other features, other fingerprint, a measured error."""

import numpy as np
import pytest
import torch

from mirbench import EncoderSpec, WindowedEncoder, WindowFeatures
from mirbench.encoders.precision import Variant
from mirbench.encoders.references import EncoderReference
from mirbench.errors import EncoderError
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.results.records import RecordWriter, read_records
from mirbench.runs.planning import make_plan
from mirbench.runs.run import run
from mirbench.testing import checks_of


class Network(WindowedEncoder):
    sample_rate, fingerprint = 8000, "network"
    window_length, hop_length, offset, n_frames = 800, 80, 0.0, 10

    def __init__(self):
        torch.manual_seed(0)
        self.network = torch.nn.Linear(80, 16)

    def encode_windows(self, windows):
        return WindowFeatures(frames=self.network(windows.unflatten(1, (10, 80)))[:, None])


CLIPS = [np.random.default_rng(0).standard_normal(n).astype(np.float32) for n in (8000, 1234)]


@pytest.mark.parametrize(("precision", "bits"), [("bf16", 8), ("fp16", 11)])
def test_fewer_bits_cost_what_they_must(precision, bits):
    variant = Variant(Network, precision)
    found = variant.described(CLIPS)
    assert 2.0**-bits / 8 < found["relative_error"] < 2.0**-bits * 2
    assert found["precision"] == precision
    assert all(features.frames.dtype == np.float32 for features in variant.encode_all(CLIPS, 4))


def test_each_variant_has_a_fingerprint_and_a_name_of_its_own():
    spec = EncoderSpec(name="network", load=lambda device: Network())
    specs = [EncoderReference("network", spec, precision=each).as_spec() for each in ("fp32", "bf16", "fp16")]
    assert [each.name for each in specs] == ["network", "network+bf16", "network+fp16"]
    assert len({each.load("cpu").fingerprint for each in specs}) == 3
    assert specs[0] is spec


def test_a_variant_passes_the_checks_that_the_encoder_passes():
    spec = EncoderSpec(name="network", load=lambda device: Network())
    failed = [
        {check.name for check in checks_of(each, device="cpu") if check.problem()}
        for each in (spec, EncoderReference("network", spec, precision="bf16").as_spec())
    ]
    assert failed[1] <= failed[0]


def test_the_error_is_recorded(recordings, home):
    plugins = Plugins()
    settings = Settings(home=home, out=home / "out", precision="bf16")
    plugins.observe(RecordWriter(home / "out" / "records", "r"))
    assert run(make_plan(plugins, ["logmel"], ["key"], settings, csv=recordings), plugins) == []
    results = read_records(home / "out" / "records")
    assert {result.encoder for result in results} == {"logmel+bf16"}
    assert results[0].extraction["precision"] == "bf16"
    assert 0 < results[0].extraction["relative_error"] < 0.02


class Unprepared(Network):
    def encode(self, audio):
        return self.network(torch.from_numpy(audio[:80])).numpy()

    def encode_all(self, clips, batch_size):
        return map(self.encode, clips)


def test_an_encoder_that_cannot_is_told_what_to_do():
    with pytest.raises(EncoderError, match=r"must call .float\(\)"), torch.inference_mode():
        Variant(Unprepared, "bf16").encode(CLIPS[0])
