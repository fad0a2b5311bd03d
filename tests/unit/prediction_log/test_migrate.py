"""Revisions: up, down, and no difference between what they make and what the code knows."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Engine, MetaData, RowMapping, Table, inspect, select, text

from animal_classification.monitoring.status import status
from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.database_errors import LogDatabaseError
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import VERSION_TABLE, current, migrate, newest
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.store import insert
from animal_classification.prediction_log.tables import embeddings, metadata, predictions, shadow
from tests.support.log_records import record, some
from tests.support.old_log import LATER_COLUMNS, told_before, told_now, write_old_log


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {VERSION_TABLE}


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def test_up_from_nothing_and_back_down_step_by_step(engine: Engine) -> None:
    assert current(engine) is None
    assert migrate(engine, "0001") == (None, "0001")
    assert tables(engine) == {"animals_predictions"}
    assert migrate(engine) == ("0001", newest())
    assert tables(engine) == set(metadata.tables)
    assert migrate(engine) == (newest(), newest())
    assert migrate(engine, "0001") == (newest(), "0001")
    assert migrate(engine, "base") == ("0001", None)
    assert tables(engine) == set()
    migrate(engine)
    assert differences(engine) == []


def test_a_log_with_predictions_in_it(engine: Engine, tmp_path: Path) -> None:
    assert_a_log_of_before_says_the_same(engine, tmp_path)


def assert_a_log_of_before_says_the_same(engine: Engine, folder: Path) -> None:
    """Up with everything that is in it, and down again."""
    records = [*some(300, 5, days=20), record(embedding=b"")]
    write_old_log(engine, records)
    assert migrate(engine) == ("0002", newest())
    assert differences(engine) == []
    assert_says_what_was_there(engine, folder, records)
    with engine.connect() as connection:
        found = connection.execute(select(embeddings.c.prediction, embeddings.c.embedding))
        vectors = {key: bytes(value) for key, value in found}
    assert vectors == {item.id: item.embedding for item in records[:300]}
    assert feedback.add(engine, Feedback(prediction=records[0].id, verdict="confirmed"))

    migrate(engine, "0002")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, embedding FROM animals_predictions")).all()
    assert {key: bytes(value) for key, value in rows} == {item.id: item.embedding for item in records}
    migrate(engine)
    insert(engine, [late := record(time=time.time() - 86400)])
    assert_says_what_was_there(engine, folder, [*records, late])


def assert_says_what_was_there(engine: Engine, folder: Path, records: list[PredictionRecord]) -> None:
    now = datetime.now(UTC)
    for length in (3600.0, 86400.0, 7 * 86400.0, 30 * 86400.0):
        found = status(engine, LogLocation(folder=folder), length, now=now)
        expected = told_before(records, datetime.fromisoformat(found["since"]).timestamp(), now.timestamp())
        told = told_now(found)
        for name in ("confidence", "latency"):
            assert told.pop(name) == pytest.approx(expected.pop(name), abs=1e-6)
        assert told == expected, length


def test_the_comparison_finds_what_is_missing(engine: Engine) -> None:
    migrate(engine, "0001")
    assert differences(engine)


def test_many_at_once(tmp_path: Path) -> None:
    engines = [connect(f"sqlite:///{tmp_path / 'log.db'}") for _ in range(6)]
    errors: list[Exception] = []

    def bring(engine: Engine) -> None:
        try:
            migrate(engine)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=bring, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {current(engine) for engine in engines} == {newest()}
    for engine in engines:
        engine.dispose()


def test_a_database_of_a_newer_version_is_left_alone(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(LogDatabaseError, match="update animals"):
        migrate(engine)
    assert "animals_feedback" in tables(engine)


def test_an_unknown_revision_is_one_line(engine: Engine) -> None:
    with pytest.raises(LogDatabaseError) as caught:
        migrate(engine, "lions")
    assert "\n" not in str(caught.value)


def test_to_drift_and_back_with_everything_in_it(engine: Engine) -> None:
    assert_what_was_kept_before_drift_is_kept(engine)


def assert_what_was_kept_before_drift_is_kept(engine: Engine) -> None:
    """Rows of before have none of the new values; on the way back only those are lost, and words stay."""
    migrate(engine, "0003")
    with engine.begin() as connection:
        names = [column.name for column in predictions.columns if column.name not in LATER_COLUMNS]
        row = record(photo="cd" * 32)
        old = Table(predictions.name, MetaData(), *(Column(name, predictions.c[name].type) for name in names))
        connection.execute(old.insert().values({name: row.to_row()[name] for name in names}))
    migrate(engine)
    assert differences(engine) == []
    new = record(stats=b"\x00\x3c" * 12, source="gate", audit=0.25, audited=True, canary=False)
    assert insert(engine, [new]) == []
    found = {item["id"]: item for item in _all_rows(engine)}
    assert {name: found[row.id][name] for name in LATER_COLUMNS} == dict.fromkeys(LATER_COLUMNS)
    assert found[new.id]["source"] == "gate"
    assert bytes(found[new.id]["stats"]) == new.stats
    assert feedback.add(engine, Feedback(prediction=row.id, verdict="confirmed"))
    with engine.begin() as connection:
        connection.execute(
            shadow.insert().values(
                prediction=new.id, model="zoo", version="2", label_id="lion", probability=0.5, unknown=False
            )
        )

    migrate(engine, "0003")
    assert {"animals_drift", "animals_shadow", "animals_loop"}.isdisjoint(tables(engine))
    with engine.connect() as connection:
        assert set(connection.execute(text("SELECT id FROM animals_predictions")).scalars()) == {row.id, new.id}
        assert connection.execute(text("SELECT count(*) FROM animals_feedback")).scalar_one() == 1
    migrate(engine)
    assert differences(engine) == []


def _all_rows(engine: Engine) -> list[RowMapping]:
    with engine.connect() as connection:
        return list(connection.execute(select(predictions)).mappings())
