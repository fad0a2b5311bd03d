"""Renew `registry/mlflow_tables.sql` after another MLflow was locked: python tools/mlflow_tables.py"""

from __future__ import annotations

import tempfile
from pathlib import Path

from animal_classification.registry.mlflow_tables import tables_of_mlflow

TARGET = Path(__file__).parents[1] / "src/animal_classification/registry/mlflow_tables.sql"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        TARGET.write_text(tables_of_mlflow(Path(folder)), encoding="utf-8")
