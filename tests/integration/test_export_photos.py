"""The built-in model in eight bits, on real photos: what docs/optimisation.md promises."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from animal_classification import Classifier
from animal_classification import bundle as bundles
from animal_classification.data import SourceOptions, read_source
from animal_classification.export import ExportedModel, ExportRequest, export


@pytest.fixture(scope="module")
def exported(photos_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    """Calibrated with scraped photos of other animals, measured on one photo for each class."""
    folder = tmp_path_factory.mktemp("int8")
    table = folder / "labels.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label"])
        for photo in sorted((photos_dir / "imagenet_animals").iterdir()):
            writer.writerow([photo, photo.name.split("_")[0]])
    photos = [photo for photo in sorted((photos_dir / "animals22").rglob("*.*")) if photo.is_file()][::12]
    manifest = read_source(str(table), SourceOptions(root=Path("/"), cache=folder))
    request = ExportRequest(
        kind="int8",
        target=str(folder / "out"),
        manifest=manifest,
        source=str(table),
        split="all",
        calibrate=tuple(str(photo) for photo in photos),
        max_drop=1.0,
        cache=folder,
    )
    return export(bundles.load("photos"), request)


def test_it_loses_at_most_a_point_of_top1(exported: ExportedModel) -> None:
    assert exported.compared.n == 398
    assert exported.compared.drop.value <= 1.0
    assert exported.compared.agreement >= 0.97
    assert exported.compared.same_refusals >= 0.99


def test_it_has_at_most_a_third_of_the_float32_size(exported: ExportedModel) -> None:
    assert exported.bundle.model_path.stat().st_size <= 0.35 * exported.float32_bytes


def test_it_is_faster_in_every_engine(exported: ExportedModel) -> None:
    for name, milliseconds in exported.export.milliseconds.items():
        assert milliseconds < exported.original.milliseconds[name]


def test_it_serves_with_heatmaps_and_the_rules_of_the_original(exported: ExportedModel, photos_dir: Path) -> None:
    classifier = Classifier.load(exported.bundle.path)
    lion = photos_dir / "imagenet_animals" / "n02129165_lion.JPEG"
    thing = sorted((photos_dir / "non_animals").iterdir())[0]
    assert classifier.predict(lion).label == Classifier.load("photos").predict(lion).label
    assert classifier.predict(thing).unknown
    assert classifier.heatmap(lion).shape == (224, 224, 3)
    assert exported.bundle.info.calibration.temperature == pytest.approx(0.7, rel=0.1)
