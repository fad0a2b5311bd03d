"""Embeddings in a table of their own, and sums, which ``migrating`` fills when all revisions are done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "animals_embeddings",
        sa.Column("prediction", sa.String(36), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("prediction", name="pk_animals_embeddings"),
        sa.ForeignKeyConstraint(
            ["prediction"], ["animals_predictions.id"], name="fk_animals_embeddings_prediction", ondelete="CASCADE"
        ),
    )
    op.execute(
        "INSERT INTO animals_embeddings (prediction, embedding)"
        " SELECT id, embedding FROM animals_predictions WHERE length(embedding) > 0"
    )
    op.drop_column("animals_predictions", "embedding")
    op.create_index("ix_animals_predictions_photo_time", "animals_predictions", ["photo", "time"])
    op.create_table(
        "animals_sums",
        sa.Column("seconds", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("predictions", sa.BigInteger(), nullable=False),
        sa.Column("unknown", sa.BigInteger(), nullable=False),
        sa.Column("photos", sa.BigInteger(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("latency", sa.Double(), nullable=False),
        sa.Column("probabilities", sa.LargeBinary(), nullable=False),
        sa.Column("latencies", sa.LargeBinary(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seconds", "start", name="pk_animals_sums"),
    )


def downgrade() -> None:
    op.drop_table("animals_sums")
    op.drop_index("ix_animals_predictions_photo_time", "animals_predictions")
    # SQLite adds no column that must have a value without giving it one.
    nothing = sa.text("x''" if op.get_bind().dialect.name == "sqlite" else "''::bytea")
    op.add_column(
        "animals_predictions", sa.Column("embedding", sa.LargeBinary(), server_default=nothing, nullable=False)
    )
    op.execute(
        "UPDATE animals_predictions SET embedding = animals_embeddings.embedding"
        " FROM animals_embeddings WHERE animals_embeddings.prediction = animals_predictions.id"
    )
    op.drop_table("animals_embeddings")
