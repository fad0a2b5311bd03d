from __future__ import annotations

import json

from animal_classification.cli.field_output import lines_for_people


def line(**row: object) -> bytes:
    empty = {
        "error": None,
        "answer": None,
        "answer_probability": None,
        "time": "",
        "animals": 0,
        "persons": 0,
        "vehicles": 0,
    }
    return json.dumps({**empty, **row}).encode()


def test_a_person_reads_when_what_and_how_many() -> None:
    rows = [
        line(path="a.jpg", answer="fox", answer_probability=0.999, animals=2, persons=1, time="2021-07-24T23:00:28"),
        line(path="b.jpg", answer="blank", answer_probability=0.8),
        line(path="c\x1b.jpg", error="is empty (0 bytes)"),
        line(path="d.jpg"),
    ]
    assert [one.decode() for one in lines_for_people(iter(rows))] == [
        "a.jpg  2021-07-24 23:00:28  fox >99%  2 animals, 1 person\n",
        "b.jpg  blank 80%\n",
        "c\\x1b.jpg  is empty (0 bytes)\n",
        "d.jpg  nothing\n",
    ]
