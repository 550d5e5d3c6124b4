"""Compare stored features with those that the encoder computes now.

Features are found by the encoder's fingerprint, and only its plugin can keep that unique: an encoder that was copied
with its fingerprint, or changed without a new one, would be scored by features of other code. A run that finds stored
features therefore encodes one clip again, the shortest, and compares before it uses them.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from mirbench.data import audio
from mirbench.domain import Encoder
from mirbench.encoders.precision import Variant
from mirbench.errors import AudioError, DamagedFeaturesError, EncoderError, MirbenchError, UsageError
from mirbench.features.extract import Wanted
from mirbench.features.region import FeatureKey, Region
from mirbench.features.store import FeatureStore
from mirbench.gate import Gate
from mirbench.plugins import Plugins
from mirbench.specs import DatasetRequest

TOLERANCE = 1e-3  # norm of the difference, over the norm: other batches and processors differ by 1e-5 to 1e-4
TOLERANCE_OF_VARIANTS = 0.05  # bfloat16 has three decimal digits, and which way they are rounded depends on the batch


def require_same(encoder: Encoder, name: str, wanted: Wanted, store: FeatureStore, n_clips: int = 1) -> int:
    """Encode stored clips again, the shortest first, and compare the features.

    Parameters
    ----------
    encoder
        Encoder that is compared.
    name
        Name of the encoder, for error messages.
    wanted
        Readouts by region.
    store
        Feature store.
    n_clips
        Largest number of clips that are compared.

    Returns
    -------
    int
        Number of clips that were compared; 0 if none of them is stored.

    Raises
    ------
    EncoderError
        If stored features differ from those that the encoder computes.
    """
    if not store.folder_of(encoder.fingerprint).is_dir():
        return 0
    n_compared = 0
    for region in sorted(wanted, key=length):
        try:
            stored = [key for key in (region.key(encoder, each) for each in sorted(wanted[region])) if key in store]
            if stored:
                _compare(encoder, Gate(name), region, stored, store)
                n_compared += 1
        except AudioError:
            continue  # the extraction names it
        except DamagedFeaturesError as error:
            store.discard(error)
            continue  # the extraction computes them again
        if n_compared == n_clips:
            break
    return n_compared


def length(region: Region) -> tuple[bool, float, str]:
    """Return the sort key of a region: its duration, or the size of its file where the region ends with the file."""
    if region.duration is not None:
        return False, region.duration, str(region)
    try:
        return True, float(region.path.stat().st_size), str(region)
    except OSError:
        return True, float("inf"), str(region)


def _compare(encoder: Encoder, gate: Gate, region: Region, stored: Iterable[FeatureKey], store: FeatureStore) -> None:
    samples = audio.load(region.path, encoder.sample_rate, region.start, region.duration)
    with torch.inference_mode():
        encoded = next(iter(gate.encode_all(encoder, [samples], 1)), None)
    features = gate.admit(encoded, str(region), len(samples) / encoder.sample_rate)
    tolerance = TOLERANCE_OF_VARIANTS if isinstance(encoder, Variant) else TOLERANCE
    for key in stored:
        before = np.stack([store.read(key, layer)[0] for layer in range(store.n_layers(key))])
        now = gate.readout(features, key.readout).astype(before.dtype)
        if now.shape != before.shape:
            difference = f"shape {now.shape} now, {before.shape} stored"
        else:
            error = _relative_error(now, before)
            if error <= tolerance:
                continue
            difference = f"relative difference {error:.2g}, at most {tolerance:g} expected"
        raise EncoderError(
            f"{gate.who}: stored features ({key.readout!r}) of {region} are not those that it computes now "
            f"({difference}): they are of other code or weights with the same fingerprint {encoder.fingerprint!r}, or "
            f"damaged; give the encoder another fingerprint, or remove {store.folder_of(encoder.fingerprint)} and rerun"
        )


def _relative_error(now: np.ndarray, before: np.ndarray) -> float:
    difference = float(np.linalg.norm(now.astype(np.float64) - before))
    return difference / (float(np.linalg.norm(before.astype(np.float64))) or 1.0)


def require_own_fingerprint(fingerprint: str, name: str, known: dict[str, str]) -> None:
    """Raise an error if another encoder of the run has the same fingerprint: both would share stored features.

    Parameters
    ----------
    known
        Names of earlier encoders by fingerprint; this one is added.

    Raises
    ------
    UsageError
        If another encoder has the fingerprint.
    """
    other = known.setdefault(fingerprint, name)
    if other != name:
        raise UsageError(
            f"encoders {other!r} and {name!r} have one fingerprint, {fingerprint!r}, so that they would share "
            "features; give one of them another fingerprint, or run one of them alone if they are the same"
        )


def stored_somewhere(plugins: Plugins, home: Path, n_clips: int = 3) -> list[Region]:
    """Return a few short clips of every data set on this machine, of which features may be stored."""
    regions: list[Region] = []
    for spec in plugins.datasets.specs():
        for size in spec.sizes:
            request = DatasetRequest(task=spec.tasks[0], size=size, home=home)
            try:
                clips = spec.load(request).clips("test")
            except MirbenchError:
                continue  # not on this machine
            regions += sorted({Region.of(clip) for clip in clips}, key=length)[:n_clips]
    return regions
