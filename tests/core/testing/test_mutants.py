"""The conformance kit must catch plugins that break one promise each."""

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mirbench import Clip, ClipMetric, Dataset, DatasetSpec, Encoder, EncoderSpec, Features, TaskSpec
from mirbench.specs import DatasetRequest
from mirbench.testing import checks_of
from mirbench_key.task import KeyTask
from mirbench_tagging.task import TaggingTask

HOP = 256


class Honest(Encoder):
    """Root mean square and mean absolute value of short frames."""

    sample_rate = 8000
    fingerprint = "honest"
    hop_length = HOP

    def encode(self, audio):
        n_frames = len(audio) // HOP
        blocks = audio[: n_frames * HOP].reshape(n_frames, HOP)
        frames = np.stack([np.sqrt((blocks**2).mean(1)), np.abs(blocks).mean(1)], axis=1)[None]
        return Features(frames=frames.astype(np.float32), times=(np.arange(n_frames) + 0.5) * HOP / self.sample_rate)


class ShiftedTimes(Honest):
    def encode(self, audio):
        return replace(super().encode(audio), times=np.maximum(0, super().encode(audio).times - 0.25))


class Reversed(Honest):
    def encode(self, audio):
        return replace(super().encode(audio), frames=super().encode(audio).frames[:, ::-1].copy())


class TimesBeyondTheEnd(Honest):
    def encode(self, audio):
        return replace(super().encode(audio), times=super().encode(audio).times * 1.1)


class IrregularTimes(Honest):
    def encode(self, audio):
        times = super().encode(audio).times
        times[len(times) // 2] += 0.01
        return replace(super().encode(audio), times=times)


class HalfTheClip(Honest):
    def encode(self, audio):
        return super().encode(audio[: len(audio) // 2])


class DoublePrecision(Honest):
    def encode(self, audio):
        return replace(super().encode(audio), frames=super().encode(audio).frames.astype(np.float64))


class Random(Honest):
    def encode(self, audio):
        features = super().encode(audio)
        return replace(features, frames=np.random.standard_normal(features.frames.shape).astype(np.float32))


class ModifiesItsInput(Honest):
    def encode(self, audio):
        audio /= 2
        return super().encode(audio)


class NanOnSilence(Honest):
    def encode(self, audio):
        features = super().encode(audio)
        with np.errstate(invalid="ignore", divide="ignore"):
            return replace(features, frames=features.frames / features.frames.max())


class Deaf(Honest):
    def encode(self, audio):
        features = super().encode(audio)
        return replace(features, frames=np.ones_like(features.frames))


class NormalisesOverTheBatch(Honest):
    def encode_all(self, clips, batch_size):
        features = [self.encode(clip) for clip in clips]
        loudest = max(f.frames.max() for f in features)
        yield from (replace(f, frames=f.frames / loudest) for f in features)


class LosesTheLastClip(Honest):
    def encode_all(self, clips, batch_size):
        yield from [self.encode(clip) for clip in clips][:-1]


class NewFingerprintEveryTime(Honest):
    counter = count()

    def __init__(self):
        self.fingerprint = f"honest{next(self.counter)}"


class NewWeightsEveryTime(Honest):
    counter = count()

    def __init__(self):
        self.weight = np.float32(1 + next(self.counter))

    def encode(self, audio):
        features = super().encode(audio)
        return replace(features, frames=features.frames * self.weight)


class UnannouncedToken(Honest):
    def encode(self, audio):
        features = super().encode(audio)
        return replace(features, tokens={"cls": features.frames.mean(axis=1)})


ENCODER_MUTANTS = {
    ShiftedTimes: "check_alignment",
    Reversed: "check_alignment",
    TimesBeyondTheEnd: "check_times_are_regular_and_inside",
    IrregularTimes: "check_times_are_regular_and_inside",
    HalfTheClip: "check_times_are_regular_and_inside",
    DoublePrecision: "check_shapes_and_types",
    Random: "check_is_deterministic",
    ModifiesItsInput: "check_input_is_not_modified",
    NanOnSilence: "check_is_finite",
    Deaf: "check_hears_a_difference",
    NormalisesOverTheBatch: "check_clips_do_not_influence_each_other",
    LosesTheLastClip: "check_clips_do_not_influence_each_other",
    NewFingerprintEveryTime: "check_fingerprint_is_stable",
    NewWeightsEveryTime: "check_fingerprint_is_stable",
    UnannouncedToken: "check_shapes_and_types",
}


def problems(spec, **options):
    return {check.name: check.problem() for check in checks_of(spec, **options)}


def test_an_honest_encoder_passes():
    assert not any(problems(EncoderSpec(name="honest", load=lambda device: Honest())).values())


@pytest.mark.parametrize(
    ("mutant", "check"), ENCODER_MUTANTS.items(), ids=lambda value: getattr(value, "__name__", value)
)
def test_a_broken_encoder_is_caught(mutant, check):
    assert problems(EncoderSpec(name="mutant", load=lambda device: mutant()))[check]


def test_a_spec_that_says_something_else_than_the_encoder_is_caught():
    honest = Honest()
    said = {"sample_rate": honest.sample_rate, "n_dims": honest.encode(np.zeros(16000, np.float32)).frames.shape[2]}
    assert not problems(EncoderSpec(name="honest", load=lambda device: honest, **said))["check_says_what_it_is"]
    for name, value in said.items():
        spec = EncoderSpec(name="mutant", load=lambda device: honest, **{**said, name: value + 1})
        assert f"the spec says {name} is {value + 1}" in problems(spec)["check_says_what_it_is"]
    spec = EncoderSpec(name="mutant", load=lambda device: honest, n_parameters=7)
    assert "it is None" in problems(spec)["check_says_what_it_is"]


class WrongTarget(KeyTask):
    def target(self, reference, times):
        return np.array((super().target(reference, times) + 7) % 24)


class TargetOfWrongType(KeyTask):
    def target(self, reference, times):
        return super().target(reference, times).astype(np.float32)


class TargetOutOfRange(KeyTask):
    def target(self, reference, times):
        return super().target(reference, times) + 24


class ConstantMetric(KeyTask):
    metrics = (ClipMetric("constant", lambda reference, estimate: 1.0, "none"),)


class ForeignSpelling(KeyTask):
    def example(self, random):
        key, duration = super().example(random)
        return key.replace(" ", ":"), duration


class CrashesOnNothing(KeyTask):
    def empty(self):
        return None

    metrics = (ClipMetric("length", lambda reference, estimate: float(len(estimate) > 0), "none"),)


class TakesAnything(KeyTask):
    def read_reference(self, text, folder):
        return text


class NamesTwice(KeyTask):
    metrics = (KeyTask.metrics[0], KeyTask.metrics[0])


class ForgetsItsDecoder(KeyTask):
    def __init__(self, threshold=0.5):
        self.threshold = threshold

    def tuned(self, examples):
        return ForgetsItsDecoder(0.3)

    @property
    def decoder(self):
        return {"threshold": self.threshold}


TASK_MUTANTS = {
    WrongTarget: "check_oracle_reaches_the_bound",
    TargetOfWrongType: "check_targets",
    TargetOutOfRange: "check_targets",
    ConstantMetric: "check_chance_is_below_the_oracle",
    ForeignSpelling: "check_references_score_best_against_themselves",
    CrashesOnNothing: "check_empty_estimate_is_scored",
    TakesAnything: "check_nonsense_is_refused",
    ForgetsItsDecoder: "check_decoder_is_restored",
    NamesTwice: "check_metrics_are_named_apart",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("mutant", "check"), TASK_MUTANTS.items(), ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_task_is_caught(mutant, check):
    assert problems(TaskSpec(name="mutant", load=mutant))[check]


@dataclass
class Clips(Dataset):
    every: list[Clip]
    name = "mutant"
    version = "1"

    def clips(self, split):
        return [clip for clip in self.every if clip.split == split]


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    made = []
    for number in range(12):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.random.default_rng(number).uniform(-0.1, 0.1, 8000), 8000)
        split = ("train", "train", "valid", "test")[number % 4]
        made.append(Clip(id=str(number), path=path, split=split, group=str(number), reference="C major", duration=1.0))
    return made


def of_clips(clips):
    spec = DatasetSpec(name="mutant", load=lambda request: Clips(clips), tasks=("key",))
    return problems(spec, request=DatasetRequest(task="key", size="default", home=Path()), task=KeyTask())


def test_an_honest_data_set_passes(clips):
    assert not any(of_clips(clips).values())


def changed(clips, place, **fields):
    return [replace(clip, **fields) if number == place else clip for number, clip in enumerate(clips)]


def test_a_group_in_two_splits_is_caught(clips):
    assert of_clips(changed(clips, 3, group="0"))["check_groups_do_not_cross_splits"]


def test_a_file_in_two_splits_is_caught(clips):
    assert of_clips(changed(clips, 3, path=clips[0].path))["check_audio_does_not_cross_splits"]


def test_an_id_used_twice_is_caught(clips):
    assert of_clips(changed(clips, 3, id="0"))["check_ids_are_unique"]


def test_an_empty_split_is_caught(clips):
    assert of_clips([clip for clip in clips if clip.split != "test"])["check_every_split_has_clips"]


def test_a_missing_file_is_caught(clips):
    assert of_clips(changed(clips, 3, path=Path("gone.wav")))["check_audio_can_be_read"]


def test_a_changed_file_is_caught(clips):
    assert of_clips(changed(clips, 3, sha256="0" * 64))["check_audio_can_be_read"]


def test_a_duration_that_is_not_true_is_caught(clips):
    assert of_clips(changed(clips, 3, duration=9.0))["check_audio_can_be_read"]


def test_a_reference_outside_the_vocabulary_is_caught(clips):
    assert of_clips(changed(clips, 3, reference="H major"))["check_references_make_targets"]


@pytest.mark.parametrize(("labels", "message"), [((), "names none"), (("a", "b"), "3 labels; the vocabulary has 2")])
def test_a_vocabulary_that_does_not_fit_the_references_is_caught(clips, labels, message):
    tagged = Clips([replace(clip, reference=np.zeros(3, np.float32)) for clip in clips])
    tagged.labels = labels
    spec = DatasetSpec(name="mutant", load=lambda request: tagged, tasks=("tagging",))
    request = DatasetRequest(task="tagging", size="default", home=Path())
    assert message in problems(spec, request=request, task=TaggingTask())["check_references_make_targets"]


def test_a_label_that_training_never_shows_is_caught(clips):
    assert of_clips(changed(clips, 3, reference="D major"))["check_training_covers_the_test"]
