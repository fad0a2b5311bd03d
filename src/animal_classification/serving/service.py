"""The models that this process serves, and the threads that run them beside the event loop.

All routes share one set of threads, so that together they never work on more photos than there are threads. What waits
for a thread is bounded in number, in bytes and in time.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from animal_classification.data.detections import BLANK
from animal_classification.detection.scene_classifier import SceneClassifier
from animal_classification.inference.results import FileResult
from animal_classification.serving.batching.heavy_photos import HeavyPhotos
from animal_classification.serving.batching.inference_jobs import (
    NO_EXTRAS,
    Answered,
    Extras,
    InferenceJob,
    Listeners,
    PhotoHandler,
    PhotoOutcome,
    Predictor,
)
from animal_classification.serving.batching.model_queue import Bounds, InferenceWorkers, ModelQueue, or_busy
from animal_classification.serving.batching.response_cache import Key, ResponseCache
from animal_classification.serving.batching.slow_work import results_of
from animal_classification.serving.models.loader import LARGEST_BATCH, LoadedModel
from animal_classification.serving.models.routing import ModelSlots, ServedModel
from animal_classification.serving.models.shadow import Shadow
from animal_classification.serving.observability.metrics import ServerMetrics
from animal_classification.serving.process.memory_plan import photo_limits
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from animal_classification.detection.detector import Detector
    from animal_classification.detection.scene import NamedBox, Scene
    from animal_classification.imaging import Limits
    from animal_classification.inference.classifier import Classifier
    from animal_classification.serving.http.uploads import UploadedPhoto
    from animal_classification.serving.models.shadow import OnCompared
    from animal_classification.serving.models.watcher import ModelWatcher
    from animal_classification.serving.models.watcher import Result as CheckResult

__all__ = ["ModelService", "PhotoOutcome", "Predictor"]

Result = TypeVar("Result")
OBSERVED_AT_ONCE = 16


class ModelService:
    """Holds the models and the threads that use them.

    Args:
        settings: How much may wait, and how long.
        metrics: Where to count.
        on_answer: Called for each photo that was named, before the answer leaves; on any thread, and must not raise.
        limits: Bounds on photos; by the settings where it is not given.

    Attributes:
        limits: Bounds on photos, with the memory in which all threads decode.
        models: Which model answers under which name.
        watchers: One for each model, canary and shadow.
        on_compared: Gets what shadows say, on any thread.
        reload_other_workers: Has the other workers check a model for newer versions.
        detector: Finds animals as boxes, on request; ``None`` where the server was started without one.
        heavy: Photos that take long to decode.
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
        self.models = ModelSlots()
        self.watchers: list[ModelWatcher] = []
        self.reload_other_workers: Callable[[str], None] = lambda _: None
        self.on_compared: OnCompared | None = None
        self._settings = settings
        self._workers: InferenceWorkers | None = None
        self.heavy = HeavyPhotos(settings, self.limits, lambda _: self._count_waiting())
        self.detector: Detector | None = None
        self._draining = False

    @property
    def ready(self) -> bool:
        """The models are installed, and the server is not about to stop."""
        return self._workers is not None and not self._draining

    @property
    def draining(self) -> bool:
        """The server is about to stop: it answers what has come, and is not ready for more."""
        return self._draining

    @property
    def predictor(self) -> Predictor:
        """The default model now; a request should hold a model by :meth:`using` instead.

        Raises:
            ProblemError: 503 while nothing is installed.
        """
        return self.models.find().current.predictor

    def install(self, model: Predictor | LoadedModel, *, batch: int = LARGEST_BATCH, name: str | None = None) -> None:
        """Let a model answer from now on, in place of the one of that name if there is one.

        Requests in progress are answered by the model that they began with.

        Args:
            model: Warm.
            batch: How many photos go into one call of the engine, unless ``model`` says so.
            name: Under which name; its own by default.
        """
        loaded = model if isinstance(model, LoadedModel) else LoadedModel(model, batch)
        name = name or loaded.predictor.info.name
        before = [slot.current for known, slot in self.models if known == name]
        offer = partial(self._offer_to_shadow, name, loaded.predictor.info.version)
        self.models.install(name, self._served(loaded, offer))
        self._count_retired(before)

    def install_canary(self, name: str, loaded: LoadedModel | None, share: float) -> None:
        """Let a model answer a share of the requests for ``name``; ``None`` ends that."""
        before = [slot.canary for known, slot in self.models if known == name and slot.canary is not None]
        self.models.install_canary(name, None if loaded is None else self._served(loaded, canary=True), share)
        self._count_retired(before)

    def install_shadow(self, name: str, loaded: LoadedModel | None, share: float) -> None:
        """Compare a model with the one of that name, on a share of what that one answers; ``None`` pauses."""
        slot = self.models.find(name)
        if slot.shadow is None:
            assert self._workers is not None
            slot.shadow = Shadow(name, share, self._workers.spare, self.metrics.models, self.on_compared)
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

    async def reload(self, name: str) -> list[CheckResult]:
        """Check a model, its canary and its shadow for newer versions now."""
        return [await watcher.check(now=True) for watcher in self.watchers if watcher.name == name]

    def drain(self) -> None:
        """Report from now on that this server is not ready; it goes on answering."""
        self._draining = True

    def close(self, timeout: float = 0.0) -> None:
        """Drop the photos that wait, and wait up to ``timeout`` seconds for those in work."""
        for _, slot in self.models:
            if slot.shadow is not None:
                slot.shadow.close(timeout)
        until = time.monotonic() + timeout
        if self._workers is not None:
            self._workers.close(max(0.0, until - time.monotonic()))
        self.heavy.close(max(0.0, until - time.monotonic()))

    def require_room(self, name: str | None = None) -> None:
        """Make sure, before a body is read, that the queue has room for a photo.

        Raises:
            ProblemError: 503 while the queue is full, or nothing is installed; 404 where there is no such model.
        """
        or_busy(self.models.find(name).current.queue.check)

    async def predict(
        self,
        photos: Sequence[UploadedPhoto],
        *,
        top_k: int = 5,
        extras: Extras = NO_EXTRAS,
        model: ServedModel | None = None,
    ) -> list[PhotoOutcome]:
        """Answer for each photo, in order; one that cannot be used gets the reason and does not stop the others.

        Raises:
            ProblemError: 503 where the queue has no room for all of them.
        """
        return await self.predict_as(_unchanged, photos, top_k=top_k, extras=extras, model=model)

    async def predict_as(
        self,
        then: Callable[[PhotoOutcome], Result],
        photos: Sequence[UploadedPhoto],
        *,
        top_k: int = 5,
        extras: Extras = NO_EXTRAS,
        model: ServedModel | None = None,
    ) -> list[Result]:
        """As :meth:`predict`, with each outcome converted by ``then`` on the thread that made it.

        ``model`` is one that the caller holds; by default, the one that answers for these photos. Cancelling takes the
        photos that still wait out of the queue.
        """
        with self.using(photos=photos) if model is None else model.held() as held:
            keys = await held.cache.keys(photos, top_k, extras)
            known = [self._known(held, photo, key) for photo, key in zip(photos, keys, strict=True)]
            loop = asyncio.get_running_loop()
            jobs = [
                InferenceJob(
                    photo=photo,
                    top_k=top_k,
                    extras=extras,
                    then=held.cache.caching(key, then),
                    future=loop.create_future(),
                )
                for photo, key in zip(photos, keys, strict=True)
            ]
            waiting = [job for job, outcome in zip(jobs, known, strict=True) if outcome is None]
            or_busy(partial(held.queue.put, waiting))
            try:
                for job, key, outcome in zip(jobs, keys, known, strict=True):
                    if outcome is not None:
                        self._count_cached(held, job.photo, key, outcome)
                        job.future.set_result(then(outcome))
                return await results_of([job.future for job in jobs])
            except BaseException:
                _abandon(held.queue, jobs)
                self.heavy.withdraw()
                raise

    async def observe(
        self, then: Callable[[PhotoOutcome], Result], photos: Sequence[UploadedPhoto], model: ServedModel
    ) -> list[Result]:
        """What a model makes of photos, with embeddings and pixels, for the monitor: nothing is counted or logged.

        They wait in the same queue as everybody's, a few at a time, so that they never fill it.

        Raises:
            ProblemError: 503 where the queue has no room.
        """
        found: list[Result] = []
        for begin in range(0, len(photos), OBSERVED_AT_ONCE):
            loop = asyncio.get_running_loop()
            jobs = [
                InferenceJob(
                    photo=photo, top_k=1, extras=NO_EXTRAS, then=then, future=loop.create_future(), observes=True
                )
                for photo in photos[begin : begin + OBSERVED_AT_ONCE]
            ]
            or_busy(partial(model.queue.put, jobs))
            try:
                found += await results_of([job.future for job in jobs])
            except BaseException:
                _abandon(model.queue, jobs)
                raise
        return found

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run ``work(*arguments)`` on one of the threads."""
        self.models.find()
        assert self._workers is not None
        return await self._workers.run(work, *arguments)

    def _served(
        self,
        loaded: LoadedModel,
        on_answered: Callable[[UploadedPhoto, PhotoOutcome], None] | None = None,
        *,
        canary: bool = False,
    ) -> ServedModel:
        predictor = loaded.predictor
        if self._workers is None:
            self._workers = InferenceWorkers(threads=predictor.threads, on_depth=lambda _: self._count_waiting())
        metrics = self.metrics.models.answers(predictor.info, predictor.bundle.sha256)
        bounds = Bounds(chunk=loaded.batch, size=self._settings.queue_size, patience=self._settings.max_wait)
        listeners = Listeners(self._on_answer, on_answered, canary=canary)
        handler = PhotoHandler(predictor, self.metrics, metrics, listeners, self.heavy, self._find_animals)
        queue: ModelQueue[InferenceJob] = self._workers.lane(handler, bounds)
        return ServedModel(loaded, queue, ResponseCache(self._settings.cache_size), metrics, canary=canary)

    def _find_animals(self, predictor: Predictor, photo: bytes, top_k: int) -> Scene | None:
        """Boxes at the detector's own threshold, strongest first, each named by the model; on a thread."""
        if self.detector is None:
            return None
        scene = SceneClassifier(cast("Classifier", predictor), self.detector).look(photo, top_k=top_k)
        least = self.detector.info.threshold.typical
        return replace(
            scene, boxes=tuple(box for box in scene.boxes if box.detection.confidence >= least and _shows(box))
        )

    def _count_waiting(self) -> None:
        self.metrics.queued((0 if self._workers is None else self._workers.depth) + self.heavy.depth)

    def _offer_to_shadow(self, name: str, version: str, photo: UploadedPhoto, outcome: PhotoOutcome) -> None:
        shadow = self.models.find(name).shadow
        if shadow is not None:
            shadow.offer(photo, outcome, version)

    def _count_retired(self, before: Sequence[ServedModel]) -> None:
        present = [model.identity for _, slot in self.models for model in slot.answering()]
        for model in before:
            if model.identity not in present:
                self.metrics.models.answers_no_more(model.info, model.sha256)

    def _known(self, model: ServedModel, photo: UploadedPhoto, key: Key | None) -> PhotoOutcome | None:
        """What can be said without a thread."""
        if photo.error is not None:
            self.metrics.rejected("file-too-large")
            return PhotoOutcome(FileResult(photo.name, error=photo.error))
        known = model.cache.get(key, photo.name)
        if key is not None:
            self.metrics.looked_up(found=known is not None)
        return known

    def _count_cached(self, model: ServedModel, photo: UploadedPhoto, key: Key | None, cached: PhotoOutcome) -> None:
        if key is None or cached.result.prediction is None:
            return
        model.metrics.predicted(cached.result.prediction)
        if self._on_answer is not None:
            self._on_answer(Answered(photo, cached, model.info, 0.0, key[0], canary=model.canary))


def _abandon(queue: ModelQueue[InferenceJob], jobs: Sequence[InferenceJob]) -> None:
    for job in jobs:
        if not job.future.cancel() and not job.future.cancelled():
            job.future.exception()  # marks it as seen: the first failure alone is raised
    queue.withdraw()


def _shows(box: NamedBox) -> bool:
    """Whether there is something in a box; a model that was taught blank pictures may see nothing."""
    return box.prediction is None or box.prediction.answer.name != BLANK


def _unchanged(outcome: Any) -> Any:
    return outcome
