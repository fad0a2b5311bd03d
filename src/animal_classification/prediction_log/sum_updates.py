"""Keeps the table of sums, which monitoring reads, equal to the predictions.

A row of ``animals_sums`` is a period. It changes in the transaction that adds or deletes predictions, so that it is the
sum of those that are there at any time. Distinct photos can be added up because each counts once: in
the period in which it was last seen. A window that ends now holds as many photos as were last seen in its periods.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Connection, String, bindparam, case, delete, func, select, tuple_

from animal_classification.prediction_log.database import insert_or
from animal_classification.prediction_log.period_sums import COUNTED, ModelUse, Period, Sums
from animal_classification.prediction_log.periods import DAY, GRAINS, KEPT, MINUTE, begin_of, periods_of
from animal_classification.prediction_log.tables import predictions, sums

Moments = Mapping[str, datetime | None]
# Any number, the same for everybody who writes to a log on one PostgreSQL server.
_ADVISORY_LOCK = 0x616E696D73756D


def lock(connection: Connection) -> None:
    """Let nobody else change predictions and sums until the transaction ends; SQLite's writers are alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")


def last_seen(connection: Connection, photos: Iterable[str]) -> dict[str, datetime | None]:
    """When each of these photos was last seen, by the predictions that are in the table now."""
    wanted = sorted(set(photos))
    if not wanted:
        return {}
    # One parameter, whatever their number; and for each the end of its part of the index, however often it was seen.
    elements = func.json_array_elements_text if connection.dialect.name == "postgresql" else func.json_each
    listed = elements(bindparam("photos", wanted, JSON)).table_valued("value", name="listed")
    photo = listed.c.value.cast(String)
    newest = select(func.max(predictions.c.time)).where(predictions.c.photo == photo).scalar_subquery()
    return {row[0]: row[1] for row in connection.execute(select(photo, newest))}


def count(
    connection: Connection,
    *,
    added: Sequence[Mapping[Any, Any]] = (),
    removed: Sequence[Mapping[Any, Any]] = (),
    seen: tuple[Moments, Moments] = ({}, {}),
    nothing_before: float | None = None,
    older: Sequence[Mapping[Any, Any]] = (),
) -> None:
    """Bring the sums to what the table of predictions is after a change.

    Args:
        connection: In the transaction of the change, under :func:`lock`.
        added: Predictions that came.
        removed: Predictions that went.
        seen: What :func:`last_seen` said of their photos before and after.
        nothing_before: Nothing older than this is left but ``older``, in seconds since 1970.
        older: Predictions with their ``time``, ``model`` and ``version``.
    """
    changes: defaultdict[Period, Sums] = defaultdict(Sums)
    for rows, sign in ((added, 1), (removed, -1)):
        for row in rows:
            for period in periods_of(row["time"].timestamp()):
                changes[period].add(row, sign)
    for period, photos in _moved(*seen).items():
        if photos:
            changes[period].photos += photos
    present = _read(connection, list(changes))
    left = _uses(older)
    for period, change in changes.items():
        before = present.get(period, Sums())
        before.merge(change)
        if nothing_before is not None:
            before.forget_before(nothing_before, left.get(period, {}))
        changes[period] = before
    _write(connection, changes)


def correct_uses(connection: Connection, removed: Sequence[Mapping[Any, Any]]) -> None:
    """Find anew when models were first and last used in the periods that these predictions began or ended.

    Args:
        connection: In the transaction of the change, under :func:`lock`, after :func:`count`.
        removed: Predictions that went.
    """
    gone: defaultdict[Period, set[float]] = defaultdict(set)
    for row in removed:
        moment = row["time"].timestamp()
        for period in periods_of(moment):
            gone[period].add(moment)
    changed = {}
    for period, value in _read(connection, list(gone)).items():
        if any({use.first, use.last} & gone[period] for use in value.models.values()):
            value.models = _uses_in(connection, period)
            changed[period] = value
    _write(connection, changed)


def forget_fine(connection: Connection, now: float) -> None:
    """Delete the sums of fine periods that no window asks for any more."""
    for seconds, kept in KEPT.items():
        connection.execute(delete(sums).where(sums.c.seconds == seconds, sums.c.start < now - kept))


def photos_in_all(connection: Connection) -> int:
    """How many distinct photos there are predictions of."""
    found = select(func.coalesce(func.sum(sums.c.photos), 0)).where(sums.c.seconds == DAY)
    return int(connection.execute(found).scalar_one())


def rebuild(connection: Connection, now: datetime | None = None) -> None:
    """Make all sums anew from the predictions; takes about half a minute for a million."""
    connection.execute(delete(sums))
    last_minutes = Counter(begin_of(moment.timestamp(), MINUTE) for moment in _last_moments(connection))
    photos: Counter[Period] = Counter()
    for begin, number in last_minutes.items():
        photos.update(dict.fromkeys(periods_of(begin), number))
    moment = (now or datetime.now(UTC)).timestamp()
    for minutes in _days(connection):
        found: defaultdict[Period, Sums] = defaultdict(Sums)
        for begin, minute in minutes.items():
            for seconds in GRAINS:
                found[seconds, begin_of(begin, seconds)].merge(minute)
        for period, value in found.items():
            value.photos = photos[period]
        _write(connection, {p: value for p, value in found.items() if p[1] >= moment - KEPT.get(p[0], moment)})


def _days(connection: Connection) -> Iterator[dict[int, Sums]]:
    """The minutes of each day, day after day."""
    columns = [predictions.c[name] for name in COUNTED]
    statement = select(*columns).order_by(predictions.c.time).execution_options(yield_per=5000)
    minutes: dict[int, Sums] = {}
    day = None
    for row in connection.execute(statement).mappings():
        time = row["time"].timestamp()
        if begin_of(time, DAY) != day:
            if minutes:
                yield minutes
            day, minutes = begin_of(time, DAY), {}
        minute = minutes.get(begin_of(time, MINUTE))
        if minute is None:
            minute = minutes[begin_of(time, MINUTE)] = Sums()
        minute.add(row)
    if minutes:
        yield minutes


def _last_moments(connection: Connection) -> Iterator[datetime]:

    statement = select(func.max(predictions.c.time)).group_by(predictions.c.photo)
    for row in connection.execute(statement.execution_options(yield_per=5000)):
        yield row[0]


def _uses(rows: Sequence[Mapping[Any, Any]]) -> dict[Period, dict[tuple[str, str], ModelUse]]:
    """How these predictions used models, in each period."""
    found: defaultdict[Period, Sums] = defaultdict(Sums)
    for row in rows:
        moment = row["time"].timestamp()
        for period in periods_of(moment):
            found[period].use((row["model"], row["version"]), ModelUse(1, moment, moment))
    return {period: value.models for period, value in found.items()}


def _uses_in(connection: Connection, period: Period) -> dict[tuple[str, str], ModelUse]:
    """How models were used in a period, by the predictions that are in the table now."""
    seconds, start = period
    begin, end = (datetime.fromtimestamp(moment, UTC) for moment in (start, start + seconds))
    model, time = (predictions.c.model, predictions.c.version), predictions.c.time
    # As ``period_sums.confidence_of`` says it.
    confidence = case((predictions.c.unknown, 1.0 - predictions.c.known), else_=predictions.c.probability)
    counted = case((predictions.c.audit.is_not(None), confidence), else_=0.0)
    counts = (func.count(), func.min(time), func.max(time), func.count(predictions.c.audit), func.sum(counted))
    statement = select(*model, *counts).where(time >= begin, time < end)
    rows = connection.execute(statement.group_by(*model))
    return {(row[0], row[1]): ModelUse(row[2], row[3].timestamp(), row[4].timestamp(), row[5], row[6]) for row in rows}


def _moved(before: Moments, after: Moments) -> Counter[Period]:
    """By how much the number of photos that were last seen there changes, for each period."""
    moved: Counter[Period] = Counter()
    for sign, moments in ((-1, before), (1, after)):
        for moment in moments.values():
            if moment is not None:
                moved.update(dict.fromkeys(periods_of(moment.timestamp()), sign))
    return moved


def _read(connection: Connection, periods: Sequence[Period]) -> dict[Period, Sums]:

    found: dict[Period, Sums] = {}
    for start in range(0, len(periods), 1000):
        wanted = tuple_(sums.c.seconds, sums.c.start).in_(periods[start : start + 1000])
        for row in connection.execute(select(sums).where(wanted)).mappings():
            found[row["seconds"], row["start"]] = Sums.from_row(row)
    return found


def _write(connection: Connection, values: Mapping[Period, Sums]) -> None:

    kept = [value.to_row(period) for period, value in sorted(values.items()) if value.predictions > 0]
    if kept:
        statement = insert_or(connection, sums)
        columns = [column.name for column in sums.c if not column.primary_key]
        changed = {name: statement.excluded[name] for name in columns}
        connection.execute(statement.on_conflict_do_update(index_elements=["seconds", "start"], set_=changed), kept)
    empty = [period for period, value in sorted(values.items()) if value.predictions <= 0]
    if empty:
        connection.execute(delete(sums).where(tuple_(sums.c.seconds, sums.c.start).in_(empty)))
