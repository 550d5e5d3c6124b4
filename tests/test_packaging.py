"""What the distribution says of itself."""

import re
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import mirbench

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_versions_agree():
    assert mirbench.__version__ == PROJECT["project"]["version"] == version("mirbench-audio")


def test_every_plugin_package_is_typed_offered_and_expected_in_the_wheel():
    packages = {path.name for root in ("plugins", "tasks") for path in (ROOT / root).iterdir() if path.is_dir()}
    assert all((next(ROOT.glob(f"*/{name}")) / "py.typed").is_file() for name in packages)
    assert set(PROJECT["tool"]["check-wheel-contents"]["toplevel"]) == packages | {"mirbench"}
    assert set(PROJECT["tool"]["mypy"]["packages"]) == packages | {"mirbench"}
    assert {
        entry.value for entry in entry_points(group="mirbench") if entry.dist.name == "mirbench-audio"
    } == packages - {"mirbench_hub", "mirbench_spectra", "mirbench_ssl"}


def test_torch_admits_the_build_at_hand_and_none_newer():
    [line] = [line for line in PROJECT["project"]["dependencies"] if line.startswith("torch")]
    assert line == "torch>=2.6,<2.14"


def test_nothing_heavy_is_a_dependency():
    names = {re.split(r"[<>=;\[ ]", line)[0] for line in PROJECT["project"]["dependencies"]}
    assert not names & {
        "mirdata",
        "soundata",
        "transformers",
        "librosa",
        "pandas",
        "torchaudio",
        "torchvision",
        "lightning",
    }
