"""Inserting into tables where the row may be there already, as each of the two databases says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


def insert_or(connection: Connection, table: Table) -> Any:
    """An ``INSERT`` that can be given an ``ON CONFLICT``; SQLAlchemy has one for each database."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)
