"""From words to labels: what people say of a photo all together, and when a cycle begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from animal_classification.data.exchange.imported import ImportedLabel
from animal_classification.errors import UsageError
from animal_classification.loop.conditions import Situation, due
from animal_classification.loop.config import CollectConfig, StartConfig, load_config
from animal_classification.loop.labels import from_imported, from_words, left_out_lines
from animal_classification.loop.rollback_triggers import vanished_class
from animal_classification.prediction_log.corrections import NO_ANIMAL
from animal_classification.prediction_log.words import Word

RULES = CollectConfig()


def word(number: int, label: str | None, photo: str = "a", who: str = "ann", **given: object) -> Word:
    base = Word(
        number=number,
        photo=photo,
        label=label,
        verdict="corrected",
        who=who,
        time=datetime(2026, 11, 30, tzinfo=UTC),
        prediction=f"p{photo}",
        model="zoo",
        version="1",
        audit=None,
        audited=False,
        collected=None,
    )
    return replace(base, **given)  # type: ignore[arg-type]


def test_one_label_by_all_is_a_label_and_confirmations_count() -> None:
    found = from_words([word(1, "cat"), word(2, "Cat", who="bob", verdict="confirmed")], ["cat", "dog"], RULES)
    (one,) = found.labelled
    assert (one.label, one.who, one.words) == ("cat", ("ann", "bob"), (1, 2))


def test_different_words_are_a_conflict_and_none_is_a_stranger() -> None:
    said = [word(1, "cat"), word(2, "dog", who="bob"), word(3, NO_ANIMAL, photo="b", verdict="none")]
    found = from_words(said, ["cat", "dog"], RULES)
    assert [[one.label for one in words] for words in found.conflicts] == [["cat", "dog"]]
    assert [one.label for one in found.labelled] == [NO_ANIMAL]


def test_what_a_cycle_has_taken_is_not_taken_again() -> None:
    assert not from_words([word(1, "cat", collected="ZOO-0001")], ["cat"], RULES).labelled
    again = from_words([word(1, "cat", collected="ZOO-0001"), word(2, "dog", who="bob")], ["cat", "dog"], RULES)
    assert len(again.conflicts) == 1


def test_trusted_people_and_new_classes() -> None:
    said = [word(1, "cat"), *(word(n, "owl", photo=f"o{n}", who="bob") for n in range(2, 5))]
    found = from_words(said, ["cat"], CollectConfig(trusted=("bob",)))
    assert (found.untrusted, found.unknown_labels, found.labelled) == (1, {"owl": 3}, [])
    assert len(from_words(said, ["cat"], CollectConfig(new_classes=("owl",), min_class=3)).labelled) == 4
    assert from_words(said, ["cat"], CollectConfig(new_classes=("owl",), min_class=4)).unknown_labels == {"owl": 3}


def test_only_a_group_was_confirmed() -> None:
    assert from_words([word(1, None, verdict="confirmed")], ["cat"], RULES).unnamed == 1


def test_labels_of_a_tool_are_held_to_the_same_rules() -> None:
    labels = [
        ImportedLabel(sha256="a" * 64, label="Cat", who="x"),
        ImportedLabel(sha256="b" * 64, label="cat"),
        ImportedLabel(sha256="b" * 64, label="dog"),
        ImportedLabel(sha256="c" * 64, label="owl"),
    ]
    found = from_imported(labels, ["cat", "dog"], RULES)
    assert [one.label for one in found.labelled] == ["cat"]
    assert len(found.conflicts) == 1
    assert found.unknown_labels == {"owl": 1}


@pytest.mark.parametrize(
    ("situation", "begins", "asks"),
    [
        (Situation(labels=0), False, 0),
        (Situation(labels=49), False, 0),
        (Situation(labels=60), True, 0),  # the first cycle
        (Situation(labels=60, days=5), False, 0),
        (Situation(labels=60, days=31), True, 0),
        (Situation(labels=200, days=5), True, 0),
        (Situation(labels=200, days=0.5), False, 0),  # at most one a day
        (Situation(labels=60, days=5, accuracy_high=0.85), True, 0),
        (Situation(labels=60, days=5, accuracy_high=0.95), False, 0),
        (Situation(labels=60, days=5, drift_days=2), True, 0),
        (Situation(labels=60, days=5, drift_days=1), False, 0),
        (Situation(labels=5, days=5, drift_days=4, drift_says="night"), False, 100),
    ],
)
def test_when_a_cycle_begins(situation: Situation, begins: bool, asks: int) -> None:
    found = due(situation, StartConfig())
    assert (found.begins, found.asks_for) == (begins, asks)


def test_a_class_that_vanishes_and_chance() -> None:
    old = {"cat": 50, "dog": 450}
    assert vanished_class({"cat": 0, "dog": 200}, old, below=0.2, p_value=0.001) == "cat"
    assert vanished_class({"cat": 0, "dog": 20}, old, below=0.2, p_value=0.001) is None
    assert vanished_class({"cat": 15, "dog": 185}, old, below=0.2, p_value=0.001) is None
    assert vanished_class({}, old, below=0.2, p_value=0.001) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: zoo", "data is missing"),
        ("[1]", "is no mapping"),
        ("model: [", "is no YAML"),
        ("model: zoo\ndata: p\ngate: {margn: 2}", "no such setting gate.margn; did you mean 'margin'?"),
        ("model: zoo\ndata: p\nautoo: promote", "no such setting autoo; did you mean 'auto'?"),
        ("model: zoo\ndata: p\ncanary: {shares: [2]}", "canary.shares.0 is 2"),
        ("model: a/b\ndata: p", "model is 'a/b'"),
    ],
)
def test_a_wrong_configuration_is_one_line_that_names_the_key(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "loop.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path / "loop.yaml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_places_start_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").write_text(
        "model: zoo\ndata: photos\nlog: {folder: log, photos: gs://b/p}", encoding="utf-8"
    )
    config = load_config(tmp_path / "loop.yaml")
    assert (config.data, config.folder) == (str(tmp_path / "photos"), str(tmp_path / "loop"))
    assert (config.log.folder, config.log.photos) == (str(tmp_path / "log"), "gs://b/p")


def test_what_is_left_out_is_told_the_most_first() -> None:
    lines = left_out_lines({"owl": 2, "okapi": 9}, unnamed=3, untrusted=0)
    assert [line.split()[0] for line in lines] == ["9", "2", "3"]
    assert "'okapi'" in lines[0]
    assert "--new-class" in lines[0]
    assert left_out_lines({}, unnamed=0, untrusted=0) == []
