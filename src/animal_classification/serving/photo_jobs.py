"""Photos that wait for an answer, and how a thread answers a chunk of them: decode each, infer all, finish each."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from animal_classification.errors import ImageError
from animal_classification.inference.results import FileResult
from animal_classification.serving.workers import deliver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from animal_classification.bundle import Bundle, BundleInfo
    from animal_classification.inference import Prediction
    from animal_classification.serving.metrics import Metrics
    from animal_classification.serving.uploads import Photo


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
    def prepare(self, photo: bytes) -> NDArray[np.uint8]: ...
    def classify(self, pixels: NDArray[np.uint8], *, top_k: int = 5) -> list[Prediction]: ...
    def heatmap(self, photo: bytes, label_id: str | None = None) -> NDArray[np.uint8]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo.

    Attributes:
        result: A prediction, or the reason why there is none, under the photo's file name.
        heatmap: uint8 ``[size, size, 3]``, where asked for.
    """

    result: FileResult
    heatmap: NDArray[np.uint8] | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class PhotoJob:
    """One photo on its way.

    Attributes:
        photo: With bytes and without an error.
        top_k: How many of the most probable labels to return.
        heatmap: Whether to show where the model looked.
        then: Turns the outcome into what ``future`` gets; called on the thread, to keep the event loop free.
        future: Cancelled when nobody waits for the answer any more.
        arrived: When it was made, by ``time.monotonic``.
    """

    photo: Photo
    top_k: int
    heatmap: bool
    then: Callable[[Outcome], Any]
    future: asyncio.Future[Any]
    arrived: float = field(default_factory=time.monotonic)


class PhotoHandler:
    """Answers chunks of jobs with ``predictor``. A photo that breaks something fails alone."""

    def __init__(self, predictor: Predictor, metrics: Metrics) -> None:
        self._predictor = predictor
        self._metrics = metrics

    def __call__(self, jobs: Sequence[PhotoJob]) -> None:
        results: list[tuple[asyncio.Future[Any], object]] = []
        decoded: list[tuple[PhotoJob, NDArray[np.uint8]]] = []
        for job in jobs:
            if job.future.cancelled():
                continue
            self._metrics.waited(time.monotonic() - job.arrived)
            try:
                with self._metrics.stage("decode"):
                    decoded.append((job, self._predictor.prepare(job.photo.data)))
            except ImageError as error:
                self._metrics.rejected("unreadable-photo")
                outcome = Outcome(FileResult(job.photo.name, error=error.reason))
                results.append((job.future, self._finished(job, outcome)))
            except Exception as error:  # a bug, or no memory: for whoever sent this photo and for nobody else
                results.append((job.future, error))
        results += self._answered(decoded)
        deliver(jobs[0].future.get_loop(), results)

    def _answered(
        self, decoded: Sequence[tuple[PhotoJob, NDArray[np.uint8]]]
    ) -> list[tuple[asyncio.Future[Any], object]]:
        if not decoded:
            return []
        jobs = [job for job, _ in decoded]
        self._metrics.batch(len(jobs))
        try:
            with self._metrics.stage("infer"):
                pixels = np.stack([pixels for _, pixels in decoded])
                predictions = self._predictor.classify(pixels, top_k=max(job.top_k for job in jobs))
        except Exception as error:
            return [(job.future, error) for job in jobs]
        return [(job.future, self._named(job, answer)) for job, answer in zip(jobs, predictions, strict=True)]

    def _named(self, job: PhotoJob, prediction: Prediction) -> object:
        prediction = replace(prediction, top=prediction.top[: job.top_k])
        try:
            heatmap = self._predictor.heatmap(job.photo.data, prediction.label_id) if job.heatmap else None
        except Exception as error:
            return error
        self._metrics.predicted(prediction)
        return self._finished(job, Outcome(FileResult(job.photo.name, prediction), heatmap))

    @staticmethod
    def _finished(job: PhotoJob, outcome: Outcome) -> object:
        try:
            return job.then(outcome)
        except Exception as error:
            return error
