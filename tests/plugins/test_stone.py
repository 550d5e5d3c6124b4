"""STONE and S-KEY: the networks, the published weights, calibration, and `mirbench key`."""

import csv
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.nn import functional

from mirbench.errors import WeightsError
from mirbench.files import content_hash
from mirbench_ssl.frontends import STONE_FRONT_END, crop, vqt_of
from mirbench_ssl.segments import Batch
from mirbench_ssl.weights import Header, shipped_weights, write_weights
from mirbench_stone import WEIGHTS
from mirbench_stone.calibration import calibrate, chord, key_names
from mirbench_stone.encoder import load
from mirbench_stone.network import CHANNELS, KERNELS, MIN_FRAMES, OUTPUTS, ChromaNet, octave_pooled
from mirbench_stone.pretraining import SkeyObjective
from mirbench_stone.published import CALIBRATION, NUMPY_SCALARS, load_published
from mirbench_stone.published import PUBLISHED as PUBLISHED_FILES
from tests.samples import SHARED

PUBLISHED = SHARED / "weights" / "skey.pt"
RATE = STONE_FRONT_END.sample_rate
HAS_WEIGHTS = all((WEIGHTS / f"{model}.safetensors").is_file() for model in ("stone", "skey"))


@pytest.mark.parametrize(("n_outputs", "n_parameters"), [(12, 89_952), (24, 47_284)])
def test_the_networks_have_the_published_numbers_of_parameters(n_outputs: int, n_parameters: int) -> None:
    network = ChromaNet(n_outputs)  # type: ignore[arg-type]
    assert sum(parameter.numel() for parameter in network.parameters()) == n_parameters
    assert network(torch.rand(2, 84, MIN_FRAMES)).shape == (2, n_outputs)


def test_fifteen_seconds_become_five_frames_and_short_clips_are_refused() -> None:
    network = ChromaNet(24).eval()
    lengths = [stage.shape[1] for stage in network.activations(torch.rand(1, 84, 646))]
    assert lengths == [323, 161, 80, 40, 20, 10, 5]
    with pytest.raises(ValueError, match="127 frames; expected 128"):
        network(torch.rand(1, 84, 127))


def test_the_octave_pool_averages_bins_twelve_apart() -> None:
    values = torch.arange(84.0).reshape(1, 1, 84, 1)
    assert octave_pooled(values)[0, 0, :, 0].tolist() == [q + 36.0 for q in range(12)]


def test_the_24_way_network_moves_with_its_input_away_from_the_edges() -> None:
    torch.manual_seed(0)
    network = ChromaNet(24).eval()
    spectrogram = torch.zeros(1, 99, 128)
    spectrogram[:, 44:56] = torch.rand(1, 12, 128)
    heard = [network.activations(crop(spectrogram, start))[2] for start in (3, 7)]
    assert torch.allclose(heard[0][:, :, 20:70], heard[1][:, :, 16:66], atol=1e-5)
    assert heard[0].std() > 1e-3


CADENCE = ((0, 4, 7), (9, 12, 16), (2, 5, 9), (7, 11, 14, 17))  # I vi ii V7: all seven notes, and in one key only


def progression(transposition: int, seconds: float = 16.0) -> np.ndarray:
    """A cadence in A, a chord a second, of harmonic tones."""
    time = np.arange(RATE) / RATE
    bars = []
    for chord_tones in CADENCE:
        tones = [
            np.sin(2 * np.pi * 110 * 2 ** ((tone + transposition) / 12 + octave) * number * time) / number
            for tone in chord_tones
            for octave in range(3)
            for number in range(1, 6)
        ]
        bars.append(np.sum(tones, axis=0) * np.exp(-time / 0.6))
    audio = np.tile(np.concatenate(bars), int(seconds / 4))
    return (audio / np.abs(audio).max()).astype(np.float32)


@pytest.mark.skipif(not HAS_WEIGHTS, reason="no weights in this checkout")
@pytest.mark.parametrize("model", ["stone", "skey"])
def test_transposing_rendered_audio_moves_the_shipped_network_by_as_much(model: str) -> None:
    encoder = load(model, "cpu", shipped_weights(WEIGHTS, model))
    signatures = {k: encoder.posteriors(progression(k)).reshape(-1, 12).sum(axis=0) for k in range(-6, 6)}
    for k, moved in signatures.items():
        similarity = [float(moved @ np.roll(signatures[0], by)) for by in range(12)]
        assert int(np.argmax(similarity)) == k % 12
        assert np.abs(moved - np.roll(signatures[0], k)).max() < 0.25


@pytest.mark.skipif(not HAS_WEIGHTS, reason="no weights in this checkout")
def test_the_shipped_s_key_names_the_key_of_a_progression() -> None:
    encoder = load("skey", "cpu", shipped_weights(WEIGHTS, "skey"))
    names = key_names(encoder.header.calibration)
    assert names[int(encoder.posteriors(progression(0)).argmax())] == "A major"
    assert names[int(encoder.posteriors(progression(3)).argmax())] == "C major"


def test_calibration_finds_the_class_of_the_reference() -> None:
    class Rolled(torch.nn.Module):
        """The chroma, read from its fifth class on; the minor channel three further."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, views: torch.Tensor) -> torch.Tensor:
            chroma = views.mean(-1).unflatten(1, (7, 12)).mean(1)
            triad = {mode: sum(chroma.roll(-step, 1) for step in (0, third, 7)) for mode, third in (("+", 4), ("-", 3))}
            return torch.cat([triad["+"].roll(5, 1), triad["-"].roll(8, 1)], dim=1)

    assert calibrate(Rolled()) == {"major": (3 + 5) % 12, "minor": 12 + (3 + 8) % 12}  # C is three bins above A


def test_key_names_are_those_of_mir_eval() -> None:
    from mir_eval.key import validate_key

    names = key_names(CALIBRATION)
    assert names[CALIBRATION["major"]] == "C major"
    assert names[CALIBRATION["minor"]] == "C minor"
    assert len(set(names)) == 24
    for name in names:
        validate_key(name)


@pytest.mark.shared
def test_the_published_weights_give_the_published_probabilities() -> None:
    encoder = load("skey", "cpu", PUBLISHED)
    golden = json.loads((SHARED / "golden" / "skey.json").read_text())["clips"]
    assert len(golden) > 5
    for clip in golden:
        audio, rate = soundfile.read(SHARED / "data/librosa_data/audio" / clip["file"], dtype="float32", always_2d=True)
        assert rate == RATE
        found = encoder.posteriors(np.ascontiguousarray(audio.mean(axis=1)))
        assert np.abs(found - np.array(clip["probabilities"])).max() < 1e-4, clip["file"]


@pytest.mark.shared
def test_one_synthesised_chord_a_mode_calibrates_the_published_weights_as_their_authors_did() -> None:
    network = ChromaNet(24)
    header = load_published(PUBLISHED, "skey", network)
    assert calibrate(network.eval()) == CALIBRATION == header.calibration
    assert "MIT" in header.license


@pytest.mark.shared
@pytest.mark.parametrize("model", ["stone", "semitone"])
def test_a_published_checkpoint_is_read_as_what_it_is(model: str) -> None:
    with pytest.raises(WeightsError, match=f"weights of 'skey', not of '{model}'; use --encoder skey@"):
        load(model, "cpu", PUBLISHED)


def published_state(n_outputs: int) -> dict[str, torch.Tensor]:
    """Random weights, named and laid out as in the checkpoints of deezer/stone and deezer/skey."""
    torch.manual_seed(1)
    state: dict[str, torch.Tensor] = {}
    before = 1
    for number, (channels, kernel) in enumerate(zip(CHANNELS, KERNELS, strict=True)):
        halve, block = f"time_downsampling_blocks.{number}", f"convnext_blocks.{number}"
        shapes = {
            f"{halve}.conv.weight": (channels, before, 1, 2),
            f"{halve}.conv.bias": (channels,),
            f"{block}.dwconv.weight": (channels, 1, kernel, kernel),
            f"{block}.dwconv.bias": (channels,),
            f"{block}.pwconv1.weight": (4 * channels, channels),
            f"{block}.pwconv1.bias": (4 * channels,),
            f"{block}.pwconv2.weight": (channels, 4 * channels),
            f"{block}.pwconv2.bias": (channels,),
            f"{block}.gamma": (channels,),
        }
        if n_outputs == 12:
            for name, width in ((halve, before), (block, channels)):
                shapes |= {f"{name}.norm.weight": (84, width), f"{name}.norm.bias": (84, width)}
        state |= {name: torch.randn(shape) / np.sqrt(np.prod(shape[1:])) for name, shape in shapes.items()}
        before = channels
    state |= {
        "classifier.weight": torch.randn(n_outputs // 12, 3, 1, 1),
        "classifier.bias": torch.randn(n_outputs // 12),
    }
    if n_outputs == 24:
        state |= {"batch_norm.running_mean": torch.randn(2), "batch_norm.running_var": torch.rand(2) + 0.5}
        state["batch_norm.num_batches_tracked"] = torch.tensor(3)
    return {f"chromanet.{name}": tensor for name, tensor in state.items()}


def as_published(state: dict[str, torch.Tensor], spectrogram: torch.Tensor) -> torch.Tensor:
    """The network of deezer/stone, src/stone12/model: [batch, channel, bin, time]."""
    state = {name.removeprefix("chromanet."): tensor for name, tensor in state.items()}
    x = spectrogram[:, None]

    def normalised(x: torch.Tensor, name: str) -> torch.Tensor:
        moved = x.permute(0, 3, 2, 1)
        moved = functional.layer_norm(moved, moved.shape[2:], state[f"{name}.norm.weight"], state[f"{name}.norm.bias"])
        return moved.permute(0, 3, 2, 1)

    for number, kernel in enumerate(KERNELS):
        halve, block = f"time_downsampling_blocks.{number}", f"convnext_blocks.{number}"
        x = normalised(x, halve)
        x = functional.gelu(functional.conv2d(x, state[f"{halve}.conv.weight"], state[f"{halve}.conv.bias"], (1, 2)))
        padded = functional.pad(x, (kernel // 2,) * 4, mode="replicate")
        y = functional.conv2d(padded, state[f"{block}.dwconv.weight"], state[f"{block}.dwconv.bias"], groups=x.shape[1])
        y = normalised(y, block).permute(0, 2, 3, 1)
        y = functional.gelu(functional.linear(y, state[f"{block}.pwconv1.weight"], state[f"{block}.pwconv1.bias"]))
        y = functional.linear(y, state[f"{block}.pwconv2.weight"], state[f"{block}.pwconv2.bias"])
        x = x + (state[f"{block}.gamma"] * y).permute(0, 3, 1, 2)
    x = x.unflatten(2, (-1, 12)).mean(dim=(2, 4))
    return functional.conv1d(x, state["classifier.weight"][..., 0], state["classifier.bias"]).flatten(1)


def test_a_checkpoint_of_stone_is_read_with_its_scales(tmp_path: Path) -> None:
    state = published_state(12)
    torch.save({"stone": state, "epoch": 50}, tmp_path / "stone.pt")
    encoder = load("stone", "cpu", tmp_path / "stone.pt")
    assert encoder.header.calibration == {}
    spectrogram = torch.rand(2, 84, 200)
    with torch.inference_mode():
        expected = as_published(state, spectrogram)
        assert expected.std() > 1e-2
        assert torch.allclose(encoder.network(spectrogram), expected, atol=1e-4)


@pytest.mark.parametrize(("n_outputs", "model", "named"), [(12, "skey", "stone@"), (24, "stone", "skey@")])
def test_a_checkpoint_of_another_number_of_classes_is_refused(
    tmp_path: Path, n_outputs: int, model: str, named: str
) -> None:
    torch.save({"stone": published_state(n_outputs)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=rf"other\.pt: {n_outputs} classes, '{model}' has .*--encoder {named}"):
        load(model, "cpu", tmp_path / "other.pt")


def pretend_published(monkeypatch: pytest.MonkeyPatch, path: Path, model: str) -> None:
    """Let a file pass for the published one of a model."""
    [known] = [each for each in PUBLISHED_FILES.values() if each.model == model]
    monkeypatch.setitem(PUBLISHED_FILES, content_hash(path), known)


def test_the_classes_of_the_published_semi_tone_are_those_of_its_code() -> None:
    [known] = [each for each in PUBLISHED_FILES.values() if each.model == "semitone"]
    names = key_names(known.calibration)
    assert [names[index] for index in (0, 10, 12, 22)] == ["B minor", "A minor", "D major", "C major"]
    assert len(set(names)) == 24


def test_published_files_are_calibrated_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n_outputs, model, expected in ((12, "stone", {"signature": 2}), (24, "semitone", {"major": 22, "minor": 1})):
        path = tmp_path / f"{model}.pt"
        torch.save({"stone": published_state(n_outputs)}, path)
        assert load(model, "cpu", path).header.calibration == {}
        pretend_published(monkeypatch, path, model)
        assert load(model, "cpu", path).header.calibration == expected


def test_key_names_the_classes_of_semi_tone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, songs: Path, mirbench: Callable[..., tuple[int, str, str]]
) -> None:
    path = tmp_path / "semitone.pt"
    torch.save({"stone": published_state(24)}, path)
    pretend_published(monkeypatch, path, "semitone")
    code, out, err = mirbench("key", songs / "a.wav", "--checkpoint", path, "--format", "json")
    assert code == 0, err
    encoder = load("semitone", "cpu", path)
    audio, _ = soundfile.read(songs / "a.wav", dtype="float32")
    expected = int(encoder.posteriors(audio).argmax())
    known = next(each for each in PUBLISHED_FILES.values() if each.model == "semitone")
    assert json.loads(out)["keys"][0]["key"] == key_names(known.calibration)[expected]


@pytest.mark.parametrize(("n_outputs", "message"), [(12, "12 classes"), (24, "contradict each other")])
def test_key_names_nothing_by_unknown_weights(
    tmp_path: Path, songs: Path, mirbench: Callable[..., tuple[int, str, str]], n_outputs: int, message: str
) -> None:
    torch.save({"stone": published_state(n_outputs)}, tmp_path / "unknown.pt")
    code, out, err = mirbench("key", songs / "a.wav", "--checkpoint", tmp_path / "unknown.pt")
    assert code == 1
    assert not out
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.shared
def test_unknown_weights_whose_answers_agree_are_calibrated_by_chords(
    tmp_path: Path, songs: Path, mirbench: Callable[..., tuple[int, str, str]]
) -> None:
    with torch.serialization.safe_globals(NUMPY_SCALARS):
        content = torch.load(PUBLISHED, weights_only=True, map_location="cpu")
    state = content["stone"]
    for name, tensor in state.items():
        if "classifier" in name or "batch_norm.running" in name:
            state[name] = tensor.flip(0)  # minor comes first
    torch.save({"stone": state}, tmp_path / "flipped.pt")
    code, out, err = mirbench("key", songs / "a.wav", songs / "more", "--checkpoint", tmp_path / "flipped.pt")
    assert code == 0
    assert "not a known file; its classes are named after synthesised chords" in err
    assert "not a known file" not in mirbench("key", songs / "a.wav", songs / "more", "--checkpoint", PUBLISHED)[2]
    assert out == mirbench("key", songs / "a.wav", songs / "more", "--checkpoint", PUBLISHED)[1]


class Malicious:
    """Would create a file where unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    path, evidence = tmp_path / "evil.pt", tmp_path / "evidence"
    torch.save({"stone": {"weight": Malicious(evidence)}}, path)
    with pytest.raises(WeightsError, match=r"evil\.pt: not a checkpoint of the published code"):
        load("skey", "cpu", path)
    path.write_bytes(pickle.dumps(Malicious(evidence), protocol=2))
    with pytest.raises(WeightsError, match="not a checkpoint"):
        load("skey", "cpu", path)
    assert not evidence.exists()


@pytest.mark.parametrize("content", [{}, {"stone": {}}, {"stone": {"classifier.weight": torch.zeros(2, 3, 1, 1)}}, []])
def test_another_checkpoint_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="not a checkpoint of the published code"):
        load("skey", "cpu", tmp_path / "other.pt")


@pytest.mark.parametrize("model", OUTPUTS)
def test_posteriors_are_probabilities_also_of_short_and_silent_clips(model: str) -> None:
    encoder = load(model, "cpu", None)
    for audio in (chord("major")[: RATE // 2], np.zeros(RATE, dtype=np.float32), chord("minor")):
        features = encoder.encode(audio)
        posteriors = features.tokens["posteriors"]
        assert posteriors.shape == (1, OUTPUTS[model])
        assert posteriors.sum() == pytest.approx(1, abs=1e-5)
        assert np.allclose(posteriors[0], encoder.posteriors(audio))


def test_deeper_layers_repeat_their_frames_on_one_grid() -> None:
    encoder = load("skey", "cpu", None)
    features = encoder.encode(chord("major"))
    n_frames = len(features.times)
    assert features.frames.shape == (5, n_frames, 480)
    assert np.allclose(np.diff(features.times), 8 * 512 / RATE)
    deepest = features.frames[4]
    assert np.array_equal(deepest[0], deepest[15])
    assert not np.array_equal(deepest[15], deepest[16])
    assert not deepest[:, 36:].any()


def test_levels_of_a_track_are_what_the_encoder_hears() -> None:
    audio = chord("major")
    encoder = load("skey", "cpu", None)
    levels = torch.from_numpy(STONE_FRONT_END.levels(audio).T[None].copy())
    with torch.inference_mode():
        scores = encoder.network(crop(vqt_of(levels)))
    assert np.allclose(scores.softmax(-1)[0].numpy(), encoder.posteriors(audio), atol=1e-5)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "trained.safetensors"
    write_weights(path, ChromaNet(24), Header(model="skey", calibration=CALIBRATION))
    return path


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    (folder / "more").mkdir(parents=True)
    for name, mode in (("a", "major"), ("more/b", "minor")):
        soundfile.write(folder / f"{name}.wav", chord(mode), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF of nothing")
    return folder


def test_key_prints_a_line_a_file_and_names_what_it_cannot_read(
    weights: Path, songs: Path, mirbench: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = mirbench("key", songs, "--checkpoint", weights)
    assert code == 1
    assert "broken.wav" in err
    names = set(key_names(CALIBRATION))
    lines = [line.split("\t") for line in out.splitlines()]
    assert [Path(path).name for path, _ in lines] == ["a.wav", "b.wav"]
    assert all(key.rsplit(" (", 1)[0] in names for _, key in lines)


def test_key_writes_csv_and_json(weights: Path, songs: Path, mirbench: Callable[..., tuple[int, str, str]]) -> None:
    arguments = ("key", songs / "a.wav", "--checkpoint", weights, "--top", 24)
    code, out, _ = mirbench(*arguments, "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 24
    probabilities = [float(row["probability"]) for row in rows]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=2e-3)
    _, out, _ = mirbench(*arguments, "--format", "json")
    assert [found["key"] for found in json.loads(out)["keys"]] == [row["key"] for row in rows]


def test_key_refuses_weights_whose_classes_have_no_names(
    tmp_path: Path, songs: Path, mirbench: Callable[..., tuple[int, str, str]]
) -> None:
    path = tmp_path / "bare.safetensors"
    write_weights(path, ChromaNet(24), Header(model="skey"))
    code, _, err = mirbench("key", songs / "a.wav", "--checkpoint", path)
    assert code == 1
    assert "not calibrated" in err


@pytest.mark.shared
def test_key_names_the_key_of_a_recording(mirbench: Callable[..., tuple[int, str, str]]) -> None:
    files = sorted((SHARED / "data/librosa_data/audio").glob("*.ogg"))[:3]
    code, out, _ = mirbench("key", *files, "--checkpoint", PUBLISHED)
    assert code == 0
    assert len(out.splitlines()) == 3


def test_s_key_weighs_four_terms_and_begins_with_the_signature() -> None:
    options = {"omega": "7", "alone": "10", "sharpness": "0", "weights": "paper", "relative": "-3", "anchor": "2"}
    levels = torch.rand(4, 100, 700, generator=torch.Generator().manual_seed(0)) * 40 - 40
    crop, shift = torch.tensor([1, 9, 3, 4]), torch.tensor([1, -2, 3, 4])
    batch = Batch(levels, levels, crop, shift, torch.zeros_like(shift), (None,) * 4, ("",) * 4)
    for chroma in ("magnitudes", "decibels"):
        objective = SkeyObjective({**options, "chroma": chroma}).eval()
        for step, share in ((10, 0.0), (30, 0.5), (100, 1.0)):
            terms = {name: term.item() for name, term in objective(batch, step).items()}
            expected = terms["cpsd"] + share * (1.5 * terms["mode"] + 15 * terms["balance"]) + 2 * terms["anchor"]
            assert terms["loss"] == pytest.approx(expected)
