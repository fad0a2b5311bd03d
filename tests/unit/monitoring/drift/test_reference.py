"""The reference in a bundle: written and read again, refused where damaged, and never of photos that are too few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animal_classification import bundle as bundles
from animal_classification.errors import BundleInvalidError, UsageError
from animal_classification.monitoring.drift.accuracy_estimate import FEATURES, USUAL_WEIGHTS, LearnedWeights
from animal_classification.monitoring.drift.judge import DriftJudge, NoReferenceError
from animal_classification.monitoring.drift.make_reference import HeldOutPhotos, add_reference, make_reference
from animal_classification.monitoring.drift.photo_windows import PhotoOnDisk
from animal_classification.monitoring.drift.reference import MONITOR_FILE, DriftReference
from tests.support.drift_samples import made_reference, made_sample
from tests.support.tiny_bundle import write_tiny_bundle


def test_a_reference_is_read_as_it_was_written() -> None:
    reference = made_reference(120)
    again = DriftReference.unpack(reference.pack(), "training", "here")
    assert again.sha256 == reference.sha256
    assert (again.label == reference.label).all()
    assert again.accuracy == reference.accuracy
    assert np.allclose(again.sample.embedding, reference.sample.embedding, atol=1e-3)
    assert (again.sample.stats == reference.sample.stats).all()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 and no more", made_reference(120).pack()[:-200]])
def test_a_damaged_reference_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(BundleInvalidError, match=r"here: not a reference .* animals monitor reference"):
        DriftReference.unpack(data, "training", "here")


def test_a_bundle_gets_a_reference_and_keeps_all_else(tmp_path: Path) -> None:
    before = bundles.load(write_tiny_bundle(tmp_path / "tiny"))
    with pytest.raises(NoReferenceError, match="animals monitor reference"):
        DriftJudge.of(before)
    weights = LearnedWeights((0.1, 0.2, 0.3, -0.4, -0.5, -0.6))
    after = add_reference(before, before.path, made_reference(120), weights)
    assert set(after.info.files) == {*before.info.files, MONITOR_FILE}
    assert after.info.labels == before.info.labels
    judge = DriftJudge.of(bundles.load(after.path))
    assert judge.reference.sha256 == after.info.files[MONITOR_FILE]
    assert judge.learned == weights
    with pytest.raises(UsageError, match="already holds a bundle"):
        add_reference(after, write_tiny_bundle(tmp_path / "other"), made_reference(120))


def test_weights_of_another_kind_are_not_used() -> None:
    assert LearnedWeights.of({}) is None
    assert LearnedWeights.of({"monitor": {"confidence": 1.0}}) is None
    assert LearnedWeights.of({"monitor": dict.fromkeys(FEATURES, "many")}) is None
    assert LearnedWeights.of({"monitor": USUAL_WEIGHTS.to_metrics()}) == USUAL_WEIGHTS


def test_copies_count_once_and_fewer_than_a_hundred_are_no_reference() -> None:
    sample, label = made_sample(130, 4)
    twice = np.concatenate([np.arange(130), np.arange(130)])
    files = tuple(Path(f"{number}.jpg") for number in range(260))
    photos = HeldOutPhotos(files, label[twice], tuple(f"{number:064x}" for number in twice))
    made = make_reference(sample.take(twice), photos)
    assert made is not None
    assert len(made) == 130
    some = photos.take(list(range(99)))
    assert make_reference(sample.take(twice[:99]), some) is None


def test_photos_are_chosen_by_lot_that_does_not_change() -> None:
    photos = HeldOutPhotos(
        tuple(Path(f"{n}.jpg") for n in range(500)),
        np.repeat(np.arange(5), 100),
        tuple(f"{n:064x}" for n in range(500)),
    )
    chosen = photos.by_lot(100)
    assert chosen == photos.by_lot(100) == sorted(set(chosen))
    assert (np.bincount(photos.take(chosen).label) > 8).all(), "classes in their shares"


def test_a_photo_that_is_gone_stops_no_reference(tmp_path: Path) -> None:
    """A table may name it, or somebody deletes it meanwhile; the reader says that it cannot be read."""
    photos = HeldOutPhotos.unlabelled([PhotoOnDisk("gone.jpg", tmp_path / "gone.jpg", "")])
    assert photos.sha256 == ("",)
