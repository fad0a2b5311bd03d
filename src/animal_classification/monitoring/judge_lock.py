"""Lets one process at a time judge a log: on SQLite by a file beside it, on PostgreSQL by the database's own lock."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from animal_classification.common.file_lock import locked
from animal_classification.errors import OutputError
from animal_classification.prediction_log.database import writing
from animal_classification.prediction_log.database_errors import translated_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from animal_classification.prediction_log.location import LogLocation

LOCK_FILE = "drift.lock"
# Any number, the same for everybody who judges a log on one PostgreSQL server.
_ADVISORY_LOCK = 0x616E696D647266


@contextmanager
def judging(engine: Engine, place: LogLocation) -> Iterator[bool]:
    """Whether this process may judge now; the lock ends with the context, or with the process.

    Raises:
        LogDatabaseError: The database cannot be used now.
        OutputError: The lock's file cannot be made.
    """
    if engine.dialect.name == "postgresql":
        # Within a transaction, because a pooler gives each one another session.
        with translated_errors(engine.url, rows=False), writing(engine) as connection:
            asked = connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({_ADVISORY_LOCK})")
            yield bool(asked.scalar_one())
        return
    try:
        place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = locked(place.folder / LOCK_FILE, needed=False)
    except OSError as error:
        raise OutputError(f"{place.folder / LOCK_FILE} cannot be made ({error.strerror or error})") from error
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)
