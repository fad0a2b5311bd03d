"""What people say of predictions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "animals_feedback",
        sa.Column("number", number, autoincrement=True, nullable=False),
        sa.Column("prediction", sa.String(36), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("label", sa.Text()),
        sa.Column("label_id", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.Column("who", sa.Text()),
        sa.Column("undone", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("number", name="pk_animals_feedback"),
        sa.ForeignKeyConstraint(
            ["prediction"], ["animals_predictions.id"], name="fk_animals_feedback_prediction", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_animals_feedback_prediction_number", "animals_feedback", ["prediction", "number"])


def downgrade() -> None:
    op.drop_table("animals_feedback")
