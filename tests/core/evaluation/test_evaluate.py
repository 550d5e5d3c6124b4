"""Choice on validation, one look at the test split, intervals over groups."""

from pathlib import Path

import numpy as np
import pytest

from mirbench import Clip, ClipMetric, SetMetric
from mirbench.cli.console import ResultTable
from mirbench.domain import POOLED
from mirbench.evaluation.bootstrap import score
from mirbench.evaluation.evaluate import evaluate
from mirbench.features.region import Region
from mirbench.plan import Settings
from mirbench.plugins import Plugins
from mirbench.probes.linear import Examples
from mirbench.runs.planning import make_plan
from mirbench.runs.run import run
from mirbench_key.task import KeyTask


def clips(groups):
    return [Clip(str(i), Path(), "test", group, reference=i) for i, group in enumerate(groups)]


class Scored(KeyTask):
    def __init__(self, *metrics):
        self.metrics = metrics


MEAN = ClipMetric("mean", lambda reference, estimate: float(estimate), "test")
SUM = ClipMetric("sum", lambda reference, estimate: float(estimate), "test", aggregate="sum")
SET = SetMetric("set", lambda references, estimates: float(np.mean(estimates)), "test", best=12.0)


def test_means_and_counts():
    mean, total, of_set = score([Scored(MEAN, SUM, SET)], clips("abcd"), [[0, 1, 1, 1]], seed=0)
    assert (mean.value, total.value, of_set.value) == (0.75, 3.0, 0.75)


def test_a_metric_over_the_set_is_resampled_like_one_over_clips():
    mean, of_set = score([Scored(MEAN, SET)], clips("aabbccddeeff"), [list(range(12))], seed=3)
    np.testing.assert_allclose(of_set.scores.resampled, mean.scores.resampled)


def test_the_interval_matches_the_theory_for_independent_clips():
    values = np.random.default_rng(0).standard_normal(400)
    [found] = score([Scored(MEAN)], clips([str(i) for i in range(400)]), [list(values)], seed=0)
    expected = 1.96 * values.std() / 20
    assert found.high - found.value == pytest.approx(expected, rel=0.1)
    assert found.value - found.low == pytest.approx(expected, rel=0.1)


def test_clips_of_one_group_do_not_count_as_independent():
    values = np.repeat(np.random.default_rng(0).standard_normal(20), 20)
    [alone] = score([Scored(MEAN)], clips([str(i) for i in range(400)]), [list(values)], seed=0)
    [grouped] = score([Scored(MEAN)], clips([str(i // 20) for i in range(400)]), [list(values)], seed=0)
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


def test_a_seed_repeats_the_interval():
    values = list(range(10))
    first, second = (score([Scored(MEAN)], clips("abcdefghij"), [values], seed=1) for _ in range(2))
    assert first == second


def test_the_test_split_is_not_read_before_the_choice(recordings, home, monkeypatch):
    """Features of test clips are met after the last fit; their references never reach a fit."""
    from mirbench.data.csv import CsvDataset
    from mirbench.features.store import FeatureStore
    from mirbench.features.stored import StoredFeatures

    plugins = Plugins()
    settings = Settings(home=home, out=home / "out")
    assert run(make_plan(plugins, ["chroma"], ["key"], settings, csv=recordings), plugins) == []
    encoder, dataset = plugins.encoders["chroma"].load("cpu"), CsvDataset(recordings, KeyTask())
    of_test = {
        Region.of(clip).key(encoder, readout) for clip in dataset.clips("test") for readout in encoder.readouts("clip")
    }
    events = []

    class Watched(FeatureStore):
        def read(self, key, layer):
            events.append("test" if key in of_test else "fit")
            return super().read(key, layer)

    evaluate(StoredFeatures(Watched(home / "features"), encoder), KeyTask(), dataset)
    assert events == sorted(events)
    assert events.count("test") == len(dataset.clips("test"))


def test_weaker_strengths_are_tried_until_two_in_a_row_are_worse(monkeypatch):
    """Losses by hand: 5 4 6 3 7 8 0; the last one is never seen."""
    from mirbench.probes import protocols
    from mirbench.probes.objectives import OBJECTIVES

    random = np.random.default_rng(0)
    examples = Examples([random.standard_normal((20, 3)).astype(np.float32)], np.arange(20) % 2)
    losses = iter([5.0, 4.0, 6.0, 3.0, 7.0, 8.0, 0.0])
    monkeypatch.setattr(protocols, "cross_entropy", lambda *arguments: next(losses))
    data = protocols.ProbeData(examples, examples, OBJECTIVES["multiclass"], 2, memory=1e9)
    assert [candidate.loss for candidate in protocols.Convex().candidates(data)] == [5, 4, 6, 3, 7, 8]


def test_values_are_averaged_over_the_seeds_of_a_probe():
    [found] = score([Scored(MEAN)] * 3, clips("abcd"), [[0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1]], seed=0)
    assert found.value == pytest.approx(0.75)
    assert found.deviation == pytest.approx(np.std([0.75, 1.0, 0.5]))
    assert found.low < 0.75 < found.high <= 1


def test_what_tuning_changes_in_a_metric_is_scored():
    first, second = (Scored(ClipMetric("mean", lambda r, e, at=at: float(e > at), "test")) for at in (0, 2))
    [found] = score([first, second], clips("ab"), [[1, 1], [1, 3]], seed=0)
    assert found.value == pytest.approx((1.0 + 0.5) / 2)


def test_scores_of_clips_are_kept_and_make_the_interval():
    mean, of_set = score([Scored(MEAN, SET)], clips("aabbccddeeff"), [list(range(12))], seed=3)
    np.testing.assert_array_equal(mean.scores.values, range(12))
    np.testing.assert_allclose(np.percentile(mean.scores.resampled, [2.5, 97.5]), [mean.low, mean.high])
    np.testing.assert_allclose(of_set.scores.resampled, mean.scores.resampled)
    assert of_set.scores.values is None
    [other] = score([Scored(MEAN)], clips("aabbccddeefg"), [list(range(12))], seed=3)
    assert other.scores.clips != mean.scores.clips


def test_a_token_may_have_layers_and_dims_of_its_own(recordings, home, tmp_path):
    """A class posterior beside frames of three layers; here it is the better readout by far."""
    plugin = tmp_path / "posterior.py"
    plugin.write_text(
        "import numpy as np\nfrom mirbench import Encoder, EncoderSpec, Features, hookimpl\n"
        "class Posterior(Encoder):\n"
        "    sample_rate, fingerprint, tokens = 22050, 'posterior', ('spectrum',)\n"
        "    def encode(self, audio):\n"
        "        spectrum = np.abs(np.fft.rfft(audio[:22050], 22050))[200:900].reshape(-1, 5).sum(1)\n"
        "        noise = np.random.default_rng(0).standard_normal((3, 10, 4))\n"
        "        return Features(noise.astype(np.float32), np.arange(10) / 10.0,\n"
        "                        tokens={'spectrum': spectrum[None].astype(np.float32)})\n"
        "@hookimpl\ndef mirbench_encoders():\n"
        "    yield EncoderSpec(name='posterior', load=lambda device: Posterior())\n"
    )
    plugins = Plugins([plugin])
    settings = Settings(home=home, out=tmp_path / "out")
    table = ResultTable()
    plugins.observe(table)
    assert run(make_plan(plugins, ["posterior"], ["key"], settings, csv=recordings), plugins) == []
    result = next(result for result in table.results if result.is_headline)
    assert (result.readout, result.layer) == ("spectrum", 0)
    assert result.value > 0.9
    assert {(readout, layer) for readout, layer, *_ in result.selection["choices"][0]["curve"]} == {
        *((pooled, layer) for pooled in POOLED for layer in range(3)), ("spectrum", 0),
    }  # fmt: skip
