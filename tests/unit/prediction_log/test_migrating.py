"""Revisions: up, down, and no difference between what they make and what the code knows."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.migrating import VERSION_TABLE, current, migrate, newest
from animal_classification.prediction_log.refusals import LogDatabaseError
from animal_classification.prediction_log.tables import metadata


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
