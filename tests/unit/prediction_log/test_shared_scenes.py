"""Frames of one burst that reach different workers count once for the audit, whoever writes first."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine, select

from animal_classification.monitoring.audit_queries import read_audit
from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_sampling import AuditSampler
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.store import insert
from animal_classification.prediction_log.tables import predictions
from tests.support.log_records import record

SCENES, FRAMES, WORKERS = 30, 5, 4


def bursts(seed: int = 0) -> list[PredictionRecord]:
    """Five frames of each scene, a second apart."""
    random = np.random.default_rng(seed)
    rows, now = [], time.time() - 3600
    for scene in range(SCENES):
        vector = random.normal(size=64)
        for frame in range(FRAMES):
            moved = (vector + random.normal(scale=0.05, size=64)).astype("<f2").tobytes()
            photo = f"{scene * FRAMES + frame:064x}"
            moment = now + 60 * scene + frame
            rows.append(record(photo=photo, embedding=moved, time=moment, source="gate"))
    return rows


def counted(engine: Engine) -> int:
    with reading(engine) as connection:
        found = connection.execute(select(predictions.c.photo).where(predictions.c.audit.is_not(None)))
        return len(found.all())


def test_frames_at_different_workers_count_once(engine: Engine) -> None:
    migrate(engine)
    samplers = [AuditSampler(1000.0) for _ in range(WORKERS)]
    batches: list[list[PredictionRecord]] = [[] for _ in samplers]
    for number, row in enumerate(bursts()):
        batches[number % WORKERS].append(samplers[number % WORKERS].decide(row))
    chosen = sum(row.audit is not None for batch in batches for row in batch)
    assert chosen > 2 * SCENES, "each worker takes a scene for its own"
    # They write in turns, some rows each time.
    for start in range(0, max(map(len, batches)), 5):
        for batch in batches:
            assert not insert(engine, batch[start : start + 5], bursts_once=True)
    assert counted(engine) == SCENES
    with reading(engine) as connection:
        now = time.time()
        assert read_audit(connection, now - 2 * 86400, now).photos == SCENES


def test_what_is_no_burst_counts(engine: Engine) -> None:
    migrate(engine)
    first = replace(bursts()[0], audit=0.5, audited=True)
    camera = replace(first, id="camera", photo="aa" * 32, source="river")
    later = replace(first, id="later", photo="bb" * 32, time=first.time + 1200)
    for row in (first, camera, later):
        assert not insert(engine, [row], bursts_once=True)
    assert not insert(engine, [first], bursts_once=True)  # once more, as after a crash
    assert counted(engine) == 3


@pytest.mark.parametrize("once", [True, False])
def test_without_an_embedding_only_the_same_photo_is_the_same(engine: Engine, once: bool) -> None:
    migrate(engine)
    rows = [record(photo=photo * 32, embedding=b"", audit=0.5, audited=True) for photo in ("aa", "bb", "aa")]
    for row in rows:
        assert not insert(engine, [row], bursts_once=once)
    assert counted(engine) == (2 if once else 3)
