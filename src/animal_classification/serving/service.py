"""The models that this process serves: installed when loaded, used off the event loop.

The HTTP routes and the page share them and one set of threads, so that together they never work on more photos than
there are threads; what waits for a thread is bounded in number, in bytes and in time.
"""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from animal_classification.inference.results import FileResult
from animal_classification.serving.batching.inference_jobs import (
    Answered,
    HeavyJob,
    InferenceJob,
    Listeners,
    PhotoHandler,
    PhotoOutcome,
    Predictor,
    answer_heavy,
)
from animal_classification.serving.batching.model_queue import Bounds, InferenceWorkers, ModelQueue, QueueFullError
from animal_classification.serving.batching.response_cache import Key, ResponseCache
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.models.loader import Loaded
from animal_classification.serving.models.routing import Slots
from animal_classification.serving.models.served_model import ServedModel
from animal_classification.serving.models.shadow import Shadow
from animal_classification.serving.models.warmup import LARGEST_BATCH
from animal_classification.serving.observability.metrics import ServerMetrics
from animal_classification.serving.process.memory_plan import photo_limits
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from animal_classification.imaging import Limits
    from animal_classification.serving.http.uploads import UploadedPhoto
    from animal_classification.serving.models.watcher import Follower
    from animal_classification.serving.models.watcher import Result as LookResult

__all__ = ["ModelService", "PhotoOutcome", "Predictor"]

Result = TypeVar("Result")
MAX_RETRY_AFTER = 60


class ModelService:
    """Holds the models and the threads that use them.

    Args:
        settings: How much may wait, and how long.
        metrics: Where to count.
        on_answer: Told of each photo that was named, before the answer leaves; from any thread, and must not raise.
        limits: Bounds on photos; by the settings where it is not given.

    Attributes:
        limits: Bounds on photos, with the memory that all who decode one share.
        models: Who answers under which name.
        followers: Who watches for newer versions of them.
        tell_others: Has the other workers look for newer versions of a model.
    """

    def __init__(
        self,
        settings: Settings = Settings(),
        metrics: ServerMetrics | None = None,
        on_answer: Callable[[Answered], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.metrics = metrics or ServerMetrics()
        self._on_answer = on_answer
        self.limits = limits or photo_limits(settings)
        self.models = Slots()
        self.followers: list[Follower] = []
        self.tell_others: Callable[[str], None] = lambda _: None
        self._settings = settings
        self._workers: InferenceWorkers | None = None
        self._heavy_worker = InferenceWorkers(threads=1, on_depth=lambda _: self._count_waiting())
        bounds = Bounds(chunk=1, size=settings.queue_size, patience=settings.max_wait)
        self._heavy: ModelQueue[HeavyJob] = self._heavy_worker.lane(answer_heavy, bounds)
        self._draining = False

    @property
    def ready(self) -> bool:
        """The models are installed, and the server is not about to stop."""
        return self._workers is not None and not self._draining

    @property
    def draining(self) -> bool:
        """The server is about to stop: what came is answered, and nobody should send more."""
        return self._draining

    @property
    def predictor(self) -> Predictor:
        """What answers now by default; a request should rather hold a model by :meth:`using`.

        Raises:
            ProblemError: 503 while nothing is installed.
        """
        return self.models.find().current.predictor

    def install(self, model: Predictor | Loaded, *, batch: int = LARGEST_BATCH, name: str | None = None) -> None:
        """Let a model answer from now on, in place of the one of that name if there is one.

        Requests on their way are answered by the one that they began with.

        Args:
            model: Warm.
            batch: How many photos go into one call of the engine, unless ``model`` says so.
            name: Under which name; its own by default.
        """
        loaded = model if isinstance(model, Loaded) else Loaded(model, batch)
        name = name or loaded.predictor.info.name
        before = [slot.current for known, slot in self.models if known == name]
        self.models.install(name, self._served(loaded, partial(self._answered, name, loaded.predictor.info.version)))
        self._count_changes(before)

    def install_canary(self, name: str, loaded: Loaded | None, share: float) -> None:
        """Let a model answer a share of the requests for ``name``; ``None`` for an end of that."""
        before = [slot.canary for known, slot in self.models if known == name and slot.canary is not None]
        self.models.install_canary(name, None if loaded is None else self._served(loaded), share)
        self._count_changes(before)

    def install_shadow(self, name: str, loaded: Loaded | None, share: float) -> None:
        """Compare a model with the one of that name, on a share of what that one answers; ``None`` for a pause."""
        slot = self.models.find(name)
        if slot.shadow is None:
            assert self._workers is not None
            slot.shadow = Shadow(name, share, self._workers.spare, self.metrics.models)
        slot.shadow.install(loaded)

    def using(
        self, name: str | None = None, photos: Sequence[UploadedPhoto] = (), version: str | None = None
    ) -> AbstractContextManager[ServedModel]:
        """Hold the model that answers for these photos: it stays the same until the context ends.

        Raises:
            ProblemError: 503 while nothing is installed; 404 where there is no such model or version.
        """
        if name is not None and version is not None:
            return self.models.version(name, version).held()
        return self.models.find(name).choose(photos).held()

    async def reload(self, name: str) -> list[LookResult]:
        """Look now for newer versions of a model and of what stands beside it."""
        return [await follower.look(now=True) for follower in self.followers if follower.name == name]

    def drain(self) -> None:
        """Say from now on that this server is not ready; it goes on answering."""
        self._draining = True

    def close(self, timeout: float = 0.0) -> None:
        """Stop; photos that are not begun yet are dropped, the others are waited for during ``timeout`` seconds."""
        for _, slot in self.models:
            if slot.shadow is not None:
                slot.shadow.close(timeout)
        until = time.monotonic() + timeout
        for workers in (self._workers, self._heavy_worker):
            if workers is not None:
                workers.close(max(0.0, until - time.monotonic()))

    def admit(self, name: str | None = None) -> None:
        """Make sure, before a body is read, that a photo would find a place.

        Raises:
            ProblemError: 503 while the queue is full, or nothing is installed; 404 where there is no such model.
        """
        _checked(self.models.find(name).current.lane, lambda lane: lane.check())

    async def identify(
        self,
        photos: Sequence[UploadedPhoto],
        *,
        top_k: int = 5,
        heatmap: bool = False,
        model: ServedModel | None = None,
    ) -> list[PhotoOutcome]:
        """Answer for each photo, in order; one that cannot be used gets the reason and does not stop the others.

        Raises:
            ProblemError: 503 where the queue has no room for all of them.
        """
        return await self.identify_as(_as_it_is, photos, top_k=top_k, heatmap=heatmap, model=model)

    async def identify_as(
        self,
        then: Callable[[PhotoOutcome], Result],
        photos: Sequence[UploadedPhoto],
        *,
        top_k: int = 5,
        heatmap: bool = False,
        model: ServedModel | None = None,
    ) -> list[Result]:
        """As :meth:`identify`, with each outcome turned by ``then`` into something else, beside the event loop.

        ``model`` is who answers, one that the caller holds; by default whoever answers for these photos. Cancelling it
        frees the places of the photos that still wait.
        """
        with self.using(photos=photos) if model is None else model.held() as held:
            answers = held.answers
            keys = await answers.keys(photos, top_k, heatmap)
            known = [self._known(held, photo, key) for photo, key in zip(photos, keys, strict=True)]
            loop = asyncio.get_running_loop()
            jobs = [
                InferenceJob(
                    photo=photo,
                    top_k=top_k,
                    heatmap=heatmap,
                    then=_remembering(answers, key, then),
                    future=loop.create_future(),
                )
                for photo, key in zip(photos, keys, strict=True)
            ]
            waiting = [job for job, outcome in zip(jobs, known, strict=True) if outcome is None]
            _checked(held.lane, lambda lane: lane.put(waiting))
            try:
                for job, key, outcome in zip(jobs, keys, known, strict=True):
                    if outcome is not None:
                        self._tell(held, job.photo, key, outcome)
                        job.future.set_result(then(outcome))
                return list(await asyncio.gather(*(job.future for job in jobs)))
            except BaseException:
                _abandon(held.lane, jobs)
                if self._heavy.depth:
                    self._heavy.withdraw()
                raise

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run ``work(*arguments)`` on one of the threads."""
        self.models.find()
        assert self._workers is not None
        return await self._workers.run(work, *arguments)

    def _served(
        self, loaded: Loaded, on_answered: Callable[[UploadedPhoto, PhotoOutcome], None] | None = None
    ) -> ServedModel:
        predictor = loaded.predictor
        if self._workers is None:
            self._workers = InferenceWorkers(threads=predictor.threads, on_depth=lambda _: self._count_waiting())
        counted = self.metrics.models.answers(predictor.info, predictor.bundle.sha256)
        bounds = Bounds(chunk=loaded.batch, size=self._settings.queue_size, patience=self._settings.max_wait)
        listeners = Listeners(self._on_answer, on_answered)
        handler = PhotoHandler(predictor, self.metrics, counted, listeners, self._put_off)
        lane: ModelQueue[InferenceJob] = self._workers.lane(handler, bounds)
        return ServedModel(loaded, lane, ResponseCache(self._settings.cache_size), counted)

    def _put_off(self, heavy: HeavyJob) -> None:
        """Let a photo wait for the one thread that heavy ones have."""
        if heavy.future.cancelled():
            return
        try:
            _checked(self._heavy, lambda lane: lane.put([heavy]))
        except ProblemError as error:
            heavy.future.set_exception(error)

    def _count_waiting(self) -> None:
        workers = () if self._workers is None else (self._workers,)
        self.metrics.queued(sum(each.depth for each in (*workers, self._heavy_worker)))

    def _answered(self, name: str, version: str, photo: UploadedPhoto, outcome: PhotoOutcome) -> None:
        shadow = self.models.find(name).shadow
        if shadow is not None:
            shadow.offer(photo, outcome, version)

    def _count_changes(self, before: Sequence[ServedModel]) -> None:
        present = [model.identity for _, slot in self.models for model in slot.answering()]
        for model in before:
            if model.identity not in present:
                self.metrics.models.answers_no_more(model.info, model.sha256)

    def _known(self, model: ServedModel, photo: UploadedPhoto, key: Key | None) -> PhotoOutcome | None:
        """What can be said without a thread."""
        if photo.error is not None:
            self.metrics.rejected("file-too-large")
            return PhotoOutcome(FileResult(photo.name, error=photo.error))
        known = model.answers.get(key, photo.name)
        if key is not None:
            self.metrics.looked_up(found=known is not None)
        return known

    def _tell(self, model: ServedModel, photo: UploadedPhoto, key: Key | None, remembered: PhotoOutcome) -> None:
        if key is None or remembered.result.prediction is None:
            return
        model.counted.predicted(remembered.result.prediction)
        if self._on_answer is not None:
            self._on_answer(Answered(photo, remembered, model.info, 0.0, key[0]))


def _remembering(
    answers: ResponseCache, key: Key | None, then: Callable[[PhotoOutcome], Result]
) -> Callable[[PhotoOutcome], Result]:
    if key is None:
        return then

    def remember(outcome: PhotoOutcome) -> Result:
        answers.put(key, outcome)
        return then(outcome)

    return remember


def _checked(lane: ModelQueue[Any], ask: Callable[[ModelQueue[Any]], None]) -> None:
    try:
        ask(lane)
    except QueueFullError as error:
        seconds = min(MAX_RETRY_AFTER, max(1, math.ceil(error.retry_after)))
        raise ProblemError(
            503,
            f"too many photos wait already; try again in {seconds} s",
            kind="busy",
            headers={"Retry-After": str(seconds)},
        ) from None


def _abandon(lane: ModelQueue[InferenceJob], jobs: Sequence[InferenceJob]) -> None:
    for job in jobs:
        if not job.future.cancel() and not job.future.cancelled():
            job.future.exception()  # several may have failed, and only the first is told of
    lane.withdraw()


def _as_it_is(outcome: Any) -> Any:
    return outcome
