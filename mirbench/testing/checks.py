"""What a check is."""

from collections.abc import Callable
from dataclasses import dataclass


class CheckFailed(AssertionError):
    """A promise is broken."""


def require(condition: bool, message: str) -> None:
    """Fail the check with a message unless the condition holds."""
    if not condition:
        raise CheckFailed(message)


@dataclass(frozen=True)
class Check:
    """One promise of one plugin; call it to have it checked."""

    name: str
    function: Callable[[], None]

    def __call__(self) -> None:
        """Raise `CheckFailed` if the promise is broken, or whatever the plugin raises."""
        self.function()

    def problem(self) -> str | None:
        """Say what is wrong, or None."""
        try:
            self.function()
        except CheckFailed as failed:
            return str(failed)
        except Exception as error:  # a plugin may raise anything
            return f"{type(error).__name__}: {error}"
        return None
