"""Lines that say whether they are whole, and what is worth a look."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.prediction_log.record import PredictionRecord, storable
from tests.support.log_records import record


@given(st.text(), st.floats(0, 1), st.binary(max_size=64), st.none() | st.binary(min_size=24, max_size=24))
def test_a_record_comes_back_from_its_line(
    name: str, probability: float, embedding: bytes, stats: bytes | None
) -> None:
    before = record(file=storable(name), probability=probability, embedding=embedding, stats=stats, audit=probability)
    assert before.to_line().count(b"\n") == 1
    assert PredictionRecord.from_line(before.to_line()) == before


def test_a_line_that_is_not_whole_is_none() -> None:
    line = record().to_line()
    for cut in range(len(line)):
        assert PredictionRecord.from_line(line[:cut]) is None
    assert PredictionRecord.from_line(line.replace(b"cat", b"cot", 1)) is None
    assert PredictionRecord.from_line(b"\n") is None


def test_what_was_found_and_when_comes_back_from_a_line() -> None:
    box = {"category": "animal", "confidence": 0.9, "x": 0.1, "answer": {"name": "Löwe", "level": "label"}}
    before = record(taken="2021-04-11T20:43:09", boxes=(box,))
    assert PredictionRecord.from_line(before.to_line()) == before
    assert before.to_row()["boxes"] == [box]
    assert record(boxes=()).to_row()["boxes"] == [], "nothing was found; nobody looked is None"
    assert record().to_row()["boxes"] is None


def test_a_line_of_before_drift_is_read() -> None:
    before = record()
    values = json.loads(before.to_line()[9:])
    for name in ("stats", "source", "audit", "audited", "canary", "taken", "boxes"):
        del values[name]
    text = json.dumps(values).encode()
    assert PredictionRecord.from_line(b"%08x %s\n" % (zlib.crc32(text), text)) == before


def test_a_line_of_a_newer_version_is_read() -> None:
    before = record()
    text = before.to_line()[9:].replace(b"{", b'{"mood":"good",', 1).rstrip(b"\n")
    assert PredictionRecord.from_line(b"%08x %s\n" % (zlib.crc32(text), text)) == before


@pytest.mark.parametrize("name", ["a\x00b.jpg", "half \ud83e.jpg", "x" * 1000, "löwe 🦁.jpg"])
def test_every_name_can_be_stored(name: str) -> None:
    kept = storable(name)
    assert "\x00" not in kept
    assert len(kept) <= 255
    kept.encode("utf-8")


def test_uncertain_and_unknown_ones_come_first() -> None:
    sure = record(probability=0.99)
    torn = record(probability=0.4)
    stranger = record(unknown=True, known=0.1, probability=0.9)
    border = record(unknown=True, known=0.49, probability=0.4)
    order = sorted([sure, torn, stranger, border], key=lambda item: -item.doubt)
    assert order == [border, torn, stranger, sure]
    assert all(0 <= item.doubt <= 1 for item in order)
