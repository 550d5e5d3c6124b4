"""Sensors: the levels that they keep, the noise that has these levels, encoders behind them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import welch

from mirbench.encoders.references import find_reference
from mirbench.errors import EncoderError, UsageError
from mirbench.plugins import Plugins
from mirbench.testing import checks_of
from mirbench_sensors.third_octave import FAST, SLOW

PLUGINS = Plugins()
TIME = np.arange(5 * 32000) / 32000
NOISE = np.random.default_rng(0).standard_normal(len(TIME))


def alarm() -> np.ndarray:
    """Five harmonics of 440 Hz, on and off, over faint noise."""
    return sum(0.1 * np.sin(2 * np.pi * 440 * h * TIME) for h in range(1, 6)) * (TIME % 0.5 < 0.2) + 1e-3 * NOISE


def errors(audio: np.ndarray, analysis=FAST) -> np.ndarray:
    levels = analysis.levels(audio)
    return (analysis.levels(analysis.noise(levels, [0])) - levels)[1:-1]


def reference(text: str):
    return find_reference(PLUGINS.encoders, text, Path(), sensors=PLUGINS.sensors)


def test_the_levels_of_a_tone_are_those_of_the_published_constants():
    """A full-scale sine in the middle of a band has an RMS of 2 ** -0.5, and the microphone adds 26 dB."""
    for band in (17, 21, 25):
        tone = np.sin(2 * np.pi * 1000 * 10 ** ((band - 17) / 10) * TIME)
        assert FAST.levels(tone)[5, band] == pytest.approx(26 - 3.01, abs=0.01)
    assert FAST.levels(NOISE).shape == (40, 29)
    assert SLOW.levels(NOISE).shape == (5, 29)


def test_the_expected_levels_of_independent_bins_are_those_that_are_measured():
    """A second computation: the mean over many frames of noise with one bin each."""
    powers = np.zeros(2049)
    powers[[128, 400, 401]] = 1e4, 3e4, 2e4
    random = np.random.default_rng(0)
    rows = np.sqrt(powers) * np.exp(2j * np.pi * random.random((400, 2049)))
    frames = np.fft.irfft(rows, 4096, axis=1) * FAST.window
    measured = ((np.abs(np.fft.rfft(frames, axis=1)) ** 2) @ FAST.bands.T).mean(axis=0) * FAST.energy_correction**2
    np.testing.assert_allclose(FAST.leakage @ powers, measured, rtol=0.15, atol=1e-6 * measured.max())


@pytest.mark.parametrize(
    ("audio", "median", "high"),
    [(0.1 * NOISE, 0.02, 0.3), (alarm(), 0.02, 2.0), (0.3 * np.sin(2 * np.pi * 1000 * TIME) + 1e-4 * NOISE, 2.0, 15.0)],
    ids=["noise", "alarm", "sine 60 dB above noise"],
)
def test_noise_has_the_levels_of_what_it_stands_for(audio, median, high):
    """Before the leakage was taken into account, the sine had 6.3 and 25.5 dB, the alarm 0.0 and 2.7 dB."""
    found = np.abs(errors(audio))
    assert np.median(found) < median
    assert np.percentile(found, 95) < high


def test_slow_levels_come_back_too():
    assert np.median(np.abs(errors(0.1 * NOISE, SLOW))) < 0.05


@pytest.mark.parametrize("name", PLUGINS.sensors.names)
def test_a_sensor_returns_as_many_samples_and_the_same_ones(name):
    sensor = PLUGINS.sensors[name].load()
    audio = (0.1 * NOISE[:50001]).astype(np.float32)
    first = sensor.transmit(audio)
    assert first.shape == audio.shape
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, sensor.transmit(audio))
    assert np.sqrt(np.mean(first**2)) > 0.01


@pytest.mark.parametrize(("name", "highest"), [("8khz", 4000), ("telephone", 3600)])
def test_a_channel_cuts_what_it_does_not_carry(name, highest):
    found = PLUGINS.sensors[name].load().transmit((0.1 * NOISE).astype(np.float32))
    frequency, power = welch(found, 32000, nperseg=4096)
    carried = power[(frequency > 500) & (frequency < 3000)].mean()
    assert power[frequency > highest + 400].mean() < 1e-3 * carried


@pytest.mark.parametrize("name", ["chroma~third-octave", "mt2@random~telephone", "logmel~8khz"])
def test_an_encoder_behind_a_sensor_has_a_name_and_a_fingerprint_of_its_own(name):
    behind = reference(name)
    encoder = behind.load("cpu")
    assert behind.name == name
    assert encoder.fingerprint != reference(name.rpartition("~")[0]).load("cpu").fingerprint
    features = encoder.encode((0.1 * NOISE).astype(np.float32)[:96000])
    assert features.times[-1] < 3


def test_the_levels_pass_the_conformance_checks():
    for check in checks_of(PLUGINS.encoders["levels"]):
        check()


def test_an_encoder_behind_a_sensor_passes_the_conformance_checks():
    for check in checks_of(reference("logmel~telephone").as_spec()):
        check()


def test_levels_are_the_same_behind_the_sensor():
    """What the sensor keeps is all that reaches the encoder."""
    audio = (0.1 * NOISE).astype(np.float32)
    bare, behind = (reference(name).load("cpu").encode(audio) for name in ("levels", "levels~third-octave"))
    difference = np.abs(bare.frames[0, 1:-1] - behind.frames[0, 1:-1])
    assert np.median(difference) < 0.01
    assert np.percentile(difference, 95) < 0.5


def test_an_unknown_sensor_is_named():
    with pytest.raises(UsageError, match="unknown sensor 'third-octav'; did you mean 'third-octave'"):
        reference("logmel~third-octav")


def test_a_sensor_that_loses_samples_is_refused(monkeypatch):
    encoder = reference("logmel~8khz").load("cpu")
    monkeypatch.setattr(encoder._sensor, "transmit", lambda audio: audio[:-1])
    with pytest.raises(EncoderError, match="returned 31999 samples of 32000; expected as many"):
        encoder.encode(np.ones(32000, np.float32))


def test_a_run_with_sensors_has_a_row_for_each(recordings, mirbench, tmp_path):
    code, _, printed = mirbench(
        "run", "--encoder", "chroma", "--sensor", "none,8khz", "--task", "key", "--data", recordings, "--out", tmp_path
    )
    assert code == 0, printed
    _, table, _ = mirbench("leaderboard", "--out", tmp_path, "--format", "csv")
    text = "".join(path.read_text() for path in tmp_path.glob("*.csv")) + table
    assert "chroma~8khz" in text


def write_syllables(path: Path, seed: int) -> None:
    """Vowels of changing pitch and formants, a few each second."""
    random, time = np.random.default_rng(seed), np.arange(16000 // 5) / 16000
    syllables = []
    for _ in range(20):
        pitch, formants = random.uniform(90, 180), random.uniform((300, 900), (800, 2400))
        tones = [
            np.sin(2 * np.pi * pitch * k * time) / (1 + min(abs(pitch * k - f) for f in formants) / 100)
            for k in range(1, 30)
        ]
        syllables.append(np.hanning(len(time)) * sum(tones) * random.uniform(0.3, 1))
    speech = np.concatenate(syllables)
    soundfile.write(path, (0.5 * speech / np.abs(speech).max()).astype(np.float32), 16000)


def test_intelligibility_is_measured_after_each_sensor(mirbench, tmp_path):
    pytest.importorskip("pystoi")
    for number in range(2):
        write_syllables(tmp_path / f"{number}.wav", number)
    code, printed, error = mirbench("intelligibility", tmp_path)
    assert code == 0, error
    assert "2 recordings, 8 s" in printed
    rows = [line.rsplit(maxsplit=2) for line in printed.splitlines()[3:]]
    found = {name.strip(): (float(plain), float(extended)) for name, plain, extended in rows}
    assert found["8khz"][0] > 0.9
    assert found["8khz"][1] > found["third-octave"][1] > found["third-octave-slow"][1] - 0.05
    assert found["stationary noise"][1] < 0.3


def test_too_short_recordings_are_refused(mirbench, tmp_path):
    pytest.importorskip("pystoi")
    soundfile.write(tmp_path / "short.wav", 0.1 * NOISE[:16000], 16000)
    code, _, error = mirbench("intelligibility", tmp_path)
    assert code == 1
    assert "no recording of 2 s or more in" in error


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param("chroma", id="chroma"), pytest.param("musicnn-mtt", marks=pytest.mark.long, id="musicnn-mtt")]
)
def test_alarms_are_found_behind_the_sensor(name, home, tmp_path):
    """The levels keep most of what `hospital` asks for; the levels themselves are the baseline of the noise."""
    if PLUGINS.encoders[name].missing() is not None:
        pytest.skip("its weights are in a package")
    words = f"run --encoder {name},levels --sensor none,third-octave --task hospital --size small --out"
    command = [sys.executable, "-m", "mirbench", *words.split(), tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line for path in (tmp_path / "records").glob("*.jsonl") for line in path.read_text().splitlines()]
    found = {one["encoder"]: one["value"] for one in map(json.loads, lines) if one["is_headline"]}
    assert set(found) == {name, "levels", f"{name}~third-octave", "levels~third-octave"}
    assert found[f"{name}~third-octave"] > 0.6 * found[name]
    assert found["levels~third-octave"] == pytest.approx(found["levels"], abs=0.1)
