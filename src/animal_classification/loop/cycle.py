"""One turn of the loop as the ledger tells it, and the words for its states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from animal_classification.errors import UsageError
from animal_classification.loop.ledger import Transition

State = Literal["waiting", "collected", "trained", "gated", "shadow", "canary", "promoted", "watched", "closed"]
# Of a row that moves no cycle: photos were deleted on request. It stands in the newest cycle, because a chain grows at
# its end; before the first cycle it stands under number 0.
FORGOTTEN = "forgotten"
# What each state means, for people.
MEANING: dict[str, str] = {
    "waiting": "for labels, or for a reason to train",
    "collected": "the labels are in the data",
    "trained": "there is a candidate",
    "gated": "the candidate was held against production",
    "shadow": "the candidate answers beside production, and people judge disagreements",
    "canary": "the candidate answers a share of requests",
    "promoted": "the candidate is in production and watched",
    "watched": "nothing went wrong",
    "closed": "the cycle is over",
}


@dataclass(frozen=True)
class Cycle:
    """A cycle's transitions, at least one."""

    rows: tuple[Transition, ...]

    @property
    def name(self) -> str:
        """Such as ``ZOO-0007``."""
        return self.rows[0].cycle

    @property
    def last(self) -> Transition:
        """The newest transition; deleting photos is none."""
        return next(row for row in reversed(self.rows) if row.state != FORGOTTEN)

    @property
    def state(self) -> str:
        """Where it is."""
        return self.last.state

    @property
    def open(self) -> bool:
        """It goes on."""
        return self.state != "closed"

    def decision(self, state: str) -> dict[str, Any]:
        """What was decided when it came to a state last; empty where it never did."""
        return next((row.decision for row in reversed(self.rows) if row.state == state), {})

    def value(self, name: str) -> Any:
        """The newest value of a column, such as ``bundle``."""
        return next((found for row in reversed(self.rows) if (found := getattr(row, name)) is not None), None)


def cycles_of(rows: Sequence[Transition]) -> list[Cycle]:
    """All cycles, the first one first; what was deleted before there was any is in none."""
    grouped: dict[str, list[Transition]] = {}
    for row in rows:
        grouped.setdefault(row.cycle, []).append(row)
    return [Cycle(tuple(found)) for found in grouped.values() if any(row.state != FORGOTTEN for row in found)]


def find_cycle(rows: Sequence[Transition], name: str) -> Cycle:
    """The cycle of that name, in any case.

    Raises:
        UsageError: There is none.
    """
    cycles = cycles_of(rows)
    for cycle in cycles:
        if cycle.name == name.upper():
            return cycle
    known = ", ".join(cycle.name for cycle in cycles[-5:]) or "none"
    raise UsageError(f"there is no cycle {name!r}; the last ones: {known}")
