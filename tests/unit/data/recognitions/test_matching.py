"""Paths of other machines, and the files here that they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.data.recognitions.matching import PathIndex
from animal_classification.errors import UsageError

parts = st.lists(st.sampled_from(["a", "b", "DCIM", "IMG_1.JPG"]), min_size=1, max_size=4)


def index(*names: str) -> PathIndex:
    return PathIndex(names, "found.json")


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("a\\b.jpg", "a/b.jpg"),
        ("./a/b.jpg", "a/b.jpg"),
        ("D:\\Fälle\\2021\\a\\b.jpg", "a/b.jpg"),
        ("/home/user/cards/a/b.jpg", "a/b.jpg"),
        ("b.jpg", "cards/a/b.jpg"),
        ("cafe\u0301/b.jpg", "caf\u00e9/b.jpg"),
    ],
)
def test_the_same_file_on_another_machine(entry: str, name: str) -> None:
    assert index("other.jpg", entry).find(name) == 1


def test_the_longest_common_tail_wins() -> None:
    found = index("x/north/IMG_1.JPG", "x/south/IMG_1.JPG")

    assert found.find("cards/south/IMG_1.JPG") == 1


def test_a_tail_of_several_entries_is_an_error_with_an_example() -> None:
    found = index("x/north/IMG_1.JPG", "x/south/IMG_1.JPG")

    with pytest.raises(UsageError, match=r"'west/IMG_1.JPG' may be any of its entries 'x/north/IMG_1.JPG', 'x/south"):
        found.find("west/IMG_1.JPG")


def test_no_entry_goes_to_two_files() -> None:
    found = index("x/north/IMG_1.JPG")

    match = found.match(["north/IMG_1.JPG", "west/IMG_1.JPG"])

    assert match.entry_of == {"north/IMG_1.JPG": 0}
    assert match.says == "1 of 2 files matched (1 by the end of their paths)"
    with pytest.raises(UsageError, match=r"may be any of the files 'east/IMG_1.JPG', 'west/IMG_1.JPG'"):
        found.match(["east/IMG_1.JPG", "west/IMG_1.JPG"])


@pytest.mark.parametrize("head", ["", "D:\\cards\\"])
@pytest.mark.parametrize("tail", ["", "100RECNX/"])
def test_a_photo_of_another_camera_does_not_get_its_boxes(head: str, tail: str) -> None:
    """The photo that the entry is of was not copied; another camera's has the same number."""
    found = index(f"{head}north/{tail}1.JPG", f"{head}north/{tail}2.JPG")

    match = found.match([f"north/{tail}2.JPG", f"west/{tail}1.JPG", f"west/{tail}2.JPG"])

    assert set(match.entry_of) == {f"north/{tail}2.JPG"}
    assert (match.apart, match.unused) == (1, 1)
    assert match.says.endswith(
        f", 1 not, for their folders differ: {f'west/{tail}1.JPG'!r} is not {f'{head}north/{tail}1.JPG'!r}"
    )


def test_a_photo_does_not_get_boxes_of_a_folder_that_is_not_its_own() -> None:
    """Where the results have its own folder, but not the photo."""
    match = index("north/1.JPG", "west/2.JPG").match(["north/1.JPG", "north/2.JPG"])

    assert set(match.entry_of) == {"north/1.JPG"}


parents = st.lists(st.sampled_from("abc"), max_size=2)


@given(st.sets(st.tuples(st.sampled_from("wxyz"), st.sampled_from("123")), min_size=1), parents, parents)
def test_results_of_a_folder_that_was_renamed_are_all_found(
    photos: set[tuple[str, str]], before: list[str], after: list[str]
) -> None:
    """The folder above all photos has another name or place now: that is no contradiction."""
    photos_of = ["/".join(photo) for photo in sorted(photos)]
    here = ["/".join([*after, name]) for name in photos_of]
    match = index(*("/".join([*before, name]) for name in photos_of)).match(here)

    assert [match.entry_of[name] for name in here] == list(range(len(here)))
    assert match.apart == 0


def test_what_nothing_was_found_for_is_counted() -> None:
    match = index("a.jpg", "b.jpg").match(["a.jpg", "c.jpg"])

    assert (match.says, match.unused, match.first_unused) == ("1 of 2 files matched", 1, "b.jpg")


@given(st.lists(parts, unique_by=tuple, max_size=8), parts)
def test_the_bisection_finds_what_a_search_of_all_finds(entries: list[list[str]], wanted: list[str]) -> None:
    def common(entry: list[str]) -> int:
        pairs = zip(reversed(entry), reversed(wanted), strict=False)
        return next((count for count, (left, right) in enumerate(pairs) if left != right), min(len(entry), len(wanted)))

    found = index(*("/".join(entry) for entry in entries))
    longest = max(map(common, entries), default=0)
    best = [position for position, entry in enumerate(entries) if common(entry) == longest and longest]
    exact = [position for position, entry in enumerate(entries) if entry == wanted]

    if exact or len(best) < 2:
        assert found.find("/".join(wanted)) == next(iter(exact or best), None)
    else:
        with pytest.raises(UsageError):
            found.find("/".join(wanted))
