from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from animal_classification.bundle.schema import Label
from animal_classification.data.detections import Category, Detection
from animal_classification.predict.decisions import DecidedPicture, Decider
from animal_classification.predict.evidence import AnsweredVector, FileEvidence, StoredBox, pack, unpack
from animal_classification.taxonomy import AllowedLabels, Taxonomy

LABELS = (
    Label(id="fox", name="grey fox", lineage="Mammalia > Carnivora > Canidae > Urocyon"),
    Label(id="coyote", name="coyote", lineage="Mammalia > Carnivora > Canidae > Canis"),
    Label(id="egret", name="great egret", lineage="Aves > Pelecaniformes > Ardeidae > Ardea"),
)
TAXONOMY = Taxonomy(LABELS, 0.65)


def decider(*, smooth: bool = False, allowed: AllowedLabels | None = None, threshold: float = 0.2) -> Decider:
    return Decider(TAXONOMY, allowed, threshold, smooth, blank_if_unknown=True)


def vector(*probabilities: float, unknown: bool = False) -> AnsweredVector:
    row: dict[str, Any] = {"answer": "not an animal" if unknown else "x", "answer_probability": 0.9, "unknown": unknown}
    return AnsweredVector(row, np.array(probabilities))


def box(answer: AnsweredVector | None, confidence: float = 0.9, category: Category = "animal") -> StoredBox:
    return StoredBox(Detection(category=category, confidence=confidence, x=0, y=0, width=1, height=1), answer)


def picture(*boxes: StoredBox, whole: AnsweredVector | None = None) -> FileEvidence:
    return FileEvidence(size=(4, 3), boxes=boxes, whole=whole, searched=True, facts={})


def decide(files: Sequence[FileEvidence], **options: Any) -> list[DecidedPicture]:
    return decider(**options).decide(files)


def test_a_label_that_is_not_sure_is_answered_by_its_family() -> None:
    (seen,) = decide([picture(box(vector(0.5, 0.4, 0.01)))])
    assert (seen.final.answer, seen.final.level, seen.final.decision) == ("Canidae", "family", "rollup_family")
    assert seen.final.probability == pytest.approx(0.9)
    assert "grey fox 0.50 < 0.65; Canidae 0.90" in seen.final.why
    assert seen.count("animal") == 1


def test_the_strongest_animal_speaks_for_the_picture_and_a_person_never_hides_it() -> None:
    boxes = [box(None, 0.99, "person"), box(vector(0.1, 0.85, 0), 0.5), box(vector(0, 0, 0.7), 0.55)]
    (seen,) = decide([picture(*boxes)])
    assert (seen.final.answer, seen.count("animal"), seen.count("person")) == ("coyote", 2, 1)


def test_only_people_are_answered_as_people() -> None:
    (seen,) = decide([picture(box(None, 0.8, "vehicle"), box(vector(0.9, 0, 0), 0.1))])
    assert (seen.final.answer, seen.final.decision, seen.final.probability) == ("vehicle", "detector", 0.8)
    assert (seen.count("vehicle"), seen.count("animal"), seen.source) == (1, 0, None)


@pytest.mark.parametrize(
    ("whole", "answer", "rule", "blank"),
    [
        (vector(0.9, 0, 0), "grey fox", "whole_picture", False),
        (vector(0.1, 0, 0, unknown=True), "blank", "blank", True),
        (None, "", "none", False),
    ],
)
def test_without_a_box_at_the_threshold_the_whole_picture_counts(
    whole: AnsweredVector | None, answer: str, rule: str, blank: bool
) -> None:
    (seen,) = decide([picture(box(vector(0, 0.9, 0), 0.1), whole=whole)])
    assert (seen.final.answer, seen.final.decision, seen.blank) == (answer, rule, blank)
    assert seen.final.why.startswith("no box reaches 0.2")


TAUGHT_BLANK = Taxonomy((*LABELS, Label(id="blank", name="blank")), 0.65)


def decide_with_blank(*files: FileEvidence) -> list[DecidedPicture]:
    return Decider(TAUGHT_BLANK, None, 0.2, False, blank_if_unknown=True).decide(files)


def test_a_box_that_a_model_taught_blanks_sees_nothing_in_does_not_count() -> None:
    nothing, fox = vector(0, 0, 0, 0.9), vector(0.9, 0, 0, 0)
    only, beside = decide_with_blank(picture(box(nothing)), picture(box(nothing), box(fox, 0.5)))
    assert (only.final.answer, only.final.level, only.final.decision, only.blank) == ("blank", "blank", "blank", True)
    assert (only.count("animal"), only.final.why) == (0, "blank 0.90")
    assert (beside.final.answer, beside.count("animal"), beside.blank) == ("grey fox", 1, False)


def test_a_whole_picture_that_is_named_blank_is_blank() -> None:
    (seen,) = decide_with_blank(picture(whole=vector(0, 0, 0, 0.9)))
    assert (seen.final.answer, seen.final.decision, seen.blank) == ("blank", "blank", True)
    assert seen.final.why == "no box reaches 0.2; whole picture: blank 0.90"


def test_a_list_keeps_the_raw_answer_beside() -> None:
    allowed = AllowedLabels.only([1], 3, "is not in list.txt")
    (seen,) = decide([picture(box(vector(0.7, 0.2, 0)))], allowed=allowed)
    assert (seen.final.answer, seen.final.decision) == ("coyote", "list_only_one")
    assert (seen.final.raw_answer, seen.final.raw_probability) == ("grey fox", pytest.approx(0.7))


def test_a_burst_decides_for_the_picture_that_is_not_sure() -> None:
    files = [
        picture(box(vector(0, 0.05, 0.9))),
        picture(box(vector(0.01, 0, 0.85))),
        picture(box(vector(0.3, 0.1, 0.4))),
    ]
    alone, together = decide(files), decide(files, smooth=True)
    assert [one.final.answer for one in together] == ["great egret"] * 3
    assert [one.final.decision for one in together] == ["label", "label", "smoothed"]
    assert together[2].final.raw_answer == alone[2].final.answer == "animal"


def test_boxes_below_the_threshold_have_no_say_in_a_burst() -> None:
    files = [picture(box(vector(0.3, 0.1, 0.4))), *(picture(box(vector(0, 0, 0.9), 0.1)) for _ in range(5))]
    assert decide(files, smooth=True)[0].final.decision == "animal"


def test_a_file_that_cannot_be_read_has_no_answer() -> None:
    (seen,) = decide([FileEvidence(facts={})])
    assert (seen.final.answer, seen.final.decision, seen.blank, seen.boxes) == ("", "none", False, ())


@given(arrays.arrays(np.float64, st.integers(1, 1000), elements=st.floats(0, 1)))
def test_probabilities_survive_the_journal_to_half_precision(values: np.ndarray) -> None:
    assert unpack(pack(values)) == pytest.approx(values, abs=5e-4)


@pytest.mark.parametrize("text", ["", "no base64!", "AAAA"])
def test_damaged_probabilities_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="damaged probabilities"):
        unpack(text)
