"""The database by its URL: SQLite that several processes write to at once, or PostgreSQL that may go away.

PostgreSQL may stand behind PgBouncer, which gives each transaction another session: nothing is set for longer than a
transaction, nothing is prepared, and nothing is asked for at the start of a session that a pooler would refuse.
"""

# Imported where they are used: SQLAlchemy takes 120 ms to load, and a server without a prediction log needs none of it.

from __future__ import annotations

import logging
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.errors import MissingExtraError, UsageError
from animal_classification.prediction_log.database_errors import shown, unusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine, Table

BUSY = 10.0  # seconds that SQLite waits for another process's write
# A server that does not answer at all must be noticed as well as one that says no.
_POSTGRES = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20000,
    "application_name": "animals",
}
# Whatever the URL says: text is exchanged as UTF-8, and statements are not kept by sessions that belong to a pooler.
_POSTGRES_ALWAYS = {"client_encoding": "utf8", "prepare_threshold": None}
_TIMEOUTS = {"statement_timeout": 20000, "lock_timeout": 15000}  # milliseconds, for each transaction
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_WRITES, _PATIENT = "animals_writes", "animals_patient"
# SQL_ASCII takes the bytes of UTF-8 as they are, and gives them back.
_TAKES_ALL_TEXT = {"UTF8", "SQL_ASCII"}


def require_database() -> None:
    """Find out whether a prediction log can be opened at all.

    Raises:
        MissingExtraError: SQLAlchemy or Alembic is not installed.
    """
    if find_spec("sqlalchemy") is None or find_spec("alembic") is None:
        raise MissingExtraError("the prediction log", "serve")


def check_url(url: str) -> str:
    """The URL as SQLAlchemy wants it, with the driver that is installed; imports neither.

    Raises:
        UsageError: It is for no database that the log can be in.
    """
    scheme, separator, rest = url.partition("://")
    scheme = _DRIVERS.get(scheme, scheme)
    if not separator or scheme not in {"sqlite", "postgresql+psycopg"}:
        raise UsageError(
            "the prediction log's URL must begin with sqlite:/// or postgresql://, "
            f"not {url.partition('://')[0][:40]!r}"
        )
    if scheme.startswith("postgresql") and find_spec("psycopg") is None:
        raise MissingExtraError("a prediction log on PostgreSQL", "postgres")
    return f"{scheme}://{rest}"


def url_in(folder: Path) -> str:
    """The SQLite database in a folder of the log."""
    return f"sqlite:///{(folder / 'predictions.db').absolute()}"


def connect(url: str, *, make: bool = True) -> Engine:
    """An engine, which connects on first use.

    Args:
        url: Of the database.
        make: SQLite's file may be made where it is not there.

    Raises:
        UsageError: It is no URL of a database, or not there.
    """
    place = _place(url)
    if place.drivername == "sqlite":
        if not make and not is_there(url):
            raise UsageError(f"there is no prediction log at {shown(place)}: a server with --prediction-log makes it")
        return _sqlite(place)
    return _postgres(place)


def is_there(url: str) -> bool:
    """SQLite's file is there; a server that has the database may be."""
    place = _place(url)
    return place.drivername != "sqlite" or Path(place.database or "").is_file()


def _place(url: str) -> URL:
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError

    try:
        return sqlalchemy.make_url(check_url(url))
    except (ArgumentError, ValueError):
        raise UsageError("the prediction log's URL cannot be read; it looks like postgresql://user@host/name") from None


def _sqlite(place: URL) -> Engine:
    import sqlalchemy
    from sqlalchemy import event

    if place.database not in {None, "", ":memory:"}:
        Path(str(place.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine: Engine = sqlalchemy.create_engine(place, connect_args={"timeout": BUSY, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy begins them
        # Rows are deleted from the spool when they are committed, so committed must mean on disk.
        for words in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {words}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # A transaction that reads first and then finds another one writing could not wait for it.
        wanted = "BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN"
        connection.exec_driver_sql(wanted)

    return engine


def _postgres(place: URL) -> Engine:
    import sqlalchemy
    from sqlalchemy import event

    given = {name: value for name, value in _POSTGRES.items() if name not in place.query} | _POSTGRES_ALWAYS
    # A connection that died meanwhile is replaced before it is used.
    engine: Engine = sqlalchemy.create_engine(place, connect_args=given, pool_pre_ping=True, pool_size=2)
    options = str(place.query.get("options", ""))
    ours = {name: value for name, value in _TIMEOUTS.items() if name not in options}
    told: list[str] = []

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: object) -> None:
        encoding = connection.info.parameter_status("server_encoding") or "UTF8"
        if encoding not in _TAKES_ALL_TEXT and not told:
            told.append(encoding)
            logging.getLogger(__name__).warning(
                "the prediction log's database %s keeps text as %s: predictions with other characters, in a file's name"
                " for example, are refused and set aside; a database made with --encoding UTF8 takes all",
                shown(place),
                encoding,
            )

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        patient = connection.get_execution_options().get(_PATIENT)
        limits = {**ours, "statement_timeout": 0} if patient and "statement_timeout" in ours else ours
        if limits:
            calls = (f"set_config('{name}', '{value}', true)" for name, value in limits.items())
            connection.exec_driver_sql(f"SELECT {', '.join(calls)}")

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads.

    Raises:
        LogDatabaseError: There is no connection.
    """
    with _connected(engine) as connection:
        yield connection


@contextmanager
def writing(engine: Engine, *, patient: bool = False) -> Iterator[Connection]:
    """A transaction that writes.

    Args:
        engine: The database.
        patient: A statement may take as long as it takes: for migrations.

    Raises:
        LogDatabaseError: There is no connection.
    """
    options = {_WRITES: True, _PATIENT: patient}
    with _connected(engine) as connection, connection.execution_options(**options).begin():
        yield connection


def _connected(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except Exception as error:  # whatever goes wrong here, no row and no question is to blame
        raise unusable(engine.url, error) from error


def insert_or(connection: Connection, table: Table) -> Any:
    """An ``INSERT`` that can be given an ``ON CONFLICT``; SQLAlchemy has one for each database."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)
