"""Every installed encoder, task and embedded data set against every check."""

from dataclasses import replace
from pathlib import Path

import pytest

from mirbench.data.reference_hash import digest_of
from mirbench.encoders.references import find_encoder
from mirbench.plugins import Plugins
from mirbench.runs.planning import load_dataset
from mirbench.specs import DatasetRequest, DatasetSpec, EncoderSpec
from mirbench.testing import Check, checks_of, parametrize_with_checks
from mirbench.testing.dataset_checks import DATASET_CHECKS

PLUGINS = Plugins()
EMBEDDED = [spec for spec in PLUGINS.datasets.specs() if spec.is_embedded]


def test_the_built_in_plugins_are_found_and_whole():
    assert PLUGINS.problems == []
    assert {"chroma", "logmel", "mfcc", "random"} <= set(PLUGINS.encoders.names)
    assert "key" in PLUGINS.tasks.names


def with_weights(spec: EncoderSpec) -> EncoderSpec:
    return spec if spec.missing() is None else find_encoder(PLUGINS.encoders, f"{spec.name}@random", Path())


# All that are here or can be had untrained; large ones (MERT, if it is in the cache) are checked on a tiny one.
TESTED = [
    spec
    for spec in PLUGINS.encoders.specs()
    if (spec.missing() is None or spec.pretrain) and (spec.n_parameters or 0) < 5e7
]


@parametrize_with_checks([with_weights(spec) for spec in TESTED])
def test_encoder(check: Check):
    check()


@parametrize_with_checks(PLUGINS.tasks.specs())
def test_task(check: Check):
    check()


@pytest.fixture(scope="session")
def embedded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded")


@pytest.mark.parametrize("place", range(len(DATASET_CHECKS)), ids=[check.__name__ for check in DATASET_CHECKS])
@pytest.mark.parametrize(
    ("spec", "task"),
    [(spec, task) for spec in EMBEDDED for task in spec.tasks],
    ids=lambda value: getattr(value, "name", value),
)
def test_embedded_dataset(spec: DatasetSpec, task: str, place: int, embedded_home: Path):
    request = DatasetRequest(task=task, size="small", home=embedded_home, workers=2)
    load_dataset(spec, request)
    checks_of(spec, request=request, task=PLUGINS.tasks[task].load())[place]()


def test_every_task_has_a_default_data_set_that_serves_it():
    for spec in PLUGINS.tasks.specs():
        assert spec.default_dataset is not None
        assert spec.name in PLUGINS.datasets[spec.default_dataset].tasks


@pytest.mark.parametrize(
    ("spec", "task"),
    [(spec, task) for spec in EMBEDDED for task in spec.tasks],
    ids=lambda value: getattr(value, "name", value),
)
def test_embedded_references_need_no_audio(spec: DatasetSpec, task: str, embedded_home: Path, tmp_path_factory):
    """The references without audio are those of the audio, and the hash in records is the same."""
    request = DatasetRequest(task=task, size="small", home=embedded_home, workers=2)
    made = load_dataset(spec, request)
    home = tmp_path_factory.getbasetemp() / "without audio"
    planned = spec.load(replace(request, home=home, needs_audio=False))
    assert digest_of(planned) == digest_of(made)
    assert not list(home.rglob("*.flac"))
