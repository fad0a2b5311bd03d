"""The prediction log of this server: what is kept of each answer, and of its photo where photos are kept."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from io import BytesIO
from typing import TYPE_CHECKING, TypeVar

from animal_classification import imaging
from animal_classification.errors import ImageError
from animal_classification.prediction_log.location import log_location
from animal_classification.prediction_log.photo_keeper import PhotoKeeper
from animal_classification.prediction_log.photo_store import photos_at
from animal_classification.prediction_log.record import PredictionRecord, storable
from animal_classification.prediction_log.writer import PredictionLog
from animal_classification.serving.batching.slow_work import in_thread
from animal_classification.serving.http.problem_details import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from animal_classification.serving.batching.inference_jobs import Answered
    from animal_classification.serving.observability.metrics import ServerMetrics
    from animal_classification.settings import Settings

Result = TypeVar("Result")
REPLICATED = {"K_SERVICE": "Cloud Run", "KUBERNETES_SERVICE_HOST": "Kubernetes"}
# Questions to the database: where it is slow, neither threads nor connections are there for all who ask.
AT_ONCE = 2
# More than these do not wait for their turn: each would hold a connection while a database does not answer.
IN_LINE = 64
# Enough for a person to look at, and for training: models see 224 to 384 pixels.
THUMBNAIL = 1024
_QUALITY = 88


class Predictions:
    """Keeps what this process answers.

    Args:
        settings: Where, and whether photos are kept.
        metrics: Where rows are counted.
        limits: Bounds on photos, with the memory in which they are decoded.

    Raises:
        UsageError: The URL is for no database that the log can be in.
        OutputError: The folder cannot be written.
    """

    def __init__(self, settings: Settings, metrics: ServerMetrics, limits: imaging.Limits) -> None:
        place = log_location(settings)
        self.log = PredictionLog(place, metrics)
        self.photos = photos_at(place.photos)
        self.limits = limits
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._in_line = 0
        original = settings.keep_photos == "original"
        self._keeps_photos = settings.keep_photos != "no"
        # Also where none are kept any more: those that are there go when their time is over.
        self._keeper = PhotoKeeper(
            self.photos,
            (lambda data: data) if original else lambda data: thumbnail(data, limits),
            most_bytes=settings.photo_bytes,
            days=settings.photo_days,
        )
        for line in alone(settings, os.environ):
            logging.getLogger(__name__).warning(line)

    def keep(self, answered: Answered) -> None:
        """Keep an answer; called on the thread that made it, before it leaves. Never raises."""
        try:
            record = as_record(answered)
            self.log.write(record)
            if self._keeps_photos:
                self._keeper.keep(record.photo, answered.photo.data)
        except Exception:  # the answer matters more
            logging.getLogger(__name__).exception("a prediction could not be kept")

    async def beside(self, work: Callable[[], Result]) -> Result:
        """Ask the database, or look for a photo, beside the event loop; others wait for their turn.

        Whoever gives up leaves his turn to the next only when his question is answered: what a database does not answer
        must not pile up.

        Raises:
            ProblemError: 503 where many wait already.
        """
        if self._in_line >= IN_LINE:
            detail = "the database of the prediction log is slow, and many wait for it already; try again in a moment"
            raise ProblemError(503, detail, kind="busy", headers={"Retry-After": "5"})
        self._in_line += 1
        try:
            await self._turns.acquire()
        finally:
            self._in_line -= 1
        task = asyncio.ensure_future(in_thread(work))
        task.add_done_callback(lambda _: self._turns.release())
        return await asyncio.shield(task)

    def close(self, timeout: float = 3.0) -> None:
        """Write what waits; called when the last answer has left."""
        self._keeper.close(timeout)
        self.log.close(timeout)


def alone(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """What the replicas of a service would not share, a line each; nothing where there can be only one.

    Kubernetes and Cloud Run start several of a kind, each with a disk of its own that goes with it.
    """
    where = next((name for variable, name in REPLICATED.items() if environment.get(variable)), "")
    if not where:
        return []
    lines = []
    if not settings.log_url or settings.log_url.startswith("sqlite"):
        lines.append(
            f"on {where} each replica keeps predictions of its own, in {log_location(settings).folder}: they may be"
            " gone with it, and what one answered the others cannot find for feedback; give all of them one PostgreSQL"
            " with ANIMALS_LOG_URL, or run one replica with a volume there"
        )
    if settings.keep_photos != "no" and not settings.photos_url:
        lines.append(
            f"on {where} each replica keeps photos of its own, so that a review misses those of the others; give all of"
            " them one bucket with ANIMALS_PHOTOS_URL"
        )
    return lines


def as_record(answered: Answered) -> PredictionRecord:
    """What is kept of an answer."""
    prediction, info = answered.outcome.result.prediction, answered.info
    assert prediction is not None
    embedding = b""
    if prediction.embedding is not None:
        embedding = prediction.embedding.astype("<f2").tobytes()
    return PredictionRecord(
        id=answered.outcome.id,
        time=time.time(),
        model=info.name,
        version=info.version,
        photo=(answered.sha256 or hashlib.sha256(answered.photo.data).digest()).hex(),
        file=storable(answered.photo.name),
        label=prediction.label,
        label_id=prediction.label_id,
        probability=prediction.probability,
        known=prediction.known_score,
        unknown=prediction.unknown,
        answer=prediction.answer.name,
        level=prediction.answer.level,
        labels=prediction.set,
        top=tuple((item.label, item.label_id, round(item.probability, 6)) for item in answered.outcome.top),
        latency=answered.seconds,
        embedding=embedding,
    )


def thumbnail(data: bytes, limits: imaging.Limits) -> bytes | None:
    """A photo as a small JPEG: upright, and without what a camera writes beside it, such as where it was taken."""
    try:
        shown = imaging.thumbnail(data, THUMBNAIL, limits=limits)
    except ImageError:
        return None
    buffer = BytesIO()
    shown.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
