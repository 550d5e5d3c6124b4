"""A module in the format of the HEAR benchmark."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mirbench.encoders.references import find_encoder
from mirbench.errors import EncoderError, UsageError, WeightsError
from mirbench.plugins import Plugins
from mirbench.testing import checks_of

ENCODERS = Plugins().encoders
MODULE = '''
import torch

class Model(torch.nn.Module):
    sample_rate = 16000
    scene_embedding_size = timestamp_embedding_size = 4

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(4))

def load_model(model_file_path=""):
    model = Model()
    if model_file_path:
        model.load_state_dict(torch.load(model_file_path, weights_only=True))
    return model

def get_timestamp_embeddings(audio, model):
    """Four loudnesses of every 50 ms."""
    blocks = audio[:, : audio.shape[1] // 800 * 800].reshape(len(audio), -1, 4, 200)
    embeddings = blocks.square().mean(-1) * model.gain
    times = (torch.arange(embeddings.shape[1]) + 0.5) * 50.0
    return embeddings, times.expand(len(audio), -1)

def get_scene_embeddings(audio, model):
    return get_timestamp_embeddings(audio, model)[0].mean(1)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "tiny_hear.py").write_text(MODULE)
    yield tmp_path
    for name in ("tiny_hear", "no_hear"):
        sys.modules.pop(name, None)


def test_it_passes_the_conformance_checks(folder: Path) -> None:
    spec = find_encoder(ENCODERS, "hear:tiny_hear", Path())
    assert spec.name == "hear:tiny_hear"
    for check in checks_of(spec):
        check()


def test_milliseconds_become_seconds(folder: Path) -> None:
    features = find_encoder(ENCODERS, "hear:tiny_hear", Path()).load("cpu").encode(np.ones(16000, np.float32))
    np.testing.assert_allclose(features.times[:2], [0.025, 0.075])
    np.testing.assert_allclose(features.tokens["scene"], np.ones((1, 4)))


def test_weights_are_given_to_the_module_and_part_of_the_fingerprint(folder: Path) -> None:
    import torch

    torch.save({"gain": torch.full((4,), 3.0)}, folder / "three.pt")
    plain = find_encoder(ENCODERS, "hear:tiny_hear", Path()).load("cpu")
    other = find_encoder(ENCODERS, f"hear:tiny_hear:{folder / 'three.pt'}", Path()).load("cpu")
    np.testing.assert_allclose(other.encode(np.ones(1600, np.float32)).frames, 3)
    assert plain.fingerprint != other.fingerprint
    assert other.n_parameters == 4


def test_what_can_go_wrong_is_said(folder: Path) -> None:
    def load(reference: str) -> None:
        find_encoder(ENCODERS, f"hear:{reference}", Path()).load("cpu")

    with pytest.raises(UsageError, match="cannot be imported.*is its package installed"):
        load("no_such_module_at_all")
    (folder / "no_hear.py").write_text("def load_model(): pass")
    with pytest.raises(UsageError, match="has no get_timestamp_embeddings, get_scene_embeddings"):
        load("no_hear")
    with pytest.raises(WeightsError, match="no such file or folder 'missing.pt'"):
        load("tiny_hear:missing.pt")


def test_shapes_of_another_kind_are_an_error(folder: Path) -> None:
    (folder / "no_hear.py").write_text(
        f"{MODULE}\ndef get_scene_embeddings(audio, model):\n    return torch.zeros(4)\n"
    )
    encoder = find_encoder(ENCODERS, "hear:no_hear", Path()).load("cpu")
    with pytest.raises(EncoderError, match=r"a scene \(4,\); expected .* \[1, dim\]"):
        encoder.encode(np.ones(1600, np.float32))
