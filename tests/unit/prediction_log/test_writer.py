"""From the file to the database, whatever happens on the way."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from animal_classification.errors import UsageError
from animal_classification.prediction_log import migrating
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.places import LogPlace
from animal_classification.prediction_log.spool import waiting
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
    log = PredictionLog(LogPlace(folder=tmp_path), counted, interval=0.01)
    records = [record() for _ in range(1200)]
    for item in records:
        log.write(item)
    log.close()
    assert ids(tmp_path) == [item.id for item in records]
    assert counted.rows == {"written": 1200}
    assert waiting(tmp_path / "spool").files == 0


def test_flush_means_in_the_database(tmp_path: Path) -> None:
    log = PredictionLog(LogPlace(folder=tmp_path), interval=60)
    for _ in range(5):
        item = record()
        log.write(item)
        log.flush(30)
        assert ids(tmp_path)[-1] == item.id
    log.close()


def test_nothing_is_opened_for_a_server_that_answers_nothing(tmp_path: Path) -> None:
    PredictionLog(LogPlace(folder=tmp_path), interval=0.01).close()
    assert not (tmp_path / "predictions.db").exists()


def broken(folder: Path) -> None:
    (folder / "predictions.db").mkdir()


def test_while_the_database_is_gone_rows_wait_and_then_arrive_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counted = Counted()
    broken(tmp_path)
    log = PredictionLog(LogPlace(folder=tmp_path), counted, interval=0.01)
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
    log = PredictionLog(LogPlace(folder=tmp_path, spool_bytes=10 * line + line // 2), counted, interval=0.01)
    for _ in range(50):
        log.write(record())
    wait_until(lambda: counted.rows["dropped"] > 0)
    log.close()
    assert 38 <= counted.rows["dropped"] <= 40
    assert "predictions are not in the log" in caplog.text
    assert waiting(tmp_path / "spool").bytes <= 10 * line + line // 2


def test_what_waits_at_the_end_is_taken_up_by_the_next_one_first(tmp_path: Path) -> None:
    broken(tmp_path)
    first = PredictionLog(LogPlace(folder=tmp_path), interval=0.01)
    records = [record() for _ in range(30)]
    for item in records[:20]:
        first.write(item)
    first.close()
    assert waiting(tmp_path / "spool").files == 1
    (tmp_path / "predictions.db").rmdir()
    second = PredictionLog(LogPlace(folder=tmp_path), interval=0.01)
    for item in records[20:]:
        second.write(item)
    second.close()
    assert ids(tmp_path) == [item.id for item in records]
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_row_that_is_there_already_is_not_there_twice(tmp_path: Path) -> None:
    item = record()
    for _ in range(2):
        log = PredictionLog(LogPlace(folder=tmp_path), interval=0.01)
        log.write(item)
        log.write(item)
        log.close()
    assert ids(tmp_path) == [item.id]


def test_processes_and_threads_share_one_sqlite_file(tmp_path: Path) -> None:
    logs = [PredictionLog(LogPlace(folder=tmp_path), interval=0.005) for _ in range(3)]
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
    log = PredictionLog(LogPlace(folder=tmp_path), interval=0.01)
    log.write(record())
    log.flush(30)
    engine = connect(f"sqlite:///{tmp_path / 'predictions.db'}")
    migrating.migrate(engine, "base")
    engine.dispose()
    item = record()
    log.write(item)
    wait_until(lambda: waiting(tmp_path / "spool").files == 0)
    log.close()
    assert ids(tmp_path) == [item.id]


def test_old_rows_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.writer.RETENTION_EVERY", 0.0)
    log = PredictionLog(LogPlace(folder=tmp_path, days=1), interval=0.01)
    young = record()
    log.write(record(time=time.time() - 2 * 86400))
    log.write(young)
    log.flush(30)
    log.flush(30)
    assert ids(tmp_path) == [young.id]
    log.close()


def test_a_url_that_cannot_be_read_is_told_of_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must begin with"):
        PredictionLog(LogPlace(folder=tmp_path, url="mysql://zoo/log"))
    with pytest.raises(UsageError, match="cannot be read"):
        PredictionLog(LogPlace(folder=tmp_path, url="postgresql://zoo:many:ports/log"))
    assert list(tmp_path.iterdir()) == []
