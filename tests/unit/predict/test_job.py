"""A run, with a classifier that needs no model."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from animal_classification.data.discovery import PhotoPaths
from animal_classification.errors import CorruptImageError, ImageError, ImageNotFoundError
from animal_classification.inference.classifier import Classifier
from animal_classification.inference.results import Answer, Candidate, Prediction
from animal_classification.predict.job import Listener, PredictedPhoto, PredictRun, Sink
from animal_classification.predict.photo_inference import PhotoItem
from animal_classification.predict.request import PredictRequest
from animal_classification.predict.sorting import Placed
from animal_classification.predict.writers.table_file import TableFile


def prediction(name: str = "dog", *, unknown: bool = False) -> Prediction:
    return Prediction(
        label="poodle", label_id="p", probability=0.4, group="dog", group_probability=0.8, unknown=unknown,
        known_score=0.9, set=(), top=(Candidate("poodle", "p", 0.4),), answer=Answer(name, "group", 0.8),
    )  # fmt: skip


class FakeClassifier:
    """Reads one file ahead; what is not a file cannot be reached, and what is empty is damaged."""

    info = SimpleNamespace(
        name="fake",
        version="7",
        rollup=SimpleNamespace(threshold=0.65),
        background=(),
        labels=[None],
        unknown=None,
        data=SimpleNamespace(crops=None),
    )
    bundle = SimpleNamespace(sha256="0" * 64)
    closed = False
    vanishing: Path | None = None

    def predict_items(
        self,
        items: Iterable[PhotoItem],
        *,
        top_k: int,
        embedding: bool,
        stopped: Callable[[], bool],
        executor: object,
    ) -> Generator[tuple[PhotoItem, Prediction | ImageError], None, None]:
        waiting: list[PhotoItem] = []
        try:
            for item in [*items, None]:
                if waiting:
                    yield self._answered(waiting.pop())
                    if stopped():
                        return
                if item is not None:
                    waiting.append(item)
        finally:
            self.closed = True

    def _answered(self, item: PhotoItem) -> tuple[PhotoItem, Prediction | ImageError]:
        path = Path(item.path)
        if path.parent.name == "vanishing":
            path.unlink()
            path.parent.rmdir()
            return item, ImageNotFoundError("is not there", item.path)
        if not path.is_file():
            return item, ImageNotFoundError("is not there", item.path)
        return item, prediction() if path.stat().st_size else CorruptImageError("is empty", item.path)


class Rows(Sink):
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.photos: list[PredictedPhoto] = []
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def add(self, photo: PredictedPhoto, placed: Placed | None) -> None:
        self.photos.append(photo)

    def finish(self) -> None:
        self.calls.append("finish")


class StopAfter(Listener):
    """A listener that stops the run after some photos."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.finished = 0

    def advance(self) -> None:
        self.left -= 1

    def is_stopped(self) -> bool:
        return self.left <= 0

    def finish(self) -> None:
        self.finished += 1


def folder(tmp_path: Path, **files: str) -> Path:
    place = tmp_path / "photos"
    for name, content in files.items():
        file = place / f"{name.replace('__', '/')}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return place


def prepared(place: Path, sink: Rows | None = None, table: TableFile | None = None, **options: Any) -> PredictRun:
    request = PredictRequest(paths=(str(place),), **options)
    classifier = cast("Classifier", FakeClassifier())
    return PredictRun(request, PhotoPaths(request.paths), classifier, table, None, sink or Sink())


def test_every_photo_has_a_row_with_its_own_path(tmp_path: Path) -> None:
    place, rows = folder(tmp_path, a="x", b="", c="x"), Rows()
    result = prepared(place, rows).run(Listener(), None)
    assert [(one.entry.row["path"], one.entry.row["answer"], one.path) for one in rows.photos] == [
        ("a.jpg", "dog", str(place / "a.jpg")),
        ("b.jpg", None, str(place / "b.jpg")),
        ("c.jpg", "dog", str(place / "c.jpg")),
    ]
    assert rows.photos[1].entry.row["error"] == "is empty"
    assert rows.photos[0].entry.row["model_version"] == "7"
    assert rows.photos[0].entry.state == (1, (place / "a.jpg").stat().st_mtime_ns)
    assert rows.calls == ["start", "finish"]
    assert (result.problem, result.summary.tally.photos, result.summary.tally.unreadable) == (None, 3, 1)


def test_photos_of_a_folder_that_vanished_have_no_row(tmp_path: Path) -> None:
    place, rows = folder(tmp_path, a="x", vanishing__b="x"), Rows()
    run = prepared(place, rows)
    result = run.run(Listener(), None)
    assert [one.entry.row["path"] for one in rows.photos] == ["a.jpg"]
    assert run.log.lost == {str(place / "vanishing"): "it is not there any more"}
    assert "its photos are missing from the result" in str(result.problem)


def test_it_stops_when_the_listener_says_so_and_closes_the_engine(tmp_path: Path) -> None:
    place, rows, listener = folder(tmp_path, a="x", b="x", c="x", d="x"), Rows(), StopAfter(2)
    run = prepared(place, rows)
    result = run.run(listener, None)
    assert len(rows.photos) == 2
    assert cast("FakeClassifier", run.classifier).closed
    assert (result.summary.interrupted, result.problem, listener.finished) == (True, None, 1)
    assert rows.calls == ["start", "finish"]


def test_a_stopped_run_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    place, target = folder(tmp_path, a="x", b="x", c="x"), tmp_path / "x.csv"
    options: dict[str, Any] = {"output": str(target)}
    with closing(TableFile(str(target), "csv")) as table:
        result = prepared(place, None, table, **options).run(StopAfter(1), None)
    assert (result.kept, result.summary.interrupted) == ("written", True)
    assert len(target.read_text().splitlines()) == 2
    with closing(TableFile(str(target), "csv", resume=True)) as table:
        result = prepared(place, None, table, resume=True, **options).run(Listener(), None)
    assert result.summary.tally.photos == 3
    assert [line.split(",")[0] for line in target.read_text().splitlines()] == ["path", "a.jpg", "b.jpg", "c.jpg"]


def test_an_error_of_the_sink_ends_the_run_and_the_listener(tmp_path: Path) -> None:
    class Full(Rows):
        def add(self, photo: PredictedPhoto, placed: Placed | None) -> None:
            raise OSError("full")

    listener = StopAfter(99)
    with pytest.raises(OSError, match="full"):
        prepared(folder(tmp_path, a="x"), Full()).run(listener, None)
    assert listener.finished == 1


def test_nothing_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        closed = io.StringIO()
        closed.close()  # whatever is asked of it fails
        monkeypatch.setattr(sys, name, closed)
    assert prepared(folder(tmp_path, a="x"), Rows()).run(Listener(), None).summary.tally.photos == 1
    assert prepared(folder(tmp_path, a="x")).run(Listener(), None).summary.tally.photos == 1  # without a sink


@pytest.mark.parametrize("crops", [True, None])
def test_a_model_of_crops_that_is_shown_whole_photos_says_so_once(tmp_path: Path, crops: bool | None) -> None:
    run = prepared(folder(tmp_path, a="x", b="x"))
    run.classifier.info = SimpleNamespace(**{**vars(FakeClassifier.info), "data": SimpleNamespace(crops=crops)})  # type: ignore[misc,assignment]
    notes = run.run(Listener(), None).summary.notes
    said = "fake learned from animals cut out of photos, and these were whole: add --detector lite, or --detections "
    assert notes == ((f"{said}FILE with the boxes of another program",) if crops else ())
