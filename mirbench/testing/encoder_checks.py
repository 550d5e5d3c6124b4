"""Checks of encoders."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64

from mirbench.domain import Audio, Encoder, Features
from mirbench.errors import EncoderError
from mirbench.features.recheck import require_same
from mirbench.features.region import Region
from mirbench.features.store import FeatureStore
from mirbench.specs import EncoderSpec
from mirbench.testing.checks import CheckFailed, require

N_COMPARED = 3  # clips whose stored features are compared
DURATIONS = (0.5, 1.0, 3.3, 10.0)  # seconds: shorter and longer than common windows, and no multiple of their hops
SHORTEST_TURN = 1.25  # seconds
EARLY_SECONDS, LATE_SECONDS = 0.1, 0.25  # besides 1.5 frames; causal encoders respond late
UNHEARD_SECONDS = 0.5  # at the end, besides three frames: half of a receptive field


def noise(encoder: Encoder, duration: float, seed: int = 0, level: float = 0.05) -> Audio:
    """Return white noise with RMS `level` (full scale is 1)."""
    random = np.random.default_rng(seed)
    return (level * random.standard_normal(round(duration * encoder.sample_rate))).astype(np.float32)


def check_shapes_and_types(encoder: Encoder) -> None:
    """Frames are float32 [layer, time, dim], tokens [layer, dim] of their own, alike for every duration."""
    shapes = set()
    for duration in DURATIONS:
        features = encoder.encode(noise(encoder, duration))
        require(isinstance(features, Features), f"encode returned a {type(features).__name__}; expected Features")
        require(features.frames.dtype == np.float32, f"frames are {features.frames.dtype}; expected float32")
        require(features.times.dtype == np.float64, f"times are {features.times.dtype}; expected float64")
        require(
            set(features.tokens) == set(encoder.tokens),
            f"tokens {sorted(features.tokens)} in the features; the encoder announces {sorted(encoder.tokens)}",
        )
        for name, token in features.tokens.items():
            require(
                token.ndim == 2 and token.dtype == np.float32,
                f"token {name!r} is {token.dtype} of shape {token.shape}; expected float32 [layer, dim]",
            )
        of_tokens = tuple(features.tokens[name].shape for name in encoder.tokens)
        shapes.add((features.frames.shape[0], features.frames.shape[2], *of_tokens))
    require(len(shapes) == 1, f"layers and dims change with the duration: {sorted(shapes)}")


def check_times_are_regular_and_inside(encoder: Encoder) -> None:
    """Frame centres are evenly spaced, rise, and lie inside the clip."""
    for duration in DURATIONS:
        times = encoder.encode(noise(encoder, duration)).times
        require(
            bool(times[0] >= 0 and times[-1] <= duration),
            f"times from {times[0]:.3f} to {times[-1]:.3f} s in a clip of {duration} s",
        )
        steps = np.diff(times)
        if len(steps):
            require(bool(steps.min() > 0), "times do not rise")
            require(bool(np.ptp(steps) < 1e-6), f"frames are {steps.min():.6f} to {steps.max():.6f} s apart")
            missing = duration - times[-1]
            require(
                bool(missing < 3 * steps[0] + UNHEARD_SECONDS),
                f"the last {missing:.3f} s of a clip of {duration} s have no frames; they are {steps[0]:.3f} s apart",
            )


def check_alignment(encoder: Encoder) -> None:
    """A tone and noise take turns, and the frames change with them.

    Times are right if tone and noise differ most (in the share of the frames' variance that lies between them) where
    the frames are taken for the times that they claim, and not for others. Networks with memory, or
    that normalise whole clips, are thus judged by the features that a probe receives.
    """
    step = _step(encoder, 10.0)
    turn = max(SHORTEST_TURN, 4 * step)
    boundaries = turn * np.array([1.3, 2.0, 3.4, 4.1])  # not the same backwards
    hiss = noise(encoder, 6 * turn, level=0.05)
    time = np.arange(len(hiss)) / encoder.sample_rate
    tone = (0.28 * np.sin(2 * np.pi * 220 * time) + 0.2 * hiss).astype(np.float32)
    features = encoder.encode(np.where(_is_tone(time, boundaries), tone, hiss))
    lags = np.linspace(-turn / 2, turn / 2, 101)
    differences = [
        np.mean([_difference(layer, _is_tone(features.times - lag, boundaries)) for layer in features.frames])
        for lag in lags
    ]
    found = float(lags[int(np.argmax(differences))])
    require(
        -EARLY_SECONDS - 1.5 * step <= found <= LATE_SECONDS + 1.5 * step,
        f"what changes is heard {abs(found):.2f} s too {'late' if found > 0 else 'early'} (frames are {step:.3f} s "
        "apart); check times",
    )


def _step(encoder: Encoder, duration: float) -> float:
    """Return the distance between frames in seconds; for a single frame, the duration of the clip."""
    times = encoder.encode(noise(encoder, duration)).times
    return float(np.diff(times).mean()) if len(times) > 1 else duration


def _is_tone(times: Float64[np.ndarray, "time"], boundaries: Float64[np.ndarray, "boundary"]) -> np.ndarray:
    return np.asarray(np.searchsorted(boundaries, times, side="right") % 2 == 0)


def _difference(frames: Float32[np.ndarray, "time dim"], is_tone: np.ndarray) -> float:
    """Return the share of the variance that lies between two groups of frames."""
    centred = frames.astype(np.float64) - frames.mean(axis=0)
    n_tone, n_noise = int(is_tone.sum()), int((~is_tone).sum())
    if not n_tone or not n_noise:
        return 0.0
    between = sum(
        n * np.square(centred[part].mean(axis=0)).sum() for n, part in ((n_tone, is_tone), (n_noise, ~is_tone))
    )
    return float(between / max(np.square(centred).sum(), 1e-12))


def check_is_deterministic(encoder: Encoder) -> None:
    """The same clip gives the same bits."""
    clip = noise(encoder, 3.3)
    first, second = encoder.encode(clip), encoder.encode(clip)
    require(
        np.array_equal(first.frames, second.frames)
        and all(np.array_equal(first.tokens[name], second.tokens[name]) for name in first.tokens),
        "two encodings of one clip differ; is dropout on, or something random not seeded?",
    )


def check_input_is_not_modified(encoder: Encoder) -> None:
    """The audio is the same after encoding."""
    clip = noise(encoder, 1.0)
    copy = clip.copy()
    encoder.encode(clip)
    require(np.array_equal(clip, copy), "encode changed its input in place; work on a copy")


def check_is_finite(encoder: Encoder) -> None:
    """Silence and full scale give finite features."""
    n_samples = round(3.3 * encoder.sample_rate)
    square = np.sign(np.sin(2 * np.pi * 100 / encoder.sample_rate * np.arange(n_samples))).astype(np.float32)
    for name, clip in {"silence": np.zeros(n_samples, np.float32), "a full-scale square wave": square}.items():
        features = encoder.encode(clip)
        arrays = [features.frames, *features.tokens.values()]
        require(all(np.isfinite(array).all() for array in arrays), f"NaN or infinity in the features of {name}")


def check_hears_a_difference(encoder: Encoder) -> None:
    """A tone and noise have different features, in every readout of clips."""
    n_samples = round(4 * encoder.sample_rate)
    tone = (0.3 * np.sin(2 * np.pi * 440 / encoder.sample_rate * np.arange(n_samples))).astype(np.float32)
    of_tone, of_noise = encoder.encode(tone), encoder.encode(noise(encoder, 4.0))
    for name in encoder.readouts("clip"):
        difference = np.abs(of_tone.readout(name) - of_noise.readout(name)).max()
        require(bool(difference > 0), f"readout {name!r} is the same for a tone and for noise")


def check_clips_do_not_influence_each_other(encoder: Encoder) -> None:
    """A clip's features do not depend on its neighbours in a batch, nor on the order."""
    clips = [noise(encoder, duration, seed) for seed, duration in enumerate((2.0, 7.3, 0.5, 4.4))]
    together = list(encoder.encode_all(clips, batch_size=3))
    require(len(together) == len(clips), f"encode_all returned {len(together)} features for {len(clips)} clips")
    for clip, features in zip(clips, together, strict=True):
        alone = encoder.encode(clip)
        require(
            features.frames.shape == alone.frames.shape,
            f"frames of shape {features.frames.shape} in a batch, {alone.frames.shape} alone",
        )
        for one, other in [
            (features.frames, alone.frames),
            *((features.tokens[n], alone.tokens[n]) for n in alone.tokens),
        ]:
            difference = np.abs(one - other).max() / max(np.abs(other).max(), 1e-12)
            require(bool(difference < 1e-5), f"features differ by {difference:.1e} of their largest in a batch")


def check_fingerprint_is_stable(spec: EncoderSpec, device: str = "cpu") -> None:
    """Loading twice gives the same fingerprint and the same features."""
    first, second = spec.load(device), spec.load(device)
    require(
        isinstance(first.fingerprint, str) and bool(first.fingerprint),
        f"the fingerprint is {first.fingerprint!r}; expected a text, see mirbench.fingerprint",
    )
    require("/" not in first.fingerprint, f"the fingerprint {first.fingerprint!r} cannot be a folder's name")
    require(
        first.fingerprint == second.fingerprint,
        f"two loads have fingerprints {first.fingerprint} and {second.fingerprint}; stored features would be lost",
    )
    clip = noise(first, 1.0)
    require(
        np.array_equal(first.encode(clip).frames, second.encode(clip).frames),
        "two loads have one fingerprint but different features; seed the weights, or put them in the fingerprint",
    )


def check_stored_features(spec: EncoderSpec, encoder: Encoder, store: FeatureStore, regions: Sequence[Region]) -> None:
    """Stored features with the encoder's fingerprint are those that it computes now."""
    readouts = frozenset((*encoder.readouts("clip"), *encoder.readouts("frame")))
    try:
        require_same(encoder, spec.name, dict.fromkeys(regions, readouts), store, N_COMPARED)
    except EncoderError as error:
        raise CheckFailed(str(error)) from error


def check_says_what_it_is(spec: EncoderSpec, encoder: Encoder) -> None:
    """The properties that the spec states for lists agree with the loaded encoder."""
    features = encoder.encode(noise(encoder, 10.0))
    frame_rate = (len(features.times) - 1) / (features.times[-1] - features.times[0]) if len(features.times) > 1 else 0
    found = {
        "n_parameters": encoder.n_parameters,
        "sample_rate": encoder.sample_rate,
        "frame_rate": frame_rate,
        "n_dims": features.frames.shape[2],
    }
    for name, value in found.items():
        said = getattr(spec, name)
        tolerance = 1e-3 if name == "frame_rate" else 0.0
        require(
            said is None or bool(value is not None and abs(said - value) <= tolerance * value),
            f"the spec says {name} is {said}, but it is {value}",
        )


ENCODER_CHECKS = (
    check_shapes_and_types,
    check_times_are_regular_and_inside,
    check_alignment,
    check_is_deterministic,
    check_input_is_not_modified,
    check_is_finite,
    check_hears_a_difference,
    check_clips_do_not_influence_each_other,
)
