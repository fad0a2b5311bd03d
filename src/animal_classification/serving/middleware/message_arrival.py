"""How a request's message is coming in: what the protocol and the layers above it tell each other.

The protocol knows whether the message is there; the layer that bounds requests can answer in place of the route. They
meet in the request's scope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from animal_classification.serving.http.problem_details import ProblemError

KEY = "animals.arrival"


@dataclass(eq=False, slots=True)
class Arrival:
    """One message.

    Attributes:
        complete: Its last byte is here.
        problem: With which the protocol wants it to be answered.
    """

    complete: bool = False
    problem: ProblemError | None = None
    _answer: Callable[[ProblemError], None] | None = None

    def listen(self, answer: Callable[[ProblemError], None]) -> None:
        """``answer`` is called when the protocol wants an end; at once, if it has said so already."""
        self._answer = answer
        if self.problem is not None:
            answer(self.problem)

    def refuse(self, problem: ProblemError) -> None:
        """Have the request answered with a problem, whatever its route is doing."""
        if self.problem is None:
            self.problem = problem
            if self._answer is not None:
                self._answer(problem)


def arrival_of(scope: Scope) -> Arrival | None:
    """The arrival of the message of ``scope``; ``None`` where the protocol is not ours."""
    return scope.get(KEY)
