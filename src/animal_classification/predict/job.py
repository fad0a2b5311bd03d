"""A run of ``animals predict``, from what was asked for to the exit code."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from animal_classification.common.console import complain, say
from animal_classification.data.discovery import FoundPhoto, PhotoPaths, WalkLog, table_name
from animal_classification.inference.classifier import Classifier
from animal_classification.inference.postprocess import unknown_name
from animal_classification.predict.batch import Done, Tally, classify
from animal_classification.predict.interrupts import sigterm_like_ctrl_c, stop_asked
from animal_classification.predict.journal import JournalHeader
from animal_classification.predict.progress_bar import ProgressBar
from animal_classification.predict.sorting import Sorter, refuse_overlap
from animal_classification.predict.summary import PredictSummary, listed
from animal_classification.predict.writers.sinks import FileSink, ObjectSink, PlanSink, Sink, StreamSink, print_object
from animal_classification.predict.writers.table_file import TableFile
from animal_classification.registry import resolve_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from animal_classification.predict.request import PredictRequest

INTERRUPTED = 130


@dataclass
class PredictJob:
    """A run with everything that it needs, and what it has found so far."""

    request: PredictRequest
    photos: PhotoPaths
    classifier: Classifier
    sink: Sink
    table: TableFile | None
    sorter: Sorter | None
    tally: Tally = field(default_factory=Tally)
    log: WalkLog = field(default_factory=WalkLog)

    def run(self) -> int:
        """Do it; returns the exit code."""
        done = self._begin()
        rows_on_screen = self.request.target in ("stream", "screen", "plan") and sys.stdout.isatty()
        progress = ProgressBar(self.photos, done=len(done), shown=not self.request.quiet and not rows_on_screen)
        with stop_asked() as stopped, closing(progress):
            waiting = (photo for photo in self.photos.walk(self.log) if self._is_wanted(photo, done))
            found = classify(
                self.classifier, waiting, top_k=self.request.top_k, log=self.log, stopped=stopped, again=done
            )
            for item in found:
                # Sorted before it is noted down: what a journal holds never has to be sorted again.
                prediction = item.result.prediction
                placed = self.sorter.place(item.path, prediction.answer.name) if self.sorter and prediction else None
                self.sink.add(item, placed)
                if item.entry.again:
                    self.tally.take_back(done[item.entry.row["path"]])
                self.tally.add(item.entry)
                progress.advance()
            progress.close()
            return self._end(progress, interrupted=stopped())

    def _is_wanted(self, photo: FoundPhoto, done: Mapping[str, Done]) -> bool:
        """Whether a photo has no row yet, or one that does not count any more."""
        known = done.get(photo.name)
        if known is None or (known.failed and self.request.retry_errors):
            return True
        return known.is_outdated(photo.path, self.table.time if self.table else None)

    def _begin(self) -> dict[str, Done]:
        """Start the table; returns what it says of the photos that have a row."""
        done: dict[str, Done] = {}
        if self.table is None:
            return done
        info = self.classifier.info
        header = JournalHeader(
            model=info.name,
            model_version=info.version,
            model_sha256=self.classifier.bundle.sha256,
            top_k=self.request.top_k,
            format=self.request.table_format,
            paths=self.photos.describe(),
            sort_into=f"{self.request.way or 'copy'} {table_name(str(self.sorter.into))}" if self.sorter else None,
        )
        guesses = min(self.request.top_k, len(info.labels))
        for entry in self.table.start(header, guesses=guesses, resume=self.request.resume):
            done[entry.row["path"]] = Done.of(entry)
            self.tally.add(entry)
        return done

    def _end(self, progress: ProgressBar, *, interrupted: bool) -> int:
        kept = ""
        if self.table is not None and self.tally.photos == 0:
            self.table.close(discard=True)  # an empty table must not take the place of a full one
        elif interrupted:
            kept = self.sink.stop()
        else:
            self.sink.finish()
        self._report(self._summary(progress, interrupted=interrupted))
        if interrupted:
            total = progress.final_total()
            of = "" if total is None else f" of {total}"
            complain(f"interrupted: {self.tally.photos}{of} done{kept}")
            return INTERRUPTED
        trouble = self._trouble()
        if trouble:
            complain(trouble)
        return 1 if trouble else 0

    def _summary(self, progress: ProgressBar, *, interrupted: bool) -> PredictSummary:
        info = self.classifier.info
        return PredictSummary(
            tally=self.tally,
            log=self.log,
            model=info.name,
            model_version=info.version,
            seconds=progress.seconds,
            rate=progress.rate,
            output=table_name(self.request.output or "") if self.table and self.tally.photos else None,
            sorter=self.sorter,
            dry_run=self.request.dry_run,
            interrupted=interrupted,
        )

    def _report(self, summary: PredictSummary) -> None:
        if self.request.as_json:
            if isinstance(self.sink, ObjectSink):
                self.sink.print_after(summary.as_object())
            elif isinstance(self.sink, PlanSink):
                print_object({**summary.as_object(), "moves": self.sink.moves})
            else:
                print_object(summary.as_object())
        if not self.request.quiet and not summary.interrupted and self.tally.photos:
            for line in summary.lines(unknown_name(self.classifier.info)):
                say(line)

    def _trouble(self) -> str | None:
        """What makes the exit code 1, if anything does; the worst first."""
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


def run(request: PredictRequest) -> int:
    """Do what was asked for; returns the exit code.

    Raises:
        AnimalsError: It cannot be done.
    """
    request.check()
    own = [] if request.target != "file" else list(TableFile.files(str(request.output)))
    photos = PhotoPaths(request.paths, leave_out=own, all_files=request.all_files)
    if request.sort_into is not None:
        refuse_overlap(request.sort_into, photos.folders)
        photos.leave_out_folder(request.sort_into)
    with ExitStack() as stack:
        stack.enter_context(sigterm_like_ctrl_c())
        table = None
        if request.target == "file":
            table = TableFile(
                str(request.output),
                request.table_format,
                resume=request.resume,
                overwrite=request.overwrite,
                threads=request.threads or 1,
            )
            stack.enter_context(closing(table))
        classifier = Classifier.load(resolve_model(request.model), engine=request.engine, threads=request.threads)
        sorter = None
        if request.sort_into is not None:
            sorter = Sorter(request.sort_into, request.way or "copy", dry_run=request.dry_run)
        sink = stack.enter_context(closing(_sink(request, table)))
        return PredictJob(request, photos, classifier, sink, table, sorter).run()


def _sink(request: PredictRequest, table: TableFile | None) -> Sink:
    if table is not None:
        return FileSink(table)
    if request.target == "plan":
        return PlanSink(as_json=request.as_json)
    if request.target == "object":
        return ObjectSink()
    if request.target == "stream":
        return StreamSink(request.table_format, request.top_k)
    from animal_classification.predict.writers.screen import ScreenSink

    return ScreenSink()
