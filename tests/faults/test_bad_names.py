"""Names that lead elsewhere: in addresses of weights, in checksums, and in records of somebody else."""

import dataclasses
import hashlib
import sys

import pytest

from mirbench.encoders.references import find_weights, is_named_elsewhere, parse_address
from mirbench.errors import UsageError, WeightsError
from mirbench.results.records import as_json, as_line, read_records
from mirbench.runs import reproduce
from mirbench.runs.reproduce import Reproduction

DIGEST = "0123456789abcdef" * 4
HOST = "http://127.0.0.1:9/x/"
LEADING_ELSEWHERE = [
    "..%2F..%2F..%2Fpwned.safetensors",
    "..%2F..%2F..%2F..%2Fpwned.safetensors",
    "%2Ftmp%2Fpwned.safetensors",
    "..%5C..%5Cpwned.safetensors",
    "C:%5Cpwned.safetensors",
    "%2E%2E",
    "%2e",
    "a%00b.safetensors",
    "a%0Ab.safetensors",
    "a%1B%5B2Jb.safetensors",
    "a%E2%80%AEb.safetensors",
    "a" * 300,
]
CHECKSUMS = [
    f"sha256:{DIGEST}",
    f"sha-256={DIGEST}",
    f"SHA-256={DIGEST}",
    f"md5={DIGEST[:32]}",
    f"sha1={DIGEST[:40]}",
    f"sha256={DIGEST[:63]}",
    f"sha256={DIGEST}0",
    f"sha256={DIGEST[:63]}g",
    f"sha256={DIGEST}&md5=0",
    f"sha256={DIGEST}#sha256={DIGEST}",
    DIGEST,
    "main",
    "sha256=",
    "",
]
NOT_ADDRESSES = [
    "http://",
    "https:///a.safetensors",
    "http://[::1/a.safetensors",
    "http://host:port/a.safetensors",
    "http://host:99999/a.safetensors",
    "http://host/a b.safetensors",
    "http://h\u00f6st/a.safetensors",
    "http://host/a\nb.safetensors",
]


def _with_weights(reference):
    return lambda world: world.run("key", f"stone@{reference}")


@pytest.mark.parametrize("name", LEADING_ELSEWHERE)
def test_an_address_that_ends_in_no_name_of_a_file_is_refused(ends, world, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    ends(_with_weights(HOST + name), 2, ("cannot be the name of a file",))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("fragment", CHECKSUMS)
def test_a_checksum_that_is_not_understood_is_refused(ends, fragment):
    ends(_with_weights(f"{HOST}a.safetensors#{fragment}"), 2, ("expected #sha256= and 64 hexadecimal digits",))


@pytest.mark.parametrize("address", NOT_ADDRESSES)
def test_what_is_no_address_is_refused(ends, address):
    ends(_with_weights(address), 2, ("not an address",))


@pytest.mark.parametrize("command", ["info", "check"])
def test_other_commands_refuse_an_address_in_the_same_way(ends, command):
    ends(lambda world: [command, f"stone@{HOST}..%2Fx"], 2, ("cannot be the name of a file",))
    ends(lambda world: ["key", "--checkpoint", f"{HOST}..%2Fx", world.folder], 2, ("cannot be the name of a file",))


def test_a_checksum_of_the_hub_is_refused(ends):
    ends(_with_weights(f"hf://org/repo/a.safetensors#sha256={DIGEST}"), 2, ("@REVISION",))


@pytest.mark.parametrize("name", ["sha256", "SHA256", "Sha256"])
def test_a_checksum_is_understood_in_any_case(name):
    address = parse_address(f"https://example.org/a%20b.safetensors?download=1#{name}={DIGEST.upper()}")
    assert address.sha256 == DIGEST
    assert (address.url, address.name) == ("https://example.org/a%20b.safetensors?download=1", "a b.safetensors")


def test_a_pinned_file_is_hashed_when_it_is_loaded(ends, world):
    content = b"weights\0"
    reference = f"http://127.0.0.1:9/a.safetensors#sha256={hashlib.sha256(content).hexdigest()}"
    folder = world.home / "weights" / hashlib.sha256(reference.encode()).hexdigest()[:16]
    folder.mkdir(parents=True)
    path = folder / "a.safetensors"
    path.write_bytes(content)
    assert find_weights(reference, world.home) == path
    path.write_bytes(b"weighty\0")
    with pytest.raises(WeightsError, match=r"a\.safetensors: SHA-256 .* expected .* remove it to download it again"):
        find_weights(reference, world.home)
    ends(_with_weights(reference), 1, (str(path), "remove it"))


@pytest.fixture
def record_of(world, mirbench):
    """Write a record in which somebody has changed fields; returns its path."""
    assert mirbench(*world.run())[0] == 0
    [result] = [each for each in read_records(world.out / "records") if each.is_headline]

    def write(**fields):
        path = world.folder / "theirs.jsonl"
        path.write_text(as_line(as_json(dataclasses.replace(result, **fields))) + "\n")
        return path

    return write


@pytest.mark.parametrize(
    "encoder",
    [
        "hear:pwned",
        "hear:pwned:weights",
        "hf:org/name",
        "stone@http://127.0.0.1:9/a.safetensors",
        "stone@hf://org/name/a.safetensors",
        "stone@/etc/passwd",
        "stone@a.safetensors",
        "pwned:random",
    ],
)
def test_what_a_record_names_is_not_loaded(ends, world, record_of, monkeypatch, encoder):
    world.write("pwned.py", "raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(world.folder))
    path = record_of(encoder=encoder)
    ends(lambda world: ["reproduce", path, "--data", world.csv], 2, (encoder, "--trust-record"))
    assert "pwned" not in sys.modules
    assert not (world.home / "weights").exists()


def test_weights_of_the_users_own_do_not_make_code_of_a_record_trusted(ends, world, record_of):
    path = record_of(encoder="hear:pwned@a")
    command = ["reproduce", path, "--data", world.csv, "--checkpoint", world.csv]
    ends(lambda world: command, 2, ("hear:pwned", "--trust-record"))


def test_a_trusted_record_is_run(ends, world, record_of, monkeypatch):
    world.write("theirs_here.py", "raise ImportError('it was imported')")
    monkeypatch.syspath_prepend(str(world.folder))
    path = record_of(encoder="hear:theirs_here")
    command = ["reproduce", path, "--data", world.csv, "--trust-record"]
    ends(lambda world: command, 1, ("loading encoder hear:theirs_here", "it was imported"))


def test_an_installed_encoder_needs_no_trust(ends, world, record_of):
    path = record_of()
    printed = ends(lambda world: ["reproduce", path, "--data", world.csv], 0, ("to the last digit",))
    assert "loading encoder mfcc" in printed


@pytest.mark.parametrize(
    ("reference", "is_named"),
    [("mfcc", False), ("vit1d@random", False), ("vit1d@a", True), ("hf:a/b", True), ("hear:a@random", True)],
)
def test_what_a_reference_names(reference, is_named):
    assert is_named_elsewhere(reference) == is_named


def test_no_encoder_is_chosen_without_the_question_of_trust(record_of):
    result = read_records(record_of(encoder="stone@a"))[0]
    with pytest.raises(UsageError, match="give the weights with --checkpoint FILE"):
        reproduce.trusted_encoder(result)
    assert reproduce.trusted_encoder(result, "b") == "stone@b"
    assert reproduce.trusted_encoder(result, is_trusted=True) == "stone@a"


@pytest.mark.parametrize(
    ("difference", "code", "said"),
    [
        (0.0, 0, "to the last digit"),
        (2e-16, 0, "within 1e-09"),
        (9e-10, 0, "within 1e-09"),
        (-9e-10, 0, "within 1e-09"),
        (2e-9, 1, "does not come back (-2.00e-09)"),
    ],
)
@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_numbers_come_back_within_a_tolerance(ends, world, record_of, field, difference, code, said):
    result = read_records(record_of())[0]
    path = record_of(**{field: getattr(result, field) + difference})
    if code and field != "value":
        said = "does not come back"
    if difference and getattr(result, field) + difference == getattr(result, field):
        said = "to the last digit"
    ends(lambda world: ["reproduce", path, "--data", world.csv], code, (said,))


def test_nan_does_not_come_back(record_of):
    result = read_records(record_of())[0]
    nan = dataclasses.replace(result, low=float("nan"))
    assert not Reproduction(result, nan, {}).is_close


@pytest.mark.parametrize("name", ["mfcc", "vit1d@random"])
def test_the_precision_is_no_part_of_what_a_record_names(record_of, name):
    path = record_of(encoder=f"{name}+bf16", extraction={"precision": "bf16"})
    assert reproduce.trusted_encoder(read_records(path)[0]) == name
