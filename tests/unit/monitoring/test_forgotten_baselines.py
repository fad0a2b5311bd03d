"""A person's photo is forgotten by the accepted baselines too, which keep what a model made of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from animal_classification.cli.monitor import command
from animal_classification.monitoring.baselines import BaselineStore, forget_in_baselines
from animal_classification.monitoring.drift.reference import FEWEST, DriftReference
from animal_classification.prediction_log import drift_records
from animal_classification.prediction_log.database import connect, reading, writing
from animal_classification.prediction_log.drift_records import ACCEPTED
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.tables import drift
from tests.support.drift_log import Scenes
from tests.support.drift_verdicts import drift_record

PHOTO = "0123456789abcdef" * 4


def accepted(place: LogLocation, count: int, photos: tuple[str, ...] = (PHOTO,)) -> DriftReference:
    """A baseline of so many photos, these among them, as ``animals monitor accept`` keeps it."""
    sha = np.arange(1, count + 1, dtype=np.uint64)
    sha[: len(photos)] = [int(photo[:16], 16) for photo in photos]
    sample = Scenes(3).sample(count)
    reference = DriftReference(sample=sample, label=np.full(count, -1), sha=sha, kind="accepted")
    BaselineStore(place).write(reference)
    record = drift_record(
        drift_records.now(),
        id=reference.sha256[:36],
        model="zoo",
        reference=reference.sha256,
        read=count,
        used=count,
        kind=ACCEPTED,
        confirmed=False,
        score={"who": "ann", "why": "snow"},
        explain="accepted by ann: snow",
    )
    engine = connect(place.database)
    migrate(engine)
    with writing(engine) as connection:
        drift_records.add_record(connection, record)
    engine.dispose()
    return reference


def kept(place: LogLocation) -> tuple[list[str], list[tuple[str, int]]]:
    """The files, and what the database says of them."""
    engine = connect(place.database)
    with reading(engine) as connection:
        rows = [tuple(row) for row in connection.execute(select(drift.c.reference, drift.c.used))]
    engine.dispose()
    return BaselineStore(place).names(), rows


def run(place: LogLocation, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, [words[0], "--log-folder", str(place.folder), *words[1:]])
    return done.exit_code, done.output


def test_the_photo_is_gone_and_the_baseline_goes_on(tmp_path: Path) -> None:
    place = LogLocation(folder=tmp_path)
    before = accepted(place, 150)
    code, output = run(place, "forget", "--json", PHOTO)
    assert (code, json.loads(output)["baselines"]) == (0, 1)
    (name,), rows = kept(place)
    assert rows == [(name, 149)]
    after = BaselineStore(place).read(name)
    assert len(after) == 149
    assert int(PHOTO[:16], 16) not in after.sha
    np.testing.assert_allclose(after.sample.embedding, before.sample.embedding[1:], atol=1e-3)
    assert run(place, "forget", PHOTO)[0] == 1, "there is nothing left"
    assert kept(place) == ([name], rows)


def test_too_few_are_no_baseline(tmp_path: Path) -> None:
    place = LogLocation(folder=tmp_path)
    accepted(place, FEWEST)
    code, output = run(place, "forget", PHOTO)
    assert (code, "and 1 photos of accepted baselines" in output) == (0, True)
    assert kept(place) == ([], [])


def test_of_several_only_those_with_the_photo_change(tmp_path: Path) -> None:
    place = LogLocation(folder=tmp_path)
    other = accepted(place, 120, ())
    accepted(place, 150, (PHOTO, "f" * 64))
    engine = connect(place.database)
    assert forget_in_baselines(BaselineStore(place), engine, [PHOTO, "f" * 64]) == 2
    engine.dispose()
    names, rows = kept(place)
    assert other.sha256 in names
    assert sorted(used for _, used in rows) == [120, 148]


def test_clear_takes_them_all(tmp_path: Path) -> None:
    """Yesterday their rows went, and the files stayed."""
    place = LogLocation(folder=tmp_path)
    accepted(place, 150)
    code, output = run(place, "clear", "--yes")
    assert (code, "1 accepted baselines" in output) == (0, True)
    assert kept(place) == ([], [])
    assert "nothing is kept" in run(place, "clear", "--yes")[1]


def test_in_a_bucket(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    place = LogLocation(folder=tmp_path, photos_url="memory://forgotten/photos")
    accepted(place, 150)
    assert not (tmp_path / "baselines").exists()
    assert run_in_bucket(place) == 1
    assert [used for _, used in kept(place)[1]] == [149]
    store = BaselineStore(place)
    for name in store.names():
        store.delete(name)
        store.delete(name)
    assert store.names() == []


def run_in_bucket(place: LogLocation) -> int:
    engine = connect(place.database)
    try:
        return forget_in_baselines(BaselineStore(place), engine, [PHOTO])
    finally:
        engine.dispose()
