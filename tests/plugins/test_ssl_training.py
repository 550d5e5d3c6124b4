import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mirbench.errors import TrainingError, WeightsError
from mirbench.specs import PretrainRequest
from mirbench_mt2.network import Mt2
from mirbench_ssl import training
from mirbench_ssl.corpus import open_corpus
from mirbench_ssl.frontends import MT2_FRONT_END
from mirbench_ssl.segments import Segments
from mirbench_ssl.weights import load_weights, read_header

SHALLOW = {"depth": "1"}


def write_tracks(folder: Path, n: int = 6, seconds: float = 20.0) -> Path:
    """Write chords of changing loudness, each track in a key of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    rate = 16000
    time_axis = np.arange(int(seconds * rate)) / rate
    for number in range(n):
        tones = sum(np.sin(2 * np.pi * 110 * 2 ** ((number + step) / 12) * time_axis) for step in (0, 4, 7))
        audio = tones * (1.2 + np.sin(2 * np.pi * 0.2 * time_axis)) / 10
        soundfile.write(folder / f"{number}.wav", audio.astype(np.float32), rate)
    return folder


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tracks(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def request(music: Path, home: Path, out: Path, **changes: object) -> PretrainRequest:
    given = {"model": "mt2", "steps": 4, "batch_size": 4, "options": SHALLOW, **changes}
    return PretrainRequest(audio=(music,), home=home, out=out, **given)  # type: ignore[arg-type]


def train(asked: PretrainRequest) -> None:
    from mirbench_mt2.pretraining import train as train_mt2
    from mirbench_stone.pretraining import train as train_stone
    from mirbench_vit1d.pretraining import train as train_vit1d

    {"mt2": train_mt2, "vit1d": train_vit1d, "vit1d-equivariant": train_vit1d}.get(asked.model, train_stone)(asked)


def segments(music: Path, home: Path, seed: int = 0) -> Segments:
    corpus = open_corpus(request(music, home, home / "unused"), MT2_FRONT_END, print)
    return Segments(corpus.tracks, 126, MT2_FRONT_END.frame_rate, seed)


def test_a_batch_follows_from_seed_and_step(music: Path, home: Path) -> None:
    one, again, later = (segments(music, home).batch(step, 4) for step in (3, 3, 4))
    other = segments(music, home, seed=1).batch(3, 4)
    assert torch.equal(one.first, again.first) and torch.equal(one.shift, again.shift)
    assert not torch.equal(one.first, later.first)
    assert not torch.equal(one.first, other.first)


def test_pairs_are_two_places_of_one_track_and_no_track_comes_twice(music: Path, home: Path) -> None:
    batch = segments(music, home).batch(0, 6)
    sources = [name.split(" at ")[0] for name in batch.names]
    assert len(set(sources)) == 6
    for name in batch.names:
        first, second = name.split(" at ")[1].replace(" s", "").split(" and ")
        assert abs(float(first) - float(second)) >= 4.0
    assert batch.first.shape == batch.second.shape == (6, 228, 126)


def test_crops_stay_inside_and_always_move(music: Path, home: Path) -> None:
    drawn = segments(music, home)
    for step in range(20):
        batch = drawn.batch(step, 6)
        moved = batch.crop + batch.shift
        assert bool(((batch.crop >= 1) & (batch.crop <= 12) & (moved >= 0) & (moved <= 11) & (batch.shift != 0)).all())


def test_silence_is_not_drawn(tmp_path: Path, home: Path) -> None:
    audio = 0.3 * np.random.default_rng(0).standard_normal(16000 * 40).astype(np.float32)
    audio[16000 * 10 :] *= 1e-3
    soundfile.write(tmp_path / "mostly-silent.wav", audio, 16000)
    drawn = segments(tmp_path, home)
    for step in range(10):
        for name in drawn.batch(step, 2).names:
            first = float(name.split(" at ")[1].split(" s")[0])
            assert first < 10


def test_what_cannot_be_read_is_named_and_left_out(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tracks(tmp_path, n=2)
    (tmp_path / "broken.wav").write_bytes(b"RIFF of nothing")
    corpus = open_corpus(request(tmp_path, home, tmp_path / "unused"), MT2_FRONT_END, print)
    assert len(corpus.tracks) == 2
    assert "broken.wav" in capsys.readouterr().out


def test_no_audio_at_all_is_an_error(tmp_path: Path, home: Path) -> None:
    with pytest.raises(TrainingError, match=r"no audio to train on"):
        train(request(tmp_path, home, tmp_path / "a.safetensors"))
    write_tracks(tmp_path, n=2, seconds=2)
    with pytest.raises(TrainingError, match=r"none of 2 tracks is as long as a segment: 4\.0 s"):
        train(request(tmp_path, home, tmp_path / "a.safetensors"))


@pytest.mark.parametrize("model", ["vit1d", "vit1d-equivariant", "mt2", "stone", "skey"])
def test_every_model_trains_and_says_what_it_is(model: str, music: Path, home: Path, tmp_path: Path) -> None:
    out = tmp_path / f"{model}.safetensors"
    options = {"seconds": "3"} if model in ("stone", "skey") else SHALLOW
    train(request(music, home, out, model=model, options=options, steps=12, license="CC0-1.0"))
    header = read_header(out)
    assert (header.model, header.steps, header.license) == (model, 12, "CC0-1.0")
    assert header.data["names"] == [music.name] and header.data["tracks"] == 6
    assert header.configuration.items() >= options.items()
    lines = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10]
    assert lines[0]["segments_per_second"] > 0
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert not out.with_suffix(".checkpoint").exists()


def test_the_loss_falls(music: Path, home: Path, tmp_path: Path) -> None:
    out = tmp_path / "mt2.safetensors"
    train(request(music, home, out, steps=60, batch_size=6))
    lines = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]


def state(path: Path) -> dict[str, torch.Tensor]:
    network = Mt2(depth=1)
    load_weights(path, "mt2", network)
    return network.state_dict()


def test_killed_and_resumed_it_gives_the_same_weights_bit_for_bit(music: Path, home: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    train(request(music, home, whole, steps=40))
    script = (
        "from pathlib import Path; from mirbench_ssl import training; from mirbench.specs import PretrainRequest;"
        "from mirbench_mt2.pretraining import train; training.SECONDS_BETWEEN_CHECKPOINTS = 0.0;"
        f"train(PretrainRequest(model='mt2', audio=(Path({str(music)!r}),), home=Path({str(home)!r}),"
        f"out=Path({str(killed)!r}), steps=40, batch_size=4, options={{'depth': '1'}}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    checkpoint = killed.with_suffix(".checkpoint")
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert checkpoint.exists() and not killed.exists()
    with pytest.raises(TrainingError, match="--resume"):
        train(request(music, home, killed, steps=40))
    with pytest.raises(TrainingError, match="steps or hours"):
        train(request(music, home, killed, steps=41, resume=True))
    train(request(music, home, killed, steps=40, resume=True))
    expected = state(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state(killed).items())
    steps = [json.loads(line)["step"] for line in killed.with_suffix(".jsonl").read_text().splitlines()]
    assert steps == [10, 20, 30, 40]


def test_a_loss_that_is_no_number_stops_with_its_step_and_batch(
    music: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirbench_mt2.pretraining import Mt2Objective

    forward = Mt2Objective.forward

    def diverge(self: Mt2Objective, batch: object, step: int) -> dict[str, torch.Tensor]:
        terms = forward(self, batch, step)  # type: ignore[arg-type]
        return {**terms, "loss": terms["loss"] * torch.nan}

    monkeypatch.setattr(Mt2Objective, "forward", diverge)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 0 (.|\n)*\.wav at \d"):
        train(request(music, home, tmp_path / "a.safetensors"))


def test_hours_become_steps(music: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "STEPS_TO_MEASURE", 6)
    out = tmp_path / "a.safetensors"
    train(request(music, home, out, steps=None, hours=1e-9))
    assert read_header(out).steps == 6


def test_unknown_options_are_refused(music: Path, home: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no option 'width'; it has depth"):
        train(request(music, home, tmp_path / "a.safetensors", options={"width": "3"}))
    with pytest.raises(TrainingError, match="omega '5'; expected 7 or 1"):
        train(request(music, home, tmp_path / "a.safetensors", model="stone", options={"omega": "5"}))


def test_weights_of_another_model_are_refused_by_both_names(music: Path, home: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.safetensors"
    train(request(music, home, out, model="vit1d"))
    with pytest.raises(WeightsError, match="weights of 'vit1d', not of 'mt2'"):
        load_weights(out, "mt2", Mt2(depth=1))
    (tmp_path / "text.safetensors").write_text("no weights at all")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_header(tmp_path / "text.safetensors")


def test_semitone_needs_keys(music: Path, home: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="0 tracks with keys and 6 without"):
        train(request(music, home, tmp_path / "s.safetensors", model="semitone", options={"seconds": "3"}))


@pytest.mark.slow
def test_two_processes_train_as_one(music: Path, home: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    train(request(music, home, one, steps=5))
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "-m",
        "mirbench",
        "pretrain",
        "mt2",
    ]
    arguments = ["--audio", music, "--out", two, "--steps", "5", "--batch-size", "4", "-o", "depth=1", "--home", home]
    subprocess.run([*command, *map(str, arguments), "--device", "cpu"], check=True, timeout=300)
    expected = state(one)
    for name, tensor in state(two).items():
        assert torch.allclose(tensor, expected[name], atol=2e-3), name


def test_mel_frames_of_mt2_are_another_tracks_so_that_crops_cannot_be_read_off(music: Path, home: Path) -> None:
    from mirbench_mt2.pretraining import Mt2Objective
    from mirbench_ssl.frontends import mel_of

    objective = Mt2Objective({"depth": "1", "frames": "126", "alone": "0"})
    seen: list[torch.Tensor] = []
    objective.network.mel_branch.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    batch = segments(music, home).batch(0, 4)
    objective(batch, 0)
    own = mel_of(batch.first)
    first, moved, second = seen[0].chunk(3)
    assert torch.equal(first, own[[3, 0, 1, 2]])
    assert torch.equal(moved, first)
    assert torch.equal(second, mel_of(batch.second)[[3, 0, 1, 2]])


@pytest.fixture(scope="module")
def renderings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pieces at two transpositions each, and a track that is no rendering."""
    folder = write_tracks(tmp_path_factory.mktemp("renderings"), n=5)
    for number, name in enumerate(("a__+0", "a__+1", "b__-2", "b__+3", "alone")):
        (folder / f"{number}.wav").rename(folder / f"{name}.wav")
    return folder


def test_the_partner_of_a_segment_may_be_another_rendering_of_known_transposition(renderings: Path, home: Path) -> None:
    corpus = open_corpus(request(renderings, home, home / "unused"), MT2_FRONT_END, print)
    drawn = Segments(corpus.tracks, 126, MT2_FRONT_END.frame_rate, 0, related=0.5)
    seen = set()
    for step in range(40):
        batch = drawn.batch(step, 4)
        for name, relation in zip(batch.names[:2], batch.relation[:2].tolist(), strict=True):
            files = [part.split(".wav")[0] for part in name.split("/") if ".wav" in part]
            seen.add((files[0], files[-1], relation))
        assert batch.relation[2:].tolist() == [0, 0]
    assert seen == {
        ("a__+0", "a__+1", 1), ("a__+1", "a__+0", -1), ("b__-2", "b__+3", 5), ("b__+3", "b__-2", -5),
        ("alone", "alone", 0),
    }  # fmt: skip


@pytest.mark.parametrize("model", ["mt2", "vit1d-equivariant"])
def test_a_training_on_renderings_of_known_transposition(
    model: str, renderings: Path, home: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"{model}.safetensors"
    train(request(renderings, home, out, model=model, steps=10, options={**SHALLOW, "related": "0.5"}))
    [line] = (json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines())
    assert 0 <= line["concentration"] <= 1
    assert read_header(out).configuration["related"] == "0.5"


def test_a_network_that_represents_the_crop_is_stopped(
    music: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On few tracks in neighbouring keys, the phase is the same for all music."""
    monkeypatch.setattr(training, "STEPS_OF_GRACE", 10)
    monkeypatch.setattr(training, "LARGEST_CONCENTRATION", 0.0)
    with pytest.raises(
        TrainingError, match=r"the concentration of the profiles is 0\.\d\d at step 10, expected at most"
    ):
        train(request(music, home, tmp_path / "stopped.safetensors", steps=20))
