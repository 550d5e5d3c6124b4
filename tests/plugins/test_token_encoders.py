"""ViT-1D and MT2: the networks, how they begin, and as encoders."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mirbench.encoders.references import find_encoder
from mirbench.errors import WeightsError
from mirbench.plugins import Plugins
from mirbench_mt2.encoder import Mt2Encoder
from mirbench_mt2.encoder import load as load_mt2
from mirbench_mt2.network import Mt2
from mirbench_ssl.transformer import INITIAL_GAIN, thinned
from mirbench_ssl.weights import Header, write_weights
from mirbench_vit1d.encoder import load as load_vit1d
from mirbench_vit1d.network import Vit1d


def n_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_networks_have_about_the_published_numbers_of_parameters() -> None:
    assert n_parameters(Vit1d(128)) == 5_388_352
    assert n_parameters(Vit1d(84, n_outputs=84)) == 5_396_028
    assert n_parameters(Mt2()) == 5_421_436
    assert n_parameters(Vit1d(128).transformer) == 5_338_752


def test_the_class_token_is_what_is_learned_and_the_mean_of_the_frames() -> None:
    network = Vit1d(128, depth=1)
    spectrogram = torch.rand(2, 128, 126)
    tokens, frames = network.tokens(spectrogram), network.branch(spectrogram)
    assert tokens.shape == (2, 127, 192)
    assert torch.allclose(tokens[:, 0], network.class_token + frames.mean(1) + network.positions[0], atol=1e-6)
    assert torch.allclose(tokens[:, 1:], frames + network.positions[1:])


def test_each_class_token_of_mt2_has_the_mean_of_its_own_branch() -> None:
    network = Mt2(depth=1)
    vqt, mel = torch.rand(2, 84, 126), torch.rand(2, 128, 126)
    tokens = network.tokens(vqt, mel)
    assert tokens.shape == (2, 128, 192)
    from_vqt, from_mel = network.vqt_branch(vqt), network.mel_branch(mel)
    first = network.equivariant_token + from_vqt.mean(1) + network.positions[0]
    second = network.contrastive_token + from_mel.mean(1) + network.positions[1]
    assert torch.allclose(tokens[:, 0], first, atol=1e-6)
    assert torch.allclose(tokens[:, 1], second, atol=1e-6)
    assert torch.allclose(tokens[:, 2:], from_vqt + from_mel + network.positions[2:], atol=1e-6)


def test_an_equivariant_head_begins_as_the_inverse_of_its_branch() -> None:
    network = Vit1d(84, depth=2, n_outputs=84)
    assert network.head is not None
    frame = torch.randn(5, 84, 1)
    normalised = torch.nn.functional.layer_norm(frame[..., 0], (84,))
    token = network.branch(frame)[:, 0]
    assert torch.allclose(network.head(token) - network.head.bias, INITIAL_GAIN * normalised, atol=1e-4)


def test_blocks_begin_by_adding_nothing() -> None:
    tokens = torch.randn(2, 10, 192)
    layers = Mt2(depth=3).transformer.layers(tokens)
    assert len(layers) == 4
    assert torch.equal(layers[0], layers[2])
    assert torch.allclose(layers[3], torch.nn.functional.layer_norm(tokens, (192,)), atol=1e-6)


def test_thinning_keeps_class_tokens_and_some_frames_of_each_example() -> None:
    tokens = torch.arange(128.0)[None, :, None].expand(3, 128, 2)
    torch.manual_seed(0)
    kept = thinned(tokens, 2, 24)[:, :, 0]
    assert kept.shape == (3, 26)
    assert kept[:, :2].tolist() == [[0, 1]] * 3
    assert all(len(set(row[2:].tolist()) - {0.0, 1.0}) == 24 for row in kept)
    assert kept[0].tolist() != kept[1].tolist()
    assert thinned(tokens, 2, 126) is tokens


@pytest.fixture
def mt2(tmp_path: Path) -> Path:
    """Weights of a network of two blocks, none of which is idle."""
    torch.manual_seed(0)
    network = Mt2(depth=2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    path = tmp_path / "mt2.safetensors"
    write_weights(path, network, Header(model="mt2", configuration={"depth": "2"}, steps=3, data={"names": ["mine"]}))
    return path


def test_the_encoder_has_the_depth_of_its_weights_and_says_what_they_are(mt2: Path) -> None:
    encoder = load_mt2("cpu", mt2)
    assert isinstance(encoder, Mt2Encoder)
    features = encoder.encode((0.1 * np.random.default_rng(0).standard_normal(16000 * 9)).astype(np.float32))
    assert features.frames.shape == (3, 282, 192)
    assert np.allclose(np.diff(features.times), 512 / 16000)
    assert set(features.tokens) == {"equivariant", "contrastive"}
    assert features.tokens["equivariant"].shape == (3, 192)
    assert "depth 2" in encoder.about["configuration"]
    assert "3 steps" in encoder.about["training"]


def test_the_fingerprint_is_that_of_the_weights(mt2: Path, tmp_path: Path) -> None:
    encoder, again, untrained = load_mt2("cpu", mt2), load_mt2("cpu", mt2), load_mt2("cpu", None)
    assert encoder.fingerprint == again.fingerprint != untrained.fingerprint
    assert untrained.fingerprint == load_mt2("cpu", None).fingerprint


def test_loudness_changes_nothing(mt2: Path) -> None:
    encoder = load_mt2("cpu", mt2)
    audio = (0.1 * np.random.default_rng(0).standard_normal(16000 * 4)).astype(np.float32)
    assert np.allclose(encoder.encode(audio).frames, encoder.encode(audio / 8).frames, atol=1e-3)


def test_weights_of_another_model_are_refused(mt2: Path) -> None:
    with pytest.raises(WeightsError, match="weights of 'mt2', not of 'vit1d'; use --encoder mt2@"):
        load_vit1d("vit1d", "cpu", mt2)


@pytest.mark.parametrize("name", ["mt2", "vit1d", "vit1d-equivariant"])
def test_the_untrained_network_is_as_large_as_the_one_that_ships(name):
    """It is the floor of the shipped weights: more blocks would give its probe more layers to choose from."""
    shipped, random = (find_encoder(Plugins().encoders, text, Path()).load("cpu") for text in (name, f"{name}@random"))
    assert random.n_parameters == shipped.n_parameters
    assert random.fingerprint != shipped.fingerprint
