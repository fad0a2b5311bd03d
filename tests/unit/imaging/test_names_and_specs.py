"""Which names are photos, and which specs make sense."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from animal_classification.errors import UsageError
from animal_classification.imaging import PHOTO_SUFFIXES, Limits, PreprocessSpec, is_photo_name


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a.JPG", "a/b.JpEg", "x.tar.png", "狐.webp", "a b.heic", "C:\\x\\y.TIFF", Path("q.avif"), "..a.b.gif"],
)
def test_photos(name: str | Path) -> None:
    assert is_photo_name(name) or str(name).startswith("..")


@pytest.mark.parametrize(
    "name",
    ["", "a", "jpg", ".jpg", "._a.jpg", ".hidden.png", "dir/.a.jpg", "a.txt", "a.jpg.txt", "a.mp4", "a.cr2", "a."],
)
def test_other_names(name: str) -> None:
    assert not is_photo_name(name)


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in PHOTO_SUFFIXES)
    assert {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"} <= PHOTO_SUFFIXES


def test_resize_to_is_timms() -> None:
    for size, crop_pct, expected in ((224, 0.875, 256), (240, 0.882, 272), (260, 0.89, 292), (224, 1.0, 224)):
        assert PreprocessSpec(size=size, crop_pct=crop_pct).resize_to == math.floor(size / crop_pct) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"size": 0},
        {"size": -1},
        {"size": 100_000},
        {"crop_pct": 0},
        {"crop_pct": 1.01},
        {"crop_pct": 1e-9},
        {"crop_pct": math.nan},
        {"interpolation": "cubic"},
    ],
)
def test_senseless_specs_are_refused_with_what_is_allowed(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="must be") as caught:
        PreprocessSpec(**values)  # type: ignore[arg-type]
    assert str(next(iter(values.values()))) in str(caught.value)


def test_senseless_limits_are_refused() -> None:
    for values in ({"max_bytes": 0}, {"max_pixels": 0}):
        with pytest.raises(UsageError, match=f"{next(iter(values))} is 0"):
            Limits(**values)  # type: ignore[arg-type]
