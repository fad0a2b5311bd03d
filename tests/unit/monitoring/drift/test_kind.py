"""What a difference is called, by hand-made evidence."""

from __future__ import annotations

import numpy as np

from animal_classification.imaging.statistics import NAMES
from animal_classification.monitoring.drift.kind import Evidence, kind_of
from animal_classification.monitoring.drift.verdict import DriftTests


def night(dark: float) -> Evidence:
    """Of 100 photos 81 are strangers: too few known ones are left for a test of their numbers."""
    shifts = np.zeros(12)
    shifts[NAMES.index("dark")] = dark
    tests = DriftTests(
        look_p=0.002,
        look_effect=0.2,
        image_p=1e-47 if dark else 0.5,
        image_largest="dark",
        image_shift=dark,
        content_p=1e-33,
        content_share=0.81,
        content_reference=0.05,
        mix_p=0.002,
        mix_effect=0.3,
        mix_changes=(),
    )
    return Evidence(
        fired=frozenset({"look", "content", "mix"} | ({"image"} if dark else set())),
        tests=tests,
        image_of_known=0.2,
        look_of_known=0.002,
        look_left=0.9,
        shifts_by_source={},
        strangers=np.arange(100) < 81,
        shifts=shifts,
        strangers_shifts=shifts,
        sources=("gate",) * 100,
        alpha=0.0025,
    )


def test_a_night_that_makes_strangers_of_nearly_all_is_named() -> None:
    found = kind_of(night(3.2))
    assert found.kind == "image"
    assert "dark +3.2 sd" in found.says
    assert "light and sharpness are as before" not in found.says


def test_another_view_is_still_another_view() -> None:
    found = kind_of(night(0.0))
    assert found.kind == "look"
    assert "light and sharpness are as before" in found.says
