"""The database by its URL: SQLite that several processes write to at once, or PostgreSQL that may go away."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.errors import AnimalsError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine

BUSY = 10.0  # seconds that SQLite waits for another process's write
# A server that does not answer at all must be noticed as well as one that says no.
_POSTGRES = {
    "connect_timeout": 5,
    "options": "-c statement_timeout=20000 -c lock_timeout=15000",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20000,
    "application_name": "animals",
}
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_WRITES = "animals_writes"


class LogDatabaseError(AnimalsError):
    """The database of the prediction log cannot be used now."""


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
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError

    try:
        place = sqlalchemy.make_url(check_url(url))
    except (ArgumentError, ValueError):
        raise UsageError("the prediction log's URL cannot be read; it looks like postgresql://user@host/name") from None
    if place.drivername == "sqlite":
        if not make and not Path(place.database or "").is_file():
            raise UsageError(f"there is no prediction log at {shown(place)}: a server with --prediction-log makes it")
        return _sqlite(place)
    # A connection that died meanwhile is replaced before it is used.
    engine: Engine = sqlalchemy.create_engine(place, connect_args=_POSTGRES, pool_pre_ping=True, pool_size=2)
    return engine


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


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes."""
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        yield connection


@contextmanager
def troubles(url: URL) -> Iterator[None]:
    """Turn what SQLAlchemy raises into one line.

    Raises:
        LogDatabaseError: The database cannot be reached, or refuses.
    """
    from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

    try:
        yield
    except (DataError, IntegrityError):  # about a row and not about the database
        raise
    except (SQLAlchemyError, OSError) as error:
        raise LogDatabaseError(f"the prediction log's database {shown(url)} cannot be used: {line(error)}") from error


def shown(url: URL) -> str:
    """Without the password."""
    return repr(url.render_as_string(hide_password=True))


def line(error: BaseException) -> str:
    """What the database itself said, without SQLAlchemy's advice."""
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().partition("\n")[0].rstrip(".") or type(cause).__name__
