"""The built-in model on real photos: what docs/photos-model.md promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animal_classification import Classifier, Prediction, imaging
from animal_classification.bundle import resolve_name


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load("photos")


@pytest.fixture(scope="module")
def animals(classifier: Classifier, photos_dir: Path) -> dict[str, Prediction]:
    return by_id(classifier, photos_dir / "imagenet_animals")


@pytest.fixture(scope="module")
def others(classifier: Classifier, photos_dir: Path) -> dict[str, Prediction]:
    return by_id(classifier, photos_dir / "non_animals")


def by_id(classifier: Classifier, folder: Path) -> dict[str, Prediction]:
    paths = sorted(folder.iterdir())
    predictions = classifier.predict([str(path) for path in paths])
    return {path.name.split("_")[0]: prediction for path, prediction in zip(paths, predictions, strict=True)}


def share(right: list[bool]) -> float:
    return sum(right) / len(right)


def test_it_names_the_animals(classifier: Classifier, animals: dict[str, Prediction]) -> None:
    groups = {label.id: label.groups[0] for label in classifier.info.labels}
    assert len(animals) == 398
    assert share([got.label_id == truth for truth, got in animals.items()]) >= 0.885
    assert share([truth in {c.label_id for c in got.top} for truth, got in animals.items()]) >= 0.975
    assert share([got.group == groups[truth] for truth, got in animals.items()]) >= 0.95


def test_it_is_within_half_a_point_of_the_torch_original(classifier: Classifier, photos_dir: Path) -> None:
    # The original has seen the central square only, of wide photos as well.
    paths = sorted((photos_dir / "imagenet_animals").iterdir())
    pixels = [imaging.preprocess(path, classifier.bundle.preprocess_spec)[None] for path in paths]
    predictions = [prediction for one in pixels for prediction in classifier.classify([one])]
    animals = {path.name.split("_")[0]: prediction for path, prediction in zip(paths, predictions, strict=True)}
    top1 = share([got.label_id == truth for truth, got in animals.items()])
    top5 = share([truth in {c.label_id for c in got.top} for truth, got in animals.items()])
    metrics = classifier.info.metrics
    assert abs(top1 - metrics["torch_top1"]) <= 0.005
    assert abs(top5 - metrics["torch_top5"]) <= 0.005


def test_it_knows_when_there_is_no_animal(animals: dict[str, Prediction], others: dict[str, Prediction]) -> None:
    kept = np.array([got.known_score for got in animals.values()])
    rejected = np.array([got.known_score for got in others.values()])
    auroc = (kept[:, None] > rejected[None, :]).mean() + 0.5 * (kept[:, None] == rejected[None, :]).mean()
    assert auroc >= 0.995
    assert share([not got.unknown for got in animals.values()]) >= 0.98
    assert share([not got.unknown for got in others.values()]) <= 0.02


def test_it_says_dog_when_it_is_unsure_of_the_breed(animals: dict[str, Prediction]) -> None:
    unsure = [got for got in animals.values() if got.answer.level == "group"]
    assert len(unsure) >= 20
    assert any(got.answer.name in {"dog", "terrier", "retriever"} for got in unsure)
    assert all(got.probability < got.answer.probability for got in unsure)


@pytest.mark.photos(samples=True)
def test_both_engines_give_the_same_answers(classifier: Classifier, photos_dir: Path) -> None:
    paths = [str(path) for path in sorted((photos_dir / "imagenet_animals").iterdir())[::10]]
    first = classifier.predict(paths)
    second = Classifier.load("photos", engine="onnxruntime").predict(paths)
    assert [got.label for got in first] == [got.label for got in second]
    np.testing.assert_allclose([p.probability for p in first], [p.probability for p in second], atol=1e-4)


@pytest.mark.photos(samples=True)
def test_the_heatmap_points_at_the_animal(classifier: Classifier, photos_dir: Path) -> None:
    """The lion of a two-by-two collage is where the map is hottest, whichever corner it is in."""
    lion = load_square(photos_dir / "imagenet_animals", "n02129165")
    chair = load_square(photos_dir / "non_animals", None)
    hits = 0
    for corner in range(4):
        tiles = [lion if place == corner else chair for place in range(4)]
        collage = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
        plain = classifier.heatmap(collage, "n02129165").astype(int)
        heat = np.abs(plain - seen_by_model(classifier, collage)).sum(axis=2)
        half = heat.shape[0] // 2
        quarters = [heat[:half, :half], heat[:half, half:], heat[half:, :half], heat[half:, half:]]
        hits += int(np.argmax([quarter.sum() for quarter in quarters])) == corner
    assert hits == 4


def load_square(folder: Path, wordnet_id: str | None) -> np.ndarray:
    from animal_classification import imaging

    path = next(path for path in sorted(folder.iterdir()) if wordnet_id is None or path.name.startswith(wordnet_id))
    return imaging.preprocess(path, imaging.PreprocessSpec(size=200, crop_pct=1.0))


def seen_by_model(classifier: Classifier, picture: np.ndarray) -> np.ndarray:
    from animal_classification import imaging

    return imaging.preprocess(picture, classifier.bundle.preprocess_spec).astype(int)


@pytest.mark.parametrize("word", ["cat", "dog", "elephant", "horse", "lion"])
def test_the_five_names_of_the_course_project_resolve(classifier: Classifier, word: str) -> None:
    assert resolve_name(classifier.info, word)


def test_every_label_has_a_name_a_group_and_a_taxon(classifier: Classifier) -> None:
    labels = classifier.info.labels
    assert len(labels) == 398
    assert len(classifier.info.background) == 602
    assert all(label.groups and label.taxon and label.id.startswith("n") for label in labels)
