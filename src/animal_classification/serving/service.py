"""The one classifier that this process serves: installed when loaded, used off the event loop.

The HTTP routes and the page share it and its threads, so that together they never work on more photos than it has
threads for; what waits for a thread is bounded in number, in bytes and in time.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from animal_classification.inference.classifier import CHUNK
from animal_classification.inference.results import FileResult
from animal_classification.serving.metrics import Metrics
from animal_classification.serving.photo_jobs import Outcome, PhotoHandler, PhotoJob, Predictor
from animal_classification.serving.problems import ProblemError
from animal_classification.serving.remembering import Answers, Key
from animal_classification.serving.workers import QueueFullError, Workers
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from animal_classification.serving.uploads import Photo

__all__ = ["Outcome", "Predictor", "Service", "fastest_batch", "warm_up"]

Result = TypeVar("Result")
MAX_RETRY_AFTER = 60
# A batch makes its first photo wait for its last, so it must win at least this much.
WORTH_IT = 0.9


class Service:
    """Holds the classifier and the threads that use it.

    Args:
        settings: How much may wait, and how long.
        metrics: Where to count.
    """

    def __init__(self, settings: Settings = Settings(), metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self._settings = settings
        self._predictor: Predictor | None = None
        self._workers: Workers[PhotoJob] | None = None
        self._answers = Answers(settings.cache_size)
        self._draining = False

    @property
    def ready(self) -> bool:
        """A classifier is installed, and the server is not about to stop."""
        return self._predictor is not None and not self._draining

    @property
    def draining(self) -> bool:
        """The server is about to stop: what came is answered, and nobody should send more."""
        return self._draining

    @property
    def predictor(self) -> Predictor:
        """The classifier.

        Raises:
            ProblemError: 503 while none is installed.
        """
        if self._predictor is None:
            raise ProblemError(
                503, "the model is still loading; try again", kind="not-ready", headers={"Retry-After": "1"}
            )
        return self._predictor

    def install(self, predictor: Predictor, *, batch: int = CHUNK) -> None:
        """Start answering with ``predictor``, with up to ``batch`` photos in one call of the engine."""
        self._workers = Workers(
            PhotoHandler(predictor, self.metrics),
            threads=predictor.threads,
            chunk=batch,
            size=self._settings.queue_size,
            patience=self._settings.max_wait,
            on_depth=self.metrics.queued,
        )
        self._answers = Answers(self._settings.cache_size)
        self.metrics.installed(predictor.info, predictor.bundle.sha256)
        self._predictor = predictor

    def drain(self) -> None:
        """Say from now on that this server is not ready; it goes on answering."""
        self._draining = True

    def close(self, timeout: float = 0.0) -> None:
        """Stop; photos that are not begun yet are dropped, the others are waited for during ``timeout`` seconds."""
        if self._workers is not None:
            self._workers.close(timeout)

    def admit(self) -> None:
        """Make sure, before a body is read, that a photo would find a place.

        Raises:
            ProblemError: 503 while the queue is full, or no classifier is installed.
        """
        _ = self.predictor
        self._checked(lambda workers: workers.check())

    async def identify(self, photos: Sequence[Photo], *, top_k: int = 5, heatmap: bool = False) -> list[Outcome]:
        """Answer for each photo, in order; one that cannot be used gets the reason and does not stop the others.

        Raises:
            ProblemError: 503 where the queue has no room for all of them.
        """
        return await self.identify_as(_as_it_is, photos, top_k=top_k, heatmap=heatmap)

    async def identify_as(
        self, then: Callable[[Outcome], Result], photos: Sequence[Photo], *, top_k: int = 5, heatmap: bool = False
    ) -> list[Result]:
        """As :meth:`identify`, with each outcome turned by ``then`` into something else, beside the event loop.

        Cancelling it frees the places of the photos that still wait.
        """
        _ = self.predictor
        keys = [await self._answers.key(photo, top_k, heatmap) for photo in photos]
        loop = asyncio.get_running_loop()
        jobs, waiting = [], []
        for photo, key in zip(photos, keys, strict=True):
            job = PhotoJob(
                photo=photo,
                top_k=top_k,
                heatmap=heatmap,
                then=self._remembering(key, then),
                future=loop.create_future(),
            )
            jobs.append(job)
            known = self._known(photo, key)
            if known is None:
                waiting.append(job)
            else:
                job.future.set_result(then(known))
        self._checked(lambda workers: workers.put(waiting))
        try:
            return list(await asyncio.gather(*(job.future for job in jobs)))
        except BaseException:
            self._abandon(jobs)
            raise

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run ``work(*arguments)`` on one of the classifier's threads."""
        _ = self.predictor
        assert self._workers is not None
        return await self._workers.run(work, *arguments)

    def _known(self, photo: Photo, key: Key | None) -> Outcome | None:
        """What can be said without a thread."""
        if photo.error is not None:
            self.metrics.rejected("file-too-large")
            return Outcome(FileResult(photo.name, error=photo.error))
        known = self._answers.get(key, photo.name)
        if key is not None:
            self.metrics.looked_up(found=known is not None)
        return known

    def _remembering(self, key: Key | None, then: Callable[[Outcome], Result]) -> Callable[[Outcome], Result]:
        if key is None:
            return then
        answers = self._answers

        def remember(outcome: Outcome) -> Result:
            answers.put(key, outcome)
            return then(outcome)

        return remember

    def _checked(self, ask: Callable[[Workers[PhotoJob]], None]) -> None:
        assert self._workers is not None
        try:
            ask(self._workers)
        except QueueFullError as error:
            seconds = min(MAX_RETRY_AFTER, max(1, math.ceil(error.retry_after)))
            raise ProblemError(
                503,
                f"too many photos wait already; try again in {seconds} s",
                kind="busy",
                headers={"Retry-After": str(seconds)},
            ) from None

    def _abandon(self, jobs: Sequence[PhotoJob]) -> None:
        for job in jobs:
            if not job.future.cancel() and not job.future.cancelled():
                job.future.exception()  # several may have failed, and only the first is told of
        assert self._workers is not None
        self._workers.withdraw()


def warm_up(predictor: Predictor) -> None:
    """Answer once for a grey photo, so that the first visitor does not pay for what engines do on first use."""
    predictor.classify(_grey(predictor))


def fastest_batch(predictor: Predictor, *, largest: int = CHUNK, tries: int = 3) -> int:
    """How many photos to infer at once on this machine: one, or ``largest`` where that is clearly faster.

    Whether it is depends on the caches, and on who else uses them. Takes a tenth of a second or two.
    """
    many = np.repeat(_grey(predictor), largest, axis=0)
    one, together = float("inf"), float("inf")
    for _ in range(tries):  # side by side, and the best of each, because others may take the cores meanwhile
        started = time.perf_counter()
        for _ in range(largest):
            predictor.classify(many[:1])
        between = time.perf_counter()
        predictor.classify(many)
        one, together = min(one, between - started), min(together, time.perf_counter() - between)
    return largest if together < WORTH_IT * one else 1


def _grey(predictor: Predictor) -> NDArray[np.uint8]:
    """A grey photo, prepared: uint8 ``[1, size, size, 3]``."""
    from io import BytesIO

    from PIL import Image

    grey = BytesIO()
    Image.new("RGB", (64, 64), (127, 127, 127)).save(grey, "JPEG")
    return predictor.prepare(grey.getvalue())[None]


def _as_it_is(outcome: Any) -> Any:
    return outcome
