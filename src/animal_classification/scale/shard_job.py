"""One shard from its plan to its rows: the machinery of ``animals predict``, fed with the shard's photos."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animal_classification import __version__
from animal_classification.data.discovery import FoundPhoto, WalkLog
from animal_classification.data.duckdb_parquet import write_table
from animal_classification.errors import AnimalsError, ImageError
from animal_classification.inference.classifier import Classifier
from animal_classification.inference.results import FileResult
from animal_classification.predict.evidence import to_record
from animal_classification.predict.field_request import FieldRequest
from animal_classification.predict.field_run import FieldRun
from animal_classification.predict.field_setup import FieldSetup
from animal_classification.predict.job import Listener, PredictedPhoto, PredictRun, Sink
from animal_classification.predict.journal import JournalEntry
from animal_classification.predict.request import PredictRequest
from animal_classification.predict.sorting import Placed
from animal_classification.predict.table import Row, columns, to_row, to_values
from animal_classification.predict.writers.parquet import column_types
from animal_classification.registry import resolve_model
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.given_boxes import ShardBoxes
from animal_classification.scale.lease import Claim
from animal_classification.scale.plan import Plan, out_name, read_shard
from animal_classification.scale.retry import Retry
from animal_classification.scale.shard_reader import ShardReader, check_local
from animal_classification.scale.storage import BatchFolder, is_bucket

ENDED_THE_PROCESS = "ended the process"
MORE_COLUMNS = {"size": "BIGINT", "etag": "VARCHAR", "attempts": "INTEGER"}
EMBEDDING_COLUMN = {"embedding": "FLOAT[]"}  # in half precision, so that it takes half the space

EVIDENCE_COLUMN = {"evidence": "VARCHAR"}  # JSON, as in a journal


class StoppedError(Exception):
    """The worker was told to end before the shard was done."""


@dataclass(frozen=True)
class BatchRow:
    """A row of the table, how often the photo was asked for, and what else the plan wants to be kept.

    Attributes:
        row: Of the table.
        attempts: How often the photo was asked for.
        evidence: In a field run, all that was found in it.
        embedding: float16 ``[D]``.
    """

    row: Row
    attempts: int
    evidence: dict[str, Any] | None = None
    embedding: NDArray[np.float16] | None = None

    def more(self) -> dict[str, Any]:
        """The columns that only some batches have."""
        evidence = {} if self.evidence is None else {"evidence": json.dumps(self.evidence)}
        return evidence if self.embedding is None else {**evidence, "embedding": self.embedding.tolist()}


@dataclass
class ShardJob:
    """Does shards, one after the other, with one model.

    Attributes:
        folder: The batch's.
        plan: The batch's.
        request: What to do with each photo.
        classifier: The plan's model.
        setup: The plan's detector, or boxes; ``None`` where photos are named as a whole.
        boxes: Those of another program, where the plan was given some.
        retry: What to do about faults.
        listener: Told of each photo; may stop it.
        heartbeat: Seconds between two signs of life.
    """

    folder: BatchFolder
    plan: Plan
    request: PredictRequest
    classifier: Classifier
    setup: FieldSetup | None = None
    boxes: ShardBoxes | None = None
    retry: Retry = field(default_factory=Retry)
    listener: Listener = field(default_factory=Listener)
    heartbeat: float = 20.0

    @classmethod
    def load(cls, folder: BatchFolder, plan: Plan, request: PredictRequest, **more: Any) -> ShardJob:
        """Load the plan's model.

        Raises:
            AnimalsError: It cannot be used, or is not the one that was planned with.
        """
        classifier = Classifier.load(resolve_model(request.model), engine=request.engine, threads=request.threads)
        found = classifier.bundle.sha256
        if found != plan.model_sha256:
            raise AnimalsError(
                f"{request.model!r} is another model here (sha256 {found[:12]}) than the one of the plan "
                f"({plan.model_sha256[:12]}): name its bundle by an address that all machines reach, and plan again"
            )
        boxes = ShardBoxes(folder, plan)
        setup = None if request.field is None else _field_setup(plan, request.field, classifier, boxes)
        return cls(folder, plan, request, classifier, setup, boxes, **more)

    def do(self, claim: Claim) -> int | None:
        """Do a shard that is ours, and put its rows where they count.

        Returns:
            How many rows it has; ``None`` where somebody else was first.

        Raises:
            AnimalsError: It cannot be done now; the lease was given back.
            StoppedError: The worker is to end; likewise.
        """
        try:
            with self._beating(claim):
                photos = read_shard(self.folder, self.plan, claim.shard)
                if self.boxes is not None and self.plan.has_given_boxes:
                    self.boxes.take(claim.shard)
                rows = self._rows(photos, claim)
                won = self.folder.put_new(out_name(claim.shard), self._encode(photos, rows, claim.shard))
        except (AnimalsError, StoppedError):
            with suppress(AnimalsError):
                claim.give_back()
            raise
        claim.done()
        return len(rows) if won else None

    def _rows(self, photos: Sequence[PlannedPhoto], claim: Claim) -> list[BatchRow]:
        given_up = set(claim.suspicion.given_up)
        rows: list[BatchRow] = []
        for low, high in claim.suspicion.ranges(len(photos)):
            if claim.suspicion.deaths:
                claim.take((low, high))
            wanted = [photo for place, photo in enumerate(photos[low:high], start=low) if place not in given_up]
            found = iter(self._predicted(wanted))
            rows += [
                self._given_up(photos[place], claim.suspicion.deaths) if place in given_up else next(found)
                for place in range(low, high)
            ]
        return rows

    def _predicted(self, photos: Sequence[PlannedPhoto]) -> list[BatchRow]:
        if not photos:
            return []
        threads = self.classifier.threads
        with closing(ShardPhotos(photos, threads=threads, retry=self.retry)) as source:
            sink = _Rows()
            PredictRun(self.request, source, self.classifier, None, None, sink, self.setup).run(self.listener, None)
            if self.listener.is_stopped():
                raise StoppedError
            if len(sink.entries) != len(photos):
                raise AnimalsError(
                    f"{len(photos)} photos have {len(sink.entries)} rows: a fault of animals; please report it"
                )
            return [
                BatchRow(entry.row, source.attempts.get(place, 1), entry.evidence, sink.embeddings.get(place))
                for place, entry in enumerate(sink.entries)
            ]

    def _given_up(self, photo: PlannedPhoto, deaths: int) -> BatchRow:
        info = self.classifier.info
        result = FileResult(photo.name, error=ENDED_THE_PROCESS)
        evidence = None if self.setup is None else to_record(None, {}, len(info.labels))
        return BatchRow(to_row(result, model=info.name, version=info.version), deaths, evidence)

    def _encode(self, photos: Sequence[PlannedPhoto], rows: Sequence[BatchRow], shard: int) -> bytes:
        names = columns(self.plan.top_k)
        table = (
            dict(zip(names, to_values(one.row, self.plan.top_k), strict=True))
            | {"size": photo.size, "etag": photo.etag, "attempts": one.attempts}
            | one.more()
            for photo, one in zip(photos, rows, strict=True)
        )
        about = {
            "plan": self.plan.id,
            "plan_sha256": self.plan.sha256,
            "shard": shard,
            "rows": len(rows),
            "model_sha256": self.plan.model_sha256,
            "code": __version__,
        }
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary, "rows.parquet")
            write_table(file, table, self._types(), json.dumps(about), compression="zstd")
            return file.read_bytes()

    def _types(self) -> dict[str, str]:
        evidence = {} if self.setup is None else EVIDENCE_COLUMN
        embedding = EMBEDDING_COLUMN if self.request.embeddings else {}
        return column_types(self.plan.top_k) | MORE_COLUMNS | evidence | embedding

    @contextmanager
    def _beating(self, claim: Claim) -> Iterator[None]:
        """Say every now and then that we live, as long as the block lasts."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self.heartbeat):
                with suppress(AnimalsError):  # who believes us dead does the work again, and loses
                    claim.beat()

        thread = threading.Thread(target=beat, name="animals-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _field_setup(plan: Plan, asked: FieldRequest, classifier: Classifier, boxes: ShardBoxes) -> FieldSetup:
    """What the plan's field run works with.

    Raises:
        AnimalsError: Its detector cannot be used, or is another one here.
    """
    planned = FieldRun.from_record(plan.field_run or {})
    if planned.boxes is not None and plan.has_given_boxes:
        return FieldSetup.given(asked, classifier, planned.boxes, boxes, ())
    setup = FieldSetup.finding(asked, classifier)
    if planned != setup.run:
        raise AnimalsError(f"{asked.detector!r} is another detector here than the one of the plan")
    return setup


class ShardPhotos:
    """The photos of a shard as a run takes them.

    Attributes:
        attempts: How often a photo was asked for, by its place; once where nothing is said.
    """

    def __init__(self, photos: Sequence[PlannedPhoto], *, threads: int, retry: Retry) -> None:
        self._photos = photos
        self._reader = ShardReader(photos, threads=threads, retry=retry)
        self.attempts: dict[int, int] = {}

    @property
    def folders(self) -> list[str]:
        return []

    def describe(self) -> list[str]:
        return []

    def walk(self, log: WalkLog | None = None) -> Iterator[FoundPhoto]:
        for place, photo in enumerate(self._photos):
            yield FoundPhoto(photo.name, photo.path, _Fetch(self, place, photo))

    def fetch(self, place: int, photo: PlannedPhoto) -> bytes | str:
        """A photo's bytes, or its path.

        Raises:
            ImageError: It cannot be used.
            AnimalsError: Its store does not answer.
        """
        if photo.offset is None and not is_bucket(photo.path):
            if wrong := check_local(photo):
                raise wrong
            return photo.path
        found, self.attempts[place] = self._reader.read(photo)
        if isinstance(found, ImageError):
            raise found
        return found

    def close(self) -> None:
        self._reader.close()


@dataclass(frozen=True)
class _Fetch:
    source: ShardPhotos
    place: int
    photo: PlannedPhoto

    def __call__(self) -> bytes | str:
        return self.source.fetch(self.place, self.photo)


@dataclass
class _Rows(Sink):
    entries: list[JournalEntry] = field(default_factory=list)
    embeddings: dict[int, NDArray[np.float16]] = field(default_factory=dict)

    def add(self, photo: PredictedPhoto, placed: Placed | None) -> None:
        prediction = photo.result.prediction
        if prediction is not None and prediction.embedding is not None:
            self.embeddings[len(self.entries)] = prediction.embedding.astype(np.float16)
        self.entries.append(photo.entry)
