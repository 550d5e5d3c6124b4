"""Encoders by reference.

`NAME@WEIGHTS` is an encoder with other weights: a file, a URL, `hf://ORG/REPO/FILE`, or `random`. `FAMILY:REFERENCE` is
one of a family, such as `hf:ORG/NAME`.
"""

import dataclasses
import hashlib
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mirbench.download import fetch
from mirbench.errors import MirbenchError, UsageError, WeightsError, first_line
from mirbench.plugins import Catalog
from mirbench.specs import EncoderSpec, nothing_missing

if TYPE_CHECKING:
    from mirbench.domain import Encoder

RANDOM = "random"
HUB = "hf://"
CHECKSUM = "sha256="


def find_encoder(
    catalog: Catalog[EncoderSpec], reference: str, home: Path, *, trust_remote_code: bool = False
) -> EncoderSpec:
    """Look up an encoder, with other weights where the reference names some.

    Parameters
    ----------
    reference
        `NAME`, `FAMILY:REFERENCE` or `NAME@WEIGHTS`; see `find_weights`. `NAME@random` is the network untrained.
    home
        Where downloaded weights are kept. Nothing is downloaded before the encoder is loaded.
    trust_remote_code
        Whether code that lies beside weights may run.

    Raises
    ------
    UsageError
        If there is no such encoder, it takes no other weights, or a local file is not there.
    """
    family, colon, member = reference.partition(":")
    if colon and "@" not in family:
        return _of_family(catalog[family], member, trust_remote_code)
    name, at, weights = reference.partition("@")
    spec = catalog[name]
    if not at:
        if spec.load_named is not None:
            raise UsageError(f"encoder {name!r} is a family; name one of it: {spec.description}")
        return spec
    if spec.load_from is None:
        others = ", ".join(other.name for other in catalog.specs() if other.load_from is not None)
        raise UsageError(f"encoder {name!r} takes no other weights than its own; these do: {others or 'none'}")
    if weights != RANDOM and not _is_remote(weights) and not Path(weights).exists():
        raise UsageError(
            f"{reference}: no such file or folder {weights!r}; expected a path, a URL, {HUB}... or {RANDOM}"
        )
    return dataclasses.replace(
        spec,
        name=f"{name}@{_short(weights)}",
        load=partial(_load, spec, weights, home),
        load_from=None,
        missing=nothing_missing,
        n_parameters=None,
        weights_license="" if weights == RANDOM else "their publisher's",
        description=f"{'NOT TRAINED: ' if weights == RANDOM else ''}{spec.description.split(';')[0]}",
    )


def find_weights(reference: str, home: Path) -> Path:
    """Find weights, downloading them where needed.

    Parameters
    ----------
    reference
        A file or folder; `http(s)://...`, with `#sha256=...` to pin its content; or `hf://ORG/REPO[/FILE][@REVISION]`,
        a file or a whole repository of the Hugging Face hub, through the package huggingface_hub, its cache and its
        settings (HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN).

    Raises
    ------
    WeightsError
        If they are not to be had.
    """
    if reference.startswith(HUB):
        return _from_hub(reference)
    if not _is_remote(reference):
        path = Path(reference)
        if not path.exists():
            raise WeightsError(f"no such file or folder: {reference}")
        return path
    url, _, fragment = reference.partition("#")
    sha256 = fragment.removeprefix(CHECKSUM) if fragment.startswith(CHECKSUM) else None
    path = home / "weights" / hashlib.sha256(reference.encode()).hexdigest()[:16] / _short(url)
    try:
        fetch(url, path, sha256=sha256)
    except MirbenchError as error:
        raise WeightsError(f"weights cannot be downloaded: {error}") from error
    return path


def _of_family(spec: EncoderSpec, member: str, trust_remote_code: bool) -> EncoderSpec:
    if spec.load_named is None or not member:
        raise UsageError(f"{spec.name}:{member}: {'name one of the family' if spec.load_named else 'not a family'}")
    title = Path(member).resolve().name if Path(member).exists() else member
    return dataclasses.replace(
        spec,
        name=f"{spec.name}:{title}",
        load=partial(_load_named, spec, member, trust_remote_code),
        load_named=None,
        missing=nothing_missing,
        weights_license="their publisher's",
    )


def _load_named(spec: EncoderSpec, member: str, trust_remote_code: bool, device: str) -> "Encoder":
    assert spec.load_named is not None
    return spec.load_named(device, member, trust_remote_code)


def _load(spec: EncoderSpec, weights: str, home: Path, device: str) -> "Encoder":
    assert spec.load_from is not None
    return spec.load_from(device, None if weights == RANDOM else find_weights(weights, home))


def _is_remote(weights: str) -> bool:
    return weights.startswith((HUB, "http://", "https://"))


def _short(weights: str) -> str:
    """Give the last part of a path or URL."""
    if _is_remote(weights):
        return unquote(PurePosixPath(urlsplit(weights).path or urlsplit(weights).netloc).name)
    return Path(weights).name


def _from_hub(reference: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download, snapshot_download
        from huggingface_hub.errors import HFValidationError
    except ImportError as error:
        raise WeightsError(f"{reference} needs huggingface_hub; run: pip install 'mirbench-audio[hub]'") from error
    where, _, revision = reference.removeprefix(HUB).partition("@")
    organisation, _, rest = where.partition("/")
    name, _, file = rest.partition("/")
    if not organisation or not name:
        raise WeightsError(f"{reference!r}; expected {HUB}ORG/REPO or {HUB}ORG/REPO/FILE, and @REVISION where wanted")
    repository = f"{organisation}/{name}"
    try:
        if file:
            return Path(hf_hub_download(repository, file, revision=revision or None))
        return Path(snapshot_download(repository, revision=revision or None))
    except (OSError, HFValidationError, ValueError) as error:  # the hub's errors of HTTP and of its cache are OSErrors
        raise WeightsError(
            f"{reference}: {first_line(error)}; if this machine is offline, download it elsewhere and give the file's "
            "path"
        ) from error
