"""What ``animals train`` says of labels without having looked for it long."""

from __future__ import annotations

from pathlib import Path

from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.quality.checks import training_notes


def rows(label: str, count: int, first: int = 0) -> list[ManifestRow]:
    return [
        ManifestRow(path=f"{label}/{n}.png", label=label, sha256=f"{label}{n}") for n in range(first, first + count)
    ]


def notes(*records: ManifestRow) -> list[str]:
    return training_notes(Manifest.of(records, Path()))


def test_labels_that_differ_in_case_only() -> None:
    assert notes(*rows("cat", 12), *rows("Cat", 12)) == ["'Cat' and 'cat' are probably one class"]


def test_one_photo_under_two_labels() -> None:
    both = [ManifestRow(path="x.png", label=label, sha256="x") for label in ("cat", "dog")]
    found = notes(*rows("cat", 12), *rows("dog", 12), *both)
    assert found[0].startswith("1 photos stand under several labels")
    assert "'x.png' as 'cat' and 'dog'" in found[0]
    assert found[1] == "1 paths stand in several rows; the first: 'x.png'"


def test_small_classes_in_one_line() -> None:
    found = notes(
        *rows("cat", 12), *rows("owl", 9), *rows("okapi", 1), *(row for n in range(3) for row in rows(f"z{n}", 3))
    )
    assert len(found) == 1
    assert found[0].startswith("5 of 6 classes have fewer than 10 photos ('okapi' 1, 'z0' 3, 'z1' 3, …)")


def test_photos_that_cannot_be_used_do_not_count() -> None:
    assert notes(*rows("cat", 12), ManifestRow(path="a.png", label="Cat", problem="is damaged")) == []
