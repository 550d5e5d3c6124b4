"""MERT as plain HuBERT.

Its published loading runs code that lies beside the weights, which fails with transformers 4.48 and later, and with 5
returns no hidden states without a word. But the public models are HuBERT in all but name and sample rate, and
`transformers.HubertModel` gives the same numbers.
"""

from pathlib import Path
from typing import Any

from mirbench.errors import WeightsError
from mirbench_hub.hidden_states import HiddenStatesEncoder
from mirbench_hub.source import Source, require_transformers

SECONDS = 5.0  # of a window: what MERT was trained on
SAMPLE_RATE = 24000
EXTRA = "mert"
# What the code beside the weights would do otherwise than HuBERT; both public models have it off.
UNSUPPORTED = {
    "feature_extractor_cqt": "a constant-Q front end beside the waveform",
    "deepnorm": "DeepNorm residual connections",
}
UNLIKE_HUBERT = ("auto_map", "model_type", "architectures", "transformers_version")
# github.com/yizhilll/MERT, scripts/hf_config; what is not named is HuBERT's default.
PUBLISHED: dict[str, dict[str, Any]] = {
    "mert-95m": {"feat_proj_layer_norm": True, "feat_extract_norm": "group"},
    "mert-330m": {
        "feat_extract_norm": "group",
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "do_stable_layer_norm": True,
    },
}


def load_published(model: str, repository: str, device: str) -> HiddenStatesEncoder:
    """Load from the hub, or from what of it is on this machine.

    Raises
    ------
    WeightsError
        If it is not to be had, saying what to run where.
    """
    require_transformers(EXTRA)
    try:
        return _load(Source(repository), device)
    except WeightsError as error:
        raise WeightsError(f"{error}: --encoder {model}@FOLDER") from error


def load_folder(folder: Path, device: str) -> HiddenStatesEncoder:
    """Load from a folder with `config.json` and weights.

    Raises
    ------
    WeightsError
        If it is not a folder, is of another kind of network, or weights are missing.
    """
    require_transformers(EXTRA)
    if not folder.is_dir():
        raise WeightsError(f"{folder}: expected the folder of a MERT checkpoint, with config.json and weights")
    return _load(Source(str(folder)), device)


def load_untrained(model: str, device: str) -> HiddenStatesEncoder:
    """Build the network with random weights, the same at every call."""
    require_transformers(EXTRA)
    import torch
    from transformers import HubertModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = HubertModel(_configuration(PUBLISHED[model], model))
    return _encoder(network, device)


def _load(source: Source, device: str) -> HiddenStatesEncoder:
    from transformers import HubertModel

    configuration = _configuration(source.configuration(), source.name)
    network = source.load_network(HubertModel, {"masked_spec_embed"}, exactly=True, config=configuration)
    return _encoder(network, device)


def _configuration(settings: dict[str, Any], name: str) -> Any:
    """Make HuBERT's configuration of MERT's.

    Raises
    ------
    WeightsError
        If the network is more than HuBERT.
    """
    from transformers import HubertConfig

    for setting, meaning in UNSUPPORTED.items():
        if settings.get(setting):
            raise WeightsError(
                f"{name}: {setting} is {settings[setting]} ({meaning}); only MERT without it can be read, such as the "
                "published v1 models"
            )
    kept = {key: value for key, value in settings.items() if key not in UNLIKE_HUBERT}
    return HubertConfig.from_dict({**kept, "conv_pos_batch_norm": False})


def _encoder(network: Any, device: str) -> HiddenStatesEncoder:
    config = network.config
    return HiddenStatesEncoder(
        network,
        sample_rate=getattr(config, "sample_rate", SAMPLE_RATE),
        kernels=config.conv_kernel,
        strides=config.conv_stride,
        normalises=True,
        seconds=SECONDS,
        device=device,
    )
