from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.detection.letterbox import Letterbox
from animal_classification.detection.nms import intersection_over_union, suppressed
from animal_classification.detection.schema import DetectorInput

SIDES = st.integers(1, 9000)


def wanted(fit: str, **more: object) -> DetectorInput:
    return DetectorInput.model_validate({"size": 640, "fit": fit, **more})


@given(SIDES, SIDES, st.sampled_from(["pad_end", "pad_around", "stretch"]), st.sampled_from([None, 32]), st.booleans())
def test_a_box_in_the_input_is_the_same_box_in_the_picture(
    width: int, height: int, fit: str, multiple: int | None, enlarge: bool
) -> None:
    place = Letterbox.of(width, height, wanted(fit, multiple=multiple, enlarge=enlarge))
    assert place.left + place.width <= place.canvas[0] <= 640
    assert place.top + place.height <= place.canvas[1] <= 640
    box = np.array([[0.25, 0.125, 0.75, 0.5]])
    scale = np.array([place.width, place.height] * 2)
    back = place.to_picture(box * scale + np.array([place.left, place.top] * 2))
    assert back == pytest.approx(box, abs=1e-9)


@pytest.mark.parametrize(
    ("size", "canvas", "inner"),
    [
        ((2048, 1536), (640, 480), (640, 480)),
        ((1920, 1080), (640, 384), (640, 360)),
        ((500, 375), (512, 384), (500, 375)),
        ((10, 3000), (32, 640), (2, 640)),
    ],
)
def test_an_input_of_free_sides_has_no_more_around_the_picture_than_it_must(
    size: tuple[int, int], canvas: tuple[int, int], inner: tuple[int, int]
) -> None:
    place = Letterbox.of(*size, wanted("pad_end", multiple=32, enlarge=False))
    assert (place.canvas, (place.width, place.height)) == (canvas, inner)


def test_boxes_outside_of_the_picture_are_cut_to_it() -> None:
    place = Letterbox.of(640, 320, wanted("pad_around"))
    assert place.to_picture(np.array([[-50.0, 100.0, 700.0, 600.0]])).tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_the_surest_of_boxes_that_overlap_stays_and_other_categories_do_not_matter() -> None:
    corners = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60]], float)
    scores, categories = np.array([0.5, 0.9, 0.4, 0.1]), np.array([0, 0, 1, 0])
    assert suppressed(corners, scores, categories, iou=0.45, most=10).tolist() == [1, 2, 3]
    assert suppressed(corners, scores, categories, iou=0.45, most=2).tolist() == [1, 2]
    assert suppressed(corners[:0], scores[:0], categories[:0], iou=0.45, most=2).tolist() == []


def test_the_overlap_of_nothing_is_nothing() -> None:
    empty = np.array([[5.0, 5.0, 5.0, 5.0]])
    assert intersection_over_union(empty[0], empty).tolist() == [0.0]
