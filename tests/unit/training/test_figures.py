"""Pictures and the card of a run."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animal_classification.report.model_card import escaped
from animal_classification.training.figures import confusion_png, examples_png
from animal_classification.training.heldout_metrics import HeldOutMetrics


@pytest.mark.parametrize("classes", [2, 22, 200])
def test_a_confusion_matrix_of_any_size_is_a_picture_of_modest_size(classes: int) -> None:
    png = confusion_png(np.eye(classes, dtype=np.int64), [f"an animal with a long name {n}" for n in range(classes)])
    picture = Image.open(io.BytesIO(png))
    assert 50 < picture.width < 2000


def test_examples_show_mistakes_first_and_photos_that_are_gone(tmp_path: Path) -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    measured = HeldOutMetrics((0, 1), np.array([0, 0]), probabilities)
    Image.new("RGB", (50, 50), "red").save(tmp_path / "a.png")
    png = examples_png(measured, [tmp_path / "a.png", tmp_path / "gone.png"], ["cat", "dog"])
    assert Image.open(io.BytesIO(png)).size[0] > 100


def test_numbers_of_an_empty_test_are_none() -> None:
    assert HeldOutMetrics((), np.array([], dtype=np.int64), np.zeros((0, 2))).metrics(["cat", "dog"]) == {}


def test_a_label_is_no_markup() -> None:
    assert escaped("a|b\n# c <script>") == r"a\|b \# c \<script\>"
