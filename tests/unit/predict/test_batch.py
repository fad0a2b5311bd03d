"""Photos through a classifier that needs no model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from animal_classification.data.discovery import FoundPhoto, WalkLog
from animal_classification.inference.classifier import Classifier
from animal_classification.inference.results import Answer, Candidate, FileResult, Prediction
from animal_classification.predict.batch import Tally, classify
from animal_classification.predict.journal import JournalEntry
from animal_classification.predict.table import to_row


def prediction(name: str = "dog", *, unknown: bool = False) -> Prediction:
    return Prediction(
        label="poodle", label_id="p", probability=0.4, group="dog", group_probability=0.8, unknown=unknown,
        known_score=0.9, set=(), top=(Candidate("poodle", "p", 0.4),), answer=Answer(name, "group", 0.8),
    )  # fmt: skip


class FakeClassifier:
    """Reads one file ahead; what is not a file cannot be reached."""

    info = SimpleNamespace(name="fake", version="7", rollup=SimpleNamespace(threshold=0.65))
    closed = False

    def predict_paths(self, paths: Iterable[tuple[str, str]], *, top_k: int) -> Iterator[FileResult]:
        try:
            waiting: list[tuple[str, str]] = []
            for pair in [*paths, ("", "")]:
                if waiting:
                    name, path = waiting.pop()
                    good = Path(path).is_file()
                    gone = FileResult(name, error="is not there", reached=False)
                    yield FileResult(name, prediction()) if good else gone
                waiting.append(pair)
        finally:
            self.closed = True


def photos(folder: Path, *names: str) -> list[FoundPhoto]:
    return [FoundPhoto(name, str(folder / name)) for name in names]


def run(fake: FakeClassifier, sources: Iterable[FoundPhoto], **options: Any) -> list[Any]:
    given: dict[str, Any] = {"top_k": 5, "log": WalkLog(), "stopped": lambda: False, **options}
    return list(classify(cast("Classifier", fake), sources, **given))


def test_every_photo_has_an_item_with_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    items = run(FakeClassifier(), photos(tmp_path, "a.jpg", "gone.jpg"))
    assert [(item.entry.row["path"], item.entry.row["answer"], item.path) for item in items] == [
        ("a.jpg", "dog", str(tmp_path / "a.jpg")),
        ("gone.jpg", None, str(tmp_path / "gone.jpg")),
    ]
    assert items[1].entry.row["error"] == "is not there"
    assert items[0].entry.row["model_version"] == "7"


def test_photos_of_a_folder_that_vanished_have_no_row(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    log = WalkLog()
    items = run(FakeClassifier(), photos(tmp_path, "a.jpg", "gone/b.jpg", "gone/c.jpg"), log=log)
    assert [item.entry.row["path"] for item in items] == ["a.jpg"]
    assert log.lost == {str(tmp_path / "gone"): "it is not there any more"}


def test_a_damaged_photo_keeps_its_row_when_its_folder_vanishes_afterwards(tmp_path: Path) -> None:
    class Damaged(FakeClassifier):
        def predict_paths(self, paths: Iterable[tuple[str, str]], *, top_k: int) -> Iterator[FileResult]:
            yield from (FileResult(name, error="is cut short") for name, _ in paths)

    log = WalkLog()
    items = run(Damaged(), photos(tmp_path, "gone/b.jpg"), log=log)
    assert [item.entry.row["error"] for item in items] == ["is cut short"]
    assert not log.lost


def test_it_stops_when_asked_and_closes_the_engine(tmp_path: Path) -> None:
    fake = FakeClassifier()
    answers = iter([False, True])
    items = run(fake, photos(tmp_path, "a", "b", "c", "d"), stopped=lambda: next(answers))
    assert len(items) == 2
    assert fake.closed


def test_a_tally_counts_what_a_person_is_told() -> None:
    tally = Tally()
    for result in (
        FileResult("a", prediction("dog")),
        FileResult("b", prediction("dog")),
        FileResult("c", prediction("not an animal", unknown=True)),
        FileResult("d", error="is empty"),
    ):
        tally.add(JournalEntry(to_row(result, model="m", version="1")))
    assert (tally.photos, tally.unreadable, tally.unknown, tally.animals) == (4, 1, 1, {"dog": 2})
