"""What several files of tests ask for: one small evaluation and its report, and a PostgreSQL of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.databases import Postgres

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from animal_classification.report.report_inputs import Measurement


@pytest.fixture(scope="module")
def measurement(tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    from tests.support.reported import measured

    return measured(tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="module")
def written(measurement: Measurement, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the report's page and the model card."""
    from animal_classification.report.writer import write_report

    target = tmp_path_factory.mktemp("report")
    write_report(measurement, target)
    return target


@pytest.fixture(scope="module")
def installed() -> Iterator[Postgres]:
    postgres = Postgres()
    yield postgres
    postgres.close()


@pytest.fixture
def postgres(installed: Postgres) -> Postgres:
    """A running one, with an empty database."""
    if not installed.answers():
        installed.start()
    installed.rows("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return installed


@pytest.fixture
def engine(postgres: Postgres) -> Iterator[Engine]:
    from animal_classification.prediction_log.database import connect

    engine = connect(postgres.url)
    yield engine
    engine.dispose()
