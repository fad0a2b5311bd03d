"""What was found in a photo, and when it was taken: for the review by event. Both are empty in older rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_INDEX = "ix_animals_predictions_source_taken_id"


def upgrade() -> None:
    op.add_column("animals_predictions", sa.Column("taken", sa.String(19), nullable=True))
    op.add_column("animals_predictions", sa.Column("boxes", sa.JSON(), nullable=True))
    op.create_index(
        _INDEX,
        "animals_predictions",
        ["source", "taken", "id"],
        sqlite_where=sa.text("taken IS NOT NULL"),
        postgresql_where=sa.text("taken IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(_INDEX, "animals_predictions")
    op.drop_column("animals_predictions", "boxes")
    op.drop_column("animals_predictions", "taken")
