"""A new store has MLflow's own tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from animal_classification import registry
from animal_classification.registry import mlflow_tables
from animal_classification.registry.mlflow_client import connect


def test_the_tables_that_are_kept_are_those_of_the_locked_mlflow(tmp_path: Path) -> None:
    kept = files(registry).joinpath("mlflow_tables.sql").read_text(encoding="utf-8")
    made = mlflow_tables.tables_of_mlflow(tmp_path)
    assert _in_any_order(kept) == _in_any_order(made), "run: python tools/mlflow_tables.py"


def _in_any_order(script: str) -> list[str]:
    """Its lines: the order of constraints and indices is another each time."""
    return sorted(line.strip().rstrip(",") for line in script.splitlines())


@pytest.mark.parametrize("kept", [True, False])
def test_a_new_store_works_with_and_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    if not kept:
        monkeypatch.setattr("mlflow.__version__", "0.0.1")
    assert mlflow_tables.make_tables(tmp_path / "alone.db") is kept
    file = tmp_path / "mlflow.db"
    client = connect(f"sqlite:///{file}")
    assert [found.name for found in client.search_experiments()] == ["Default"]
    run = client.create_run(client.create_experiment("zoo"))
    client.log_metric(run.info.run_id, "accuracy", 0.5)
    client.create_registered_model("zoo")
    assert client.get_run(run.info.run_id).data.metrics == {"accuracy": 0.5}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
