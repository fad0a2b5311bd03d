"""Watches where a model comes from, and lets a new version take over when it is verified, loaded and warm.

A version that cannot take over changes nothing for anybody who asks: it is told of in the log and in the metrics, and
tried again with growing pauses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from animal_classification.errors import BundleNotFoundError
from animal_classification.serving.batching.slow_work import PATIENCE, in_thread

if TYPE_CHECKING:
    from animal_classification.serving.models.loader import Loaded
    from animal_classification.serving.models.model_metrics import ModelMetrics

    Result = Literal["same", "swapped", "refused", "unreachable"]

log = logging.getLogger(__name__)
LONGEST_PAUSE = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a model that is followed comes from and goes to.

    Attributes:
        name: Under which it, or what it stands beside, answers.
        role: ``model``, ``canary`` or ``shadow``.
        look: What there is by now; see :meth:`Loader.look`. Slow.
        load: Loads it, given what it takes over from. Slow.
        install: Lets it take over, on the event loop; gets ``None`` where there is none any more.
        optional: It may be gone, as the alias ``candidate`` is after a promotion.
    """

    name: str
    role: Literal["model", "canary", "shadow"]
    look: Callable[[], str | None]
    load: Callable[[Loaded | None], Loaded]
    install: Callable[[Loaded | None], None]
    optional: bool = False

    @property
    def title(self) -> str:
        """For the log."""
        return self.name if self.role == "model" else f"{self.name}, {self.role}"


class Follower:
    """Keeps one place at what its source says.

    Args:
        place: The place.
        now: What is there.
        every: Seconds between two looks.
        metrics: Where changes are counted.
        turn: Held while a model is loaded: of those who share it, one loads at a time.

    Attributes:
        name: Of the place.
        role: Of the place.
    """

    def __init__(
        self,
        place: Place,
        now: Loaded | None,
        *,
        every: float,
        metrics: ModelMetrics,
        turn: asyncio.Lock,
    ) -> None:
        self.name = place.name
        self.role = place.role
        self._place = place
        self._now = now
        self._every = every
        self._metrics = metrics
        self._turn = turn
        self._looking = asyncio.Lock()
        self._refused: str | None = None
        self._again = 0.0
        self._failures = 0

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._pause if self._refused is None else self._every)
            await self.look()

    async def look(self, *, now: bool = False) -> Result:
        """Look once, and let take over what is new.

        Args:
            now: Try also what was refused lately.
        """
        async with self._looking:
            try:
                seen = await in_thread(self._place.look)
            except BundleNotFoundError as error:
                return self._gone() if self._place.optional else self._trouble("unreachable", error)
            except Exception as error:  # whatever a registry or a file system raises, the server goes on
                return self._trouble("unreachable", error)
            if seen is None or (self._now is not None and seen == self._now.seen):
                self._settle()
                return "same"
            if seen == self._refused and not now and asyncio.get_running_loop().time() < self._again:
                return "refused"
            return await self._change_to(seen)

    @property
    def _pause(self) -> float:
        return min(LONGEST_PAUSE, self._every * 2**self._failures) if self._failures < 30 else LONGEST_PAUSE

    async def _change_to(self, seen: str) -> Result:
        if seen != self._refused:
            self._failures = 0
        try:
            async with self._turn:
                loaded = await in_thread(lambda: self._place.load(self._now), patience=PATIENCE)
        except Exception as error:  # a broken graph may raise anything
            self._refused = seen
            return self._trouble("refused", error)
        self._place.install(loaded)
        before = f", in place of {self._now.title}" if self._now is not None else ""
        self._now = loaded
        self._settle()
        self._metrics.changed(self.name, "swapped")
        log.info("%s: %s is loaded and takes over%s", self._place.title, loaded.title, before)
        return "swapped"

    def _gone(self) -> Result:
        if self._now is None:
            return "same"
        log.info("%s: %s is gone", self._place.title, self._now.title)
        self._place.install(None)
        self._now = None
        self._settle()
        return "swapped"

    def _settle(self) -> None:
        self._refused = None
        self._failures = 0

    def _trouble(self, result: Literal["refused", "unreachable"], error: Exception) -> Result:
        self._failures += 1
        self._again = asyncio.get_running_loop().time() + self._pause
        self._metrics.changed(self.name, result)
        stays = f"{self._now.title} stays" if self._now is not None else "nothing is there"
        what = f"what is new is {result}" if result == "refused" else f"its source is {result}"
        message = "%s: %s and %s: %s; next try in %.3g s"
        log.warning(message, self._place.title, what, stays, _one_line(error), self._pause)
        return result


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
