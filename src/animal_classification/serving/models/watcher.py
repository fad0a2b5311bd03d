"""Watches where a model comes from, and lets a new version take over when it is verified, loaded and warm.

A version that cannot take over changes no answer: the log and the metrics report it, and it is tried again with growing
pauses.
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
    from animal_classification.serving.models.loader import LoadedModel
    from animal_classification.serving.observability.metrics import ModelMetrics

    Result = Literal["same", "swapped", "refused", "unreachable"]

log = logging.getLogger(__name__)
LONGEST_PAUSE = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedModel:
    """A model that is watched: where it comes from, and how it is put in place.

    Attributes:
        name: Under which it answers, or the model that it stands beside.
        role: ``model``, ``canary`` or ``shadow``.
        fingerprint: Of what the source has now; see :meth:`ModelLoader.fingerprint`. Slow.
        load: Loads it, given the model that it takes over from. Slow.
        install: Lets it take over, on the event loop; called with ``None`` when the source has no model any more.
        optional: The source may have none, as the alias ``candidate`` after a promotion.
    """

    name: str
    role: Literal["model", "canary", "shadow"]
    fingerprint: Callable[[], str | None]
    load: Callable[[LoadedModel | None], LoadedModel]
    install: Callable[[LoadedModel | None], None]
    optional: bool = False

    @property
    def title(self) -> str:
        """For the log."""
        return self.name if self.role == "model" else f"{self.name}, {self.role}"


class ModelWatcher:
    """Keeps one model at what its source has.

    Args:
        model: What to watch.
        now: What is loaded.
        every: Seconds between two checks.
        metrics: Where changes are counted.
        loading: Held while a model is loaded: of the watchers that share it, one loads at a time.

    Attributes:
        name: Of the model.
        role: Of the model.
    """

    def __init__(
        self,
        model: WatchedModel,
        now: LoadedModel | None,
        *,
        every: float,
        metrics: ModelMetrics,
        loading: asyncio.Lock,
    ) -> None:
        self.name = model.name
        self.role = model.role
        self._model = model
        self._now = now
        self._every = every
        self._metrics = metrics
        self._loading = loading
        self._checking = asyncio.Lock()
        self._refused: str | None = None  # fingerprint of what could not take over
        self._retry_at = 0.0
        self._failures = 0

    async def run(self) -> None:
        """Check again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._pause if self._refused is None else self._every)
            await self.check()

    async def check(self, *, now: bool = False) -> Result:
        """Check the source once, and let a new version take over.

        Args:
            now: Also try a version that was refused lately.
        """
        async with self._checking:
            try:
                found = await in_thread(self._model.fingerprint)
            except BundleNotFoundError as error:
                return self._remove() if self._model.optional else self._report("unreachable", error)
            except Exception as error:  # whatever a registry or a file system raises, the server goes on
                return self._report("unreachable", error)
            if found is None or (self._now is not None and found == self._now.fingerprint):
                self._forget_failures()
                return "same"
            if found == self._refused and not now and asyncio.get_running_loop().time() < self._retry_at:
                return "refused"
            return await self._replace_with(found)

    @property
    def _pause(self) -> float:
        return min(LONGEST_PAUSE, self._every * 2**self._failures) if self._failures < 30 else LONGEST_PAUSE

    async def _replace_with(self, found: str) -> Result:
        if found != self._refused:
            self._failures = 0
        try:
            async with self._loading:
                loaded = await in_thread(lambda: self._model.load(self._now), patience=PATIENCE)
        except Exception as error:  # a broken graph may raise anything
            self._refused = found
            return self._report("refused", error)
        self._model.install(loaded)
        before = f", in place of {self._now.title}" if self._now is not None else ""
        self._now = loaded
        self._forget_failures()
        self._metrics.changed(self.name, "swapped")
        log.info("%s: %s is loaded and takes over%s", self._model.title, loaded.title, before)
        return "swapped"

    def _remove(self) -> Result:
        if self._now is None:
            return "same"
        log.info("%s: %s is gone", self._model.title, self._now.title)
        self._model.install(None)
        self._now = None
        self._forget_failures()
        return "swapped"

    def _forget_failures(self) -> None:
        self._refused = None
        self._failures = 0

    def _report(self, result: Literal["refused", "unreachable"], error: Exception) -> Result:
        self._failures += 1
        self._retry_at = asyncio.get_running_loop().time() + self._pause
        self._metrics.changed(self.name, result)
        stays = f"{self._now.title} stays" if self._now is not None else "nothing is there"
        what = f"what is new is {result}" if result == "refused" else f"its source is {result}"
        message = "%s: %s and %s: %s; next try in %.3g s"
        log.warning(message, self._model.title, what, stays, _one_line(error), self._pause)
        return result


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
