"""Photos that wait for an answer, and how a thread answers a chunk of them: decode each, infer all, finish each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import numpy as np

from animal_classification.errors import BundleError, HeavyImageError, ImageError, ImageMemoryError
from animal_classification.imaging import DecodeBound
from animal_classification.inference.results import FileResult
from animal_classification.serving.batching.heavy_photos import HeavyJob
from animal_classification.serving.batching.slow_work import deliver
from animal_classification.serving.observability import tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from animal_classification.bundle import Bundle, BundleInfo
    from animal_classification.detection.scene import Scene
    from animal_classification.inference import Prediction
    from animal_classification.inference.results import Candidate
    from animal_classification.serving.batching.heavy_photos import HeavyPhotos
    from animal_classification.serving.http.uploads import UploadedPhoto
    from animal_classification.serving.observability.metrics import ServerMetrics, VersionMetrics


KEPT = 5  # labels of each answer that the prediction log has
# More memory is needed by 20 megapixels of progressive JPEG and 7 of HEIC or WebP: so much is allocated and freed in
# some 50 ms, in which nothing else of this process runs. And more pixels, of a PNG or GIF, keep a thread busy for more
# than a tenth of a second; a JPEG is decoded at reduced scale, a millisecond for each megapixel that it has.
LIGHT = DecodeBound(max_bytes=128 << 20, max_pixels=16_000_000)


class Predictor(Protocol):
    """What the server needs of a classifier; :class:`animal_classification.Classifier` is one."""

    @property
    def bundle(self) -> Bundle: ...
    @property
    def info(self) -> BundleInfo: ...
    @property
    def engine(self) -> str: ...
    @property
    def threads(self) -> int: ...
    def prepare(self, photo: bytes, *, light: DecodeBound | None = None) -> NDArray[np.uint8]: ...
    def classify(
        self, photos: Sequence[NDArray[np.uint8]], *, top_k: int = 5, embedding: bool = False
    ) -> list[Prediction]: ...
    def heatmap_of(self, crops: NDArray[np.uint8], label_id: str | None = None) -> NDArray[np.uint8]: ...


FindAnimals = Callable[[Predictor, bytes, int], "Scene | None"]
"""From a model, a photo and how many labels are wanted to what is in the photo; ``None`` where no detector is there."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a request wants beside the names.

    Attributes:
        heatmap: Where the model looked.
        detections: The animals as boxes, each with its name; the strongest one is then the photo's answer.
    """

    heatmap: bool = False
    detections: bool = False


NO_EXTRAS = Extras()


@dataclass(frozen=True, slots=True)
class PhotoOutcome:
    """The outcome for one photo.

    Attributes:
        result: A prediction, or the reason why there is none, under the photo's file name.
        heatmap: uint8 ``[size, size, 3]``, where asked for; ``None`` where the model's files have changed since.
        seconds: Core time of its decoding and of its share of a batch; ``None`` where nothing was computed.
        top: The most probable labels for the prediction log, however few the request wants.
        id: Of this answer; unique.
        scene: The animals in it, where asked for.
        pixels: That the model saw, for a job that only observes.
    """

    result: FileResult
    heatmap: NDArray[np.uint8] | None = None
    scene: Scene | None = None
    seconds: float | None = None
    top: tuple[Candidate, ...] = ()
    id: str = field(default_factory=lambda: str(uuid4()))
    pixels: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A photo that was named, for the prediction log.

    Attributes:
        photo: As it was sent.
        outcome: With a prediction, and its embedding.
        info: Of the model that made it.
        seconds: From the photo's arrival.
        sha256: Of the photo's bytes, if it has been computed already.
        pixels: That the model saw, uint8 ``[H, W, 3]``; ``None`` where the answer was known already.
        canary: A canary made it.
    """

    photo: UploadedPhoto
    outcome: PhotoOutcome
    info: BundleInfo
    seconds: float
    sha256: bytes | None = None
    pixels: NDArray[np.uint8] | None = None
    canary: bool = False


@dataclass(eq=False, kw_only=True, slots=True)
class InferenceJob:
    """One photo that waits for its answer.

    Attributes:
        photo: With bytes and without an error.
        top_k: How many of the most probable labels to return.
        extras: What is wanted beside names.
        then: Converts the outcome for ``future``; called on the thread, to keep the event loop free.
        future: Cancelled when nobody waits for the answer any more.
        arrived: When it was made, by ``time.monotonic``.
        trace: Of its request, where traces are on.
        observes: The answer is for nobody: with its embedding and pixels, and neither counted nor logged.
    """

    photo: UploadedPhoto
    top_k: int
    extras: Extras
    then: Callable[[PhotoOutcome], Any]
    future: asyncio.Future[Any]
    arrived: float = field(default_factory=time.monotonic)
    trace: tracing.RequestTrace | None = field(default_factory=tracing.current)
    observes: bool = False


@dataclass(frozen=True, slots=True)
class _Decoded:
    job: InferenceJob
    pixels: NDArray[np.uint8]
    seconds: float


@dataclass(frozen=True, slots=True)
class Listeners:
    """Called for each photo that was named, on the thread that named it; must not raise.

    Attributes:
        before: Before the answer leaves: the prediction log.
        after: After it has left: the shadow.
        canary: The answers are a canary's.
    """

    before: Callable[[Answered], None] | None = None
    after: Callable[[UploadedPhoto, PhotoOutcome], None] | None = None
    canary: bool = False


class PhotoHandler:
    """Answers chunks of jobs with ``predictor``. A photo that breaks something fails alone.

    Args:
        predictor: The model.
        metrics: Where the work is counted.
        answers: Where its answers are.
        listeners: Called for each photo that was named.
        heavy: Where photos wait that take long to decode.
        find_animals: Finds boxes and names what is in them.
    """

    def __init__(
        self,
        predictor: Predictor,
        metrics: ServerMetrics,
        answers: VersionMetrics,
        listeners: Listeners,
        heavy: HeavyPhotos,
        find_animals: FindAnimals = lambda *_: None,
    ) -> None:
        self._predictor = predictor
        self._metrics = metrics
        self._answers = answers
        self._listeners = listeners
        self._heavy = heavy
        self._find_animals = find_animals

    def __call__(self, jobs: Sequence[InferenceJob]) -> None:
        """Answer photos, except heavy ones."""
        self._answer(jobs, light=LIGHT)

    def _answer(self, jobs: Sequence[InferenceJob], light: DecodeBound | None = None) -> None:
        loop = jobs[0].future.get_loop()
        results: list[tuple[asyncio.Future[Any], object]] = []
        decoded: list[_Decoded] = []
        for job in jobs:
            if job.future.cancelled():
                continue
            began = time.monotonic()
            try:
                decoded.append(self._decoded(job, light))
            except HeavyImageError:
                loop.call_soon_threadsafe(self._heavy.put, HeavyJob(job, self._answer))
                continue
            except ImageError as error:
                results.append((job.future, self._finished(job, self._unusable(job, error))))
            except Exception as error:  # a bug, or no memory: only this photo fails
                results.append((job.future, error))
            self._waited(job, began)
        named: list[tuple[UploadedPhoto, PhotoOutcome]] = []
        results += self._answered(decoded, named)
        deliver(loop, results)
        if self._listeners.after is not None:
            for photo, outcome in named:
                self._listeners.after(photo, outcome)

    def _waited(self, job: InferenceJob, until: float) -> None:
        self._metrics.waited(until - job.arrived)
        if job.trace is not None:
            end = time.time_ns() - int(1e9 * (time.monotonic() - until))
            job.trace.step("queue", (end - int(1e9 * (until - job.arrived)), end))

    def _decoded(self, job: InferenceJob, light: DecodeBound | None) -> _Decoded:
        started = time.time_ns()
        try:
            with self._metrics.stage("decode"):
                if light is None:
                    pixels = self._heavy.decode(self._predictor, job.photo.data)
                else:
                    pixels = self._predictor.prepare(job.photo.data, light=light)
            return _Decoded(job, pixels, (time.time_ns() - started) / 1e9)
        finally:
            if job.trace is not None:
                job.trace.step("decode", (started, time.time_ns()), links=(), **{"animals.bytes": len(job.photo.data)})

    def _answered(
        self, decoded: Sequence[_Decoded], named: list[tuple[UploadedPhoto, PhotoOutcome]]
    ) -> list[tuple[asyncio.Future[Any], object]]:
        if not decoded:
            return []
        self._metrics.batch(len(decoded))
        started = time.time_ns()
        try:
            with self._metrics.stage("infer"):
                predictions = self._predictor.classify(
                    [item.pixels for item in decoded],
                    top_k=max(KEPT, *(item.job.top_k for item in decoded)),
                    embedding=self._listeners.before is not None or any(item.job.observes for item in decoded),
                )
        except Exception as error:
            return [(item.job.future, error) for item in decoded]
        finally:
            tracing.inferred([item.job.trace for item in decoded], started)
        share = (time.time_ns() - started) / 1e9 / len(decoded)
        results: list[tuple[asyncio.Future[Any], object]] = []
        for item, prediction in zip(decoded, predictions, strict=True):
            outcome = self._named(item, prediction, item.seconds + share)
            if isinstance(outcome, PhotoOutcome):
                if not item.job.observes and outcome.result.prediction is not None:
                    named.append((item.job.photo, outcome))
                results.append((item.job.future, self._finished(item.job, outcome)))
            else:
                results.append((item.job.future, outcome))
        return results

    def _named(self, item: _Decoded, prediction: Prediction, seconds: float) -> PhotoOutcome | Exception:
        job = item.job
        # The central crop, which the reference's photos are measured on too.
        pixels = item.pixels if item.pixels.ndim == 3 else item.pixels[0]
        if job.observes:
            return PhotoOutcome(FileResult(job.photo.name, prediction), pixels=pixels)
        try:
            scene = self._scene(job)
            if scene is not None and (strongest := scene.strongest(0.0)) is not None and strongest.prediction:
                # The embedding stays that of the whole photo: the log compares it with those of other photos.
                prediction = replace(strongest.prediction, embedding=prediction.embedding)
            heatmap = self._heatmap(item, prediction.label_id)
        except ImageError as error:
            return self._unusable(job, error)
        except Exception as error:
            return error
        kept = prediction.top[:KEPT]
        prediction = replace(prediction, top=prediction.top[: job.top_k])
        self._answers.predicted(prediction)
        outcome = PhotoOutcome(FileResult(job.photo.name, prediction), heatmap, scene, seconds, kept)
        if self._listeners.before is not None:
            passed = time.monotonic() - job.arrived
            answered = Answered(
                job.photo, outcome, self._predictor.info, passed, pixels=pixels, canary=self._listeners.canary
            )
            self._listeners.before(answered)
        return outcome

    def _unusable(self, job: InferenceJob, error: ImageError) -> PhotoOutcome:
        self._metrics.rejected("decode-memory" if isinstance(error, ImageMemoryError) else "unreadable-photo")
        return PhotoOutcome(FileResult(job.photo.name, error=error.reason))

    def _scene(self, job: InferenceJob) -> Scene | None:
        """The animals as boxes, where they are wanted; decodes the photo once more, within the same memory."""
        if not job.extras.detections:
            return None
        return self._find_animals(self._predictor, job.photo.data, max(KEPT, job.top_k))

    def _heatmap(self, item: _Decoded, label_id: str) -> NDArray[np.uint8] | None:
        try:
            return self._predictor.heatmap_of(item.pixels, label_id) if item.job.extras.heatmap else None
        except BundleError as error:  # the model's files have changed
            logging.getLogger(__name__).warning("no heatmap: %s", error)
            return None

    @staticmethod
    def _finished(job: InferenceJob, outcome: PhotoOutcome) -> object:
        try:
            return job.then(outcome)
        except Exception as error:
            return error
