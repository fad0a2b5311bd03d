"""Predictions for files and folders: from a request to rows, whoever asks for them."""

from __future__ import annotations

import os
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from animal_classification.common.parallel import Executor
from animal_classification.data.discovery import FoundPhoto, PhotoPaths, PhotoSource, WalkLog, table_name
from animal_classification.inference.classifier import Classifier
from animal_classification.inference.postprocess import unknown_name
from animal_classification.inference.results import FileResult
from animal_classification.predict.field_rules import ReadRules
from animal_classification.predict.field_setup import FieldSetup
from animal_classification.predict.journal import EarlierRow, JournalEntry
from animal_classification.predict.journal_header import JournalHeader
from animal_classification.predict.photo_inference import WholePhotos
from animal_classification.predict.request import PredictRequest
from animal_classification.predict.sorting import Placed, Sorter, names_repeat, refuse_overlap
from animal_classification.predict.summary import PredictSummary, Tally, listed
from animal_classification.predict.table import to_row
from animal_classification.predict.writers.field_table_file import FieldTableFile, FieldWriting
from animal_classification.predict.writers.table_file import State, TableFile
from animal_classification.registry import resolve_model


@dataclass(frozen=True, slots=True)
class PredictedPhoto:
    """One photo with its answer, and its row."""

    result: FileResult
    entry: JournalEntry
    path: str


class Sink:
    """Where rows go that are not written to a table on disk; this one drops them."""

    def start(self) -> None:
        """The model is loaded; photos follow."""

    def add(self, photo: PredictedPhoto, placed: Placed | None) -> None:
        """Take the next photo, and where it was sorted into."""

    def finish(self) -> None:
        """The last photo has come, or the run was stopped."""


class Listener:
    """Told how far a run is, and asked whether it is to stop; this one says no."""

    def start(self, photos: PhotoSource, done: int) -> None:
        """The model is loaded; ``done`` of the photos have a row already."""

    def advance(self) -> None:
        """One more photo has its row."""

    def is_stopped(self) -> bool:
        """Asked after each photo; the rows up to here are kept."""
        return False

    def finish(self) -> None:
        """The last photo has come, or the run has failed."""


@dataclass(frozen=True, kw_only=True)
class PredictResult:
    """How a run ended.

    Attributes:
        summary: What was found.
        problem: What makes the run a failure, in one line; ``None`` where it is none, or was stopped.
        kept: Where the rows of a stopped run are that has a table.
    """

    summary: PredictSummary
    problem: str | None = None
    kept: State | None = None

    @property
    def succeeded(self) -> bool:
        """Whether all of it was done."""
        return self.problem is None and not self.summary.interrupted


def run(
    request: PredictRequest,
    *,
    sink: Sink | None = None,
    listener: Listener | None = None,
    executor: Executor | None = None,
) -> PredictResult:
    """Send photos through a model.

    Args:
        request: What to do.
        sink: Where rows go if the request names no table; nowhere by default.
        listener: Told how far it is; may stop the run.
        executor: Where photos are decoded and inferred, if not on threads of this process.

    Raises:
        AnimalsError: It cannot be done.
    """
    request.check()
    kind = FieldTableFile if request.field else TableFile
    own = list(kind.files(str(request.output))) if request.writes_table else []
    photos = PhotoPaths(request.paths, leave_out=own, all_files=request.all_files)
    if request.sort_into is not None:
        refuse_overlap(request.sort_into, photos.folders)
        photos.leave_out_folder(request.sort_into)
    with ExitStack() as stack:
        table = None
        if request.writes_table and request.field is None:
            table = stack.enter_context(closing(_table(request)))
        classifier = Classifier.load(resolve_model(request.model), engine=request.engine, threads=request.threads)
        setup = FieldSetup.of(request.field, classifier, photos) if request.field else None
        if request.writes_table and setup is not None:
            table = stack.enter_context(closing(_field_table(request, setup)))
        sorter = None
        if request.sort_into is not None:
            keep = request.keep_folders
            if keep is None:
                keep = request.field is not None and names_repeat(photo.path for photo in photos.walk())
            sorter = Sorter(request.sort_into, request.way or "copy", dry_run=request.dry_run, keep_folders=keep)
        return PredictRun(request, photos, classifier, table, sorter, sink or Sink(), setup).run(
            listener or Listener(), executor
        )


def _table(request: PredictRequest) -> TableFile:
    return TableFile(
        str(request.output),
        request.table_format,
        resume=request.resume,
        overwrite=request.overwrite,
        threads=request.threads or 1,
    )


def _field_table(request: PredictRequest, setup: FieldSetup) -> TableFile:
    assert request.field is not None
    return FieldTableFile(
        str(request.output),
        request.table_format,
        rules=ReadRules.of(request.field.rules, setup.run),
        resume=request.resume,
        overwrite=request.overwrite,
        threads=request.threads or 1,
    )


@dataclass
class PredictRun:
    """A run with everything that it needs, and what it has found so far."""

    request: PredictRequest
    photos: PhotoSource
    classifier: Classifier
    table: TableFile | None
    sorter: Sorter | None
    sink: Sink
    setup: FieldSetup | None = None
    tally: Tally = field(default_factory=Tally)
    log: WalkLog = field(default_factory=WalkLog)

    def run(self, listener: Listener, executor: Executor | None) -> PredictResult:
        """Do it."""
        earlier = self._begin()
        listener.start(self.photos, len(earlier))
        begun, new = time.monotonic(), 0
        try:
            waiting = (photo for photo in self.photos.walk(self.log) if self._needs_row(photo, earlier))
            for photo in self._predicted(waiting, earlier, listener, executor):
                self._keep(photo, earlier)
                new += 1
                listener.advance()
        finally:
            listener.finish()
        return self._end(begun, new, interrupted=listener.is_stopped())

    def _predicted(
        self, photos: Iterable[FoundPhoto], earlier: Container[str], listener: Listener, executor: Executor | None
    ) -> Iterator[PredictedPhoto]:
        """Yield every photo with its row, in order; photos whose folder is gone go into the log instead."""
        info = self.classifier.info
        inference = self.setup.photos if self.setup else WholePhotos(self.classifier)
        inferred = inference.infer(photos, top_k=self.request.top_k, stopped=listener.is_stopped, executor=executor)
        with closing(inferred):
            for item, result, evidence in inferred:
                if not result.reached and item.fetch is None and (folder := _vanished_folder(item.path)):
                    self.log.lost.setdefault(folder, "it is not there any more")
                    continue
                row = to_row(result, model=info.name, version=info.version)
                again = item.name in earlier
                yield PredictedPhoto(result, JournalEntry(row, item.state, again, evidence), item.path)

    def _keep(self, photo: PredictedPhoto, earlier: Mapping[str, EarlierRow]) -> None:
        """Sort, write down and count one photo."""
        # Sorted before it is written down: what a journal holds never has to be sorted again.
        prediction = photo.result.prediction
        placed = None
        if self.sorter and prediction:
            placed = self.sorter.place(photo.path, prediction.answer.name, photo.result.path)
        if self.table is not None:
            self.table.append(photo.entry)
        else:
            self.sink.add(photo, placed)
        if photo.entry.again:
            self.tally.take_back(earlier[photo.entry.row["path"]])
        self.tally.add(photo.entry)

    def _needs_row(self, photo: FoundPhoto, earlier: Mapping[str, EarlierRow]) -> bool:
        """Whether a photo has no row yet, or one that does not count any more."""
        known = earlier.get(photo.name)
        if known is None or (known.failed and self.request.retry_errors):
            return True
        return known.is_outdated(photo.path, self.table.time if self.table else None)

    def _begin(self) -> dict[str, EarlierRow]:
        """Start the table, or the sink; returns what the table says of the photos that have a row."""
        earlier: dict[str, EarlierRow] = {}
        if self.table is None:
            self.sink.start()
            return earlier
        info = self.classifier.info
        header = JournalHeader(
            model=info.name,
            model_version=info.version,
            model_sha256=self.classifier.bundle.sha256,
            top_k=self.request.top_k,
            format=self.request.table_format,
            paths=self.photos.describe(),
            sort_into=f"{self.request.way or 'copy'} {table_name(str(self.sorter.into))}" if self.sorter else None,
            field=self.setup.run.to_record() if self.setup else None,
        )
        guesses = min(self.request.top_k, len(info.labels))
        for entry in self.table.start(header, guesses=guesses, resume=self.request.resume):
            earlier[entry.row["path"]] = EarlierRow.of(entry)
            self.tally.add(entry)
        return earlier

    def _end(self, begun: float, new: int, *, interrupted: bool) -> PredictResult:
        kept = None
        if self.table is None:
            self.sink.finish()
        elif self.tally.photos == 0:
            self.table.close(discard=True)  # an empty table must not take the place of a full one
        elif interrupted:
            kept = self.table.stop()
        else:
            self.table.finish()
        if self._written is not None:
            self.tally.decided(self._written.counts)
        summary = self._summary(time.monotonic() - begun, new, interrupted=interrupted)
        return PredictResult(summary=summary, problem=None if interrupted else self._problem(), kept=kept)

    def _summary(self, seconds: float, new: int, *, interrupted: bool) -> PredictSummary:
        info = self.classifier.info
        return PredictSummary(
            tally=self.tally,
            log=self.log,
            model=info.name,
            model_version=info.version,
            unknown_name=unknown_name(info),
            seconds=seconds,
            rate=new / max(seconds, 1e-9),
            output=table_name(self.request.output or "") if self.table and self.tally.photos else None,
            sorter=self.sorter,
            dry_run=self.request.dry_run,
            interrupted=interrupted,
            field=self._written.counts if self._written else None,
            notes=self._notes(),
        )

    @property
    def _written(self) -> FieldWriting | None:
        return self.table.written if isinstance(self.table, FieldTableFile) else None

    def _notes(self) -> tuple[str, ...]:
        """What was read beside the photos, and what of it met none."""
        read = self.setup.notes if self.setup else ()
        return (*self._wants_crops(), *read, *(self._written.notes if self._written else ()))

    def _wants_crops(self) -> tuple[str, ...]:
        info, field = self.classifier.info, self.request.field
        if not info.data.crops or (field is not None and (field.detector or field.detections)):
            return ()
        return (
            f"{info.name} learned from animals cut out of photos, and these were whole: add --detector lite, or "
            "--detections FILE with the boxes of another program",
        )

    def _problem(self) -> str | None:
        """What makes the run a failure, if anything does; the worst first."""
        if self.log.lost:
            folder, why = next(iter(self.log.lost.items()))
            more = f" and {len(self.log.lost) - 1} more" if len(self.log.lost) > 1 else ""
            return f"cannot read the folder {folder!r}{more} ({why}): its photos are missing from the result"
        if self.tally.photos == 0:
            beside = f", which holds {listed(self.log.skipped)}" if self.log.skipped else ""
            return f"no photos in {', '.join(map(repr, self.request.paths[:3]))}{beside}"
        if self.tally.unreadable == self.tally.photos:
            return f"none of the {self.tally.photos} photos could be read; the column 'error' says why"
        if self.sorter is not None and (failed := self.sorter.outcomes["failed"]):
            return f"{failed} photos could not be sorted: they were gone, or may no longer be read"
        return None


def _vanished_folder(path: str) -> str | None:
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - only for photos that cannot be read
    return None if os.path.isdir(folder) else folder  # noqa: PTH112 - Path.is_dir may raise
