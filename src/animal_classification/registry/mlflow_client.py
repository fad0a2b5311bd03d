"""The one place where MLflow is imported and set up: quiet, bounded in time, and without telemetry.

MLflow reads its settings from the environment of the process. What is set here are defaults: a value that the user has
set stays.
"""

# Imported where it is used: MLflow and SQLAlchemy are extras, and take seconds to load.

from __future__ import annotations

import os
import re
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.atomic import new_file
from animal_classification.errors import AnimalsError, MissingExtraError, RegistryError
from animal_classification.registry import last_used
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from mlflow.tracking.client import MlflowClient

DEFAULT_OUTPUT = "runs"
ARTIFACTS = "mlartifacts"
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
# A server that does not answer costs two attempts of five seconds, not MLflow's seven of two minutes.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # it would print tracebacks of errors that are handled here
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "PGCONNECT_TIMEOUT": "5",
}
_LONGEST = 300
# What the extra ``mlflow`` brings: its client, and what its own store in a database needs.
_PACKAGES = ("mlflow", "alembic", "sqlalchemy")
_NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def is_installed() -> bool:
    """Whether MLflow's client and what its SQLite store needs are there."""
    return all(find_spec(name) is not None for name in _PACKAGES)


def require(feature: str = "the model registry") -> None:
    """Find out whether MLflow is there, before any work is done.

    Raises:
        MissingExtraError: It is not.
    """
    if not is_installed():
        raise MissingExtraError(feature, "mlflow")


def tracking_uri(uri: str | None = None, *, output: str = DEFAULT_OUTPUT) -> str:
    """Where runs and models are kept: ``uri``, else ``ANIMALS_TRACKING_URI``, else SQLite in the output folder."""
    return uri or Settings.from_environment().tracking_uri or f"sqlite:///{database(output).as_posix()}"


def database(output: str = DEFAULT_OUTPUT) -> Path:
    """The SQLite file of an output folder."""
    return Path(output).absolute() / "mlflow.db"


def artifact_location(uri: str, *, output: str = DEFAULT_OUTPUT) -> str | None:
    """Where a new experiment keeps its files: beside an SQLite file, else in the output folder.

    ``None`` leaves it to the server.
    """
    file = sqlite_file(uri)
    if file is not None:
        return (file.absolute().parent / ARTIFACTS).as_uri()
    return (Path(output).absolute() / ARTIFACTS).as_uri() if _is_database(uri) else None


def connect(uri: str, *, create: bool = True) -> MlflowClient:
    """A client for runs and models at ``uri``; takes a second, the first time.

    Args:
        uri: MLflow's tracking URI.
        create: Make the SQLite file if it is not there.

    Raises:
        MissingExtraError: MLflow is not installed.
        RegistryError: It cannot be reached.
    """
    require()
    file = sqlite_file(uri)
    if not create and file is not None and not file.exists():
        raise RegistryError(f"there is no model registry at {file}: {_elsewhere(file)}")
    with explained(uri):
        client = import_client()
        if _is_database(uri):
            _check_database(uri)
        opened = client(tracking_uri=uri, registry_uri=uri)
    if file is not None:
        last_used.remember(file)
    return opened


def _elsewhere(missing: Path) -> str:
    """What to do where a registry is not: its default place is in the folder that a command runs in."""
    known = last_used.recall()
    if known is None or known == missing.absolute():
        return "train a model first, or say where it is with ANIMALS_TRACKING_URI"
    uri = f"sqlite:///{known.as_posix()}"
    where = f"run this in {known.parent.parent}, or " if known.parent.name == DEFAULT_OUTPUT else ""
    return f"the last one used is {known}; {where}set ANIMALS_TRACKING_URI={uri}"


def import_client() -> type[MlflowClient]:
    """MLflow's client, with our settings; takes two seconds, the first time.

    Raises:
        MissingExtraError: MLflow is not installed.
    """
    require()
    os.environ.update(_NO_TELEMETRY)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking.client import MlflowClient

    return MlflowClient


def import_for(uri: str) -> None:
    """Import all of MLflow that work at ``uri`` takes, so that nobody waits for it later.

    Raises:
        MissingExtraError: MLflow is not installed.
    """
    import_client()
    if _is_database(uri):
        import mlflow.store.model_registry.sqlalchemy_store
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


def experiment_id(client: MlflowClient, name: str, location: str | None) -> str:
    """The experiment of that name, made or brought back from the bin if need be."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            created: str = client.create_experiment(name, artifact_location=location)
        except MlflowException:  # another run was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
        else:
            return created
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    identifier: str = found.experiment_id
    return identifier


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite URI."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _is_database(uri: str) -> bool:
    return uri.partition(":")[0].partition("+")[0] in _DATABASES


def _check_database(uri: str) -> None:
    """Open the database once, because MLflow tries for minutes, whatever is wrong; make it if it is a file."""
    from sqlalchemy import create_engine, inspect

    file = sqlite_file(uri)
    if file is not None and not (file.exists() and (file.is_dir() or file.stat().st_size)):
        _create_file(file)
    engine = create_engine(uri)
    try:
        inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _create_file(file: Path) -> None:
    """An SQLite file with MLflow's tables, which appears whole or not at all.

    MLflow makes the tables in a hundred steps. On a disk each of them waits for the disk, and a file that was killed
    between two of them can never be opened again; so they are made in memory, and written at once.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    shared = f"file:animals-{uuid.uuid4().hex}?mode=memory&cache=shared"
    artifacts = (file.absolute().parent / ARTIFACTS).as_uri()
    with closing(sqlite3.connect(shared, uri=True)) as memory:
        SqlAlchemyStore(f"sqlite:///{shared}&uri=true", artifacts).engine.dispose()  # type: ignore[no-untyped-call]
        # Another process may be faster: its file may have runs in it already.
        with new_file(file, existing="keep") as temporary:
            with closing(sqlite3.connect(temporary)) as disk:
                memory.backup(disk)
            if file.exists() and not file.stat().st_size:
                file.unlink()


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turns whatever MLflow, SQLAlchemy, the network or the disk raise into one line.

    Raises:
        RegistryError: Something was raised that is not an ``AnimalsError``.
    """
    try:
        yield
    except AnimalsError:
        raise
    except Exception as error:  # each kind of store has exceptions of its own
        raise RegistryError(f"{shown(uri)}: {one_line(error)}") from error


def shown(uri: str) -> str:
    """The URI without a password."""
    return re.sub(r"//([^/@:]*)(:[^/@]*)?@", r"//\1@", uri)


def one_line(error: BaseException) -> str:
    """What an exception says, on one line without an address's password.

    Where the system or SQLite said no, that is what counts, and not what each library on the way made of it.
    """
    root = _root(error)
    if isinstance(root, OSError) and root.strerror:
        return f"{root.strerror}: {root.filename}" if root.filename else root.strerror
    lines = [line.strip() for line in str(root).splitlines() if line.strip()]
    text = shown(lines[0]) if lines else type(root).__name__
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _root(error: BaseException) -> BaseException:
    found: BaseException = error
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (OSError, sqlite3.Error)):
            found = seen
        seen = seen.__cause__ or seen.__context__
    return found
