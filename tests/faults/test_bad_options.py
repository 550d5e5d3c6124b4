"""Options whose values cannot be meant: refused before anything is computed, written or removed."""

import math

import click
import pytest

from mirbench.cli.main import cli
from mirbench.cli.options import NamedPath
from mirbench.errors import UsageError
from mirbench.features.region import FeatureKey
from mirbench.features.store import FeatureStore

NUMBERS = [
    ("memory nan", lambda world: world.run("key", "mfcc", "--memory", "nan")),
    ("memory inf", lambda world: world.run("key", "mfcc", "--memory", "inf")),
    ("memory beyond all disks", lambda world: world.run("key", "mfcc", "--memory", "1e308")),
    ("store limit nan", lambda world: world.run("key", "mfcc", "--store-limit", "nan")),
    ("store limit inf", lambda world: world.run("key", "mfcc", "--store-limit", "inf")),
    ("store limit -inf", lambda world: world.run("key", "mfcc", "--store-limit", "-inf")),
    ("train fraction nan", lambda world: world.run("key", "mfcc", "--train-fraction", "nan")),
    ("train fraction inf", lambda world: world.run("key", "mfcc", "--train-fraction", "0.5,inf")),
    ("gc limit nan", lambda world: ["store", "gc", "--limit", "nan"]),
    ("gc limit -nan", lambda world: ["store", "gc", "--limit", "-nan"]),
    ("gc limit inf", lambda world: ["store", "gc", "--limit", "inf"]),
    ("pretrain hours nan", lambda world: _pretrain(world, "--hours", "nan")),
    ("pretrain hours inf", lambda world: _pretrain(world, "--hours", "inf")),
    ("pretrain hours 1e300", lambda world: _pretrain(world, "--hours", "1e300")),
    ("pretrain seed of 100 bits", lambda world: _pretrain(world, "--steps", 1, "--seed", 2**100)),
    ("seed of 100 bits", lambda world: world.run("key", "mfcc", "--seed", 2**100)),
]
EMPTY_PATHS = [
    ("home of run", lambda world: world.run("key", "mfcc", "--home", "")),
    ("home of gc", lambda world: ["store", "gc", "--limit", 0, "--home", ""]),
    ("home of data list", lambda world: ["data", "list", "--home", ""]),
    ("results of run", lambda world: world.run("key", "mfcc", "--out", "")),
    ("CSV file of run", lambda world: world.run("key", "mfcc", "--data", "")),
]


def _pretrain(world, *more):
    return ["pretrain", "vit1d", "--audio", world.folder, "--out", world.folder / "w.safetensors", *more]


@pytest.fixture
def kept(world):
    """A store with features of one clip, which no refused command may remove."""
    import numpy as np

    store = FeatureStore(world.home / "features")
    key = FeatureKey("f", "a", 0.0, None, "frames")
    with store.writer("f", "mine") as writer:
        writer.add(key, np.zeros((1, 2, 3), np.float32), np.arange(2.0))
    return store, key


@pytest.mark.parametrize(("name", "inflict"), NUMBERS, ids=[case[0] for case in NUMBERS])
def test_a_number_that_is_none_is_refused_and_the_store_stays(ends, kept, name, inflict):
    store, key = kept
    printed = ends(inflict, 2, ())
    assert any(word in printed for word in ("not a finite number", "not in the range", "expected shares")), printed
    assert key in FeatureStore(store.folder)


@pytest.mark.parametrize(("name", "inflict"), EMPTY_PATHS, ids=[case[0] for case in EMPTY_PATHS])
def test_an_empty_path_is_not_the_current_folder(ends, monkeypatch, tmp_path, name, inflict):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    ends(inflict, 2, ("the path is empty",))
    assert sorted(tmp_path.iterdir()) == before


def test_a_share_of_no_clip_is_one_group(ends, world):
    ends(lambda world: world.run("tagging", "mfcc", "--train-fraction", "1e-12"), 0, ("macro_roc_auc",))
    ends(lambda world: world.run("key", "mfcc", "--train-fraction", "1e-12"), 1, ("1 class",))


@pytest.mark.parametrize("limit", [math.nan, math.inf, -1.0])
def test_the_store_itself_refuses_a_limit_that_is_none(kept, limit):
    store, key = kept
    with pytest.raises(UsageError, match="expected a finite number of at least 0"):
        store.evict(limit)
    assert key in FeatureStore(store.folder)


def _options(command, context=None):
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from _options(command.get_command(click.Context(command), name))
    else:
        yield from command.params


def test_every_number_option_is_checked_at_the_same_place():
    plain = [each.name for each in _options(cli) if type(each.type) in (click.FloatRange, click.types.FloatParamType)]
    assert plain == []


def test_every_home_is_a_named_path():
    assert all(isinstance(each.type, NamedPath) for each in _options(cli) if each.name == "home")
