"""The photos that the loop must never collect again."""

from __future__ import annotations

from pathlib import Path

import pytest

from animal_classification.errors import AnimalsError
from animal_classification.loop.forgotten_photos import ForgottenPhotos


def test_the_list_names_no_photo(tmp_path: Path) -> None:
    photos = [f"{number:064x}" for number in range(3)]
    ForgottenPhotos.read(tmp_path).add(photos[:2])
    found = ForgottenPhotos.read(tmp_path)
    assert [photo in found for photo in photos] == [True, True, False]
    text = (tmp_path / "forgotten.json").read_text(encoding="utf-8")
    assert not any(photo in text for photo in photos)
    assert ForgottenPhotos.read(tmp_path).add(photos).marks > found.marks
    (tmp_path / "forgotten.json").write_text("{}", encoding="utf-8")
    with pytest.raises(AnimalsError, match="put it back from a backup"):
        ForgottenPhotos.read(tmp_path)
