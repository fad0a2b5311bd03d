"""From the file to the database, whatever happens on the way."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from animal_classification.common.file_lock import locked
from animal_classification.errors import UsageError
from animal_classification.prediction_log import migrate, store
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.database_errors import LogDatabaseError
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.spool import Quarantine, waiting
from animal_classification.prediction_log.writer import PredictionLog
from tests.support.log_records import record


class Counted:
    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.waiting = 0

    def log_rows(self, what: str, count: int) -> None:
        self.rows[what] += count

    def log_waiting(self, size: int) -> None:
        self.waiting = size


def ids(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "predictions.db") as connection:
        found = [row[0] for row in connection.execute("SELECT id FROM animals_predictions ORDER BY rowid")]
    connection.close()
    return found


def wait_until(check: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_rows_arrive_in_their_order_and_nothing_waits_after_the_end(tmp_path: Path) -> None:
    counted = Counted()
    log = PredictionLog(LogLocation(folder=tmp_path), counted, interval=0.01)
    records = [record() for _ in range(1200)]
    for item in records:
        log.write(item)
    log.close()
    assert ids(tmp_path) == [item.id for item in records]
    assert counted.rows == {"written": 1200}
    assert waiting(tmp_path / "spool").files == 0


def test_flush_means_in_the_database(tmp_path: Path) -> None:
    log = PredictionLog(LogLocation(folder=tmp_path), interval=60)
    for _ in range(5):
        item = record()
        log.write(item)
        log.flush(30)
        assert ids(tmp_path)[-1] == item.id
    log.close()


def test_nothing_is_opened_for_a_server_that_answers_nothing(tmp_path: Path) -> None:
    PredictionLog(LogLocation(folder=tmp_path), interval=0.01).close()
    assert not (tmp_path / "predictions.db").exists()


def broken(folder: Path) -> None:
    (folder / "predictions.db").mkdir()


def test_while_the_database_is_gone_rows_wait_and_then_arrive_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counted = Counted()
    broken(tmp_path)
    log = PredictionLog(LogLocation(folder=tmp_path), counted, interval=0.01)
    records = [record() for _ in range(300)]
    for item in records[:200]:
        log.write(item)
    wait_until(lambda: counted.waiting > 0)
    for item in records[200:]:
        log.write(item)
    (tmp_path / "predictions.db").rmdir()
    wait_until(lambda: counted.rows["written"] == 300)
    log.close()
    assert ids(tmp_path) == [item.id for item in records]
    words = [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert len(words) == 2, words
    assert "predictions wait in" in words[0]
    assert "is back" in words[1]


def test_a_log_that_is_full_says_what_it_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counted = Counted()
    broken(tmp_path)
    line = len(record().to_line())
    log = PredictionLog(LogLocation(folder=tmp_path, spool_bytes=10 * line + line // 2), counted, interval=0.01)
    for _ in range(50):
        log.write(record())
    wait_until(lambda: counted.rows["dropped"] > 0)
    log.close()
    assert 38 <= counted.rows["dropped"] <= 40
    assert "predictions are not in the log" in caplog.text
    assert waiting(tmp_path / "spool").bytes <= 10 * line + line // 2


def test_what_waits_at_the_end_is_taken_up_by_the_next_one_first(tmp_path: Path) -> None:
    broken(tmp_path)
    first = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    records = [record() for _ in range(30)]
    for item in records[:20]:
        first.write(item)
    first.close()
    assert waiting(tmp_path / "spool").files == 1
    (tmp_path / "predictions.db").rmdir()
    second = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    for item in records[20:]:
        second.write(item)
    second.close()
    assert ids(tmp_path) == [item.id for item in records]
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_row_that_is_there_already_is_not_there_twice(tmp_path: Path) -> None:
    item = record()
    for _ in range(2):
        log = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
        log.write(item)
        log.write(item)
        log.close()
    assert ids(tmp_path) == [item.id]


def test_processes_and_threads_share_one_sqlite_file(tmp_path: Path) -> None:
    logs = [PredictionLog(LogLocation(folder=tmp_path), interval=0.005) for _ in range(3)]
    records = [[record() for _ in range(400)] for _ in range(6)]

    def write(number: int) -> None:
        for item in records[number]:
            logs[number % 3].write(item)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for log in logs:
        log.close(30)
    found = ids(tmp_path)
    assert len(found) == len(set(found)) == 2400


def test_a_database_that_was_replaced_gets_its_tables(tmp_path: Path) -> None:
    log = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    log.write(record())
    log.flush(30)
    engine = connect(f"sqlite:///{tmp_path / 'predictions.db'}")
    migrate.migrate(engine, "base")
    engine.dispose()
    item = record()
    log.write(item)
    wait_until(lambda: waiting(tmp_path / "spool").files == 0)
    log.close()
    assert ids(tmp_path) == [item.id]


def test_old_rows_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.writer.RETENTION_EVERY", 0.0)
    log = PredictionLog(LogLocation(folder=tmp_path, days=1), interval=0.01)
    young = record()
    log.write(record(time=time.time() - 2 * 86400))
    log.write(young)
    log.flush(30)
    log.flush(30)
    assert ids(tmp_path) == [young.id]
    log.close()


def test_a_server_that_lives_for_a_moment_deletes_too(tmp_path: Path) -> None:
    """A lesson of half an hour, a container that goes when nobody asks: none of them lives for an hour."""
    young = record()
    log = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    for item in (record(time=time.time() - 2 * 86400), young):
        log.write(item)
    log.close()
    PredictionLog(LogLocation(folder=tmp_path, days=3), interval=0.01).close(30)
    assert len(ids(tmp_path)) == 2
    PredictionLog(LogLocation(folder=tmp_path, days=1), interval=0.01).close(30)  # they may be kept for less long now
    assert ids(tmp_path) == [young.id]


def test_what_may_not_be_deleted_does_not_hold_up_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.writer.FORGET_AGAIN", 0.0)
    old = record(time=time.time() - 2 * 86400)
    log = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    log.write(old)
    log.close()
    with sqlite3.connect(tmp_path / "predictions.db") as connection:
        no = "CREATE TRIGGER no BEFORE DELETE ON animals_predictions BEGIN SELECT RAISE(ABORT, 'not here'); END"
        connection.execute(no)
    connection.close()
    log = PredictionLog(LogLocation(folder=tmp_path, days=1), interval=0.01)
    new = [record() for _ in range(3)]
    for item in new:
        log.write(item)
        log.flush(30)
    log.close()
    assert ids(tmp_path) == [item.id for item in [old, *new]]
    assert caplog.text.count("old predictions cannot be deleted") == 1
    assert "not here" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_dead_process_s_rows_wait_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """That the database is back is said when it is."""
    broken(tmp_path)
    log = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    item = record()
    log.write(item)
    log.close()
    caplog.clear()
    log = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    for _ in range(5):
        log.flush(30)
    assert "is back" not in caplog.text
    (tmp_path / "predictions.db").rmdir()
    wait_until(lambda: "is back" in caplog.text)
    log.close()
    assert ids(tmp_path) == [item.id]


def test_new_rows_do_not_wait_until_all_old_ones_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.writer.FORGOTTEN_AT_ONCE", 10)
    monkeypatch.setattr("animal_classification.prediction_log.store.DELETED_AT_ONCE", 10)
    log = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    for _ in range(35):
        log.write(record(time=time.time() - 2 * 86400))
    log.close()
    log = PredictionLog(LogLocation(folder=tmp_path, days=1), interval=60)
    young = record()
    log.write(young)
    log.flush(30)
    assert young.id in ids(tmp_path)
    assert len(ids(tmp_path)) >= 6, "some turns later"
    for _ in range(3):
        log.flush(30)
    assert ids(tmp_path) == [young.id]
    log.close()


def test_what_waits_or_is_set_aside_gets_too_old_as_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken(tmp_path)
    place = LogLocation(folder=tmp_path, days=1)
    for _ in range(2):
        log = PredictionLog(place, interval=0.01)
        log.write(record())
        log.close()
    old, _ = sorted(place.spool.glob("*.rows"))
    refused = Quarantine(place.refused, 10**6).keep(record().to_line())
    assert refused is not None
    for path in (old, refused):
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    PredictionLog(place, interval=0.01).close(30)
    assert waiting(place.spool).files == 1
    assert not old.exists()
    assert not refused.exists()
    assert "1 files of predictions waited for longer than they may be kept" in caplog.text


def test_what_dead_processes_left_counts(tmp_path: Path) -> None:
    """Each start while the database is gone would otherwise add as much again."""
    broken(tmp_path)
    line = len(record().to_line())
    place = LogLocation(folder=tmp_path, spool_bytes=10 * line + line // 2)
    for number in range(4):
        counted = Counted()
        log = PredictionLog(place, counted, interval=0.01)
        for _ in range(8):
            log.write(record())
        wait_until(lambda counted=counted: counted.waiting > 0)  # type: ignore[misc]
        log.close()
        expected = min(10, 8 * (number + 1)) * line
        assert waiting(place.spool).bytes == pytest.approx(expected, abs=line // 4)
        assert counted.waiting == waiting(place.spool).bytes, "it is all seen"


def test_any_row_that_breaks_something_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    to_row = PredictionRecord.to_row

    def breaks(self: PredictionRecord) -> dict[str, Any]:
        if self.file == "odd.jpg":
            raise TypeError("nobody thought of this")
        return to_row(self)

    monkeypatch.setattr(PredictionRecord, "to_row", breaks)
    counted = Counted()
    log = PredictionLog(LogLocation(folder=tmp_path), counted, interval=0.01)
    rows = [record(), record(file="odd.jpg"), record(), record(model=["a", "list"]), record()]
    for item in rows:
        log.write(item)
    wait_until(lambda: sum(counted.rows.values()) == 5)
    log.close()
    assert ids(tmp_path) == [rows[0].id, rows[2].id, rows[4].id]
    assert counted.rows == {"written": 3, "refused": 2}
    (path,) = (tmp_path / "refused").iterdir()
    kept = [PredictionRecord.from_line(line) for line in path.read_bytes().splitlines(keepends=True)]
    assert [item and item.id for item in kept] == [rows[1].id, rows[3].id]
    assert rows[1].id in caplog.text
    assert "nobody thought of this" in caplog.text


def test_a_row_is_set_aside_once_though_the_database_goes_away_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.writer.ROWS", 2)
    insert, failures = store.insert, [LogDatabaseError("gone"), LogDatabaseError("gone")]

    def goes_away(engine: Engine, records: list[PredictionRecord], *, bursts_once: bool) -> list[store.Refused]:
        if any(item.file == "last.jpg" for item in records) and failures:
            raise failures.pop()
        return insert(engine, records, bursts_once=bursts_once)

    monkeypatch.setattr(store, "insert", goes_away)
    counted = Counted()
    log = PredictionLog(LogLocation(folder=tmp_path), counted, interval=0.01)
    rows = [record(), record(label=None), record(file="last.jpg")]
    for item in rows:
        log._spool.append(item.to_line())
    wait_until(lambda: not failures and waiting(tmp_path / "spool").files == 0)
    log.close()
    assert ids(tmp_path) == [rows[0].id, rows[2].id]
    assert counted.rows["refused"] == 1


def test_a_quarantine_that_is_full_says_what_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counted = Counted()
    line = len(record().to_line())
    log = PredictionLog(LogLocation(folder=tmp_path, spool_bytes=3 * line), counted, interval=0.01)
    for number in range(1, 5):
        log.write(record(label=None))
        wait_until(lambda number=number: sum(counted.rows.values()) == number)  # type: ignore[misc]
    log.close()
    assert counted.rows["refused"] == 3
    assert counted.rows["dropped"] == 1
    assert "it is lost" in caplog.text


def test_a_file_that_cannot_be_read_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool" / "00000000000000000001-1.00000001.rows").mkdir(parents=True)  # no file at all
    log = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    item = record()
    log.write(item)
    wait_until(lambda: (tmp_path / "predictions.db").exists() and waiting(tmp_path / "spool").files == 1)
    log.close()
    assert ids(tmp_path) == [item.id]
    assert "cannot be read or deleted" in caplog.text


def test_what_an_earlier_version_left_is_taken_over_when_it_is_dead(tmp_path: Path) -> None:
    items = [record(), record()]
    folders = [tmp_path / "spool" / f"0000000000000000000{number}-7" for number in range(2)]
    for folder, item in zip(folders, items, strict=True):
        folder.mkdir(parents=True)
        (folder / "00000001.rows").write_bytes(item.to_line())
        (folder / "lock").touch()
    living = locked(folders[1] / "lock")
    assert living is not None
    log = PredictionLog(LogLocation(folder=tmp_path), interval=0.01)
    wait_until(lambda: not folders[0].exists())
    log.close()
    assert ids(tmp_path) == [items[0].id]
    assert (folders[1] / "00000001.rows").read_bytes() == items[1].to_line()
    os.close(living)
    PredictionLog(LogLocation(folder=tmp_path), interval=0.01).close()
    assert ids(tmp_path) == [item.id for item in items]
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows does not delete what is open")
def test_a_folder_that_somebody_deletes_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counted = Counted()
    log = PredictionLog(LogLocation(folder=tmp_path / "log", days=1), counted, interval=0.01)
    log.flush(30)
    shutil.rmtree(tmp_path / "log")
    log.write(record())
    wait_until(lambda: counted.rows["dropped"] == 1)
    log.close()
    assert "cannot be written" in caplog.text
    assert "Traceback" not in caplog.text


def test_questions_do_not_wait_for_ever_for_a_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.writer.PATIENCE", 0.01)
    log = PredictionLog(LogLocation(folder=tmp_path), interval=60)
    with log._opening, pytest.raises(LogDatabaseError, match="is being opened, or migrated"):
        log.database()
    log.close()


def test_a_url_that_cannot_be_read_is_told_of_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must begin with"):
        PredictionLog(LogLocation(folder=tmp_path, url="mysql://zoo/log"))
    with pytest.raises(UsageError, match="cannot be read"):
        PredictionLog(LogLocation(folder=tmp_path, url="postgresql://zoo:many:ports/log"))
    assert list(tmp_path.iterdir()) == []
