"""The tables, as SQLAlchemy Core knows them. A change here needs a revision in ``migrations/versions``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

MAX_SOURCE = 80  # characters of a camera's or a site's name
MAX_CYCLE = 80
TIME_LENGTH = 19  # 2021-04-11T20:43:09: as text, because a camera's clock has no zone


class UtcTime(TypeDecorator[datetime]):
    """A moment: PostgreSQL's ``timestamptz``, and UTC without saying so where SQLite keeps it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

predictions = Table(
    "animals_predictions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("photo", String(64), nullable=False),
    Column("file", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("label_id", Text, nullable=False),
    Column("probability", Double, nullable=False),
    Column("known", Double, nullable=False),
    Column("unknown", Boolean, nullable=False),
    Column("answer", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("top", JSON, nullable=False),
    Column("latency", Double, nullable=False),
    Column("doubt", Double, nullable=False),
    Column("stats", LargeBinary),
    Column("source", String(MAX_SOURCE)),
    Column("audit", Double),
    Column("audited", Boolean),
    Column("canary", Boolean),
    Column("taken", String(TIME_LENGTH)),
    Column("boxes", JSON(none_as_null=True)),
)
Index(None, predictions.c.time)
Index(None, predictions.c.photo, predictions.c.time)
Index(None, predictions.c.doubt, predictions.c.id)
# Some dozens a day, of however many.
Index(
    None,
    predictions.c.audited,
    predictions.c.time,
    sqlite_where=predictions.c.audited.is_(True),
    postgresql_where=predictions.c.audited.is_(True),
)
# The review by event: the photos of a camera in their order.
Index(
    None,
    predictions.c.source,
    predictions.c.taken,
    predictions.c.id,
    sqlite_where=predictions.c.taken.is_not(None),
    postgresql_where=predictions.c.taken.is_not(None),
)

# Apart from the predictions, which are scanned without them: an embedding is larger than all the rest of a row.
embeddings = Table(
    "animals_embeddings",
    metadata,
    Column("prediction", String(36), ForeignKey(predictions.c.id, ondelete="CASCADE"), primary_key=True),
    Column("embedding", LargeBinary, nullable=False),
)

# A row is a period of time: see ``sums``.
sums = Table(
    "animals_sums",
    metadata,
    Column("seconds", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("predictions", BigInteger, nullable=False),
    Column("unknown", BigInteger, nullable=False),
    Column("photos", BigInteger, nullable=False),
    Column("probability", Double, nullable=False),
    Column("latency", Double, nullable=False),
    Column("probabilities", LargeBinary, nullable=False),
    Column("latencies", LargeBinary, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("models", JSON, nullable=False),
)

feedback = Table(
    "animals_feedback",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("prediction", String(36), ForeignKey(predictions.c.id, ondelete="CASCADE"), nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("label", Text),
    Column("label_id", Text),
    Column("note", Text),
    Column("who", Text),
    Column("undone", UtcTime),
    Column("collected", String(MAX_CYCLE)),
)
Index(None, feedback.c.prediction, feedback.c.number)

# A row is the verdict on one window of predictions, or (kind ``accepted``) a baseline that a person accepted.
drift = Table(
    "animals_drift",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("source", String(MAX_SOURCE), nullable=False),
    Column("reference", String(64), nullable=False),
    Column("read", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("p", JSON, nullable=False),
    Column("effects", JSON, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("harm", JSON, nullable=False),
    Column("score", JSON, nullable=False),
    Column("explain", Text, nullable=False),
)
Index(None, drift.c.model, drift.c.time)

# What a candidate said of photos that another model answered.
shadow = Table(
    "animals_shadow",
    metadata,
    Column("prediction", String(36), ForeignKey(predictions.c.id, ondelete="CASCADE"), primary_key=True),
    Column("model", String(255), primary_key=True),
    Column("version", String(80), primary_key=True),
    Column("label_id", Text, nullable=False),
    Column("probability", Double, nullable=False),
    Column("unknown", Boolean, nullable=False),
)

# A photo that a loop asks people to label. It stays until the loop's next cycle begins, with or without a word on it.
requests = Table(
    "animals_requests",
    metadata,
    Column("photo", String(64), primary_key=True),
    Column("model", String(255), primary_key=True),
    Column("part", String(32), nullable=False),
    Column("time", UtcTime, nullable=False),
)

# A row is one transition of one cycle; ``sha`` is the hash of ``prev_sha`` and the row.
loop = Table(
    "animals_loop",
    metadata,
    Column("cycle", String(MAX_CYCLE), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("time", UtcTime, nullable=False),
    Column("state", String(32), nullable=False),
    Column("by", Text, nullable=False),
    Column("data_version", Text),
    Column("frozen", String(64)),
    Column("config", String(64)),
    Column("code", Text),
    Column("bundle", String(64)),
    Column("registry_version", Text),
    Column("decision", JSON, nullable=False),
    Column("prev_sha", String(64), nullable=False),
    Column("sha", String(64), nullable=False),
)
