"""Every prediction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "animals_predictions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("photo", sa.String(64), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("label_id", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("known", sa.Double(), nullable=False),
        sa.Column("unknown", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("top", sa.JSON(), nullable=False),
        sa.Column("latency", sa.Double(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("doubt", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_animals_predictions"),
    )
    op.create_index("ix_animals_predictions_time", "animals_predictions", ["time"])
    op.create_index("ix_animals_predictions_doubt_id", "animals_predictions", ["doubt", "id"])


def downgrade() -> None:
    op.drop_table("animals_predictions")
