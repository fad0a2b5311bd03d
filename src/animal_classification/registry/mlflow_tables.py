"""MLflow's tables in a new SQLite file at once, where MLflow itself takes three seconds and a hundred steps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

_SCHEMA = "mlflow_tables.sql"
_HEAD = "-- MLflow "
_REVISION = "  -- pragma: allowlist secret"


def make_tables(file: Path) -> bool:
    """Make the tables that the MLflow which is installed makes in an empty file; false where we do not have them.

    Raises:
        sqlite3.Error: The file cannot be written.
    """
    import mlflow

    text = files(__package__).joinpath(_SCHEMA).read_text(encoding="utf-8")
    head, _, script = text.partition("\n")
    if head != f"{_HEAD}{mlflow.__version__}":
        return False
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)
    return True


def tables_of_mlflow(folder: Path) -> str:
    """What ``make_tables`` runs, as the MLflow that is installed makes it: the content of ``mlflow_tables.sql``.

    Args:
        folder: Where a database is made to read it from.
    """
    import mlflow
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file = folder / "mlflow.db"
    SqlAlchemyStore(f"sqlite:///{file}", folder.as_uri()).engine.dispose()  # type: ignore[no-untyped-call]
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DELETE FROM experiments")  # its default one says where files are; it makes it anew
        connection.commit()
        lines = [f"{line}{_REVISION}" if 'INTO "alembic_version"' in line else line for line in connection.iterdump()]
    return "\n".join([f"{_HEAD}{mlflow.__version__}", *lines, ""])
