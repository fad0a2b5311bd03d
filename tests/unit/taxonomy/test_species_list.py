"""Species lists: every kind of line, and what is said of a line that means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from animal_classification import bundle
from animal_classification.errors import UsageError
from animal_classification.taxonomy import Taxonomy
from animal_classification.taxonomy.species_list import read_species_list


@pytest.fixture(scope="module")
def photos() -> Taxonomy:
    return Taxonomy.of(bundle.load("photos").info)


def names(photos: Taxonomy, folder: Path, text: str, name: str = "list.txt") -> set[str]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    allowed = read_species_list(path, photos).allowed
    return {label.name for label, ok in zip(photos.labels, allowed.mask.tolist(), strict=True) if ok}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("coyote", {"coyote"}),
        ("Grey_Fox", {"grey fox"}),
        ("n02125311", {"cougar"}),
        ("Puma concolor", {"cougar"}),
        ("puma", {"cougar"}),
        ("Felis concolor", {"cougar"}),  # as it was called once
        ("Vulpes", {"red fox", "kit fox", "Arctic fox"}),
        ("ursidae", {"brown bear", "American black bear", "polar bear", "sloth bear", "giant panda"}),
        ("fox", {"red fox", "kit fox", "Arctic fox", "grey fox"}),
        ("Vulpes vulpes (Linnaeus, 1758)", {"red fox"}),
        ("Canis latrans Say, 1823", {"coyote"}),
        ("Canis lupus", {"grey wolf"}),  # and no dog
    ],
)
def test_a_line_is_a_name_of_any_kind(photos: Taxonomy, tmp_path: Path, line: str, expected: set[str]) -> None:
    assert names(photos, tmp_path, line) == expected


def test_an_order_holds_all_of_its_families(photos: Taxonomy, tmp_path: Path) -> None:
    found = names(photos, tmp_path, "Proboscidea")
    assert found == {"tusked elephant", "Asian elephant", "African elephant"}


def test_comments_blank_lines_and_a_byte_order_mark(photos: Taxonomy, tmp_path: Path) -> None:
    text = "\ufeff# animals that live here\r\n\r\ncoyote  # seen in May\r\n  lynx\r\n"
    assert names(photos, tmp_path, text) == {"coyote", "lynx"}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_with_scientific_names(photos: Taxonomy, tmp_path: Path, separator: str) -> None:
    rows = [
        ["observationID", "scientificName", "count"],
        ["1", "Canis latrans", "1"],
        ["2", "", ""],
        ["3", "Lynx", "2"],
    ]
    text = "\n".join(separator.join(row) for row in rows)
    assert names(photos, tmp_path, text, "observations.csv") == {"coyote", "lynx"}


def test_a_line_that_means_nothing_is_said_with_its_number_and_a_relative(photos: Taxonomy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"list\.txt line 2: bobcat is not one of the model's names; nearest: lynx"):
        names(photos, tmp_path, "coyote\nbobcat\n")


def test_a_misspelt_line_is_said_with_what_was_meant(photos: Taxonomy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"line 1: coyotte is .*; nearest: coyote \(and 1 more like it\)"):
        names(photos, tmp_path, "coyotte\nred foxx\n")


def test_a_kind_of_animal_does_not_allow_its_whole_family(photos: Taxonomy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="jackal is not one of the model's names"):
        names(photos, tmp_path, "jackal")


def test_lenient_goes_on_with_what_is_left(photos: Taxonomy, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("coyote\nbobcat\n", encoding="utf-8")
    found = read_species_list(path, photos, lenient=True)
    assert int(found.allowed.mask.sum()) == 1
    assert found.warnings == ("list.txt line 2: bobcat is not one of the model's names; nearest: lynx",)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "unicorn\n"])
def test_a_list_of_nothing_is_refused_even_then(photos: Taxonomy, tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="names none of the model's animals"):
        read_species_list(path, photos, lenient=True)


def test_a_file_that_is_not_there_is_one_line(photos: Taxonomy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_species_list(tmp_path / "none.txt", photos)
