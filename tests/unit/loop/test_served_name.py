"""A model that servers have under another name: the loop says so, or finds it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from animal_classification.loop.config import LoopConfig
from animal_classification.loop.ledger import Ledger
from animal_classification.loop.served_name import other_name_notes
from animal_classification.loop.workplace import Workplace
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.prediction_log.store import insert
from animal_classification.serving.models.bootstrap import under_the_same_name
from animal_classification.serving.models.model_spec import parse_source, parse_traffic_share
from tests.support.log_records import record


def notes(folder: Path, *served: str, **config: str) -> list[str]:
    engine = connect(f"sqlite:///{folder / 'log.db'}")
    migrate(engine)
    rows = [record(model=name, photo=f"{number:064x}") for number, name in enumerate(served)]
    assert not insert(engine, rows)
    loop = LoopConfig(model="zoo", data=str(folder), folder=str(folder / "loop"), **config)
    work = Workplace(
        config=loop, engine=engine, photos=PhotoFolder(folder / "kept"), ledger=Ledger(loop.home, engine, "zoo")
    )
    found = list(other_name_notes(work))
    engine.dispose()
    return found


def test_answers_under_another_name_are_one_line(tmp_path: Path) -> None:
    (line,) = notes(tmp_path, "wild", "wild", "photos")
    assert "no answer of 'zoo'" in line
    assert "photos, wild" in line
    assert "served_as" in line
    assert "\n" not in line


def test_nothing_is_said_where_it_is_found_or_nothing_is_there(tmp_path: Path) -> None:
    for number, (served, config) in enumerate(
        [((), {}), (("zoo",), {}), (("zoo", "wild"), {}), (("wild",), {"served_as": "wild"})]
    ):
        (folder := tmp_path / str(number)).mkdir()
        assert notes(folder, *served, **config) == []


def test_a_canary_of_the_same_registered_model_has_the_name_of_its_place() -> None:
    models = [parse_source("wild=models:/zoo@production"), parse_source("plain=/somewhere/bundle")]
    names = ["wild", "plain"]

    def name(words: str) -> str | None:
        return under_the_same_name(parse_traffic_share(words, "canary"), names, models).source.name

    assert name("wild=models:/zoo@canary@tag") == "wild"
    assert name("models:/zoo@canary@0.1") == "wild"
    assert name("wild=models:/other@canary@0.1") is None  # another model, which says so
    assert name("plain=models:/zoo@canary@0.1") is None
    assert name("nobody=models:/zoo@canary@0.1") is None  # refused later, by its name


def test_the_clock_decides_what_is_lately(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'log.db'}")
    migrate(engine)
    assert not insert(engine, [record(model="wild", time=datetime.now(UTC).timestamp() - 9 * 86400)])
    engine.dispose()
    assert notes(tmp_path) == []
