"""Encoder plugins that break their promises: each fails alone, with a line, and never with exit code 0."""

import os
import subprocess
import sys

import jaxtyping
import pytest

from mirbench.features.store import FeatureStore
from mirbench.results.records import read_records

PLUGIN = """
import sys
import threading
import numpy as np
import torch
from mirbench import Encoder, EncoderSpec, Features, WindowedEncoder, WindowFeatures, hookimpl

N_FRAMES = 40


def levels(audio):
    return np.abs(audio[: len(audio) // N_FRAMES * N_FRAMES].reshape(N_FRAMES, -1)).astype(np.float32)


def frames_of(audio):
    spectrum = np.abs(np.fft.rfft(audio))[:600].reshape(1, 1, 600)
    return np.log1p(np.repeat(spectrum, N_FRAMES, axis=1)).astype(np.float32)


times = (np.arange(N_FRAMES) + 0.5) * 4.0 / N_FRAMES


class Bad(Encoder):
    sample_rate = 8000
    fingerprint = "bad-1"
    n_clips = 0
    {attributes}

    def encode(self, audio):
        self.n_clips += 1
        frames = frames_of(audio)
        {encode}
        return Features(frames, times)


class Good(Encoder):
    sample_rate = 8000
    fingerprint = "good-1"

    def encode(self, audio):
        return Features(frames_of(audio), times)


{module}


@hookimpl
def mirbench_encoders():
    {hook}
    yield EncoderSpec(name="bad", load={load})
    yield EncoderSpec(name="good", load=lambda device: Good())
"""


def plugin(world, name="bad.py", **parts):
    given = {"attributes": "pass", "encode": "pass", "module": "", "hook": "pass", "load": "lambda device: Bad()"}
    text = PLUGIN
    for part, code in (given | parts).items():
        text = text.replace(f"{{{part}}}", code)
    world.write(name, text)
    return world.folder / name


def bad(**parts):
    def inflict(world):
        return world.run("key", "bad,good", "--plugin", plugin(world, **parts))

    return inflict


LOADS = [
    ("load returns None", "lambda device: None", "load returned None; expected an instance of mirbench.Encoder"),
    ("load returns the class", "lambda device: Bad", "load returned the class Bad; expected an instance"),
    ("load returns a name", "lambda device: 'bad'", "load returned 'bad'; expected an instance"),
    ("load ends the process", "lambda device: sys.exit(0)", "its load tried to end the process (SystemExit(0))"),
    ("load raises GeneratorExit", "lambda device: (_ for _ in ()).throw(GeneratorExit)", "tried to end the process"),
]
ATTRIBUTES = [
    ("no fingerprint", "fingerprint = None", "its fingerprint is None; expected 1 to 200 letters"),
    ("empty fingerprint", "fingerprint = ''", "its fingerprint is ''"),
    ("fingerprint with parents", "fingerprint = '../../pwned'", "its fingerprint is '../../pwned'"),
    ("absolute fingerprint", "fingerprint = '/tmp/pwned'", "its fingerprint is '/tmp/pwned'"),
    ("fingerprint with a line break", "fingerprint = 'a\\nb'", "its fingerprint is 'a\\nb'"),
    ("fingerprint of 201 characters", "fingerprint = 'a' * 201", "its fingerprint is 'aaa"),
    ("fingerprint that is a number", "fingerprint = 3", "its fingerprint is 3"),
    ("fingerprint that is bytes", "fingerprint = b'bad'", "its fingerprint is a bytes"),
    ("fingerprint with an empty part", "fingerprint = 'a//b'", "its fingerprint is 'a//b'"),
    ("no sample rate", "sample_rate = None", "its sample_rate is None; expected a whole number from 1 to 1,000,000"),
    ("sample rate 0", "sample_rate = 0", "its sample_rate is 0"),
    ("sample rate -5", "sample_rate = -5", "its sample_rate is -5"),
    ("sample rate 16k", "sample_rate = '16k'", "its sample_rate is '16k'"),
    ("sample rate nan", "sample_rate = float('nan')", "its sample_rate is nan"),
    ("sample rate 0.5", "sample_rate = 8000.5", "its sample_rate is 8000.5"),
    ("sample rate True", "sample_rate = True", "its sample_rate is True"),
    ("clip readouts a string", "clip_readouts = 'mean'", "readouts('clip') is 'mean'; expected a tuple of names"),
    ("no clip readouts", "clip_readouts = ()", "readouts('clip') is empty; expected at least one name"),
    ("readouts of numbers", "clip_readouts = (1,)", "readouts('clip') is a tuple of 1; expected a tuple of names"),
    ("tokens None", "tokens = None", "tokens is None; expected a tuple of names"),
    ("unknown readout", "clip_readouts = ('median',)", "no readout 'median'"),
    ("about None", "about = None", "about is None; expected a mapping"),
    ("readouts end the process", "readouts = lambda self, scope: sys.exit(0)", "its readouts tried to end the process"),
]
ENCODES = [
    ("None", "return None", "encode returned None for"),
    ("an array", "return frames", "encode returned an array of shape (1, 40, 600) for"),
    ("a tuple", "return frames, times", "encode returned a tuple of 2 for"),
    ("a dictionary", "return {'frames': frames}", "encode returned a dict for"),
    ("frames None", "frames = None", "frames are a NoneType; expected an array of numbers"),
    ("frames a tuple", "frames = tuple(frames)", "frames are a tuple; expected an array of numbers"),
    ("frames complex", "frames = frames * 1j", "frames are of type complex"),
    ("frames of objects", "frames = frames.astype(object)", "frames are of type object; expected real numbers"),
    ("frames of words", "frames = frames.astype(str)", "frames are of type <U"),
    ("frames ragged", "frames = [[[1.0], [1.0, 2.0]]]", "frames cannot be turned into an array of numbers"),
    ("frames with a gradient", "frames = torch.nn.Parameter(torch.ones(1, 40, 600))", "a tensor with a gradient"),
    ("frames with two axes", "frames = frames[0]", "frames of shape (40, 600) with times of shape (40,)"),
    ("frames that overflow", "frames = frames.astype(float) * 1e300", "NaN or infinity in"),
    ("frames whose deviation overflows", "frames = frames * 1e37", "its frames are so large that"),
    ("NaN in the seventh clip", "frames[0, 0, 0] = np.nan if self.n_clips == 7 else 0", "NaN or infinity in 0.0%"),
    (
        "more dims in the third clip",
        "frames = frames[..., : 600 - (self.n_clips == 3)]",
        "1 layers of 599 dims in frames",
    ),
    ("more layers later", "frames = np.repeat(frames, 1 + self.n_clips // 3, axis=0)", "2 layers of 600 dims"),
    ("times reversed", "return Features(frames, times[::-1].copy())", "a frame at 3.950 s is followed by one at 3.850"),
    ("times permuted", "return Features(frames, np.roll(times, 7))", "is followed by one at"),
    ("times constant", "return Features(frames, 0 * times + 1)", "a frame at 1.000 s is followed by one at 1.000 s"),
    ("times negative", "return Features(frames, times - 2)", "frame times begin at -1.950 s"),
    ("times NaN", "return Features(frames, times * np.nan)", "NaN or infinity among the frame times"),
    ("times in ms", "return Features(frames, times * 1000)", "frame times reach 3950.00 s in a clip of 4.00 s"),
    ("times of words", "return Features(frames, ['a'] * 40)", "times are of type <U1; expected real numbers"),
    ("tokens a list", "return Features(frames, times, [1])", "tokens are a list; expected a mapping"),
    ("token with one axis", "return Features(frames, times, {'cls': frames[0, 0]})", "token 'cls' has shape (600,)"),
    ("exit in the first clip", "sys.exit(0)", "its encode tried to end the process (SystemExit(0))"),
    ("exit in the seventh clip", "sys.exit(0) if self.n_clips == 7 else 0", "its encode tried to end the process"),
    ("exit with a message", "raise SystemExit('bye')", "its encode tried to end the process (SystemExit('bye'))"),
    ("GeneratorExit", "raise GeneratorExit", "its encode tried to end the process (GeneratorExit())"),
]
CASES = [
    *((name, bad(load=code), found) for name, code, found in LOADS),
    *((name, bad(attributes=code), found) for name, code, found in ATTRIBUTES),
    *((f"encode: {name}", bad(encode=code), found) for name, code, found in ENCODES),
    (
        "exit in a thread",
        bad(attributes="is_parallel = True", encode="sys.exit(0) if self.n_clips >= 7 else 0"),
        "its encode tried to end the process",
    ),
    (
        "encode_all returns None",
        bad(attributes="encode_all = lambda self, clips, batch_size: None"),
        "encode_all returned None; expected an iterator of Features",
    ),
    (
        "windows of length None",
        bad(
            load="lambda device: Windowed()",
            module="class Windowed(WindowedEncoder):\n    sample_rate, fingerprint = 8000, 'w'\n"
            "    window_length = None\n    def encode_windows(self, windows):\n        return None\n",
        ),
        "its window_length is None; expected a whole number",
    ),
    (
        "windows that become None",
        bad(
            load="lambda device: Windowed()",
            module="class Windowed(WindowedEncoder):\n    sample_rate, fingerprint = 8000, 'w'\n"
            "    window_length, hop_length, n_frames, offset = 8000, 800, 10, 400.0\n"
            "    def encode_windows(self, windows):\n        return None\n",
        ),
        "encode_windows returned a NoneType; expected WindowFeatures",
    ),
]


@pytest.fixture
def unchecked():
    """Types are not checked here, as they are not for users."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(("name", "inflict", "found"), CASES, ids=[case[0] for case in CASES])
def test_an_encoder_that_breaks_a_promise_fails_alone(ends, world, unchecked, name, inflict, found):
    printed = ends(inflict, 1, ("failed: bad on key", "1 of 2 done, 1 failed", found))
    assert "good" in printed
    assert {result.encoder for result in read_records(world.out / "records")} == {"good"}
    assert not list(world.folder.rglob("*pwned*"))


ACCEPTED = {
    "lists": "return Features(frames.tolist(), times.tolist())",
    "double precision": "return Features(frames.astype(float), times)",
    "single precision times": "return Features(frames, times.astype(np.float32))",
    "tensors": "return Features(torch.from_numpy(frames), torch.from_numpy(times))",
    "whole numbers": "frames = (frames * 1000).astype(np.int32)",
}


@pytest.mark.parametrize("encode", ACCEPTED.values(), ids=ACCEPTED)
def test_other_kinds_of_numbers_are_converted(ends, unchecked, encode):
    ends(bad(encode=encode), 0, ("bad", "good"))


@pytest.mark.parametrize("rate", ["8000.0", "np.int64(8000)", "np.float32(8000)"])
def test_whole_sample_rates_of_other_types_are_converted(ends, unchecked, rate):
    ends(bad(attributes=f"sample_rate = {rate}"), 0, ("bad", "good"))


NAMES = ["3", "''", "'a,b'", "'a@b'", "'a:b'", "'a b'", "'a\\tb'", "'\\x1b[2J'", "'\\ud800'", "None"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_cannot_be_named_is_a_problem_of_its_plugin(ends, unchecked, name):
    def inflict(world):
        path = plugin(world, hook=f"yield EncoderSpec(name={name}, load=lambda device: Bad())")
        return world.run("key", "mfcc", "--plugin", path)

    printed = ends(inflict, 0, ("bad.py: EncoderSpec has the name", "expected printable characters", "mfcc"))
    assert "\x1b[2J" not in printed


def test_a_spec_whose_load_is_no_function_is_a_problem_of_its_plugin(ends):
    def inflict(world):
        return world.run("key", "mfcc", "--plugin", plugin(world, load="Bad()"))

    ends(inflict, 0, ("bad.py: 'bad': load is a Bad; expected a function", "mfcc"))


def test_a_hook_that_ends_the_process_is_not_taken_for_success(ends):
    def inflict(world):
        return world.run("key", "mfcc", "--plugin", plugin(world, hook="sys.exit(0)"))

    ends(inflict, 1, ("bad.py: it tried to end the process (SystemExit(0))", "mfcc"))


def test_an_import_that_ends_the_process_is_not_taken_for_success(ends):
    def inflict(world):
        return world.run("key", "mfcc", "--plugin", plugin(world, module="sys.exit(0)"))

    ends(inflict, 1, ("bad.py: it tried to end the process (SystemExit(0))",))


OBSERVERS = ["def mirbench_run_start(plan):\n    sys.exit(0)", "def mirbench_result(result):\n    sys.exit(0)"]


@pytest.mark.parametrize("observer", OBSERVERS, ids=["of runs", "of results"])
def test_an_observer_that_ends_the_process_is_not_taken_for_success(world, mirbench, observer):
    path = plugin(world, module=f"@hookimpl\n{observer}")
    code, out, err = mirbench(*world.run("key", "mfcc", "--plugin", path))
    assert code == 1, out + err
    assert "SystemExit" in err


def test_keyboard_interrupts_interrupt(world, mirbench):
    code, _, err = mirbench(*world.run("key", "bad,good", "--plugin", plugin(world, encode="raise KeyboardInterrupt")))
    assert code == 130
    assert "interrupted" in err


TWINS = "class Twin(Good):\n    fingerprint = 'bad-1'\n"


def test_two_encoders_with_one_fingerprint_do_not_share_features(ends):
    def inflict(world):
        hook = "yield EncoderSpec(name='twin', load=lambda device: Twin())"
        return world.run("key", "bad,twin,good", "--plugin", plugin(world, module=TWINS, hook=hook))

    ends(inflict, 1, ("'bad' and 'twin' have one fingerprint, 'bad-1'", "2 of 3 done, 1 failed"))


CHANGES = {
    "other numbers": "frames = np.sqrt(frames)",
    "other dims": "frames = frames[..., :300]",
    "other layers": "frames = np.repeat(frames, 2, axis=0)",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_features_of_other_code_with_the_same_fingerprint_are_not_believed(ends, world, mirbench, change):
    assert mirbench(*world.run("key", "bad", "--plugin", plugin(world)))[0] == 0
    code, out, err = mirbench(*world.run("key", "bad,good", "--plugin", plugin(world, encode=change)))
    assert code == 1
    assert "are not those that it computes now" in err
    assert "give the encoder another fingerprint, or remove" in err
    assert "1 of 2 done, 1 failed" in err
    assert "Traceback" not in out + err


def test_a_difference_below_the_tolerance_is_believed(world, mirbench):
    assert mirbench(*world.run("key", "bad", "--plugin", plugin(world)))[0] == 0
    path = plugin(world, encode="frames *= 1 + 1e-5")
    assert mirbench(*world.run("key", "bad", "--plugin", path))[0] == 0


def test_a_rerun_encodes_one_clip(world, mirbench, tmp_path):
    log = tmp_path / "log"
    path = plugin(world, encode=f"with open({str(log)!r}, 'a') as log: log.write('x')")
    assert mirbench(*world.run("key", "bad", "--plugin", path))[0] == 0
    assert log.read_text() == 12 * "x"
    assert mirbench(*world.run("key", "bad", "--plugin", path))[0] == 0
    assert log.read_text() == 13 * "x"


def test_the_conformance_check_compares_stored_features(world, mirbench):
    data = """
from mirbench import DatasetSpec
from mirbench.data.csv import CsvDataset
from mirbench_key.task import KeyTask
from pathlib import Path

@hookimpl
def mirbench_datasets():
    yield DatasetSpec(name="worlds", load=lambda request: CsvDataset(Path(PATH), KeyTask()), tasks=("key",))
""".replace("PATH", repr(str(world.csv)))
    words = ("--dataset", "worlds", "--out", world.out, "--workers", 1, "--plugin", plugin(world, module=data))
    assert mirbench("run", "--encoder", "bad", "--task", "key", *words)[0] == 0
    name = "check_stored_features_are_its_own"
    assert f"pass  {name}" in mirbench("check", "bad", "--plugin", plugin(world, module=data))[1]
    changed = plugin(world, module=data, encode="frames = np.sqrt(frames)")
    code, out, _ = mirbench("check", "bad", "--plugin", changed)
    assert code == 1
    assert f"FAIL  {name}" in out


def test_a_fingerprint_with_a_slash_stays_in_the_store(ends, world):
    ends(bad(attributes="fingerprint = 'org/model-1'"), 0, ("bad",))
    assert (world.home / "features" / "org%2Fmodel-1").is_dir()
    assert FeatureStore(world.home / "features").encoder("org/model-1") == "bad"


@pytest.mark.slow
def test_exit_codes_are_those_of_the_process(world):
    command = [
        sys.executable,
        "-m",
        "mirbench",
        *world.run("key", "bad,good", "--plugin", plugin(world, encode="sys.exit(0)")),
    ]
    done = subprocess.run([str(word) for word in command], env={**os.environ}, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
