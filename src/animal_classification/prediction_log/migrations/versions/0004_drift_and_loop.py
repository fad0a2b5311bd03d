"""What drift, the audit and the loop need. All new columns may be empty: older rows, and rows still in files, go on."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "stats": sa.LargeBinary(),
    "source": sa.String(80),
    "audit": sa.Double(),
    "audited": sa.Boolean(),
    "canary": sa.Boolean(),
}
_USE = ("model", "version", "predictions", "first", "last")


def upgrade() -> None:
    for name, kind in _COLUMNS.items():
        op.add_column("animals_predictions", sa.Column(name, kind, nullable=True))
    op.create_index(
        "ix_animals_predictions_audited_time",
        "animals_predictions",
        ["audited", "time"],
        sqlite_where=sa.text("audited IS 1"),
        postgresql_where=sa.text("audited IS true"),
    )
    op.add_column("animals_feedback", sa.Column("collected", sa.String(80), nullable=True))
    _create_drift()
    _create_shadow()
    _create_loop()


def _create_drift() -> None:
    op.create_table(
        "animals_drift",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("source", sa.String(80), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("p", sa.JSON(), nullable=False),
        sa.Column("effects", sa.JSON(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("harm", sa.JSON(), nullable=False),
        sa.Column("score", sa.JSON(), nullable=False),
        sa.Column("explain", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_animals_drift"),
    )
    op.create_index("ix_animals_drift_model_time", "animals_drift", ["model", "time"])


def _create_shadow() -> None:
    op.create_table(
        "animals_shadow",
        sa.Column("prediction", sa.String(36), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("version", sa.String(80), nullable=False),
        sa.Column("label_id", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("unknown", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("prediction", "model", "version", name="pk_animals_shadow"),
        sa.ForeignKeyConstraint(
            ["prediction"], ["animals_predictions.id"], name="fk_animals_shadow_prediction", ondelete="CASCADE"
        ),
    )


def _create_loop() -> None:
    op.create_table(
        "animals_loop",
        sa.Column("cycle", sa.String(80), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("data_version", sa.Text()),
        sa.Column("frozen", sa.String(64)),
        sa.Column("config", sa.String(64)),
        sa.Column("code", sa.Text()),
        sa.Column("bundle", sa.String(64)),
        sa.Column("registry_version", sa.Text()),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.Column("prev_sha", sa.String(64), nullable=False),
        sa.Column("sha", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("cycle", "seq", name="pk_animals_loop"),
    )


def _cut_sums() -> None:
    """Of each model's use, the sums keep how often, first and last; the audit's counts go."""
    sums = sa.table("animals_sums", sa.column("seconds"), sa.column("start"), sa.column("models", sa.JSON()))
    connection = op.get_bind()
    for seconds, start, models in connection.execute(sa.select(sums)).all():
        there = sa.and_(sums.c.seconds == seconds, sums.c.start == start)
        cut = [use[: len(_USE)] for use in models]
        if cut != models:
            connection.execute(sa.update(sums).where(there).values(models=cut))


def downgrade() -> None:
    _cut_sums()
    for table in ("animals_loop", "animals_shadow", "animals_drift"):
        op.drop_table(table)
    op.drop_column("animals_feedback", "collected")
    op.drop_index("ix_animals_predictions_audited_time", "animals_predictions")
    for name in reversed(_COLUMNS):
        op.drop_column("animals_predictions", name)
