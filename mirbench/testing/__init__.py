"""The conformance kit: tests of whether a plugin fulfils the interface.

It is available as `mirbench check NAME` on the command line, as `parametrize_with_checks` for a plugin's own test
suite, and as `checks_of` for everything else.
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
    """Return the checks of one spec; nothing is loaded before the first of them runs.

    Parameters
    ----------
    spec
        Spec of an encoder, a task or a data set.
    device
        Device on which an encoder is loaded: "cpu" or "cuda".
    request
        Request with which a data set is loaded.
    task
        Task by which a data set's references are read.
    stored
        Store of features, and the regions whose stored features are compared with an encoder's.

    Raises
    ------
    TypeError
        If a data set comes without a request or a task.
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
    """Return a pytest decorator that runs a test once for every check of every spec.

    Parameters
    ----------
    specs
        Specs of encoders, tasks or data sets.
    **options
        Arguments of `checks_of`.

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
