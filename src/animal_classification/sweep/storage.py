"""Where a study is kept: SQLite in the output folder, or a database by its URL, which several machines can share."""

from __future__ import annotations

import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.text_files import cannot_write
from animal_classification.errors import AnimalsError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

HEARTBEAT = 15  # seconds; a worker elsewhere that was silent six times is taken for dead
GRACE = 90
_MADE_BY_ANOTHER = ("already exists", "UNIQUE constraint", "duplicate key", "UniqueViolation")
_TRIES = 10
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class _Connection(sqlite3.Connection):
    """SQLite that waits for the disk once in a while instead of at every word; it stays whole all the same."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")


class StorageError(AnimalsError):
    """The database of a study cannot be reached."""


@contextmanager
def opened(url: str | None, folder: Path) -> Iterator[RDBStorage]:
    """The storage of that URL, or a SQLite file in the folder, until the body ends.

    Raises:
        UsageError: The URL is none, or is for something that is not installed.
        StorageError: The database does not answer, or not any more.
    """
    storage = _open(url, folder)
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield storage
    except (SQLAlchemyError, StorageInternalError) as error:
        place = without_password(url_of(url, folder))
        raise StorageError(f"the study's database {place!r} was lost: {_line(error)}; start again to go on") from error
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _open(url: str | None, folder: Path) -> RDBStorage:
    try:
        from optuna.storages import RDBStorage
    except ModuleNotFoundError as error:
        raise MissingExtraError("animals sweep", "sweep") from error
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    place = url_of(url, folder)
    try:
        options: dict[str, Any] = {"pool_pre_ping": True}
        if place.startswith("sqlite"):
            options["connect_args"] = {"timeout": 60, "factory": _Connection}
        with quiet():
            return _made(lambda: RDBStorage(place, options, heartbeat_interval=HEARTBEAT, grace_period=GRACE))
    except (ArgumentError, NoSuchModuleError) as error:
        raise UsageError(f"sweep.storage {without_password(place)!r} is no database URL: {_line(error)}") from error
    except ImportError as error:
        raise UsageError(f"sweep.storage {without_password(place)!r} needs a driver: {_line(error)}") from error
    except (SQLAlchemyError, RuntimeError, OSError) as error:
        raise StorageError(
            f"the study's database {without_password(place)!r} cannot be used: {_line(error)}"
        ) from error


def _made(make: Callable[[], RDBStorage]) -> RDBStorage:
    """Open it; where several workers make the tables of a new database at once, all but one fail at first."""
    from sqlalchemy.exc import SQLAlchemyError

    for number in range(_TRIES):
        try:
            return make()
        except SQLAlchemyError as error:
            if not any(sign in str(error) for sign in _MADE_BY_ANOTHER):
                raise
        threading.Event().wait(0.1 * number)
    return make()


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings: Optuna calls what is used here experimental, and wonders at a study without its own loop."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
        yield


def url_of(url: str | None, folder: Path) -> str:
    """The URL as SQLAlchemy wants it."""
    if url is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error, "choose another output=") from error
        return f"sqlite:///{(folder / 'study.db').absolute()}"
    scheme, colon, rest = url.partition("://")
    return f"{_DRIVERS.get(scheme, scheme)}{colon}{rest}"


def without_password(url: str) -> str:
    """To be shown."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url.partition("://")[0]


def _line(error: BaseException) -> str:
    """What the database itself said, without SQLAlchemy's advice."""
    cause = getattr(error, "orig", None) or error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    return str(cause).strip().partition("\n")[0].rstrip(".") or type(cause).__name__
