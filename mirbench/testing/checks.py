"""Checks, and the error of a failed one."""

from collections.abc import Callable
from dataclasses import dataclass


class CheckFailed(AssertionError):
    """A plugin does not fulfil the interface."""


def require(condition: bool, message: str) -> None:
    """Fail the check with a message unless the condition holds."""
    if not condition:
        raise CheckFailed(message)


@dataclass(frozen=True)
class Check:
    """One check of one plugin; call it to run it.

    Attributes
    ----------
    name
        Name of the check.
    function
        Runs the check; raises `CheckFailed`.
    """

    name: str
    function: Callable[[], None]

    def __call__(self) -> None:
        """Raise `CheckFailed` if the promise is broken, or whatever the plugin raises."""
        self.function()

    def problem(self) -> str | None:
        """Return what is wrong, or None if the check passes."""
        try:
            self.function()
        except CheckFailed as failed:
            return str(failed)
        except Exception as error:  # a plugin may raise anything
            return f"{type(error).__name__}: {error}"
        return None
