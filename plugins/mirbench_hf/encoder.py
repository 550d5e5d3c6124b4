"""Which adapter a model needs, by the type that its configuration names."""

from collections.abc import Callable
from typing import Any

from mirbench import Encoder
from mirbench.errors import WeightsError
from mirbench_hf import special
from mirbench_hub.hidden_states import HiddenStatesEncoder
from mirbench_hub.source import Source, require_transformers

SECONDS = 10.0  # of a window: no network here needs one length, and memory grows with its square
WAVEFORM = (
    "data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "wav2vec2-conformer", "wavlm",
)  # fmt: skip
SPECIAL: dict[str, Callable[[Source, str], Encoder]] = {
    "audio-spectrogram-transformer": special.load_ast,
    "clap": special.load_clap,
    "clap_audio_model": special.load_clap,
    "dac": special.load_codec,
    "encodec": special.load_codec,
    "whisper": special.load_whisper,
}


def load(device: str, reference: str, trust_remote_code: bool = False) -> Encoder:
    """Load a model.

    Parameters
    ----------
    reference
        A folder, or ORG/NAME of the hub, with @REVISION where wanted.
    trust_remote_code
        Whether code that lies beside the weights may run.

    Raises
    ------
    WeightsError
        If it cannot be had, or is of a type that is not known.
    """
    require_transformers("transformers")
    name, _, revision = reference.partition("@")
    source = Source(reference) if Source(reference).is_local else Source(name, revision or None, trust_remote_code)
    settings = source.configuration()
    kind = str(settings.get("model_type"))
    if kind in SPECIAL:
        return SPECIAL[kind](source, device)
    is_waveform = kind in WAVEFORM or (trust_remote_code and "conv_kernel" in settings)
    if not is_waveform:
        raise WeightsError(
            f"{source.name}: a model of type {kind!r}; expected one of {', '.join((*WAVEFORM, *sorted(SPECIAL)))}"
            f"{_about_remote_code(settings, trust_remote_code)}"
        )
    return _load_waveform(source, device)


def _about_remote_code(settings: dict[str, Any], trusted: bool) -> str:
    if "auto_map" not in settings or trusted:
        return ""
    return "; it brings code of its own, which --trust-remote-code would run"


def _load_waveform(source: Source, device: str) -> Encoder:
    from transformers import AutoFeatureExtractor, AutoModel

    extractor = source.load(AutoFeatureExtractor)
    network = source.load_network(AutoModel, may_be_missing={"masked_spec_embed"})
    return HiddenStatesEncoder(
        network,
        sample_rate=extractor.sampling_rate,
        kernels=network.config.conv_kernel,
        strides=network.config.conv_stride,
        normalises=bool(extractor.do_normalize),
        seconds=SECONDS,
        device=device,
    )
