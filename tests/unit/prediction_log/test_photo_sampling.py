"""Which photos are chosen: as many as asked for, doubtful ones more often, a burst once, the same photo alike."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from animal_classification.prediction_log.audit_queries import what_came
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_sampling import AuditRate, AuditSampler, HourlyShare, fraction
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.store import insert
from tests.support.log_records import record


def photo(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def scene(number: int, **given: object) -> PredictionRecord:
    """A photo that is like no other one."""
    direction = np.random.default_rng(number).normal(size=32).astype("<f2")
    return record(photo=photo(number), embedding=direction.tobytes(), **given)


def test_fractions_are_even_and_each_purpose_has_its_own() -> None:
    audit, stats = (np.array([fraction(photo(n), purpose) for n in range(4000)]) for purpose in ("audit", "stats"))
    assert np.histogram(audit, 10, (0, 1))[0] == pytest.approx(400, abs=80)
    assert abs(np.corrcoef(audit, stats)[0, 1]) < 0.05


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(1, 100), st.floats(100, 1e6))
def test_as_many_as_wanted_whatever_the_doubts(doubts: list[float], wanted: float, photos: float) -> None:
    rate = AuditRate.for_number(wanted, photos, doubts)
    probabilities = [rate.probability(doubt) for doubt in doubts]
    assert np.mean(probabilities) * photos == pytest.approx(wanted, rel=0.01)
    assert all(0 < value <= 1 for value in probabilities)


def test_about_fifty_a_day_and_the_doubtful_more_often() -> None:
    doubts = np.random.default_rng(0).beta(1, 9, 5000)
    sampler = AuditSampler(50)
    sampler.set_rate(5000, doubts.tolist())
    kept = [sampler.decide(scene(n, probability=1 - doubt)) for n, doubt in enumerate(doubts)]
    chosen = [item for item in kept if item.audited]
    assert 30 <= len(chosen) <= 72  # three deviations
    assert np.mean([item.doubt for item in chosen]) > 1.4 * np.mean(doubts)


def test_on_the_first_day_the_first_ones_are_chosen_and_then_fewer() -> None:
    sampler = AuditSampler(20)
    kept = [sampler.decide(scene(n)) for n in range(1000)]
    assert all(item.audited for item in kept[:20])
    assert kept[999].audit == pytest.approx(20 / 1000)
    assert 20 <= sum(bool(item.audited) for item in kept) < 160


def test_a_burst_counts_once_and_another_camera_by_itself() -> None:
    sampler = AuditSampler(1000)
    first = scene(1, source="gate")
    frame = np.frombuffer(first.embedding, "<f2") * 1.01
    again = record(photo=photo(2), source="gate", embedding=frame.astype("<f2").tobytes())
    elsewhere = record(photo=photo(3), source="river", embedding=frame.astype("<f2").tobytes())
    copy = record(photo=first.photo, source="river", embedding=b"")
    audits = [sampler.decide(item).audit for item in (first, again, elsewhere, copy)]
    assert audits == [1.0, None, 1.0, None]


def test_without_an_audit_nothing_is_written() -> None:
    kept = AuditSampler(0).decide(scene(1))
    assert (kept.audit, kept.audited) == (None, None)


def test_the_same_photo_has_the_same_choice() -> None:
    choices = []
    for _ in range(2):
        sampler = AuditSampler(50)
        sampler.set_rate(500, [0.1])
        choices.append([sampler.decide(scene(n)).audited for n in range(200)])
    assert choices[0] == choices[1]


def test_what_came_is_counted_without_bursts(engine: Engine) -> None:
    migrate(engine)
    now = record().time
    inserted = [scene(n, time=now - n * 60, audit=0.5 if n % 2 else None, probability=0.75) for n in range(400)]
    insert(engine, [*inserted, scene(999, time=now - 3 * 86400, audit=0.5)])
    photos, doubts = what_came(engine, now)
    assert photos == pytest.approx(200, abs=2)
    assert doubts == pytest.approx([0.25] * len(doubts))


def test_at_most_so_many_an_hour() -> None:
    share = HourlyShare(100, "stats")
    taken = [[share.takes(photo(hour * 10_000 + n), hour * 3600.0) for n in range(1000)] for hour in range(3)]
    assert sum(taken[0]) == 100
    assert all(60 <= sum(hour) <= 100 for hour in taken)
    late = np.flatnonzero(taken[2])
    assert late.mean() > 350  # spread over the hour, not its beginning alone
