"""The audited accuracy of one version: unbiased, of the photos that were chosen before anybody looked."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from animal_classification.monitoring.audit import AuditedAccuracy, audited_accuracy
from animal_classification.monitoring.audit_queries import read_audit
from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.database_errors import translated_errors

if TYPE_CHECKING:
    from sqlalchemy import Engine


def audit_of(engine: Engine, model: str, version: str, since: datetime, until: datetime) -> AuditedAccuracy:
    """Accuracy of a version in a time, with its 95% interval, as far as people have looked.

    Words on doubtful photos, which the review shows first, say nothing of the others: they are weighed by the
    probability with which each photo was chosen.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        sample = read_audit(connection, since.timestamp(), until.timestamp(), model=model, version=version)
    return audited_accuracy(sample)
