"""Alembic's way in; the connection comes from ``migrating``."""

from __future__ import annotations

from alembic import context

from animal_classification.prediction_log.migrate import VERSION_TABLE
from animal_classification.prediction_log.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
