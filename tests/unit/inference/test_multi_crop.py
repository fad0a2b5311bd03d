"""Wide and tall photos: what is looked at, and which crop answers."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from animal_classification import bundle as bundles
from animal_classification import imaging
from animal_classification.evaluation.model_outputs import compute_outputs
from animal_classification.imaging import PreprocessSpec
from animal_classification.imaging.geometry import crop_box, crop_boxes
from animal_classification.inference import Classifier
from animal_classification.inference.multi_crop import merged, most_familiar
from animal_classification.inference.postprocess import Postprocessor
from tests.support.tiny_bundle import COLOURS, Colour, write_tiny_bundle

SPEC = PreprocessSpec(size=32)


CAT, NOTHING = COLOURS[0], COLOURS[3]  # of a tiny bundle with a chair as its background


def wide(left: Colour, middle: Colour, right: Colour, *, tall: bool = False) -> Image.Image:
    """A photo of three squares side by side, or one below the other."""
    photo = Image.new("RGB", (540, 180), middle)
    photo.paste(left, (0, 0, 180, 180))
    photo.paste(right, (360, 0, 540, 180))
    return photo.transpose(Image.Transpose.ROTATE_270) if tall else photo


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_the_central_crop_comes_first_and_the_others_touch_the_ends(width: int, height: int) -> None:
    boxes = crop_boxes(width, height, SPEC)
    assert boxes[0] == crop_box(width, height, SPEC)
    if max(width, height) <= 1.5 * min(width, height):
        assert len(boxes) == 1
    if len(boxes) > 1:
        along = (0, 2) if width > height else (1, 3)
        assert boxes[1][along[0]] == 0
        assert boxes[2][along[1]] == max(width, height)
        sides = [(right - left, bottom - top) for left, top, right, bottom in boxes]
        assert np.allclose(sides, sides[0])


@pytest.mark.parametrize(
    ("width", "height", "crops"), [(1600, 900, 3), (900, 1600, 3), (1500, 1001, 1), (1200, 799, 1), (1000, 1000, 1)]
)
def test_three_to_two_is_not_wide(width: int, height: int, crops: int) -> None:
    assert len(crop_boxes(width, height, SPEC)) == crops


def test_all_of_a_photo_of_sixteen_to_nine_is_seen() -> None:
    seen = np.zeros(1600, bool)
    for left, _, right, _ in crop_boxes(1600, 900, SPEC):
        seen[round(left) : round(right)] = True
    assert seen.all()


@pytest.mark.parametrize("turned", [1, 3, 6, 8])
def test_crops_follow_the_turn_of_the_photo(turned: int) -> None:
    photo = wide(*COLOURS[:3])
    exif = Image.Exif()
    exif[0x0112] = turned
    data = BytesIO()
    photo.save(data, "PNG", exif=exif)
    upright = Image.fromarray(imaging.decode(data.getvalue()))
    assert np.array_equal(imaging.crops(data.getvalue(), SPEC), imaging.crops(upright, SPEC))


def test_the_centre_is_the_most_familiar_among_equals() -> None:
    assert most_familiar(np.array([0.1, 0.9, 0.2, 0.5, 0.3, 0.3, 0.3]), [3, 1, 3]).tolist() == [1, 3, 4]


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("place", [0, 2])
def test_an_animal_at_the_edge_is_seen_by_everybody_alike(tmp_path: Path, place: int, tall: bool) -> None:
    classifier = Classifier.load(write_tiny_bundle(tmp_path / "tiny", background=("chair",)))
    colours = [NOTHING, NOTHING, NOTHING]
    colours[place] = CAT
    photo = wide(*colours, tall=tall)
    file = tmp_path / "wide.png"
    photo.save(file)
    centre = classifier.predict(Image.fromarray(imaging.preprocess(photo, classifier.bundle.preprocess_spec)))
    assert centre.unknown
    alone = classifier.predict(photo)
    (listed,) = classifier.predict_paths([("wide.png", file)])
    (served,) = classifier.classify([classifier.prepare(file.read_bytes())])
    assert (alone.label, alone.unknown) == ("cat", False)
    assert alone == listed.prediction == served
    measured = compute_outputs(classifier.bundle, [file])
    assert measured.logits[0].argmax() == 0


def tiny_decider(folder: Path) -> Postprocessor:
    return Postprocessor.of(bundles.load(write_tiny_bundle(folder, background=("chair",))))


@given(st.integers(0, 2**32 - 1))
def test_probabilities_of_crops_are_averaged_by_how_familiar_they_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, embeddings = rng.normal(0, 3, (4, 4)).astype(np.float32), rng.normal(0, 1, (4, 3)).astype(np.float32)
    with TemporaryDirectory() as folder:
        decider = tiny_decider(Path(folder) / "tiny")
    rows = merged(decider, {"logits": logits, "embedding": embeddings}, [1, 3])
    probabilities = decider.probabilities(logits)
    known = probabilities[:, :3].sum(axis=1)
    assert np.array_equal(rows["logits"][0], logits[0])
    assert decider.probabilities(rows["logits"])[1] == pytest.approx(
        (known[1:, None] * probabilities[1:]).sum(axis=0) / known[1:].sum(), abs=1e-5
    )
    assert np.array_equal(rows["embedding"][1], embeddings[1 + known[1:].argmax()])


def test_three_equal_crops_answer_as_one(tmp_path: Path) -> None:
    decider = tiny_decider(tmp_path / "tiny")
    row = np.array([[3.0, -1.0, 0.5, 2.0]], np.float32)
    rows = merged(decider, {"logits": row.repeat(3, axis=0), "embedding": row.repeat(3, axis=0)}, [3])
    assert rows["logits"] == pytest.approx(row, abs=1e-5)  # the energy, too


def test_a_heatmap_is_of_the_crop_that_answers(tmp_path: Path) -> None:
    classifier = Classifier.load(write_tiny_bundle(tmp_path / "tiny", background=("chair",)))
    shown = classifier.heatmap(wide(NOTHING, NOTHING, CAT))
    alone = classifier.heatmap(Image.new("RGB", (180, 180), CAT))
    assert np.abs(shown.astype(int) - alone).max() < 20  # at the seam, resizing mixes in a little of the neighbour


def test_without_a_rule_for_unknown_photos_the_surest_crop_answers(tmp_path: Path) -> None:
    classifier = Classifier.load(write_tiny_bundle(tmp_path / "tiny", unknown=None))
    grey = (128, 128, 128)
    assert classifier.predict(wide(grey, grey, CAT)).label == "cat"
