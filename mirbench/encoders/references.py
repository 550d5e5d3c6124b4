"""Encoders by reference.

`NAME@WEIGHTS` is an encoder with other weights: a file, a URL, `hf://ORG/REPO/FILE`, or `random`. `FAMILY:REFERENCE` is
one of a family, such as `hf:ORG/NAME`. `...~SENSOR` is an encoder of audio that has passed through a sensor.
"""

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mirbench.data.download import fetch
from mirbench.errors import MirbenchError, UsageError, WeightsError, first_line
from mirbench.files import content_hash
from mirbench.plugins import Catalog
from mirbench.specs import EncoderSpec, SensorSpec, nothing_missing

if TYPE_CHECKING:
    from mirbench.domain import Encoder

RANDOM = "random"
HUB = "hf://"
SENSOR = "~"  # between the names of an encoder and of a sensor
CHECKSUM = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)
MAX_NAME = 200  # bytes: file systems take 255, and a download adds a suffix


@dataclass(frozen=True)
class Address:
    """An address of weights, taken apart.

    Attributes
    ----------
    name
        Of the file under which they are kept: one path component.
    sha256
        What the file must hash to; None where the address pins nothing.
    """

    url: str
    name: str
    sha256: str | None


@dataclass(frozen=True)
class EncoderReference:
    """An encoder as a user has named it, taken apart.

    Attributes
    ----------
    text
        What the user wrote: `NAME`, `NAME@WEIGHTS` or `FAMILY:MEMBER`.
    spec
        The spec that the plugin offers.
    weights
        Other weights, or "random"; None for the encoder's own.
    member
        Which one of a family; None for a single encoder.
    precision
        "fp32", "bf16" or "fp16".
    sensor
        Sensor through which audio passes first; None for none.
    home
        Folder in which downloaded weights are kept. Nothing is downloaded before the encoder is loaded.
    trust_remote_code
        Whether code that lies beside weights may run.
    """

    text: str
    spec: EncoderSpec
    weights: str | None = None
    member: str | None = None
    precision: str = "fp32"
    sensor: SensorSpec | None = None
    home: Path = Path()
    trust_remote_code: bool = False

    @property
    def name(self) -> str:
        """Name in results: of other weights the name of their file, of other precisions a suffix such as "+bf16"."""
        name = self.spec.name
        if self.member is not None:
            name += f":{Path(self.member).resolve().name if Path(self.member).exists() else self.member}"
        if self.weights is not None:
            name += f"@{_short(self.weights)}"
        return name + suffix(self.precision) + (f"{SENSOR}{self.sensor.name}" if self.sensor else "")

    def load(self, device: str) -> "Encoder":
        """Load the encoder; weights are downloaded first where needed.

        Parameters
        ----------
        device
            "cpu" or "cuda".

        Raises
        ------
        WeightsError
            If the weights are not to be had.
        """
        if self.sensor is not None:
            from mirbench.encoders.sensed import Sensed

            return Sensed(dataclasses.replace(self, sensor=None).load(device), self.sensor.load())
        if self.precision == "fp32":
            return self._load_exact(device)
        from mirbench.encoders.precision import Variant  # torch enters here, not above

        return Variant(partial(self._load_exact, device), self.precision)

    def _load_exact(self, device: str) -> "Encoder":
        if self.member is not None:
            assert self.spec.load_named is not None
            return self.spec.load_named(device, self.member, self.trust_remote_code)
        if self.weights is not None:
            assert self.spec.load_from is not None
            path = None if self.weights == RANDOM else find_weights(self.weights, self.home)
            try:
                return self.spec.load_from(device, path)
            except WeightsError as error:
                if not _is_remote(self.weights):
                    raise
                raise WeightsError(
                    f"{error}; if the download was damaged, remove {path} to download it again"
                ) from error
        return self.spec.load(device)

    def as_spec(self) -> EncoderSpec:
        """Return the spec of an encoder that is nothing but this one."""
        if self.weights is None and self.member is None and self.precision == "fp32" and self.sensor is None:
            return self.spec
        other = "" if self.weights == RANDOM else "their publisher's"
        found = dataclasses.replace(
            self.spec,
            name=self.name,
            load=self.load,
            load_named=None,
            sample_rate=None if self.sensor else self.spec.sample_rate,
            missing=nothing_missing if self.weights is not None or self.member is not None else self.spec.missing,
            weights_license=self.spec.weights_license if self.weights is self.member is None else other,
        )
        if self.weights is None:
            return found
        title = self.spec.description.split(";")[0]
        return dataclasses.replace(
            found,
            load_from=None,
            n_parameters=None,
            description=f"NOT TRAINED: {title}" if self.weights == RANDOM else title,
        )


def find_reference(
    catalog: Catalog[EncoderSpec],
    text: str,
    home: Path,
    *,
    trust_remote_code: bool = False,
    precision: str = "fp32",
    sensors: Catalog[SensorSpec] | None = None,
) -> EncoderReference:
    """Return the encoder that a user names, taken apart.

    Parameters
    ----------
    catalog
        Encoders on offer.
    text
        `NAME`, `FAMILY:MEMBER` or `NAME@WEIGHTS`; see `find_weights`. `NAME@random` is the network untrained. With
        `~SENSOR` at the end, audio passes through a sensor first.
    home
        Folder in which downloaded weights are kept.
    trust_remote_code
        Whether code that lies beside weights may run.
    precision
        "fp32", "bf16" or "fp16".
    sensors
        Sensors on offer; None where names have none.

    Raises
    ------
    UsageError
        If there is no such encoder or sensor, the encoder takes no other weights, or a local file is not there.
    """
    whole, sensor = text, None
    encoder, tilde, name = text.rpartition(SENSOR)
    if tilde and encoder and sensors is not None and "/" not in name:  # a path may hold one
        text, sensor = encoder, sensors[name]
    named = partial(
        EncoderReference, whole, precision=precision, sensor=sensor, home=home, trust_remote_code=trust_remote_code
    )
    family, colon, member = text.partition(":")
    if colon and "@" not in family:
        spec = catalog[family]
        if spec.load_named is None or not member:
            raise UsageError(f"{text}: {'name one of the family' if spec.load_named else 'not a family'}")
        return named(spec, member=member)
    name, at, weights = text.partition("@")
    spec = catalog[name]
    if not at:
        if spec.load_named is not None:
            raise UsageError(f"encoder {name!r} is a family; name one of it: {spec.description}")
        return named(spec)
    if spec.load_from is None:
        others = ", ".join(other.name for other in catalog.specs() if other.load_from is not None)
        raise UsageError(f"encoder {name!r} takes no other weights than its own; these do: {others or 'none'}")
    if weights.startswith(HUB) and "#" in weights:
        raise UsageError(f"{weights}: no checksum goes with {HUB}...; pin the content with @REVISION, a commit")
    if weights != RANDOM and not _is_remote(weights) and not Path(weights).exists():
        raise UsageError(f"{text}: no such file or folder {weights!r}; expected a path, a URL, {HUB}... or {RANDOM}")
    return named(spec, weights=weights)


def find_encoder(
    catalog: Catalog[EncoderSpec],
    text: str,
    home: Path,
    *,
    trust_remote_code: bool = False,
    sensors: Catalog[SensorSpec] | None = None,
) -> EncoderSpec:
    """Return the spec of the encoder that a user names; see `find_reference`."""
    return find_reference(catalog, text, home, trust_remote_code=trust_remote_code, sensors=sensors).as_spec()


def suffix(precision: str) -> str:
    """Return what is appended to the name of an encoder that runs at another precision, such as "+bf16"."""
    return "" if precision == "fp32" else f"+{precision}"


def find_weights(reference: str, home: Path) -> Path:
    """Return the file or folder of weights; they are downloaded where needed.

    Parameters
    ----------
    reference
        A file or folder; `http(s)://...`, with `#sha256=...` to pin its content; or `hf://ORG/REPO[/FILE][@REVISION]`,
        a file or a whole repository of the Hugging Face hub, through the package huggingface_hub, its cache and its
        settings (HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN).
    home
        Folder of data and features; downloaded weights are kept in `weights/` in it.

    Raises
    ------
    WeightsError
        If they do not exist, or cannot be downloaded.
    """
    if reference.startswith(HUB):
        return _from_hub(reference)
    if not _is_remote(reference):
        path = Path(reference)
        if not path.exists():
            raise WeightsError(f"no such file or folder: {reference}")
        if not (path.is_file() or path.is_dir()):
            raise WeightsError(f"{reference}: a pipe or device; expected a file or folder of weights")
        return path
    address = parse_address(reference)
    path = home / "weights" / hashlib.sha256(reference.encode()).hexdigest()[:16] / address.name
    try:
        fetch(address.url, path, sha256=address.sha256, binary=True)
    except MirbenchError as error:
        raise WeightsError(f"weights cannot be downloaded: {error}") from error
    if address.sha256 is not None and content_hash(path) != address.sha256:
        raise WeightsError(
            f"{path}: SHA-256 {content_hash(path)}, expected {address.sha256}: the file has changed since it was "
            "downloaded; remove it to download it again"
        )
    return path


def parse_address(reference: str) -> Address:
    """Parse an address.

    Parameters
    ----------
    reference
        `http(s)://HOST/PATH`, with `#sha256=` and 64 hexadecimal digits to pin the content.

    Raises
    ------
    UsageError
        If it is no address, its last part cannot be the name of a file, or what follows # is not understood: a checksum
        that is not checked is worse than none.
    """
    url, hash_sign, fragment = reference.partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{reference}: not an address ({error}); expected http(s)://HOST/PATH") from error
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{reference!r}: not an address; expected http(s)://HOST/PATH, other characters as %XX")
    name = unquote(PurePosixPath(parts.path).name or parts.netloc.rpartition("@")[2])
    if name in (".", "..") or "/" in name or "\\" in name or not name.isprintable() or len(name.encode()) > MAX_NAME:
        raise UsageError(f"{reference}: ends in {name!r}, which cannot be the name of a file; expected such as v.pt")
    pinned = CHECKSUM.fullmatch(fragment)
    if hash_sign and not pinned:
        raise UsageError(f"{reference}: {fragment!r} is no checksum; expected #sha256= and 64 hexadecimal digits")
    return Address(url, name, pinned[1].lower() if pinned else None)


def is_named_elsewhere(reference: str) -> bool:
    """Test whether loading an encoder reads weights or imports code that its reference names.

    This is all but installed encoders with their own weights, and untrained ones.
    """
    name, at, weights = reference.partition("@")
    return ":" in name or bool(at and weights != RANDOM)


def _is_remote(weights: str) -> bool:
    return weights.startswith((HUB, "http://", "https://"))


def _short(weights: str) -> str:
    """Return the last part of a path or an address."""
    if weights.startswith(HUB):
        return PurePosixPath(weights.removeprefix(HUB)).name
    return parse_address(weights).name if _is_remote(weights) else Path(weights).name


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
