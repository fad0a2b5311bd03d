"""A database for each test: SQLite always, PostgreSQL where Debian's package is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from animal_classification.prediction_log.database import connect


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'log.db'}")
    yield engine
    engine.dispose()
