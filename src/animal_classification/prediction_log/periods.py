"""Periods of time that sums are kept of, and which of them a window is made of.

Coarse periods keep long windows cheap, fine ones keep short windows exact: a window of any length is at most some
hundred periods, however many predictions there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

MINUTE, TEN_MINUTES, HOUR, DAY = 60, 600, 3600, 86400
GRAINS = (MINUTE, TEN_MINUTES, HOUR, DAY)
# A window consists of so many periods at least, the shortest windows excepted.
FEWEST = 28
MOST_PARTS = 48
# For how many seconds the sums of fine periods are kept: no longer window asks for them. Coarser ones stay as long as
# the predictions do.
KEPT = {MINUTE: FEWEST * HOUR + DAY, TEN_MINUTES: FEWEST * DAY + DAY}


def begin_of(time: float, seconds: int) -> int:
    """When the period of ``seconds`` began that holds this moment; both in seconds since 1970, UTC."""
    return int(time // seconds) * seconds


def periods_of(time: float) -> Iterator[tuple[int, int]]:
    """The periods that hold a moment: the length and the begin of each."""
    for seconds in GRAINS:
        yield seconds, begin_of(time, seconds)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Periods of one length, one after the other, from ``begin`` up to, but not with, ``end``."""

    seconds: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """From ``since`` up to, but not with, ``until``, in seconds since 1970; ``since`` is the begin of a period.

    Attributes:
        seconds: Length of the periods that most of it is made of.
        width: Length of the parts that it is shown in, a whole number of periods.
    """

    since: int
    until: float
    seconds: int
    width: int

    @classmethod
    def of(cls, until: float, length: float) -> Window:
        """The last ``length`` seconds before ``until``, begun at the next whole minute, ten minutes or hour before.

        The begin is moved by less than a hundredth of the length, or by less than a minute where that is more.
        """
        number = max((n for n, seconds in enumerate(GRAINS) if length >= FEWEST * seconds), default=0)
        base, fine = GRAINS[number], GRAINS[max(0, number - 1)]
        width = base * max(1, -(-int(length) // (base * MOST_PARTS)))
        return cls(begin_of(until - length, fine), until, base, width)

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """What it is made of: fine periods until a coarse one begins, and coarse ones from there."""
        fine = GRAINS[max(0, GRAINS.index(self.seconds) - 1)]
        begin, end = -(-self.since // self.seconds) * self.seconds, ceil(self.until)
        edge = Stretch(fine, self.since, min(begin, end))
        return tuple(part for part in (edge, Stretch(self.seconds, begin, end)) if part.begin < part.end)

    @property
    def parts(self) -> list[int]:
        """When its parts begin; all but the first and the last are ``width`` long, at whole multiples of it."""
        begins = range(begin_of(self.since, self.width), ceil(self.until), self.width)
        return [max(begin, self.since) for begin in begins]

    def part_of(self, begin: int) -> int:
        """The number of the part in which a period of this window lies."""
        return (begin - begin_of(self.since, self.width)) // self.width
