"""The conformance kit: does a plugin keep its promises?

Three faces: `mirbench check NAME` on the command line; `parametrize_with_checks` for a plugin's own test suite; and
`checks_of` for everything else.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mirbench.specs import DatasetRequest, DatasetSpec, EncoderSpec, Spec
from mirbench.testing.checks import Check, CheckFailed
from mirbench.testing.dataset_checks import DATASET_CHECKS
from mirbench.testing.encoder_checks import (
    ENCODER_CHECKS,
    check_fingerprint_is_stable,
    check_says_what_it_is,
    check_stored_features,
)
from mirbench.testing.task_checks import TASK_CHECKS, with_labels

if TYPE_CHECKING:
    from mirbench.domain import Task
    from mirbench.features.region import Region
    from mirbench.features.store import FeatureStore

__all__ = ["Check", "CheckFailed", "checks_of", "parametrize_with_checks"]


def checks_of(
    spec: Spec,
    *,
    device: str = "cpu",
    request: DatasetRequest | None = None,
    task: "Task | None" = None,
    stored: "tuple[FeatureStore, Sequence[Region]] | None" = None,
) -> list[Check]:
    """List the checks for one spec; nothing is loaded before the first is run.

    Parameters
    ----------
    request
        For a data set: which task, which size, where.
    task
        For a data set: what its references are for.
    stored
        For an encoder: where its features may be stored, and of which regions.
    """
    if isinstance(spec, EncoderSpec):
        loaded = _once(partial(spec.load, device))
        checks = [_check(check, loaded) for check in ENCODER_CHECKS]
        return [
            *checks,
            Check("check_fingerprint_is_stable", partial(check_fingerprint_is_stable, spec, device)),
            Check("check_says_what_it_is", lambda: check_says_what_it_is(spec, loaded())),
            *(
                [Check("check_stored_features_are_its_own", lambda: check_stored_features(spec, loaded(), *stored))]
                if stored
                else []
            ),
        ]
    if isinstance(spec, DatasetSpec):
        if request is None or task is None:
            raise TypeError("the checks of a data set need a request and a task")
        data = _once(partial(spec.load, request))
        return [_check(check, data, task) for check in DATASET_CHECKS]
    question = _once(lambda: with_labels(spec.load()))
    return [_check(check, question) for check in TASK_CHECKS]


def parametrize_with_checks(specs: Iterable[Spec], **options: Any) -> Any:
    """Run a test once for every check of every spec.

    Examples
    --------
    ::

        @parametrize_with_checks([my_plugin.SPEC])
        def test_conformance(check):
            check()
    """
    import pytest

    cases = [(spec.name, check) for spec in specs for check in checks_of(spec, **options)]
    return pytest.mark.parametrize("check", [check for _, check in cases], ids=[f"{n}-{c.name}" for n, c in cases])


def _check(function: Callable[..., None], load: Callable[[], Any], *others: Any) -> Check:
    return Check(function.__name__, lambda: function(load(), *others))


def _once(load: Callable[[], Any]) -> Callable[[], Any]:
    loaded: list[Any] = []

    def get() -> Any:
        if not loaded:
            loaded.append(load())
        return loaded[0]

    return get
