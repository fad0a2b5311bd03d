"""The review on a real PostgreSQL: all of its tests for SQLite, on another database.

Classes, label requests, shadows, shared scenes and events; what is added to these files runs here, too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from animal_classification.prediction_log.database import connect
from tests.support.databases import Postgres
from tests.unit.prediction_log.test_event_queue import *  # noqa: F403
from tests.unit.prediction_log.test_review_queue import *  # noqa: F403
from tests.unit.prediction_log.test_shadow_rows import *  # noqa: F403
from tests.unit.prediction_log.test_shared_scenes import *  # noqa: F403


@pytest.fixture(params=["en-US", pytest.param("C", marks=pytest.mark.nightly)])
def engine(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[Engine]:
    """An empty database that compares text as people do, which is usual outside of tests, or by its bytes."""
    url = postgres.url if request.param == "C" else postgres.database("people", "UTF8", icu=request.param)
    engine = connect(url)
    yield engine
    engine.dispose()
