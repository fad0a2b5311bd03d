"""Database errors told apart: the database is unavailable (retry), or a row is refused (do not)."""

# Imported where they are used: SQLAlchemy takes 120 ms to load, and a server without a prediction log needs none of it.

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from animal_classification.errors import AnimalsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

# Of PostgreSQL's classes of errors: a cardinality, a datum, a constraint, and a limit of the program that is exceeded.
_ABOUT_A_ROW = {"21", "22", "23", "54"}


class LogDatabaseError(AnimalsError):
    """The database of the prediction log cannot be used now.

    Args:
        message: For the operator, with the database's address.
        reason: Why, for anybody: without addresses.
    """

    def __init__(self, message: str, reason: str = "the database of the prediction log cannot be reached") -> None:
        self.reason = reason
        super().__init__(message)


class RefusedRowError(AnimalsError):
    """The database takes this neither now nor later: a character that it has no code for, or a value too large."""


def about_the_database(error: Exception) -> bool | None:
    """Whether it is about the database, so that it is worth trying again; ``None`` where nobody can tell."""
    from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

    if isinstance(error, (LogDatabaseError, OSError, MemoryError)):
        return True
    if isinstance(error, DBAPIError):
        state = _state(error)
        if state:
            return state[:2] not in _ABOUT_A_ROW
        return not (isinstance(error, (DataError, IntegrityError)) or _not_a_parameter(error.orig))
    if isinstance(error, StatementError):  # a value that the driver cannot take
        return False
    return True if isinstance(error, SQLAlchemyError) else None


@contextmanager
def translated_errors(url: URL, *, rows: bool = True) -> Iterator[None]:
    """Translate exceptions of SQLAlchemy and its drivers into ours, of one line.

    Args:
        url: Of the database.
        rows: It was given something that it may refuse; otherwise the database is to blame for whatever happens.

    Raises:
        LogDatabaseError: The database cannot be reached, or not be used.
        RefusedRowError: It does not take what it was given. An ``IntegrityError`` stays as it is.
    """
    from sqlalchemy.exc import IntegrityError

    try:
        yield
    except AnimalsError:
        raise
    except Exception as error:
        if rows and isinstance(error, IntegrityError):
            raise
        if rows and about_the_database(error) is False:
            raise RefusedRowError(line(error)) from error
        raise unusable(url, error) from error


def unusable(url: URL, error: Exception) -> LogDatabaseError:
    """The error that says that the database cannot be used."""
    message = f"the prediction log's database {shown(url)} cannot be used: {line(error)}"
    # With a state it is the server that speaks, and no address is in its words.
    said = f"the database of the prediction log says: {line(error)}"
    return LogDatabaseError(message, said) if _state(error) else LogDatabaseError(message)


def shown(url: URL) -> str:
    """Without the password."""
    return repr(url.render_as_string(hide_password=True))


def line(error: BaseException) -> str:
    """What the database itself said, without SQLAlchemy's advice."""
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().partition("\n")[0].rstrip(".") or type(cause).__name__


def _not_a_parameter(error: BaseException | None) -> bool:
    """The driver could not hand a value over; drivers are told apart by name, because neither has to be installed."""
    kind = type(error)
    # psycopg's InterfaceError is a connection that is closed.
    return kind.__name__ == "ProgrammingError" or (kind.__name__, kind.__module__) == ("InterfaceError", "sqlite3")


def _state(error: Exception) -> str:
    """PostgreSQL's SQLSTATE; empty where there is none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""
