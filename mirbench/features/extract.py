"""Compute features that are not stored yet: threads decode ahead of the encoder, and another one writes behind it."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from mirbench.data import audio
from mirbench.domain import Encoder, Features
from mirbench.errors import AudioError, EncoderError
from mirbench.features.region import FeatureKey, Region
from mirbench.features.store import FeatureStore, Writer
from mirbench.gate import Gate
from mirbench.progress import Progress

CLIPS_AHEAD = 4  # clips per worker that are decoded and wait for the encoder
T = TypeVar("T")
R = TypeVar("R")


Wanted = Mapping[Region, frozenset[str]]
Failures = dict[Region, AudioError]
SECONDS_TO_TIME = 60.0  # of audio; the speed is not reported for less, where start-up dominates


@dataclass
class Extracted:
    """Outcome of an extraction.

    Attributes
    ----------
    unread
        Regions that could not be read; all others are in the store.
    audio_seconds, seconds
        Duration of the audio that was encoded, and wall time of the extraction.
    """

    unread: Failures
    audio_seconds: float = 0.0
    seconds: float = 0.0

    def __iadd__(self, other: "Extracted") -> "Extracted":
        """Add the outcome of another extraction."""
        self.unread.update(other.unread)
        self.audio_seconds += other.audio_seconds
        self.seconds += other.seconds
        return self

    def speed(self) -> dict[str, float]:
        """Return the speed as a multiple of real time, from files to store; empty if little was encoded."""
        return {"speed": self.audio_seconds / self.seconds} if self.audio_seconds >= SECONDS_TO_TIME else {}


def extract(
    encoder: Encoder,
    wanted: Wanted,
    store: FeatureStore,
    *,
    title: str,
    batch_size: int = 16,
    workers: int = 2,
    quiet: bool = False,
) -> Extracted:
    """Compute and store the readouts of every region that are not stored yet.

    Parameters
    ----------
    encoder
        Encoder of the clips.
    wanted
        Readouts that probes need, by region.
    store
        Feature store.
    title
        Title of the progress bar.
    batch_size
        Number of windows that a network encodes at a time.
    workers
        Number of decoding threads; memory grows with them, not with the number of clips.
    quiet
        If true, show no progress.

    Raises
    ------
    EncoderError
        If the encoder returns invalid features (see `mirbench.gate`), or features of too many or too few clips.
    PluginError
        If the encoder tries to end the process.
    """
    failures: Failures = {}
    done = Extracted(failures)
    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        try:
            missing = _missing(encoder, wanted, store, pool, failures)
            if missing:
                shards = store.writer(encoder.fingerprint, title)
                progress = Progress(title, len(missing), quiet=quiet)
                _compute(encoder, missing, shards, pool, done, progress, batch_size, Gate(title))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    done.seconds = time.perf_counter() - started
    return done


def _missing(
    encoder: Encoder, wanted: Wanted, store: FeatureStore, pool: ThreadPoolExecutor, failures: Failures
) -> dict[Region, list[FeatureKey]]:
    def look(region: Region) -> list[FeatureKey] | AudioError:
        try:
            keys = [region.key(encoder, readout) for readout in sorted(wanted[region])]
        except AudioError as error:
            return error
        return [key for key in keys if key not in store]

    missing: dict[Region, list[FeatureKey]] = {}
    for region, keys in zip(wanted, pool.map(look, wanted), strict=True):
        if isinstance(keys, AudioError):
            failures[region] = keys
        elif keys:
            missing[region] = keys
    return missing


def _compute(
    encoder: Encoder,
    missing: Mapping[Region, list[FeatureKey]],
    shards: Writer,
    pool: ThreadPoolExecutor,
    done: Extracted,
    progress: Progress,
    batch_size: int,
    gate: Gate,
) -> None:
    """Run decoder, encoder and writer in parallel; each keeps the order of the clips."""
    in_flight: deque[tuple[Region, int]] = deque()

    def decode(region: Region) -> tuple[int, object] | AudioError:
        try:
            samples = audio.load(region.path, encoder.sample_rate, region.start, region.duration)
        except AudioError as error:
            return error
        return len(samples), gate.encode(encoder, samples) if encoder.is_parallel else samples

    def decoded() -> Iterator[Any]:
        for region, outcome in _map_ahead(pool, decode, missing, CLIPS_AHEAD * pool._max_workers):
            if isinstance(outcome, AudioError):
                done.unread[region] = outcome
                progress.advance(0.0)
            else:
                n_samples, samples_or_features = outcome
                in_flight.append((region, n_samples))
                yield samples_or_features

    writing: deque[Future[None]] = deque()
    with progress, shards, ThreadPoolExecutor(1) as writer, torch.inference_mode(), _threads(encoder.is_parallel):
        encoded = decoded() if encoder.is_parallel else gate.encode_all(encoder, decoded(), batch_size)
        for returned in encoded:
            if not in_flight:
                raise EncoderError("encode_all returned more features than it was given clips")
            region, n_samples = in_flight.popleft()
            features = gate.admit(returned, str(region), n_samples / encoder.sample_rate)
            writing.append(writer.submit(_store, shards, missing[region], features, gate))
            while len(writing) > CLIPS_AHEAD:
                writing.popleft().result()
            done.audio_seconds += n_samples / encoder.sample_rate
            progress.advance(n_samples / encoder.sample_rate)
        for future in writing:
            future.result()
    if in_flight:
        raise EncoderError(f"encode_all returned no features for {len(in_flight)} of the clips it was given")


@contextmanager
def _threads(is_parallel: bool) -> Iterator[None]:
    """Limit torch to one thread where several clips are encoded in parallel."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1 if is_parallel else n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _map_ahead(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], n_ahead: int
) -> Iterator[tuple[T, R]]:
    """Map in threads, in order, with a bounded number of pending results."""
    waiting: deque[tuple[T, Future[R]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(function, item)))
        if len(waiting) >= n_ahead:
            first, future = waiting.popleft()
            yield first, future.result()
    while waiting:
        first, future = waiting.popleft()
        yield first, future.result()


def _store(shards: Writer, keys: Iterable[FeatureKey], features: Features, gate: Gate) -> None:
    for key in keys:
        shards.add(key, gate.readout(features, key.readout), features.times)
