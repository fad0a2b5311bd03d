"""Faults that pass: tried again after 1, 2, 4, 8 and 16 seconds, each with a little chance on top."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from animal_classification.common.urls import in_a_line
from animal_classification.errors import AnimalsError

SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
_LOCAL_ANSWERS = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
# Of botocore and google.auth, which need not be installed.
NO_SIGN_IN = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"}
_UNAUTHORIZED = 401

Result = TypeVar("Result")


class StoreFaultError(AnimalsError):
    """A store did not answer, however often it was asked: nothing is known of what lies there."""


@dataclass(frozen=True)
class Retry:
    """How often to ask again, and how long to wait before.

    Attributes:
        seconds: Waits, in order; up to half as much is added to each, so that machines do not come back together
            ("full jitter", Brooker 2015, keeps more of them apart, but may come back at once).
        sleep: Waits; tests hand in one that does not.
        random: In [0, 1).
    """

    seconds: tuple[float, ...] = SECONDS
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = field(default=random.random)

    def call(self, ask: Callable[[], Result], what: str) -> tuple[Result, int]:
        """Ask until there is an answer.

        Args:
            ask: Raises ``FileNotFoundError``, ``FileExistsError`` or ``PermissionError`` where that is the answer, and
                anything else where it got none.
            what: What is done, with its place, for the message.

        Returns:
            The answer, and how often it was asked for.

        Raises:
            StoreFaultError: There is none after the last wait.
            OSError: That is the answer.
        """
        for tries, wait in enumerate((*self.seconds, None), start=1):
            try:
                return ask(), tries
            except (*_LOCAL_ANSWERS, AnimalsError):
                raise
            except Exception as error:
                if is_refusal(error):
                    raise PermissionError(*error.args) from error
                if wait is None:
                    raise StoreFaultError(
                        f"cannot {what}: no answer in {tries} tries ({in_a_line(error)}); run the same command again "
                        "later"
                    ) from error
            self.sleep(wait * (1 + self.random() / 2))
        raise AssertionError("the last try answers or raises")


def is_refusal(error: Exception) -> bool:
    """Whether this account has no right, or there is none: gcsfs says so in words, s3fs by ``PermissionError``."""
    if type(error).__name__ in NO_SIGN_IN or getattr(error, "code", None) == _UNAUTHORIZED:
        return True
    return isinstance(error, OSError) and str(error).startswith("Forbidden")
