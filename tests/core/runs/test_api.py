"""The Python API: names or objects in, results out."""

import numpy as np
import pytest
import torch

import mirbench
from mirbench import Encoder, Features
from mirbench.data.csv import CsvDataset
from mirbench.errors import UsageError
from mirbench_key.task import KeyTask

RATE = 22050


def spectrum(audio):
    """Energy by pitch class in the first second: of the 12 classes, the three of a triad are loud."""
    energy, rates = np.abs(np.fft.rfft(audio)) ** 2, np.fft.rfftfreq(len(audio), 1 / RATE)
    classes = np.round(12 * np.log2(np.maximum(rates, 1) / 440)).astype(int) % 12
    return np.log(np.bincount(classes[rates > 100], energy[rates > 100], minlength=12) + 1e-6)


@pytest.fixture
def run(home, tmp_path):
    def call(encoders, tasks=("key",), **more):
        return mirbench.run(encoders, tasks, out=tmp_path / "out", home=home, workers=1, **more)

    return call


def test_a_function_is_an_encoder(run, recordings):
    own = mirbench.encoder(spectrum, sample_rate=RATE, name="bands", fingerprint="bands-1")
    results = run([own, "mfcc"], data=recordings)
    assert {result.encoder for result in results.headlines} == {"bands", "mfcc"}
    assert not results.failures
    assert next(result for result in results if result.encoder == "bands").value > 0.9
    assert results.path.is_file()


def test_the_command_line_and_the_api_give_the_same_results(run, mirbench, recordings, tmp_path):
    results = run(["chroma"], data=recordings)
    code, out, _ = mirbench(
        "run", "--encoder", "chroma", "--task", "key", "--data", recordings, "--out", tmp_path / "o"
    )
    assert code == 0
    assert f"{results.headlines[0].value:.3f} [{results.headlines[0].low:.3f}" in out


def test_a_torch_module_is_an_encoder_known_by_its_weights():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Unflatten(1, (1, -1)), torch.nn.Conv1d(1, 5, 400, 200))
    own = mirbench.encoder(network, sample_rate=8000, name="conv")
    features = own.encode(np.zeros(8000, np.float32))
    assert features.frames.shape[0] == 1
    before = own.fingerprint
    with torch.no_grad():
        network[1].weight += 1
    assert mirbench.encoder(network, sample_rate=8000, name="conv").fingerprint != before


def test_frames_and_times_are_taken_as_they_come():
    times = [0.1, 0.2, 0.4]
    own = mirbench.encoder(lambda audio: (np.ones((3, 2)), times), sample_rate=100, name="x", fingerprint="x")
    assert own.encode(np.zeros(100, np.float32)).times.tolist() == times
    own = mirbench.encoder(lambda audio: np.ones((4, 2)), sample_rate=100, name="x", fingerprint="x")
    assert own.encode(np.zeros(100, np.float32)).times.tolist() == [0.125, 0.375, 0.625, 0.875]
    own = mirbench.encoder(lambda audio: np.ones((4, 2)), sample_rate=100, name="x", fingerprint="x", frame_rate=10.0)
    assert own.encode(np.zeros(100, np.float32)).times == pytest.approx([0.05, 0.15, 0.25, 0.35])


def test_a_function_needs_a_fingerprint():
    with pytest.raises(UsageError, match="needs a fingerprint"):
        mirbench.encoder(spectrum, sample_rate=RATE, name="bands")


class Own(Encoder):
    name, sample_rate, fingerprint = "own", RATE, "own-1"

    def encode(self, audio):
        return Features(spectrum(audio)[None, None].astype(np.float32), np.array([len(audio) / 2 / RATE]))


class OwnTask(KeyTask):
    name = "own-key"


def test_encoders_tasks_and_data_sets_may_be_objects(run, recordings):
    task = OwnTask()
    results = run([Own()], [task], datasets=[CsvDataset(recordings, task)])
    assert not results.failures
    assert {(result.encoder, result.task, result.dataset) for result in results} == {("own", "own-key", "triads")}


def test_a_name_that_a_plugin_has_is_refused(run, recordings):
    own = mirbench.encoder(spectrum, sample_rate=RATE, name="chroma", fingerprint="x")
    with pytest.raises(mirbench.MirbenchError, match="'chroma' is offered by a plugin"):
        run([own], data=recordings)


def test_failures_are_returned(run, recordings):
    def broken(audio):
        raise ValueError("no")

    results = run([mirbench.encoder(broken, sample_rate=RATE, name="broken", fingerprint="b"), "mfcc"], data=recordings)
    assert [failure.job.encoder.name for failure in results.failures] == ["broken"]
    assert {result.encoder for result in results} == {"mfcc"}


def test_leaderboard_and_comparison(run, recordings, tmp_path):
    run(["mfcc", "chroma"], data=recordings)
    table = mirbench.leaderboard(tmp_path / "out")
    assert {row.encoder for row in table.rows} == {"mfcc", "chroma"}
    [difference] = mirbench.compare("chroma", "mfcc", tmp_path / "out").differences
    assert difference.task.startswith("key")


def test_results_become_data_frames(run, recordings, tmp_path):
    pytest.importorskip("pandas")
    frame = run(["mfcc", "chroma"], data=recordings).to_frame()
    assert {"encoder", "task", "metric", "value", "low", "high"} <= set(frame.columns)
    assert set(mirbench.leaderboard(tmp_path / "out").to_frame()["encoder"]) == {"mfcc", "chroma"}
    assert len(mirbench.compare("chroma", "mfcc", tmp_path / "out").to_frame()) == 1
