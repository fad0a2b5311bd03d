"""Class-activation maps and how they are drawn."""

from __future__ import annotations

import numpy as np

from animal_classification.inference.cam import class_activation_map, overlay


def test_the_map_shows_where_the_evidence_is() -> None:
    features = np.zeros((2, 4, 4), dtype=np.float32)
    features[0, 1, 2] = 3.0  # speaks for the class
    features[1, 3, 3] = 5.0  # speaks against it
    heat = class_activation_map(features, np.array([1.0, -1.0], dtype=np.float32))
    assert heat[1, 2] == 1.0
    assert heat.sum() == 1.0, "evidence against the class does not show"


def test_no_evidence_gives_an_empty_map() -> None:
    heat = class_activation_map(np.ones((2, 3, 3), dtype=np.float32), np.array([-1.0, -1.0], dtype=np.float32))
    assert not heat.any()


def test_the_overlay_colours_hot_places_and_keeps_cold_ones() -> None:
    pixels = np.full((40, 40, 3), 100, dtype=np.uint8)
    heat = np.zeros((4, 4), dtype=np.float32)
    heat[0, 0] = 1.0
    drawn = overlay(pixels, heat)
    assert drawn.shape == pixels.shape
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn[20:, 20:], pixels[20:, 20:])
    assert np.abs(drawn[2, 2].astype(int) - 100).max() > 50
