"""Encoders whose weights lie in packages on the index (and YAMNet, whose weights are a file): one extra each."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirbench import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from mirbench import Encoder

YAMNET = "github.com/google-coral/coralmicro, models/yamnet_spectra_in.tflite"


def missing(module: str) -> str | None:
    """Return what to install for one of the modules here."""
    from mirbench_packaged.packages import PACKAGES

    return PACKAGES[module].missing()


def load(device: str, *, module: str, **options: str) -> "Encoder":
    """Load the encoder of one of the modules here."""
    from importlib import import_module

    encoder: Encoder = import_module(f"mirbench_packaged.{module}").load(device, **options)
    return encoder


def load_yamnet(device: str) -> "Encoder":
    """Refuse: the weights are a file that must be given."""
    from mirbench.errors import WeightsError

    raise WeightsError(yamnet_is_missing())


def load_yamnet_from(device: str, weights: Path | None) -> "Encoder":
    """Load YAMNet from its file, on the processor."""
    from mirbench.errors import WeightsError
    from mirbench_packaged.yamnet import Yamnet

    if weights is None:
        raise WeightsError("yamnet cannot be had untrained: its network comes as a file with its weights")
    return Yamnet(weights)


def yamnet_is_missing() -> str:
    """Return where its file is."""
    return f"its weights must be given, --encoder yamnet@yamnet_spectra_in.tflite; they are in {YAMNET}"


def _offer(module: str, name: str = "", options: Mapping[str, str] | None = None, **said: Any) -> EncoderSpec:
    return EncoderSpec(
        name=name or module,
        load=partial(load, module=module, **(options or {})),
        missing=partial(missing, module),
        license=said.pop("license", "MIT"),
        **said,
    )


@hookimpl
def mirbench_encoders() -> Iterator[EncoderSpec]:
    """Offer them."""
    for corpus, title in (("MTT", "MagnaTagATune"), ("MSD", "the Million Song Dataset")):
        yield _offer(
            "musicnn",
            f"musicnn-{corpus.lower()}",
            options={"corpus": corpus},
            n_parameters=787_159,
            sample_rate=16000,
            frame_rate=31.25,
            n_dims=753,
            description=f"musicnn: tags of {title}, supervised; frames, the layer before the last, 50 tags",
            weights_license="ISC",
            citation="Pons and Serra, musicnn: pre-trained convolutional neural networks for music audio tagging, "
            "ISMIR late-breaking 2019, arXiv:1909.06654",
        )
    yield _offer(
        "basic_pitch",
        "basic-pitch",
        n_parameters=16_782,
        sample_rate=22050,
        frame_rate=22050 / 512,
        n_dims=440,
        description="Basic Pitch: notes, onsets and contours, supervised",
        weights_license="Apache-2.0",
        citation="Bittner et al., A lightweight instrument-agnostic model for polyphonic note transcription and "
        "multipitch estimation, ICASSP 2022, arXiv:2203.09893",
    )
    yield _offer(
        "crema",
        n_parameters=476_151,
        sample_rate=44100,
        frame_rate=44100 / 4096,
        n_dims=294,
        description="CREMA: chords, supervised; recurrent states, pitch classes, root and bass",
        weights_license="ISC",
        citation="McFee and Bello, Structured training for large-vocabulary chord recognition, ISMIR 2017",
    )
    yield _offer(
        "pesto",
        n_parameters=130_461,
        sample_rate=22050,
        frame_rate=25.0,
        n_dims=384,
        description="PESTO: pitch of one voice, self-supervised by transposition",
        license="LGPL-3.0",
        weights_license="LGPL-3.0",
        citation="Riou et al., PESTO: pitch estimation with self-supervised transposition-equivariant objective, ISMIR "
        "2023, arXiv:2309.02265",
    )
    yield _offer(
        "beatnet",
        n_parameters=402_325,
        sample_rate=22050,
        frame_rate=50.0,
        n_dims=150,
        description="BeatNet: beats and downbeats, supervised; recurrent states that hear nothing later",
        weights_license="CC-BY-4.0",
        citation="Heydari et al., BeatNet: CRNN and particle filtering for online joint beat, downbeat and meter "
        "tracking, ISMIR 2021, arXiv:2108.03576",
    )
    yield _offer(
        "crepe",
        "crepe-tiny",
        n_parameters=486_552,
        sample_rate=16000,
        frame_rate=20.0,
        n_dims=256,
        description="CREPE, tiny: pitch of one voice, supervised",
        weights_license="MIT",
        citation="Kim et al., CREPE: a convolutional representation for pitch estimation, ICASSP 2018, "
        "arXiv:1802.06182",
    )
    yield _offer(
        "birdnet",
        n_parameters=12_909_808,
        sample_rate=48000,
        frame_rate=1.0,
        n_dims=1024,
        description="BirdNET 2.4: 6,522 species, mostly birds, supervised; windows of 3 s",
        weights_license="CC-BY-NC-SA-4.0: not for commercial use",
        citation="Kahl et al., BirdNET: a deep learning solution for avian diversity monitoring, Ecological "
        "Informatics 61, 2021",
    )
    yield _offer(
        "openwakeword",
        n_parameters=328_225,
        sample_rate=16000,
        frame_rate=12.5,
        n_dims=96,
        description="Google's speech embedding, as openWakeWord ships it",
        weights_license="Apache-2.0",
        citation="Lin et al., Training keyword spotters with limited and synthesized speech data, ICASSP 2020, "
        "arXiv:2002.01322",
    )
    yield EncoderSpec(
        name="yamnet",
        load=load_yamnet,
        load_from=load_yamnet_from,
        missing=yamnet_is_missing,
        n_parameters=3_718_016,
        sample_rate=16000,
        frame_rate=1 / 0.48,
        n_dims=1024,
        description="YAMNet in eight bits: 521 classes of AudioSet, supervised; patches of 0.96 s",
        license="MIT",
        weights_license="Apache-2.0",
        citation="Plakal and Ellis, YAMNet, 2020, github.com/tensorflow/models",
    )
