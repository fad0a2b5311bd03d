"""The contract of the table's columns and rows."""

from __future__ import annotations

from animal_classification.inference.results import Answer, Candidate, FileResult, Prediction
from animal_classification.predict.table import columns, is_row, to_row

PREDICTION = Prediction(
    label="lion",
    label_id="n02129165",
    probability=0.97654321,
    group="cat",
    group_probability=0.9912345678,
    unknown=False,
    known_score=0.99,
    set=("lion", "cougar"),
    top=(Candidate("lion", "n02129165", 0.97654321), Candidate("cougar", "n02125311", 0.0000001)),
    answer=Answer("lion", "label", 0.97654321),
)


def test_columns_are_those_of_the_contract() -> None:
    assert columns(3) == [
        "path",
        "answer",
        "answer_probability",
        "label",
        "label_id",
        "probability",
        "group",
        "group_probability",
        "unknown",
        "set",
        "label_2",
        "probability_2",
        "label_3",
        "probability_3",
        "model",
        "model_version",
        "error",
    ]
    assert columns(1) == [
        "path",
        "answer",
        "answer_probability",
        "label",
        "label_id",
        "probability",
        "group",
        "group_probability",
        "unknown",
        "set",
        "model",
        "model_version",
        "error",
    ]


def test_a_row_of_an_answer() -> None:
    row = to_row(FileResult("a/b.jpg", PREDICTION), model="photos", version="1")
    assert list(row) == (
        [
            "path",
            "answer",
            "answer_probability",
            "label",
            "label_id",
            "probability",
            "group",
            "group_probability",
            "unknown",
            "set",
            "top",
            "model",
            "model_version",
            "error",
        ]
    )
    assert row["probability"] == 0.976543
    assert row["group_probability"] == 0.991235
    assert row["unknown"] is False
    assert row["set"] == ["lion", "cougar"]
    assert row["top"] == [
        {"label": "lion", "label_id": "n02129165", "probability": 0.976543},
        {"label": "cougar", "label_id": "n02125311", "probability": 0.0},
    ]
    assert row["error"] is None
    assert is_row(row)


def test_a_row_of_an_unreadable_photo_still_names_the_model() -> None:
    row = to_row(FileResult("b.jpg", error="is empty"), model="photos", version="1")
    assert (row["path"], row["model"], row["model_version"], row["error"]) == ("b.jpg", "photos", "1", "is empty")
    assert row["label"] is row["probability"] is row["unknown"] is None
    assert row["top"] == row["set"] == []


def test_other_things_are_no_rows() -> None:
    row = to_row(FileResult("b.jpg", error="is empty"), model="photos", version="1")
    for other in ([], None, {}, {"path": "a"}, {**row, "path": 3}):
        assert not is_row(other)
