"""The log under Windows' rules: what is open is neither renamed nor deleted, and files are text by default."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import pytest

from animal_classification.prediction_log import writer as writers
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.photo_keeper import PhotoKeeper
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.spool import Quarantine, Spool, waiting
from animal_classification.prediction_log.writer import PredictionLog
from tests.support.log_records import record
from tests.support.windows import Windows
from tests.unit.prediction_log.test_writer import Counted, broken, ids, wait_until


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    """On Windows, Windows itself."""
    fake = Windows()
    if sys.platform != "win32":
        if not Path("/proc/self/fd").is_dir():
            pytest.skip("it cannot be seen here which files are open")
        fake.install(monkeypatch)
    return fake


def _die_with(folder: str, line: bytes) -> None:
    Spool(Path(folder), 10**9).append(line)
    os._exit(9)


def test_a_log_from_its_start_to_its_end(windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "LOOK_FOR_ORPHANS", 0.0)
    dead = record()
    other = multiprocessing.get_context("spawn").Process(
        target=_die_with, args=(str(tmp_path / "spool"), dead.to_line())
    )
    other.start()
    other.join()
    broken(tmp_path)
    counted = Counted()
    log = PredictionLog(LogLocation(folder=tmp_path, days=30), counted, interval=0.01)
    rows = [record(file="löwe\n.jpg") for _ in range(50)]
    for item in rows[:20]:
        log.write(item)
    wait_until(lambda: counted.waiting > 0)
    log.close()  # with rows that wait, for the next one
    (tmp_path / "predictions.db").rmdir()
    log = PredictionLog(LogLocation(folder=tmp_path, days=30), counted, interval=0.01)
    for item in rows[20:]:
        log.write(item)
    log.write(record(label=None))
    wait_until(lambda: counted.rows["written"] == 51)
    wait_until(lambda: counted.rows["refused"] == 1)
    log.close()
    assert set(ids(tmp_path)) == {dead.id, *(item.id for item in rows)}
    assert counted.rows == {"written": 51, "refused": 1}, "a newline that became two is a damaged row"
    assert waiting(tmp_path / "spool").files == 0
    assert list((tmp_path / "spool").iterdir()) == [], "locks pile up"
    assert windows.refused == []


def test_several_look_after_the_same_dead_one(
    windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "LOOK_FOR_ORPHANS", 0.0)
    counted = Counted()
    first = Spool(tmp_path / "spool", 10**9)
    for _ in range(30):
        first.append(record().to_line())
    first.close()
    logs = [PredictionLog(LogLocation(folder=tmp_path), counted, interval=0.01) for _ in range(3)]
    wait_until(lambda: counted.rows["written"] == 30)
    # A lock that another one has just tried cannot be deleted, and is at the next look.
    wait_until(lambda: len(list((tmp_path / "spool").iterdir())) == len(logs))
    for log in logs:
        log.close()
    assert counted.rows == {"written": 30}
    assert len(ids(tmp_path)) == 30


def test_what_is_set_aside_is_as_it_was(windows: Windows, tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, 10**6)
    rows = [record(), record()]
    for item in rows:
        path = quarantine.keep(item.to_line())
    assert path is not None
    assert [PredictionRecord.from_line(line) for line in path.read_bytes().splitlines(keepends=True)] == rows


def test_photos_that_somebody_looks_at(windows: Windows, tmp_path: Path) -> None:
    folder = PhotoFolder(tmp_path)
    photo = "ab" * 32
    keeper = PhotoKeeper(folder, lambda data: data, most_bytes=10**6, days=1)
    keeper.keep(photo, b"lion")
    wait_until(lambda: folder.read(photo) == b"lion")
    path = folder.path(photo)
    assert path is not None
    with path.open("rb"):
        folder.put(photo, b"lion")
        os.utime(path, (1, 1))
        assert folder.sweep(most_bytes=0, days=1).deleted == 0, "it has its turn next time"
    assert [item.name for item in path.parent.iterdir()] == [photo]
    assert folder.sweep(most_bytes=0, days=1).deleted == 1
    keeper.close(10)


def test_the_rules_are_those_of_windows(tmp_path: Path, windows: Windows) -> None:
    """The fake refuses what it is there for."""
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"one\n")
    for attempt in (path.unlink, lambda: path.rename(tmp_path / "b"), lambda: path.parent.rename(tmp_path / "b")):
        with pytest.raises(PermissionError):
            attempt()
    os.close(descriptor)
    assert path.read_bytes() == b"one\r\n"
    path.parent.rename(tmp_path / "b")
