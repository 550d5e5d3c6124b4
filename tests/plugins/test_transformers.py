"""Models of transformers, tiny and random, saved as published ones are; no network is needed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mirbench.encoders.references import find_encoder
from mirbench.errors import EncoderError, UsageError, WeightsError
from mirbench.plugins import Plugins
from mirbench.testing import checks_of

transformers = pytest.importorskip("transformers")
from transformers import (  # noqa: E402
    ASTConfig,
    ASTFeatureExtractor,
    ASTModel,
    ClapAudioConfig,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextConfig,
    DacConfig,
    DacModel,
    Data2VecAudioConfig,
    Data2VecAudioModel,
    EncodecConfig,
    EncodecFeatureExtractor,
    EncodecModel,
    HubertConfig,
    HubertModel,
    UniSpeechSatConfig,
    UniSpeechSatModel,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerModel,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")  # AST's, as published
ENCODERS = Plugins().encoders
WIDTHS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
TINY = {**WIDTHS, "conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
Saver = Callable[[Path], Any]


def save(folder: Path, network: Any, extractor: Any = None) -> Any:
    network.eval().save_pretrained(folder)
    if extractor is not None:
        extractor.save_pretrained(folder)
    return network


def waveform(config: Any, network: Any, sample_rate: int = 16000, normalises: bool = True) -> Saver:
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=sample_rate, do_normalize=normalises)
    return lambda folder: save(folder, network(config(**TINY)), extractor)


def save_clap(folder: Path) -> Any:
    audio = ClapAudioConfig(
        spec_size=128, num_mel_bins=16, patch_embeds_hidden_size=8, patch_size=4, patch_stride=(4, 4), depths=[1, 1],
        num_attention_heads=[2, 2], hidden_size=16, window_size=4, num_hidden_layers=2,
    )  # fmt: skip
    text = ClapTextConfig(vocab_size=50, **WIDTHS)
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=12)
    extractor = ClapFeatureExtractor(feature_size=16, sampling_rate=48000, hop_length=480, max_length_s=10)
    return save(folder, ClapModel(config), extractor)


SAVERS: dict[str, Saver] = {
    "hubert": waveform(HubertConfig, HubertModel),
    "wav2vec2": waveform(Wav2Vec2Config, Wav2Vec2ForCTC, normalises=False),
    "wavlm": waveform(WavLMConfig, WavLMModel),
    "data2vec-audio": waveform(Data2VecAudioConfig, Data2VecAudioModel),
    "wav2vec2-conformer": waveform(Wav2Vec2ConformerConfig, Wav2Vec2ConformerModel),
    "unispeech-sat": waveform(UniSpeechSatConfig, UniSpeechSatModel),
    "ast": lambda folder: save(folder, ASTModel(ASTConfig(**WIDTHS)), ASTFeatureExtractor()),
    "whisper": lambda folder: save(
        folder,
        WhisperModel(
            WhisperConfig(
                d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
                encoder_ffn_dim=24, decoder_ffn_dim=24, vocab_size=50, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                decoder_start_token_id=3, suppress_tokens=None, begin_suppress_tokens=None,
            )
        ),
        WhisperFeatureExtractor(),
    ),
    "clap": save_clap,
    "encodec": lambda folder: save(
        folder, EncodecModel(EncodecConfig(num_filters=4, hidden_size=16, codebook_size=16)), EncodecFeatureExtractor()
    ),
    "dac": lambda folder: save(
        folder, DacModel(DacConfig(encoder_hidden_size=4, decoder_hidden_size=32, n_codebooks=2, codebook_size=16))
    ),
}  # fmt: skip
FRAME_RATES = {"ast": 10.0, "clap": 12.8, "encodec": 75.0, "dac": 16000 / 512}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("models")
    return {name: (root / name, saver(root / name)) for name, saver in SAVERS.items()}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def load(reference: str, **options: Any) -> Any:
    return find_encoder(ENCODERS, reference, Path(), **options).load("cpu")


@pytest.mark.parametrize("name", SAVERS)
def test_every_kind_passes_the_conformance_checks(name: str, folders: dict[str, tuple[Path, Any]]) -> None:
    folder, _ = folders[name]
    problems = {
        check.name: check.problem()
        for check in checks_of(find_encoder(ENCODERS, f"hf:{folder}", Path()))
        if check.name != "check_alignment"  # a random network has no reason to change most where the sound changes
    }
    assert not {check: problem for check, problem in problems.items() if problem}


@pytest.mark.parametrize("name", SAVERS)
def test_frames_come_at_the_rate_of_the_configuration(name: str, folders: dict[str, tuple[Path, Any]]) -> None:
    encoder = load(f"hf:{folders[name][0]}")
    features = encoder.encode(np.random.default_rng(0).standard_normal(12 * encoder.sample_rate).astype(np.float32))
    assert 1 / np.diff(features.times)[0] == pytest.approx(FRAME_RATES.get(name, 50.0))


def reference_of(network: Any, audio: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        states = network(torch.from_numpy(audio)[None], output_hidden_states=True).hidden_states
    return torch.cat(states).numpy()


@pytest.mark.parametrize("seconds", [0.7, 5.0, 10.0])
@pytest.mark.parametrize("name", ["hubert", "wav2vec2", "wavlm", "data2vec-audio"])
def test_every_hidden_state_is_the_reference(name: str, seconds: float, folders: dict[str, tuple[Path, Any]]) -> None:
    folder, network = folders[name]
    audio = np.random.default_rng(1).normal(0.1, 0.3, round(seconds * 16000)).astype(np.float32)
    features = load(f"hf:{folder}").encode(audio)
    heard = audio if name == "wav2vec2" else (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
    base = network.wav2vec2 if name == "wav2vec2" else network
    np.testing.assert_allclose(features.frames, reference_of(base, heard), atol=1e-6)
    assert len(features.frames) == 3
    np.testing.assert_allclose(features.times, (np.arange(features.frames.shape[1]) * 320 + 200) / 16000)


def test_whisper_is_its_encoder(folders: dict[str, tuple[Path, Any]]) -> None:
    folder, network = folders["whisper"]
    audio = np.random.default_rng(1).normal(0, 0.3, 5 * 16000).astype(np.float32)
    heard = WhisperFeatureExtractor()(audio, sampling_rate=16000, return_tensors="pt").input_features
    with torch.inference_mode():
        states = network.encoder(heard, output_hidden_states=True).hidden_states
    features = load(f"hf:{folder}").encode(audio)
    np.testing.assert_allclose(features.frames, torch.cat(states)[:, :250].numpy(), atol=1e-5)


def test_clap_gives_the_published_embedding(folders: dict[str, tuple[Path, Any]]) -> None:
    folder, network = folders["clap"]
    audio = np.random.default_rng(1).normal(0, 0.3, 10 * 48000).astype(np.float32)
    extractor = ClapFeatureExtractor.from_pretrained(folder, truncation="rand_trunc", padding="repeatpad")
    heard = extractor(audio, sampling_rate=48000, return_tensors="pt").input_features
    with torch.inference_mode():
        found = network.get_audio_features(input_features=heard)
    expected = getattr(found, "pooler_output", found)
    given = torch.from_numpy(load(f"hf:{folder}").encode(audio).tokens["embedding"])
    similarity = torch.nn.functional.cosine_similarity(given, expected)
    assert float(similarity) == pytest.approx(1, abs=1e-5)


def test_a_codec_is_its_encoder(folders: dict[str, tuple[Path, Any]]) -> None:
    folder, network = folders["encodec"]
    audio = np.random.default_rng(1).normal(0, 0.3, 5 * 24000).astype(np.float32)
    with torch.inference_mode():
        expected = network.encoder(torch.from_numpy(audio)[None, None])[0].T
    np.testing.assert_allclose(load(f"hf:{folder}").encode(audio).frames[0], expected, atol=1e-5)


# MERT


def save_mert(folder: Path, **settings: Any) -> Any:
    """Save a HuBERT as MERT is published: its own type, code beside it, and the weights' old names."""
    network = HubertModel(HubertConfig(**TINY)).eval()
    network.save_pretrained(folder, safe_serialization=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in network.state_dict().items()
    }
    assert any(name.endswith("weight_g") for name in old)
    torch.save(old, folder / "pytorch_model.bin")
    config = {
        **HubertConfig(**TINY).to_diff_dict(),
        "model_type": "mert_model",
        "architectures": ["MERTModel"],
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
        "sample_rate": 24000,
        "feature_extractor_cqt": False,
        "deepnorm": False,
        "attention_relax": -1.0,
        **settings,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_MERT.py").write_text("raise SystemExit('remote code has run')\n")
    return network


@pytest.mark.parametrize("model", ["mert-95m", "mert-330m"])
def test_mert_is_hubert_at_24_khz(model: str, tmp_path: Path) -> None:
    network = save_mert(tmp_path / "mert")
    encoder = load(f"{model}@{tmp_path / 'mert'}")
    assert encoder.sample_rate == 24000
    for seconds in (3.0, 5.0):
        audio = np.random.default_rng(1).normal(0.1, 0.3, round(seconds * 24000)).astype(np.float32)
        features = encoder.encode(audio)
        heard = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
        np.testing.assert_allclose(features.frames, reference_of(network, heard), atol=1e-6)
    np.testing.assert_allclose(features.times[:2], [200 / 24000, 520 / 24000])
    assert features.frames.shape[1] == 374


def test_long_clips_go_through_mert_in_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_mert(tmp_path / "mert")
    encoder = load(f"mert-95m@{tmp_path / 'mert'}")
    lengths = []
    encode = encoder.encode_windows
    monkeypatch.setattr(encoder, "encode_windows", lambda windows: lengths.append(windows.shape) or encode(windows))
    audio = np.random.default_rng(1).normal(0.1, 0.3, 30 * 24000).astype(np.float32)
    [features] = encoder.encode_all([audio], batch_size=2)
    assert set(lengths) <= {(2, 120_000), (1, 120_000)}
    assert features.frames.shape[1] == pytest.approx(2249, abs=1)


@pytest.mark.parametrize(
    ("setting", "reason"), [("feature_extractor_cqt", "a constant-Q front end"), ("deepnorm", "DeepNorm")]
)
def test_mert_that_is_more_than_hubert_is_refused(setting: str, reason: str, tmp_path: Path) -> None:
    save_mert(tmp_path / "mert", **{setting: True})
    with pytest.raises(WeightsError, match=rf"{setting} is True \({reason}"):
        load(f"mert-95m@{tmp_path / 'mert'}")


def test_mert_without_some_of_its_weights_is_refused(tmp_path: Path) -> None:
    save_mert(tmp_path / "mert")
    path = tmp_path / "mert" / "pytorch_model.bin"
    weights = torch.load(path, weights_only=True)
    del weights["encoder.layers.1.attention.k_proj.weight"]
    torch.save(weights, path)
    with pytest.raises(WeightsError, match=r"1 weights are missing.*encoder\.layers\.1\.attention\.k_proj\.weight"):
        load(f"mert-95m@{tmp_path / 'mert'}")


def test_mert_with_weights_that_hubert_has_no_place_for_is_refused(tmp_path: Path) -> None:
    save_mert(tmp_path / "mert")
    path = tmp_path / "mert" / "pytorch_model.bin"
    torch.save({**torch.load(path, weights_only=True), "deep.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"1 weights are missing or do not fit HubertModel, such as deep\.weight"):
        load(f"mert-95m@{tmp_path / 'mert'}")


def test_mert_is_here_once_its_weights_are_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--m-a-p--MERT-v1-95M"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    for name, is_missing in (("config.json", True), ("pytorch_model.bin", False)):
        (folder / "snapshots" / "abc" / name).write_text("{}")
        assert (ENCODERS["mert-95m"].missing() is not None) is is_missing


def test_mert_untrained_has_the_published_size() -> None:
    first, second = load("mert-95m@random"), load("mert-95m@random")
    assert first.n_parameters == ENCODERS["mert-95m"].n_parameters == 94_371_712
    assert first.fingerprint == second.fingerprint


def test_mert_offline_says_what_to_run_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError) as caught:
        load("mert-95m")
    assert "hf download m-a-p/MERT-v1-95M --local-dir FOLDER" in str(caught.value)
    assert "--encoder mert-95m@FOLDER" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hf download m-a-p/MERT-v1-95M" in str(ENCODERS["mert-95m"].missing())


# What can go wrong


def test_the_family_itself_is_no_encoder() -> None:
    with pytest.raises(UsageError, match="a family; name one of it: hf:ORG/NAME"):
        find_encoder(ENCODERS, "hf", Path())
    with pytest.raises(UsageError, match="not a family"):
        find_encoder(ENCODERS, "chroma:x", Path())


def test_code_beside_weights_does_not_run_unless_the_user_says_so(tmp_path: Path) -> None:
    save_mert(tmp_path / "mert")
    with pytest.raises(WeightsError, match="type 'mert_model'.*brings code of its own, which --trust-remote-code"):
        load(f"hf:{tmp_path / 'mert'}")


def test_a_model_of_no_known_type_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match="type 'bert'; expected one of data2vec-audio, hubert"):
        load(f"hf:{tmp_path}")


def test_a_folder_without_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no config\.json there"):
        load(f"hf:{tmp_path}")


def test_what_is_neither_folder_nor_repository_is_named() -> None:
    with pytest.raises(WeightsError, match="neither a folder nor ORG/NAME"):
        load("hf:no/such/folder/at/all")


def test_a_network_without_hidden_states_is_an_error(folders: dict[str, tuple[Path, Any]]) -> None:
    encoder = load(f"hf:{folders['hubert'][0]}")
    encoder.network.forward = lambda *args, **kwargs: transformers.modeling_outputs.BaseModelOutput()
    with pytest.raises(EncoderError, match="no hidden states"):
        encoder.encode(np.zeros(16000, np.float32))


def test_the_cache_of_the_hub_is_used_offline(folders: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--org--tiny"
    shutil.copytree(folders["hubert"][0], repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    for name, code, said in (("org/tiny", 0, "sample rate: 16000 Hz"), ("org/other", 1, "hf download org/other")):
        done = subprocess.run(
            [sys.executable, "-m", "mirbench", "info", f"hf:{name}"], env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
        assert said in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
