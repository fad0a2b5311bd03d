"""The word that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.common.suggest import FEW, close, distance, nearest, nearest_file

WORDS = st.text(alphabet="abc", max_size=7)


@given(word=WORDS, known=st.lists(WORDS, max_size=6, unique=True))
def test_close_is_nearest_by_edits(word: str, known: list[str]) -> None:
    edits = {other: distance(word, other) for other in known}
    fewest = min(edits.values(), default=FEW + 1)
    near = close(word, known)
    assert near == (
        [other for other in known if edits[other] == fewest] if fewest <= FEW and fewest < len(word) else []
    )


@given(one=WORDS, other=WORDS)
def test_a_distance_is_one(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))


@given(word=WORDS, place=st.integers(0, 7), letter=st.sampled_from("abcd"))
def test_a_slip_of_the_finger_is_one_edit(word: str, place: int, letter: str) -> None:
    before, after = word[:place], word[place:]
    slips = {before + letter + after, before + after[1:], before + letter + after[1:]}
    swapped = before + after[1:2] + after[:1] + after[2:]
    assert max(distance(word, slip) for slip in {*slips, swapped}) <= 1


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trian", "; did you mean 'train'?"),
        ("lino", "; did you mean 'lion' or 'lina'?"),
        ("finetuning", "; did you mean 'finetune'?"),
        ("optimizer.lrr", "; did you mean 'optimizer.lr'?"),
        ("zebra", ""),
        ("", ""),
    ],
)
def test_what_is_said(word: str, said: str) -> None:
    assert nearest(word, ["train", "lion", "lina", "finetune", "optimizer.lr"]) == said


def test_where_everything_is_equally_near_nothing_is_meant() -> None:
    assert nearest("-zz", ["-ab", "-cd", "-ef", "-gh"]) == ""


def test_the_file_beside(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert nearest_file(tmp_path / "photso") == f"; did you mean {str(tmp_path / 'photos')!r}?"
    assert nearest_file(tmp_path / "xyz") == ""
    assert nearest_file(tmp_path / "gone" / "photos") == ""
    assert nearest_file(Path("a\0b")) == ""
    assert nearest_file(Path()) == ""
