"""Migrates a database to the tables of this version, one process at a time."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from animal_classification.prediction_log.database import reading, writing
from animal_classification.prediction_log.database_errors import LogDatabaseError, shown, translated_errors
from animal_classification.prediction_log.sum_updates import rebuild

VERSION_TABLE = "animals_log_version"
# The last revision that made or changed the sums: a database from before it gets them rebuilt.
_SUMS_SINCE = "0003"
# Any number, the same for everybody who migrates a log on one PostgreSQL server.
_ADVISORY_LOCK = 0x616E696D616C73


def migrate(engine: Engine, to: str = "head") -> tuple[str | None, str | None]:
    """Bring the database to a revision; returns where it was and where it is.

    Several processes may try at once: the first does it, under a lock of the database's own, and the others wait.

    Args:
        engine: The database.
        to: A revision, ``head`` for the newest, ``base`` for none.

    Raises:
        LogDatabaseError: It cannot be reached, or was made by a newer version of this package.
    """
    with translated_errors(engine.url, rows=False):
        if to == "head" and current(engine) == newest():
            return newest(), newest()
        with writing(engine, patient=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            before = _current(connection)
            try:
                _run(connection, before, to)
            except CommandError as error:
                raise LogDatabaseError(
                    f"the prediction log's database {shown(engine.url)} is at revision {before}, which this version of"
                    f" animals does not know: {error}; update animals, or give it another database",
                    "the database of the prediction log was made by a newer version of animals",
                ) from error
            after = _current(connection)
            if before is not None and before < _SUMS_SINCE and after == newest():
                rebuild(connection)
            return before, after


def current(engine: Engine) -> str | None:
    """At which revision the database is; ``None`` for an empty one."""
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return _current(connection)


@cache
def newest() -> str:
    """The revision of this version's tables."""
    head = ScriptDirectory.from_config(_config(None)).get_current_head()
    assert head is not None
    return head


def _run(connection: Connection, before: str | None, to: str) -> None:

    config = _config(connection)
    script = ScriptDirectory.from_config(config)
    if before is not None:
        script.get_revision(before)  # raises where it is unknown
    older = to == "base" or (before is not None and to != "head" and to < before)
    (command.downgrade if older else command.upgrade)(config, to)


def _current(connection: Connection) -> str | None:

    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _config(connection: Connection | None) -> Config:

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
