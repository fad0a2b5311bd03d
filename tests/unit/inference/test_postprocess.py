"""From logits to answers."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from animal_classification.bundle.schema import (
    BackgroundClass,
    BundleInfo,
    Calibration,
    Code,
    Conformal,
    Data,
    Label,
    Preprocess,
    Rollup,
    Scale,
    Unknown,
)
from animal_classification.inference.ood import FeatureDistance
from animal_classification.inference.postprocess import Postprocessor, answered_right
from animal_classification.inference.results import Prediction

LABELS = (
    Label(id="n1", name="beagle", group="dog > hound"),
    Label(id="n2", name="bloodhound", group="dog > hound"),
    Label(id="n3", name="poodle", group="dog > poodle"),
    Label(id="n4", name="lion", group="cat"),
)


def make_info(
    *,
    unknown: Unknown | None = Unknown(method="background", threshold=0.5),
    rollup: float | None = 0.6,
    temperature: float = 1.0,
    labels: tuple[Label, ...] = LABELS,
) -> BundleInfo:
    return BundleInfo(
        name="zoo",
        version="1",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        labels=labels,
        background=(BackgroundClass(id="b1", name="chair"), BackgroundClass(id="b2", name="teapot")),
        preprocess=Preprocess(size=32, crop_pct=1.0, interpolation="bicubic"),
        calibration=Calibration(temperature=temperature),
        unknown=unknown,
        rollup=None if rollup is None else Rollup(threshold=rollup),
        data=Data(version="1", classes=len(labels)),
        code=Code(version="0"),
    )


def decide(probabilities: list[float], info: BundleInfo | None = None, top_k: int = 5) -> Prediction:
    logits = np.log(np.array([probabilities], dtype=np.float32))
    return Postprocessor(info or make_info()).decide(logits, top_k=top_k)[0]


def test_a_sure_label_is_the_answer() -> None:
    result = decide([0.9, 0.02, 0.02, 0.02, 0.02, 0.02])
    assert (result.answer.name, result.answer.level) == ("beagle", "label")
    assert result.label_id == "n1"
    assert result.probability == pytest.approx(0.9, abs=1e-6)
    assert (result.group, result.unknown) == ("dog", False)
    assert result.group_probability == pytest.approx(0.94, abs=1e-6)


def test_an_uncertain_label_is_answered_by_the_finest_sure_group() -> None:
    hound = decide([0.4, 0.35, 0.05, 0.1, 0.05, 0.05])
    assert (hound.answer.name, hound.answer.level) == ("hound", "group")
    assert hound.label == "beagle", "the label stays the most probable one"
    dog = decide([0.3, 0.2, 0.3, 0.1, 0.05, 0.05])
    assert dog.answer.name == "dog"
    assert dog.answer.probability == pytest.approx(0.8, abs=1e-6)


def test_an_animal_that_fits_no_group_is_an_animal() -> None:
    result = decide([0.2, 0.1, 0.1, 0.4, 0.1, 0.1])
    assert (result.answer.name, result.answer.level) == ("animal", "known")
    assert result.answer.probability == pytest.approx(0.8, abs=1e-6)


def test_a_photo_of_something_else_is_unknown_and_says_what_it_resembles() -> None:
    result = decide([0.1, 0.1, 0.1, 0.1, 0.5, 0.1])
    assert (result.answer.name, result.answer.level, result.unknown) == ("not an animal", "unknown", True)
    assert result.background == "chair"
    assert result.known_score == pytest.approx(0.4, abs=1e-6)


def test_max_probability_scores_the_best_label() -> None:
    info = make_info(unknown=Unknown(method="max_probability", threshold=0.35))
    assert decide([0.3, 0.3, 0.3, 0.05, 0.03, 0.02], info).unknown
    assert not decide([0.4, 0.2, 0.3, 0.05, 0.03, 0.02], info).unknown


def test_without_rules_the_label_is_always_the_answer() -> None:
    info = make_info(unknown=None, rollup=None, labels=(Label(id="a", name="a"), Label(id="b", name="b")))
    result = decide([0.1, 0.2, 0.4, 0.3], info)
    assert (result.answer.name, result.unknown, result.group, result.group_probability) == ("b", False, None, None)
    assert result.background is None


def test_temperature_sharpens() -> None:
    soft = decide([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
    sharp = decide([0.5, 0.1, 0.1, 0.1, 0.1, 0.1], make_info(temperature=0.5))
    assert sharp.probability > soft.probability


def test_top_k_is_bounded_by_the_labels_and_keeps_background_out() -> None:
    result = decide([0.1, 0.05, 0.03, 0.02, 0.7, 0.1], top_k=50)
    assert [candidate.label for candidate in result.top] == ["beagle", "bloodhound", "poodle", "lion"]


@given(arrays(np.float32, (3, 6), elements=st.floats(-50, 50, width=32)))
def test_probabilities_obey_the_laws(logits: np.ndarray) -> None:
    for result in Postprocessor(make_info()).decide(logits, top_k=4):
        values = [candidate.probability for candidate in result.top]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(result.known_score, abs=1e-9)
        assert result.group_probability is not None
        assert 0.0 <= result.probability <= result.known_score <= 1.0
        best_group = max(sum(values_of) for values_of in by_group(result).values())
        assert result.group_probability == pytest.approx(best_group, abs=1e-9)


def by_group(result: Prediction) -> dict[str, list[float]]:
    group_of = {label.id: label.groups[0] for label in LABELS}
    groups: dict[str, list[float]] = {}
    for candidate in result.top:
        groups.setdefault(group_of[candidate.label_id], []).append(candidate.probability)
    return groups


CALIBRATED = Conformal(alpha=0.1, quantile=0.8, method="raps", penalty=0.1, free=1)


@pytest.mark.parametrize(
    ("probabilities", "members"),
    [
        # 0.9 passes 0.8 at once; 0.6 does not, with 0.3 (and a penalty) it does; 0.4 + 0.3 + 0.1 < 0.8 is false.
        ([0.9, 0.05, 0.03, 0.02, 0, 0], ("beagle",)),
        ([0.3, 0.6, 0.05, 0.05, 0, 0], ("bloodhound", "beagle")),
        ([0.2, 0.3, 0.4, 0.1, 0, 0], ("poodle", "bloodhound")),
        # Background classes are never in a set, and what they take is not missing from it.
        ([0.45, 0.03, 0.01, 0.01, 0.5, 0], ("beagle",)),
    ],
)
def test_the_set_grows_until_it_holds_the_mass_that_was_promised(
    probabilities: list[float], members: tuple[str, ...]
) -> None:
    info = make_info().model_copy(update={"conformal": CALIBRATED})
    logits = np.log(np.array([probabilities], dtype=np.float32) + 1e-9)
    assert Postprocessor(info).decide(logits, top_k=1)[0].set == members


def test_without_a_rule_the_set_is_empty() -> None:
    assert decide([0.9, 0.1, 1e-9, 1e-9, 1e-9, 1e-9]).set == ()


ENERGY = Unknown(method="energy", threshold=-1.0, energy=Scale(mean=10.0, deviation=2.0))


@pytest.mark.parametrize(("height", "unknown"), [(10.0, False), (8.2, False), (7.8, True), (0.0, True)])
def test_low_energy_means_unknown(height: float, unknown: bool) -> None:
    info = make_info(unknown=ENERGY, temperature=0.5).model_copy(update={"background": ()})
    logits = np.array([[height * 0.5, -50.0, -50.0, -50.0]], dtype=np.float32)
    prediction = Postprocessor(info).decide(logits, top_k=1)[0]
    assert prediction.unknown is unknown
    assert (prediction.known_score < 0.5) is unknown
    assert prediction.answer.name == ("unknown" if unknown else "beagle")


def test_distance_and_energy_together() -> None:
    rule = Unknown(
        method="energy_mahalanobis", threshold=-2.0, energy=ENERGY.energy, distance=Scale(mean=0.0, deviation=1.0)
    )
    info = make_info(unknown=rule).model_copy(update={"background": ()})
    east = FeatureDistance(
        centre=np.zeros(2, np.float32),
        basis=np.eye(2, dtype=np.float32),
        within=np.eye(2, dtype=np.float32) * 3,
        total=np.zeros((2, 2), np.float32),
        means=np.array([[3.0, 0.0]], np.float32),
        outside=0.0,
    )
    logits = np.array([[10.0, -50, -50, -50]] * 2, dtype=np.float32)
    embeddings = np.array([[5.0, 0.0], [0.0, 5.0]], dtype=np.float32)
    near, far = Postprocessor(info, east).decide(logits, top_k=1, embeddings=embeddings, attach=False)
    assert (near.unknown, far.unknown) == (False, True)
    assert near.embedding is None
    with pytest.raises(ValueError, match="distance"):
        Postprocessor(info).decide(logits, top_k=1)


def test_told_right_is_what_a_person_reads() -> None:
    """The label, or a right group where the answer is a group; never "unknown", nor "animal", which names nothing."""
    beagle, _, poodle, lion = LABELS
    sure = decide([0.9, 0.02, 0.02, 0.02, 0.02, 0.02])
    assert [answered_right(sure, one) for one in (beagle, poodle, lion)] == [True, False, False]
    hound = decide([0.4, 0.4, 0.1, 0.05, 0.03, 0.02])
    assert hound.answer.name == "hound"
    assert [answered_right(hound, one) for one in LABELS] == [True, True, False, False]
    dog = decide([0.3, 0.2, 0.4, 0.05, 0.03, 0.02])
    assert (dog.answer.name, dog.label) == ("dog", "poodle")
    assert [answered_right(dog, one) for one in LABELS] == [True, True, True, False]
    animal = decide([0.15, 0.15, 0.2, 0.45, 0.03, 0.02])
    assert (animal.answer.level, animal.label) == ("known", "lion")
    assert not any(answered_right(animal, one) for one in LABELS), "the label below it is right, and nobody is told"
    refused = decide([0.4, 0.001, 0.001, 0.001, 0.497, 0.1])
    assert (refused.unknown, refused.label) == (True, "beagle")
    assert not answered_right(refused, beagle)
