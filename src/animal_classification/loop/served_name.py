"""Whether the prediction log has the model under the name that the loop looks for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from animal_classification.monitoring import queries
from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.periods import Window

if TYPE_CHECKING:
    from animal_classification.loop.workplace import Workplace

_LATELY = timedelta(days=7)


def other_name_notes(work: Workplace) -> Iterator[str]:
    """Says so where all answers of the last days are under other names: shadow, canary and audit would find nothing.

    It reads sums, so that it costs the same however much is kept.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    window = Window.of(work.clock().timestamp(), _LATELY.total_seconds())
    with translated_errors(work.engine.url, rows=False), reading(work.engine) as connection:
        uses = queries.total_of(part for _, part in queries.periods(connection, window)).models
    names = sorted({name for name, _ in uses})
    served = work.config.served
    if names and served not in names:
        yield (
            f"the log has no answer of {served!r} in {_LATELY.days} days, but some of {', '.join(names)}: where "
            "servers have the model under another name (--model NAME=…), say served_as: NAME in loop.yaml"
        )
