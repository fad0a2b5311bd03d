"""The prediction log on a real PostgreSQL that is stopped and started, under load, and a server that is killed."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx
from sqlalchemy import Engine, event

from animal_classification import bundle as bundles
from animal_classification.monitoring.judge_lock import judging
from animal_classification.monitoring.log_judge import LogJudge, ServedVersion
from animal_classification.monitoring.status import status
from animal_classification.prediction_log import drift_records, feedback
from animal_classification.prediction_log import feedback_queries as queries
from animal_classification.prediction_log.database import connect, reading, writing
from animal_classification.prediction_log.database_errors import LogDatabaseError, RefusedRowError
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.forgetting import Forgotten, forget
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import current, migrate, newest
from animal_classification.prediction_log.photo_store import photos_at
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.spool import waiting
from animal_classification.prediction_log.store import delete_older, insert
from animal_classification.prediction_log.writer import PredictionLog
from tests.e2e.serving import Server
from tests.e2e.test_serve import photo
from tests.support.databases import PgBouncer, Postgres
from tests.support.drift_log import Scenes, write_watched_bundle
from tests.support.log_records import record
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.monitoring.test_status import assert_says_what_is_there, fill
from tests.unit.prediction_log.test_migrate import (
    assert_a_log_of_before_says_the_same,
    assert_what_was_kept_before_drift_is_kept,
    differences,
    tables,
)
from tests.unit.prediction_log.test_sum_updates import (
    assert_forgotten_leaves_right_sums,
    assert_those_of_what_is_there,
    assert_writers_agree,
)
from tests.unit.prediction_log.test_writer import Counted

CONCURRENCY = 16
Start = Callable[..., Server]


def test_revisions_and_rows_as_on_sqlite(engine: Engine, postgres: Postgres, tmp_path: Path) -> None:
    assert migrate(engine) == (None, newest())
    assert differences(engine) == []
    assert migrate(engine, "0001") == (newest(), "0001")
    assert migrate(engine, "base") == ("0001", None)
    assert tables(engine) == set()
    assert_a_log_of_before_says_the_same(engine, tmp_path)
    migrate(engine, "base")
    assert_what_was_kept_before_drift_is_kept(engine)
    migrate(engine, "base")
    engines = [connect(postgres.url) for _ in range(4)]
    threads = [threading.Thread(target=migrate, args=(other,)) for other in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert current(engine) == newest()
    for other in engines:
        other.dispose()

    old = record(time=datetime(2020, 1, 1, tzinfo=UTC).timestamp(), photo="cd" * 32)
    one = record(file="löwe.jpg")
    assert insert(engine, [old, one]) == []
    assert len(insert(engine, [one, record(label=None), one])) == 1
    said = feedback.add(engine, Feedback(prediction=one.id, verdict="corrected", label="dog", label_id="dog-id"))
    assert said is not None
    found = feedback.prediction(engine, one.id)
    assert found is not None
    assert found["feedback"]["label"] == "dog"
    assert found["time"] == one.to_row()["time"]
    assert [row["id"] for row in feedback.to_review(engine)[0]] == [old.id]
    assert [row["id"] for row in feedback.to_review(engine, done=True)[0]] == [one.id]
    feedback.undo(engine, said["number"])
    assert feedback.to_review(engine, after=one.id)[1] == 2
    assert delete_older(engine, 30) == 1
    assert postgres.rows("SELECT id FROM animals_predictions") == [(one.id,)]

    migrate(engine, "base")
    fill(postgres.url)
    assert_says_what_is_there(LogLocation(folder=tmp_path, url=postgres.url))


def test_what_people_said_is_kept_until_it_is_forgotten(engine: Engine, tmp_path: Path) -> None:
    migrate(engine)
    assert_forgotten_leaves_right_sums(engine)
    old = [record(time=time.time() - (20 - number) * 86400, photo=f"{number:064x}") for number in range(8)]
    insert(engine, old)
    for number in (1, 4, 5):
        said = feedback.add(engine, Feedback(prediction=old[number].id, verdict="corrected", label="dog"))
        assert said is not None
        if number == 5:
            feedback.undo(engine, said["number"])
    assert delete_older(engine, 9) == 6
    assert delete_older(engine, 9) == 0
    assert_those_of_what_is_there(engine)
    assert feedback.reviewed_photos(engine, [item.photo for item in old]) == {old[1].photo, old[4].photo}
    place = LogLocation(folder=tmp_path, photos_url=f"memory://forget/{tmp_path.name}")
    photos = photos_at(place.photos)
    photos.put(old[1].photo, b"lion")
    done = Forgotten(photos=1, predictions=1, words=1)
    assert forget(place, engine, photos, [old[1].photo]) == done
    assert not forget(place, engine, photos, [old[1].photo])
    assert_those_of_what_is_there(engine)
    assert delete_older(engine, 9, keep_corrections=False) == 1


def test_a_word_that_comes_while_retention_runs_saves_its_prediction(engine: Engine) -> None:
    migrate(engine)
    old = [record(time=time.time() - 20 * 86400, photo=f"{number:064x}") for number in range(3)]
    insert(engine, old)
    other = connect(engine.url.render_as_string(hide_password=False))
    deleted: list[int] = []
    with writing(engine) as connection:
        word = {"prediction": old[1].id, "verdict": "none", "time": datetime.now(UTC)}
        assert queries.insert_feedback(connection, word)
        thread = threading.Thread(target=lambda: deleted.append(delete_older(other, 9)))
        thread.start()
        thread.join(60)
        assert deleted == [2], "a row on which somebody is just saying something has its turn next time"
    assert delete_older(other, 9) == 0
    other.dispose()


def test_sums_of_several_writers(engine: Engine, postgres: Postgres) -> None:
    migrate(engine)
    assert_writers_agree(engine, [connect(postgres.url) for _ in range(4)])


CHINESE, GERMAN = "\u72ee\u5b50.jpg", "l\xf6we.jpg"


@pytest.mark.parametrize(("encoding", "refuses"), [("LATIN1", True), ("SQL_ASCII", False), ("UTF8", False)])
def test_what_a_database_has_no_code_for_is_set_aside_and_the_rest_goes_on(
    postgres: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture, encoding: str, refuses: bool
) -> None:
    url = postgres.database("other", encoding)
    place, counted = LogLocation(folder=tmp_path, url=url), Counted()
    log = PredictionLog(place, counted, interval=0.01)
    names = [GERMAN, CHINESE, "a.jpg", CHINESE, GERMAN, "b.jpg"]
    records = [
        record(file=name, label="lion", label_id="lion", photo=f"{number:064x}") for number, name in enumerate(names)
    ]
    for item in records:
        log.write(item)
    wait_until(lambda: sum(counted.rows.values()) == len(records))
    engine = connect(url)
    kept = {row["id"]: row["file"] for row in feedback.to_review(engine)[0]}
    wanted = [item for item in records if not (refuses and item.file == CHINESE)]
    assert kept == {item.id: item.file for item in wanted}
    assert status(engine, place, 3600.0)["predictions"] == len(wanted)
    log.close()
    assert waiting(place.spool).files == 0
    if refuses:
        assert counted.rows == {"written": 4, "refused": 2}
        aside = [line for path in place.refused.iterdir() for line in path.read_bytes().splitlines(keepends=True)]
        assert [PredictionRecord.from_line(line) for line in aside] == [
            item for item in records if item.file == CHINESE
        ]
        assert all(item.id in caplog.text for item in records if item.file == CHINESE)
        assert caplog.text.count("keeps text as LATIN1") >= 1
        word = Feedback(prediction=wanted[0].id, verdict="confirmed", note="\u72ee")
        with pytest.raises(RefusedRowError, match="LATIN1"):
            feedback.add(engine, word)
    assert feedback.add(engine, Feedback(prediction=wanted[0].id, verdict="confirmed", note="sch\xf6n")) is not None
    found = feedback.prediction(engine, wanted[0].id)
    assert found is not None
    assert found["feedback"]["note"] == "sch\xf6n"
    assert feedback.prediction(engine, "\u72ee") is None
    assert feedback.to_review(engine, after="\u72ee")[0] == []
    engine.dispose()


def test_rows_that_were_set_aside_can_be_tried_again(postgres: Postgres, tmp_path: Path) -> None:
    """As docs/monitoring.md says: the files are moved to the spool of a log whose database takes them."""
    counted = Counted()
    item = record(file=CHINESE)
    log = PredictionLog(LogLocation(folder=tmp_path, url=postgres.database("other", "LATIN1")), counted, interval=0.01)
    log.write(item)
    wait_until(lambda: counted.rows["refused"] == 1)
    log.close()
    (aside,) = (tmp_path / "refused").iterdir()
    aside.rename(tmp_path / "spool" / aside.name)
    log = PredictionLog(LogLocation(folder=tmp_path, url=postgres.url), counted, interval=0.01)
    wait_until(lambda: counted.rows["written"] == 1)
    log.close()
    assert kept(postgres) == [item.id]
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_row_that_breaks_what_nobody_thought_of(postgres: Postgres, engine: Engine, tmp_path: Path) -> None:
    """A trigger of the operator's, a value too long for an index: the row, and no other."""
    migrate(engine)
    postgres.rows(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.file = 'bad.jpg' THEN RAISE 'no such photo' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER no BEFORE INSERT ON animals_predictions FOR EACH ROW EXECUTE FUNCTION no()"
    )
    rows = [record(), record(file="bad.jpg"), record(id="x" * 40), record()]
    refused = insert(engine, rows)
    assert [item.record for item in refused] == rows[1:3]
    assert "no such photo" in refused[0].reason
    postgres.rows("ALTER TABLE animals_predictions RENAME TO elsewhere")
    with pytest.raises(LogDatabaseError, match="does not exist") as caught:
        insert(engine, rows)
    assert "does not exist" in caught.value.reason
    postgres.rows("ALTER TABLE elsewhere RENAME TO animals_predictions")
    other = connect(f"{postgres.url}?options=-cdefault_transaction_read_only%3Don")  # as a standby is
    with pytest.raises(LogDatabaseError, match="read-only"):
        insert(other, [record()])
    other.dispose()


def test_behind_a_pooler(postgres: Postgres, start: Start, tmp_path: Path) -> None:
    """PgBouncer gives each transaction any of its sessions, and refuses most of what a session could ask for."""
    pooler = PgBouncer(postgres)
    try:
        server = start("--log-url", pooler.url, "--workers", "2", "--threads", "2")
        with Load(server) as load:
            load.wait_for(200)
            postgres.stop(signal.SIGQUIT)
            load.wait_for(100)
            postgres.start()
            load.wait_for(50)
        assert load.failed == []
        wait_until(lambda: waiting(tmp_path / "log" / "spool").bytes == 0)
        review = httpx.get(f"{server.address}/v1/review", timeout=30)
        assert review.status_code == 200, review.text
        word = {"id": review.json()["predictions"][0]["id"], "verdict": "confirmed"}
        assert httpx.post(f"{server.address}/v1/feedback", json=word, timeout=30).status_code == 201
        assert httpx.get(f"{server.address}/v1/monitor", timeout=30).json()["predictions"] > 0
        server.stop()
        assert sorted(kept(postgres)) == sorted(load.ids)
        assert "unsupported startup parameter" not in pooler.log
    finally:
        pooler.close()


def test_options_of_the_url_hold_and_limits_are_those_of_a_transaction(postgres: Postgres) -> None:
    def limits(engine: Engine, *, patient: bool = False) -> tuple[str, str, str]:
        with writing(engine, patient=patient) as connection:
            names = ("statement_timeout", "lock_timeout", "search_path")
            found = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]
        return found[0], found[1], found[2]

    postgres.rows("CREATE SCHEMA zoo")
    engine = connect(f"{postgres.url}?options=-csearch_path%3Dzoo")
    assert limits(engine) == ("20s", "15s", "zoo")
    assert limits(engine, patient=True) == ("0", "15s", "zoo"), "a migration takes as long as it takes"
    migrate(engine)
    assert postgres.rows("SELECT count(*) FROM zoo.animals_predictions") == [(0,)]
    engine.dispose()
    engine = connect(f"{postgres.url}?options=-cstatement_timeout%3D3s&application_name=lions")
    assert limits(engine) == ("3s", "15s", '"$user", public')
    assert postgres.rows("SELECT 1 FROM pg_stat_activity WHERE application_name = 'lions'")
    engine.dispose()


def test_words_that_postgresql_would_not_take(engine: Engine, postgres: Postgres) -> None:
    migrate(engine)
    one = record()
    insert(engine, [one])
    said = feedback.add(engine, Feedback(prediction=one.id, verdict="confirmed", note="a\x00mane", who="A\x00da"))
    assert said is not None
    assert (said["note"], said["who"]) == ("a\N{REPLACEMENT CHARACTER}mane", "A\N{REPLACEMENT CHARACTER}da")
    assert feedback.prediction(engine, "a\x00b") is None
    assert feedback.to_review(engine, done=True, after="a\x00b") == ([], 1)
    assert feedback.add(engine, Feedback(prediction="lions", verdict="none")) is None

    def delete_first(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("INSERT INTO animals_feedback"):
            postgres.rows("DELETE FROM animals_predictions")

    event.listen(engine, "before_cursor_execute", delete_first)
    assert feedback.add(engine, Feedback(prediction=one.id, verdict="none")) is None, "it has just been deleted"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []
    bundle = write_tiny_bundle(tmp_path / "tiny")

    def start(*options: str) -> Server:
        words = ["--model", str(bundle), "--engine", "onnxruntime", "--no-page", "--prediction-log"]
        words += ["--log-folder", str(tmp_path / "log")]
        servers.append(Server(*words, *options, folder=tmp_path, name="serve"))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


class Load:
    """So many clients that ask again and again, and remember what they were told."""

    def __init__(self, server: Server) -> None:
        self.ids: list[str] = []
        self.failed: list[object] = []
        self._address = server.address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _all(self) -> None:
        async with httpx.AsyncClient(base_url=self._address, timeout=60) as client:
            await asyncio.gather(*(self._visitor(client) for _ in range(CONCURRENCY)))

    async def _visitor(self, client: httpx.AsyncClient) -> None:
        body = photo()
        while not self._stop.is_set():
            try:
                answer = await client.post("/v1/predict", content=body, headers={"content-type": "image/jpeg"})
            except httpx.TransportError as error:
                self.failed.append(error)
                return
            if answer.status_code == 200:
                self.ids.append(answer.json()["predictions"][0]["id"])
            else:
                self.failed.append(answer.text)

    def wait_for(self, count: int) -> None:
        """Until so many more are answered."""
        wanted = len(self.ids) + count
        wait_until(lambda: len(self.ids) >= wanted or bool(self.failed))


def wait_until(check: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def kept(postgres: Postgres) -> list[str]:
    return [row[0] for row in postgres.rows("SELECT id FROM animals_predictions")]


def test_the_database_stops_and_starts_under_load(postgres: Postgres, start: Start, tmp_path: Path) -> None:
    server = start("--log-url", postgres.url, "--workers", "2", "--threads", "2")
    with Load(server) as load:
        load.wait_for(100)
        for number in (signal.SIGINT, signal.SIGQUIT):  # told to stop, and crashed
            postgres.stop(number)
            load.wait_for(100)
            assert waiting(tmp_path / "log" / "spool").bytes > 0
            postgres.start()
            load.wait_for(50)
    assert load.failed == []
    server.stop()
    assert waiting(tmp_path / "log" / "spool").files == 0
    found = kept(postgres)
    assert sorted(found) == sorted(load.ids), "each answer is in the log, once"


def test_a_server_that_is_killed_loses_nothing_that_it_answered(
    postgres: Postgres, start: Start, tmp_path: Path
) -> None:
    server = start("--log-url", postgres.url)
    load = Load(server)
    with load, suppress(AssertionError):
        load.wait_for(200)
        server.kill()
    answered = set(load.ids)
    assert len(answered) >= 200
    again = start("--log-url", postgres.url)
    assert again.address
    wait_until(lambda: waiting(tmp_path / "log" / "spool").files == 0)
    again.stop()
    found = kept(postgres)
    assert answered <= set(found)
    assert len(found) == len(set(found))
    assert len(found) - len(answered) <= CONCURRENCY, "more than was on its way when the end came"


def test_a_stop_while_the_database_is_gone_keeps_the_rows(postgres: Postgres, start: Start, tmp_path: Path) -> None:
    postgres.stop()
    server = start("--log-url", postgres.url)
    with Load(server) as load:
        load.wait_for(50)
    assert load.failed == []
    server.stop()
    assert server.process.returncode == 0
    postgres.start()
    again = start("--log-url", postgres.url)
    assert again.address
    wait_until(lambda: waiting(tmp_path / "log" / "spool").files == 0)
    again.stop()
    assert sorted(kept(postgres)) == sorted(load.ids)


def test_drift_is_judged_here_too_by_one_process_at_a_time(engine: Engine, postgres: Postgres, tmp_path: Path) -> None:
    migrate(engine)
    place, other = LogLocation(folder=tmp_path, url=postgres.url), connect(postgres.url)
    with judging(engine, place) as mine, judging(other, place) as theirs:
        assert (mine, theirs) == (True, False)
    with judging(other, place) as theirs:
        assert theirs
    bundle = bundles.load(str(write_watched_bundle(tmp_path / "tiny")))
    served, judge = ServedVersion(bundle=bundle, model="tiny", version="1"), LogJudge(place)
    rows = Scenes(50).records(200, time.time() - 7200, dark=1.5, audit=0.5, source="gate")
    insert(engine, [replace(row, audited=number % 2 == 0) for number, row in enumerate(rows)])
    for row in rows[:80:2]:
        feedback.add(engine, Feedback(prediction=row.id, verdict="confirmed"))
    found = judge.judge_newest(engine, served, "gate")
    assert found is not None
    assert (found.kind, found.source) == ("image", "gate")
    assert found.verdict["accuracy"]["audit"]["reviewed"] == 40
    assert judge.judge_newest(other, served, "gate") is None
    with reading(other) as connection:
        assert [one.id for one in drift_records.newest_of_each(connection)] == [found.id]
        assert feedback.to_review(other)[0][0]["audited"]
    other.dispose()
