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

N_COMPARED = 3  # clips whose stored features are compared: other weights show in any clip, and each is encoded again
# Seconds: shorter and longer than common windows (1 s of YAMNet and openWakeWord, 3 s of BirdNET and MusiCNN), and no
# multiple of their hops.
DURATIONS = (0.5, 1.0, 3.3, 10.0)
CLIP_SECONDS = 3.3  # for checks that need one clip: longer than a window, and no multiple of one
NOISE_LEVEL = 0.05  # RMS, -26 dB of full scale: that of quiet music, far from clipping
EVEN_SECONDS = 1e-6  # between steps: double precision rounds times of hours to 1e-12 s, float32 times of 10 s to 1e-6 s
MAX_FRAMES_LOST, UNHEARD_SECONDS = 3, 0.5  # at the end: windows that are not full, and half of a receptive field of 1 s
# Tone and noise take turns of four frames, or of 1.25 s: a network whose receptive field is 1 s then has frames that
# lie in one turn alone.
SHORTEST_TURN, FRAMES_IN_A_TURN = 1.25, 4
# Ends of turns, in turns: of different lengths, so that the pattern differs from itself shifted or reversed.
BOUNDARIES = np.array([1.3, 2.0, 3.4, 4.1])
TONE_HZ, TONE_LEVEL, HISS_IN_TONE = (
    220.0,
    0.28,
    0.2,
)  # RMS 0.2, in the range of every encoder; a little noise lies under it
N_LAGS = 101  # from half a turn early to half a turn late: steps of 1 % of a turn, 12.5 ms or finer than a frame
# How far changes may lie from where they are claimed, besides 1.5 frames: a frame of 0.2 s whose time is its start is
# 0.1 s early; causal encoders respond late, by up to half of a window of 0.5 s.
EARLY_SECONDS, LATE_SECONDS, FRAMES_OFF = 0.1, 0.25, 1.5
# Of the largest feature: float32 has a precision of 6e-8, and sums over 1e3 terms in another order differ by 1e-6; a
# neighbour that leaks into a batch changes features by 1e-3 or more.
BATCH_TOLERANCE = 1e-5
RATE_TOLERANCE = 1e-3  # relative: specs state frame rates with four digits
SMALLEST = 1e-12  # keeps features that are all zero from dividing by zero


def noise(encoder: Encoder, duration: float, seed: int = 0, level: float = NOISE_LEVEL) -> Audio:
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
            f"tokens {sorted(features.tokens)} in the features; expected {sorted(encoder.tokens)}, as Encoder.tokens "
            "says: "
            "correct one of them",
        )
        for name, token in features.tokens.items():
            require(
                token.ndim == 2 and token.dtype == np.float32,
                f"token {name!r} is {token.dtype} of shape {token.shape}; expected float32 [layer, dim]",
            )
        of_tokens = tuple(features.tokens[name].shape for name in encoder.tokens)
        shapes.add((features.frames.shape[0], features.frames.shape[2], *of_tokens))
    require(
        len(shapes) == 1,
        f"layers and dims change with the duration: {sorted(shapes)}; expected one shape: pool over time, not over "
        "the clip",
    )


def check_times_are_regular_and_inside(encoder: Encoder) -> None:
    """Frame centres are evenly spaced, rise, and lie inside the clip."""
    for duration in DURATIONS:
        times = encoder.encode(noise(encoder, duration)).times
        require(
            bool(times[0] >= 0 and times[-1] <= duration),
            f"times from {times[0]:.3f} to {times[-1]:.3f} s in a clip of {duration} s; expected times inside the "
            "clip: "
            "leave out frames of padding, and check the hop",
        )
        steps = np.diff(times)
        if len(steps):
            require(
                bool(steps.min() > 0),
                f"a time follows the one before by {steps.min():.6f} s; expected rising times: sort the frames",
            )
            require(
                bool(np.ptp(steps) < EVEN_SECONDS),
                f"frames are {steps.min():.6f} to {steps.max():.6f} s apart; expected even steps: compute times from "
                "the "
                "number of the frame, in double precision",
            )
            missing = duration - times[-1]
            require(
                bool(missing < MAX_FRAMES_LOST * steps[0] + UNHEARD_SECONDS),
                f"the last {missing:.3f} s of a clip of {duration} s have no frames; expected less than "
                f"{MAX_FRAMES_LOST * steps[0] + UNHEARD_SECONDS:.3f} s: pad the last window",
            )


def check_alignment(encoder: Encoder) -> None:
    """A tone and noise take turns, and the frames change with them.

    Times are right if tone and noise differ most (in the share of the frames' variance that lies between them) where
    the frames are taken for the times that they claim, and not for others. Networks with memory, or
    that normalise whole clips, are thus judged by the features that a probe receives.
    """
    step = _step(encoder, 10.0)
    turn = max(SHORTEST_TURN, FRAMES_IN_A_TURN * step)
    boundaries = turn * BOUNDARIES
    hiss = noise(encoder, 6 * turn)
    time = np.arange(len(hiss)) / encoder.sample_rate
    tone = (TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ * time) + HISS_IN_TONE * hiss).astype(np.float32)
    features = encoder.encode(np.where(_is_tone(time, boundaries), tone, hiss))
    lags = np.linspace(-turn / 2, turn / 2, N_LAGS)
    differences = [
        np.mean([_difference(layer, _is_tone(features.times - lag, boundaries)) for layer in features.frames])
        for lag in lags
    ]
    lag = float(lags[int(np.argmax(differences))])
    earliest, latest = -EARLY_SECONDS - FRAMES_OFF * step, LATE_SECONDS + FRAMES_OFF * step
    require(
        earliest <= lag <= latest,
        f"frames respond to a change {abs(lag):.2f} s {'late' if lag > 0 else 'early'}; expected {earliest:.2f} to "
        f"{latest:.2f} s (frames are {step:.3f} s apart): times are the centres of frames, from the beginning of the "
        "clip",
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
    return float(between / max(np.square(centred).sum(), SMALLEST))


def check_is_deterministic(encoder: Encoder) -> None:
    """The same clip gives the same bits."""
    clip = noise(encoder, CLIP_SECONDS)
    first, second = encoder.encode(clip), encoder.encode(clip)
    require(
        np.array_equal(first.frames, second.frames)
        and all(np.array_equal(first.tokens[name], second.tokens[name]) for name in first.tokens),
        "two encodings of one clip differ; expected equal bits: is dropout on, or something random not seeded?",
    )


def check_input_is_not_modified(encoder: Encoder) -> None:
    """The audio is the same after encoding."""
    clip = noise(encoder, 1.0)
    copy = clip.copy()
    encoder.encode(clip)
    require(np.array_equal(clip, copy), "encode changed its input in place; expected the same samples: work on a copy")


def check_is_finite(encoder: Encoder) -> None:
    """Silence and full scale give finite features."""
    n_samples = round(CLIP_SECONDS * encoder.sample_rate)
    square = np.sign(np.sin(2 * np.pi * 100 / encoder.sample_rate * np.arange(n_samples))).astype(np.float32)
    for name, clip in {"silence": np.zeros(n_samples, np.float32), "a full-scale square wave": square}.items():
        features = encoder.encode(clip)
        arrays = [features.frames, *features.tokens.values()]
        require(
            all(np.isfinite(array).all() for array in arrays),
            f"NaN or infinity in the features of {name}; expected finite numbers: look for divisions and logarithms "
            "of 0",
        )


def check_hears_a_difference(encoder: Encoder) -> None:
    """A tone and noise have different features, in every readout of clips."""
    n_samples = round(4 * encoder.sample_rate)
    tone = (0.3 * np.sin(2 * np.pi * 440 / encoder.sample_rate * np.arange(n_samples))).astype(np.float32)
    of_tone, of_noise = encoder.encode(tone), encoder.encode(noise(encoder, 4.0))
    for name in encoder.readouts("clip"):
        difference = np.abs(of_tone.readout(name) - of_noise.readout(name)).max()
        require(
            bool(difference > 0),
            f"readout {name!r} is the same for a tone and for noise; expected other features: is the audio used?",
        )


def check_clips_do_not_influence_each_other(encoder: Encoder) -> None:
    """A clip's features do not depend on its neighbours in a batch, nor on the order."""
    clips = [noise(encoder, duration, seed) for seed, duration in enumerate((2.0, 7.3, 0.5, 4.4))]
    together = list(encoder.encode_all(clips, batch_size=3))
    require(
        len(together) == len(clips), f"encode_all returned {len(together)} features; expected {len(clips)}, one a clip"
    )
    for clip, features in zip(clips, together, strict=True):
        alone = encoder.encode(clip)
        require(
            features.frames.shape == alone.frames.shape,
            f"frames of shape {features.frames.shape} in a batch; expected {alone.frames.shape}, as of the clip "
            "alone: cut "
            "padding off",
        )
        for one, other in [
            (features.frames, alone.frames),
            *((features.tokens[n], alone.tokens[n]) for n in alone.tokens),
        ]:
            difference = np.abs(one - other).max() / max(np.abs(other).max(), SMALLEST)
            require(
                bool(difference < BATCH_TOLERANCE),
                f"features in a batch differ from those of the clip alone by {difference:.1e} of the largest; "
                "expected less "
                f"than {BATCH_TOLERANCE:g}: normalise each clip by itself, and mask padding",
            )


def check_fingerprint_is_stable(spec: EncoderSpec, device: str = "cpu") -> None:
    """Loading twice gives the same fingerprint and the same features."""
    first, second = spec.load(device), spec.load(device)
    require(
        isinstance(first.fingerprint, str) and bool(first.fingerprint),
        f"the fingerprint is {first.fingerprint!r}; expected a text, see mirbench.fingerprint",
    )
    require(
        "/" not in first.fingerprint,
        f"the fingerprint {first.fingerprint!r} holds a slash; expected what can be a folder's name: see "
        "mirbench.fingerprint",
    )
    require(
        first.fingerprint == second.fingerprint,
        f"two loads have fingerprints {first.fingerprint} and {second.fingerprint}; expected one, or stored features "
        "are "
        "lost: hash weights and preprocessing only",
    )
    clip = noise(first, 1.0)
    require(
        np.array_equal(first.encode(clip).frames, second.encode(clip).frames),
        "two loads have one fingerprint and different features; expected equal bits: seed the weights, or put them "
        "in the "
        "fingerprint",
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
        tolerance = RATE_TOLERANCE if name == "frame_rate" else 0.0
        require(
            said is None or bool(value is not None and abs(said - value) <= tolerance * value),
            f"the spec says {name} is {said}, but it is {value}; expected equal values: correct the spec",
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
