"""Models of transformers whose input is not the waveform, or that have no hidden states."""

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch.nn import functional

from mirbench import Encoder, WindowedEncoder, WindowFeatures, fingerprint
from mirbench.errors import WeightsError
from mirbench_hub.source import Source

VERSION = 1  # raise whenever the numbers change
CODEC_SECONDS = 5.0


class SpectrogramEncoder(WindowedEncoder):
    """A network behind a feature extractor of transformers, which brings short clips to full length as published.

    A subclass sets the grid of frames.
    """

    def __init__(self, extractor: Any, network: torch.nn.Module, device: str) -> None:
        self.extractor, self.network, self.device = extractor, network.eval().to(device), device
        self.sample_rate = int(extractor.sampling_rate)
        self.shortest = self.sample_rate // 10
        self.fingerprint = fingerprint(type(self).__name__, VERSION, extractor.to_json_string(), network)
        self.n_parameters = sum(parameter.numel() for parameter in network.parameters())

    @abstractmethod
    def run(self, inputs: Float[torch.Tensor, "batch ..."]) -> WindowFeatures:
        """Run the network on what the extractor made."""

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Extract, and run the network."""
        extracted = self.extractor(list(windows.cpu().numpy()), sampling_rate=self.sample_rate, return_tensors="pt")
        [inputs] = [value for name, value in extracted.items() if name.startswith("input_")]
        return self.run(inputs.to(self.device, torch.float32))


class AstEncoder(SpectrogramEncoder):
    """Audio spectrogram transformer: 10.24 s of 128 mel bands in patches; those of one time are averaged.

    Tokens: the class token, and the one for distillation.
    """

    tokens = ("class", "distillation")

    def __init__(self, extractor: Any, network: Any, device: str) -> None:
        super().__init__(extractor, network, device)
        config, mel_hop, mel_window = network.config, self.sample_rate // 100, self.sample_rate // 40
        self.n_rows = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        self.n_frames = (config.max_length - config.patch_size) // config.time_stride + 1
        self.window_length = config.max_length * mel_hop
        self.hop_length = config.time_stride * mel_hop
        self.offset = (config.patch_size - 1) / 2 * mel_hop + mel_window / 2

    def run(self, inputs: Float[torch.Tensor, "batch time mel"]) -> WindowFeatures:
        """Run the network."""
        layers = torch.stack(self.network(inputs, output_hidden_states=True).hidden_states, dim=1)
        patches = layers[:, :, 2:].unflatten(2, (self.n_rows, self.n_frames))
        tokens = {name: layers[:, :, place] for place, name in enumerate(self.tokens)}
        return WindowFeatures(frames=patches.mean(dim=2), tokens=tokens)


class ClapEncoder(SpectrogramEncoder):
    """CLAP's audio branch (HTS-AT): 10 s; the last stage in 32 frames, and the embedding shared with text."""

    tokens = ("embedding",)

    def __init__(self, extractor: Any, network: Any, device: str) -> None:
        super().__init__(extractor, network, device)
        extractor.truncation, extractor.padding = "rand_trunc", "repeatpad"  # those of 'unfused' models: one view
        config = network.config
        self.window_length = int(extractor.max_length_s * self.sample_rate)
        self.n_frames = (config.spec_size // config.patch_stride[0] >> (len(config.depths) - 1)) * (
            config.spec_size // config.num_mel_bins
        )
        self.hop_length = self.window_length // self.n_frames
        self.offset = self.hop_length / 2

    def run(self, inputs: Float[torch.Tensor, "batch 1 time mel"]) -> WindowFeatures:
        """Run the network."""
        output = self.network(inputs)
        frames = output.last_hidden_state.mean(dim=2).transpose(1, 2)
        return WindowFeatures(frames=frames[:, None], tokens={"embedding": output.audio_embeds[:, None]})


class WhisperEncoder(SpectrogramEncoder):
    """Whisper's encoder: 30 s at 50 frames a second."""

    def __init__(self, extractor: Any, network: Any, device: str) -> None:
        super().__init__(extractor, network, device)
        self.hop_length = 2 * extractor.hop_length
        self.n_frames = network.config.max_source_positions
        self.window_length = self.n_frames * self.hop_length
        self.offset = 0.0

    def run(self, inputs: Float[torch.Tensor, "batch mel time"]) -> WindowFeatures:
        """Run the network."""
        return WindowFeatures(frames=torch.stack(self.network(inputs, output_hidden_states=True).hidden_states, dim=1))


class CodecEncoder(WindowedEncoder):
    """The encoder of a neural codec, before it is quantised: one layer of frames."""

    def __init__(self, network: Any, sample_rate: int, hop_length: int, device: str) -> None:
        self.network, self.device = network.encoder.eval().to(device), device
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.n_frames = round(CODEC_SECONDS * sample_rate / hop_length)
        self.window_length = self.n_frames * hop_length
        self.shortest = hop_length
        self.offset = hop_length / 2
        self.fingerprint = fingerprint("CodecEncoder", VERSION, self.window_length, self.network)
        self.n_parameters = sum(parameter.numel() for parameter in self.network.parameters())

    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Run the network on whole frames."""
        whole = functional.pad(windows, (0, -windows.shape[-1] % self.hop_length))
        frames = self.network(whole[:, None])
        return WindowFeatures(frames=frames.transpose(1, 2)[:, None])


def load_ast(source: Source, device: str) -> Encoder:
    """Load AST."""
    from transformers import ASTFeatureExtractor, ASTModel

    return AstEncoder(source.load(ASTFeatureExtractor), source.load_network(ASTModel), device)


def load_clap(source: Source, device: str) -> Encoder:
    """Load CLAP's audio branch.

    Raises
    ------
    WeightsError
        If it fuses four views of long clips, which have no place in windows.
    """
    from transformers import ClapAudioModelWithProjection, ClapFeatureExtractor

    network = source.load_network(ClapAudioModelWithProjection)
    if network.config.enable_fusion:
        raise WeightsError(f"{source.name}: a CLAP that fuses several views; take an unfused one")
    return ClapEncoder(source.load(ClapFeatureExtractor), network, device)


def load_whisper(source: Source, device: str) -> Encoder:
    """Load Whisper's encoder."""
    from transformers import WhisperFeatureExtractor, WhisperModel

    network = source.load_network(WhisperModel).encoder
    return WhisperEncoder(source.load(WhisperFeatureExtractor), network, device)


def load_codec(source: Source, device: str) -> Encoder:
    """Load the encoder of EnCodec or DAC.

    Raises
    ------
    WeightsError
        If it takes stereo.
    """
    from transformers import AutoModel

    network = source.load_network(AutoModel)
    config = network.config
    if getattr(config, "audio_channels", 1) != 1 or getattr(config, "normalize", False):
        raise WeightsError(
            f"{source.name}: a codec of {config.audio_channels} channels; expected mono, such as EnCodec's"
        )
    return CodecEncoder(network, config.sampling_rate, int(config.hop_length), device)
