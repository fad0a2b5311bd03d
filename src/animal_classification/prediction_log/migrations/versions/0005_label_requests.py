"""Photos that the loop asks people to label."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "animals_requests",
        sa.Column("photo", sa.String(64), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("part", sa.String(32), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("photo", "model", name="pk_animals_requests"),
    )


def downgrade() -> None:
    op.drop_table("animals_requests")
