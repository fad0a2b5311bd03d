"""Keeps this server's answers in the prediction log, and their photos where photos are kept."""

# Imported where it is used: SQLAlchemy takes 120 ms to load, and a server may wait for its first row.

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, TypeVar

from animal_classification import imaging
from animal_classification.errors import HeavyImageError, ImageError
from animal_classification.field.camera_clock import TimeRules
from animal_classification.field.photo_facts import photo_facts
from animal_classification.imaging.decoder_process import DecoderProcess
from animal_classification.imaging.statistics import photo_statistics
from animal_classification.prediction_log.database import is_there
from animal_classification.prediction_log.feedback import wanted_photos
from animal_classification.prediction_log.location import log_location
from animal_classification.prediction_log.photo_keeper import PhotoKeeper
from animal_classification.prediction_log.photo_retention import nothing_wanted
from animal_classification.prediction_log.photo_sampling import AuditSampler, HourlyShare
from animal_classification.prediction_log.photo_store import photos_at
from animal_classification.prediction_log.record import PredictionRecord, storable
from animal_classification.prediction_log.writer import PredictionLog
from animal_classification.serving.batching.inference_jobs import LIGHT
from animal_classification.serving.batching.slow_work import in_thread
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.http.schemas import found_boxes
from animal_classification.serving.observability.shadow_logging import ShadowLog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sqlalchemy import Engine

    from animal_classification.serving.batching.inference_jobs import Answered
    from animal_classification.serving.observability.metrics import ServerMetrics
    from animal_classification.settings import Settings

Result = TypeVar("Result")
REPLICATED = {"K_SERVICE": "Cloud Run", "KUBERNETES_SERVICE_HOST": "Kubernetes"}
# Queries to the database at once: where it is slow, there are neither threads nor connections for all requests.
MAX_QUERIES = 2
# Requests that wait for their query: each holds a connection of its client while the database does not answer.
MAX_WAITING = 64
# Pixels of the longer side: enough for a person, and for training, where models see 224 to 384.
THUMBNAIL = 1024
_QUALITY = 88
# Each takes 0.6 ms, and a window of drift is some hundred photos.
STATISTICS_AN_HOUR = 2000
# A photo of the audit waits so long for somebody to look at it: as long as an answer counts.
AUDIT_DAYS = 30.0
# Of one photo, the surest: a herd may have a hundred.
MOST_BOXES = 30


class PredictionLogger:
    """The prediction log of this process.

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
        self._audit = AuditSampler(settings.audit_per_day)
        self._with_statistics = HourlyShare(max(1, STATISTICS_AN_HOUR // settings.workers), "stats")
        self.log = PredictionLog(place, metrics, hourly=self._set_audit_rate if settings.audit_per_day else None)
        self.shadows = ShadowLog(self.log.database)
        self.photos = photos_at(place.photos)
        self.limits = limits
        self._decoder = DecoderProcess()
        self._free_queries = asyncio.Semaphore(MAX_QUERIES)
        self._waiting = 0
        original = settings.keep_photos == "original"
        self._keeps_photos = settings.keep_photos != "no"
        # Also where photos are not kept any more: earlier ones are deleted when they expire.
        self._keeper = PhotoKeeper(
            self.photos,
            (lambda data: data) if original else self.thumbnail,
            most_bytes=settings.photo_bytes,
            days=settings.photo_days,
            wanted=self._reviewed if settings.keep_corrections else nothing_wanted,
        )
        for line in replica_warnings(settings, os.environ):
            logging.getLogger(__name__).warning(line)

    def thumbnail(self, photo: bytes) -> bytes | None:
        """A photo as a small JPEG: upright, and without a camera's metadata, such as where it was taken.

        ``None`` where it cannot be decoded.
        """
        try:
            try:
                shown = imaging.thumbnail(photo, THUMBNAIL, limits=replace(self.limits, light=LIGHT))
            except HeavyImageError:
                shown = self._decoder.thumbnail(photo, THUMBNAIL, self.limits)
        except ImageError:
            return None
        buffer = BytesIO()
        shown.save(buffer, "JPEG", quality=_QUALITY)
        return buffer.getvalue()

    def keep(self, answered: Answered) -> None:
        """Log an answer; called on the thread that made it, before the answer leaves. Never raises."""
        try:
            record = self._audit.decide(as_record(answered, self._with_statistics.takes))
            self.log.write(record)
            if self._keeps_photos:
                self._keeper.keep(record.photo, answered.photo.data)
        except Exception:  # the answer matters more
            logging.getLogger(__name__).exception("a prediction could not be kept")

    async def query(self, work: Callable[[], Result]) -> Result:
        """Query the database, or read a photo, beside the event loop, ``MAX_QUERIES`` at once.

        A cancelled request keeps its place until its query is answered: queries to a database that does not answer must
        not pile up.

        Raises:
            ProblemError: 503 where ``MAX_WAITING`` requests wait already.
        """
        if self._waiting >= MAX_WAITING:
            detail = "the database of the prediction log is slow, and many wait for it already; try again in a moment"
            raise ProblemError(503, detail, kind="busy", headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            await self._free_queries.acquire()
        finally:
            self._waiting -= 1
        task = asyncio.ensure_future(in_thread(work))
        task.add_done_callback(lambda _: self._free_queries.release())
        return await asyncio.shield(task)

    def _set_audit_rate(self, engine: Engine) -> None:
        from animal_classification.prediction_log.audit_queries import what_came

        self._audit.set_rate(*what_came(engine))

    def _reviewed(self, photos: Collection[str]) -> Collection[str]:
        """Those of these photos that people reviewed or shall look at, and that are kept for that."""
        if not is_there(self.log.place.database):  # nobody can have said anything yet, and nothing is made
            return ()
        return wanted_photos(self.log.database(), photos, AUDIT_DAYS)

    def close(self, timeout: float = 3.0) -> None:
        """Write the rows that wait; called when the last answer has left."""
        self._keeper.close(timeout)
        self._decoder.close()
        self.log.flush(timeout)  # what shadows say belongs to answers that are in the database
        self.shadows.close(timeout)
        self.log.close(timeout)


def replica_warnings(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """Warnings about what the replicas of a service would not share; none outside of Kubernetes and Cloud Run.

    Those start several replicas, each with a disk of its own that is deleted with it.
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


def as_record(answered: Answered, measured: Callable[[str], bool] = lambda _: True) -> PredictionRecord:
    """The row that is kept of an answer.

    Args:
        answered: The answer.
        measured: Given a photo's SHA-256 in hex, whether its statistics are kept.
    """
    prediction, info = answered.outcome.result.prediction, answered.info
    assert prediction is not None
    embedding = b""
    if prediction.embedding is not None:
        embedding = prediction.embedding.astype("<f2").tobytes()
    photo = (answered.sha256 or hashlib.sha256(answered.photo.data).digest()).hex()
    stats = None
    if answered.pixels is not None and measured(photo):
        stats = photo_statistics(answered.pixels).astype("<f2").tobytes()
    return PredictionRecord(
        id=answered.outcome.id,
        time=time.time(),
        model=info.name,
        version=info.version,
        photo=photo,
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
        stats=stats,
        source=answered.photo.source,
        canary=answered.canary,
        taken=_time_taken(answered.photo.data),
        boxes=None if answered.outcome.scene is None else found_boxes(answered.outcome.scene)[:MOST_BOXES],
    )


def _time_taken(photo: bytes) -> str | None:
    """By the camera's clock, to the second; it has no name here that could tell it."""
    taken = photo_facts(photo, "", TimeRules()).time
    return None if taken is None else taken.isoformat(timespec="seconds")
