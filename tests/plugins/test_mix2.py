"""Mix2: the network, the formulas of its losses, a training that is chosen on validation."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import mirbench_mix2
from mirbench import Clip
from mirbench.errors import TrainingError, WeightsError
from mirbench.plugins import Plugins
from mirbench.specs import PretrainRequest
from mirbench_mix2 import load_from, pretraining
from mirbench_mix2.encoder import load
from mirbench_mix2.network import N_DIMS, MobileNet, pooled
from mirbench_mix2.pretraining import MIXES, Mix2Objective, masked, train
from mirbench_ssl import training
from mirbench_ssl.segments import Batch
from mirbench_ssl.weights import read_header

OPTIONS = {"mix": "none", "labels": "weighted"}
SMALL = {"bands": "32", "hop": "256"}


def test_the_network_has_the_published_number_of_parameters():
    """2,971,664 in github.com/ilyassmoummad/Mix2 @5734179, of torchvision's MobileNetV3-Large with one channel."""
    network = MobileNet().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_971_664
    frames = network(torch.zeros(2, 64, 188))
    assert frames.shape == (2, N_DIMS, 6)
    assert pooled(frames).shape == (2, N_DIMS)


def batch_of(n: int, n_labels: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(0)
    levels = -40 * torch.rand(n, 33, 96, generator=generator)
    labels = tuple((torch.rand(n_labels, generator=generator) < 0.4).numpy().astype(np.float32) for _ in range(n))
    still = torch.zeros(n, dtype=torch.int64)
    return Batch(levels, levels, still, still, still, labels, ("",) * n)


@pytest.mark.parametrize("mix", MIXES)
def test_every_mix_has_a_loss_and_gradients(mix):
    torch.manual_seed(0)
    objective = Mix2Objective({**OPTIONS, "mix": mix}, 4)
    loss = objective(batch_of(6), 0)["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    assert objective.head.weight.grad.abs().sum() > 0
    assert objective.network.features[0].weight.grad.abs().sum() > 0


def test_the_mixed_loss_is_the_mixture_of_the_losses():
    """The formula of the paper, share by share: lam BCE(f(x'), y) + (1 - lam) BCE(f(x'), y')."""
    objective = Mix2Objective({**OPTIONS, "mix": "manifold"}, 3)
    rows, labels = torch.randn(50, 5), (torch.rand(50, 3) < 0.4).float()
    torch.manual_seed(1)
    mixed, soft = objective._in_pairs(rows, labels)
    torch.manual_seed(1)
    order, share = torch.randperm(50), torch.rand(50)
    torch.testing.assert_close(mixed, share[:, None] * rows + (1 - share[:, None]) * rows[order])
    logits = torch.randn(50, 3)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    of_both = [entropy(logits, each, reduction="none") for each in (labels, labels[order])]
    expected = (share[:, None] * of_both[0] + (1 - share[:, None]) * of_both[1]).mean()
    torch.testing.assert_close(entropy(logits, soft), expected)
    union = Mix2Objective({**OPTIONS, "mix": "mixup", "labels": "union"}, 3)._in_pairs(rows, labels)[1]
    assert set(union.unique().tolist()) == {0.0, 1.0}


def test_the_share_belongs_to_a_clip_and_not_to_a_mel_band():
    """The defect of the released code: as many bands as clips, and the shares follow the bands."""
    objective = Mix2Objective({**OPTIONS, "mix": "mixup"}, 3)
    rows = torch.arange(8.0)[:, None, None].expand(8, 8, 5)
    mixed, _ = objective._in_pairs(rows, torch.zeros(8, 3))
    assert torch.equal(mixed, mixed[:, :1, :1].expand(8, 8, 5))


def test_masks_silence_bands_and_frames_of_all_clips_alike():
    torch.manual_seed(0)
    found = masked(torch.ones(3, 64, 188))
    assert torch.equal(found[0], found[2])
    assert 0 < (found == 0).float().mean() < 0.8
    assert found.shape == (3, 64, 188)


@pytest.mark.parametrize("seconds", [0.7, 3.0, 10.0])
def test_the_encoder_puts_frames_half_a_second_apart(seconds):
    encoder = load("cpu", None)
    audio = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * 16000)).astype(np.float32)
    features = encoder.encode(audio)
    assert features.frames.shape[0] == 1
    assert features.frames.shape[2] == N_DIMS
    np.testing.assert_allclose(np.diff(features.times), 32 * 128 / 16000)
    assert features.tokens["embedding"].shape == (1, N_DIMS)
    assert features.times[-1] < seconds


def write_clips(folder: Path, split: str, n: int) -> tuple[Clip, ...]:
    """Tones of 800 and 2,400 Hz in noise; a clip has none, one or both."""
    time = np.arange(48000) / 16000
    clips = []
    for number in range(n):
        label = np.array([number % 2, number // 2 % 2], dtype=np.float32)
        tones = label[0] * np.sin(2 * np.pi * 800 * time) + label[1] * np.sin(2 * np.pi * 2400 * time)
        audio = 0.2 * tones + 0.02 * np.random.default_rng(number).standard_normal(48000)
        path = folder / f"{split}{number}.wav"
        soundfile.write(path, audio.astype(np.float32), 16000)
        clips.append(Clip(path.stem, path, split, path.stem, label))
    return tuple(clips)


def request(folder: Path, **changes: object) -> PretrainRequest:
    given = {
        "model": "mix2", "audio": (), "clips": write_clips(folder, "train", 8), "out": folder / "m.safetensors",
        "valid_clips": write_clips(folder, "valid", 4), "home": folder / "home", "steps": 6, "batch_size": 4,
        "options": SMALL, **changes,
    }  # fmt: skip
    return PretrainRequest(**given)


def test_the_state_that_is_best_on_validation_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "STEPS_BETWEEN_LINES", 2)
    monkeypatch.setattr(training, "STEPS_BETWEEN_VALIDATIONS", 2)
    validations = iter([0.5, 0.2, 0.7])
    states = []

    def validation(self, tracks):
        states.append({name: value.clone() for name, value in self.network.state_dict().items()})
        assert len(tracks) == 4
        return next(validations)

    monkeypatch.setattr(Mix2Objective, "validation", validation)
    train(request(tmp_path))
    header = read_header(tmp_path / "m.safetensors")
    assert (header.training["validation"], header.training["step"], header.steps) == (0.2, 4, 6)
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert [line["validation"] for line in lines] == [0.5, 0.2, 0.7]
    kept = load("cpu", tmp_path / "m.safetensors").network.state_dict()
    name = "features.0.weight"
    torch.testing.assert_close(kept[name], states[1][name].half().float())
    assert not torch.equal(states[1][name], states[2][name])


def test_weights_with_an_absurd_size_are_refused(tmp_path):
    train(request(tmp_path, steps=2, options={"bands": "16", "hop": "512"}))
    content = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "bad.safetensors").write_bytes(content.replace(b'\\"bands\\": \\"16\\"', b'\\"bands\\": \\"0!\\"'))
    with pytest.raises(WeightsError, match="bands '0!' in its header; expected 1 to 4096"):
        load_from("cpu", tmp_path / "bad.safetensors")


def test_a_training_without_validation_clips_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="chosen on 0 validation clips; give --dataset NAME or --data FILE"):
        train(request(tmp_path, valid_clips=()))


@pytest.mark.slow
def test_it_learns_the_labels_of_tones(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "STEPS_BETWEEN_VALIDATIONS", 10)
    train(request(tmp_path, steps=60, options={**SMALL, "mix": "mix2"}))
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert min(line["validation"] for line in lines if "validation" in line) < 0.1
    assert pretraining.SHARES["manifold"] == 0.5


def test_it_is_not_offered_to_all_as_long_as_no_weights_ship():
    spec = Plugins().encoders["mix2"]
    ships = (Path(mirbench_mix2.__file__).parent / "weights" / "mix2.safetensors").is_file()
    assert (spec.missing() is None) == ships
