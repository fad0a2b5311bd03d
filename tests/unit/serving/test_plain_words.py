"""What the page says in plain English."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest

pytest.importorskip("jinja2")

from animal_classification.bundle import BundleInfo
from animal_classification.inference.results import Answer, Candidate, Level, Prediction
from animal_classification.serving.http.plain_words import Words, counted, in_words, listing, percent, with_article

INFO = BundleInfo.model_validate(
    {
        "name": "zoo",
        "version": "1",
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "labels": [
            {"id": "golden", "name": "golden retriever", "group": "dog > retriever", "taxon": "Canis familiaris"},
            {"id": "lab", "name": "Labrador retriever", "group": "dog > retriever"},
            {"id": "basenji", "name": "basenji", "group": "dog"},
            {"id": "otter", "name": "otter", "group": "weasel family > otter"},
            {"id": "ant", "name": "ant"},
        ],
        "preprocess": {"size": 32, "crop_pct": 1.0, "interpolation": "bilinear"},
        "data": {"version": "1", "classes": 5},
        "code": {"version": "1"},
    }
)


def prediction(
    name: str, level: Level, probability: float, top: dict[str, float], background: tuple[str, float] | None = None
) -> Prediction:
    candidates = tuple(
        Candidate(next(label.name for label in INFO.labels if label.id == key), key, share)
        for key, share in top.items()
    )
    best = candidates[0]
    return Prediction(
        label=best.label,
        label_id=best.label_id,
        probability=best.probability,
        group=None,
        group_probability=None,
        unknown=level == "unknown",
        known_score=0.9,
        set=(),
        top=candidates,
        answer=Answer(name, level, probability),
        background=background and background[0],
        background_probability=background[1] if background else 0.0,
    )


def test_a_sure_label() -> None:
    said = in_words(prediction("golden retriever", "label", 0.97, {"golden": 0.97, "lab": 0.02}), INFO)
    assert said == Words("Golden retriever", "I am sure: 97%.", ("dog", "retriever"), "Canis familiaris")


def test_a_fair_guess_names_the_runner_up() -> None:
    said = in_words(prediction("golden retriever", "label", 0.82, {"golden": 0.82, "otter": 0.12}), INFO)
    assert said.sentence == "I am fairly sure: 82%. It could also be an otter."
    said = in_words(prediction("ant", "label", 0.7, {"ant": 0.7, "otter": 0.12, "lab": 0.11}), INFO)
    assert said == Words(
        "Ant", "This is my best guess: 70%. It could also be an otter or a Labrador retriever.", (), None
    )


def test_a_breed_that_is_unsure() -> None:
    said = in_words(prediction("retriever", "group", 0.99, {"golden": 0.5, "lab": 0.4, "basenji": 0.3}), INFO)
    assert said.headline == "Retriever"
    assert said.sentence == (
        "I am sure it is a retriever, but not which breed: perhaps a golden retriever or a Labrador retriever."
    )
    assert said.lineage == ("dog",)
    assert said.taxon is None


def test_guesses_stay_within_the_group() -> None:
    said = in_words(prediction("dog", "group", 0.7, {"otter": 0.4, "golden": 0.3}), INFO)
    assert said.sentence == "I am inclined to think it is a dog, but not which breed: perhaps a golden retriever."
    assert said.lineage == ()
    said = in_words(prediction("dog", "group", 0.85, {"otter": 0.4}), INFO)
    assert said.sentence == "I am fairly sure it is a dog, but not which breed."


def test_some_animal() -> None:
    said = in_words(prediction("animal", "known", 0.9, {"ant": 0.3, "otter": 0.2, "golden": 0.05}), INFO)
    assert said == Words("An animal", "I cannot tell which: perhaps an ant or an otter.")


def test_no_animal() -> None:
    said = in_words(prediction("not an animal", "unknown", 0.9, {"ant": 0.01}, ("folding chair", 0.5)), INFO)
    assert said == Words("No animal found", "At least none that I know. The photo looks like a folding chair.")
    said = in_words(prediction("not an animal", "unknown", 0.9, {"ant": 0.01}, ("alp", 0.49)), INFO)
    assert said == Words("No animal found", "At least none that I know."), "nobody is told of a guess"
    assert in_words(prediction("not an animal", "unknown", 0.9, {"ant": 0.01}), INFO).sentence == (
        "At least none that I know."
    )


def test_every_level_has_words() -> None:
    for level in get_args(Level):
        assert in_words(prediction("otter", level, 0.5, {"otter": 0.5}), INFO).headline


@pytest.mark.parametrize(
    ("probability", "text"),
    [(1.0, ">99%"), (0.995, ">99%"), (0.994, "99%"), (0.5, "50%"), (0.006, "1%"), (0.004, "<1%"), (0.0, "0%")],
)
def test_percent(probability: float, text: str) -> None:
    assert percent(probability) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dog", "a dog"),
        ("otter", "an otter"),
        ("American robin", "an American robin"),
        ("European polecat", "a European polecat"),
    ],
)
def test_articles(name: str, text: str) -> None:
    assert with_article(name) == text


def test_small_words() -> None:
    assert [listing(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a or b", "a, b or c"]
    assert [counted(count, "photo") for count in (0, 1, 2)] == ["0 photos", "1 photo", "2 photos"]
