"""A new SQLite store has MLflow's own tables, and appears whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from animal_classification.errors import RegistryError
from animal_classification.registry.mlflow_client import connect


def test_a_new_store_has_tables_that_mlflow_takes(tmp_path: Path) -> None:
    file = tmp_path / "runs" / "mlflow.db"
    client = connect(f"sqlite:///{file}")
    assert [path.name for path in file.parent.iterdir()] == ["mlflow.db"]
    [default] = client.search_experiments()
    assert default.artifact_location == f"{(file.parent / 'mlartifacts').as_uri()}/0"
    run = client.create_run(client.create_experiment("zoo"))
    client.log_metric(run.info.run_id, "accuracy", 0.5)
    client.create_registered_model("zoo")
    assert client.get_run(run.info.run_id).data.metrics == {"accuracy": 0.5}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_tables_that_could_not_all_be_made_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.tracking import sqlalchemy_store

    class Interrupted(sqlalchemy_store.SqlAlchemyStore):
        def __init__(self, uri: str, artifacts: str) -> None:
            super().__init__(uri, artifacts)  # type: ignore[no-untyped-call]
            assert not list(tmp_path.iterdir()), "tables of a run that may be killed are on the disk"
            raise OSError("no more")

    monkeypatch.setattr(sqlalchemy_store, "SqlAlchemyStore", Interrupted)
    file = tmp_path / "mlflow.db"
    with pytest.raises(RegistryError, match="no more"):
        connect(f"sqlite:///{file}")
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert connect(f"sqlite:///{file}").search_registered_models() == []
