"""Photos of none of the classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from animal_classification.errors import BundleInvalidError
from animal_classification.evaluation.fit_postprocessing import HeldOut, calibrate
from animal_classification.evaluation.ood import (
    FEWEST,
    REFUSED,
    auroc,
    false_positive_rate,
    fit_distance,
    fit_unknown,
    out_of_fold_distance,
)
from animal_classification.inference.ood import energy, known_scores, squashed, unit_length
from animal_classification.inference.reference import distance_arrays, distance_from

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]


def flock(seed: int, n: int, *, classes: int = 4, width: int = 40, where: int = 0) -> Arrays:
    """Embeddings around a centre for each class; ``where`` above 0 gives centres of other classes."""
    centres = np.random.default_rng(100 + where).normal(0, 1, (classes, width)) + 2
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, classes, n)
    return (centres[targets] + generator.normal(0, 0.4, (n, width))).astype(np.float32), targets


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 6).map(float), min_size=1, max_size=30),
    st.lists(st.integers(0, 6).map(float), min_size=1, max_size=30),
)
def test_auroc_counts_pairs(known: list[float], unknown: list[float]) -> None:
    pairs = [(k > u) + 0.5 * (k == u) for k in known for u in unknown]
    assert auroc(np.array(known), np.array(unknown)) == pytest.approx(sum(pairs) / len(pairs), abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=50), st.lists(st.floats(-5, 5), min_size=1, max_size=50))
def test_false_positives_at_the_highest_threshold_that_keeps_enough(known: list[float], unknown: list[float]) -> None:
    kept = [t for t in known if sum(k >= t for k in known) >= 0.95 * len(known)]
    expected = sum(u >= max(kept) for u in unknown) / len(unknown)
    assert false_positive_rate(np.array(known), np.array(unknown)) == pytest.approx(expected, abs=1e-9)


def test_the_distance_is_the_relative_mahalanobis_distance() -> None:
    """Against the formula, with whole covariance matrices; in so few dimensions nothing is left out."""
    embeddings, targets = flock(0, 300, width=12)
    distance = fit_distance(embeddings, targets, 4)
    assert distance is not None
    unit = unit_length(embeddings).astype(np.float64)
    means = np.stack([unit[targets == number].mean(axis=0) for number in range(4)])
    own, whole = unit - means[targets], unit - unit.mean(axis=0)

    def precision(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        covariance = rows.T @ rows / len(rows)
        result: NDArray[np.float64] = np.linalg.inv(0.2 * covariance + 0.8 * np.trace(covariance) / 12 * np.eye(12))
        return result

    within, total = precision(own), precision(whole)
    new, _ = flock(1, 50, width=12)
    for vector, found in zip(unit_length(new).astype(np.float64), distance.score(new), strict=True):
        nearest = min(float((vector - mean) @ within @ (vector - mean)) for mean in means)
        all_as_one = float((vector - unit.mean(axis=0)) @ total @ (vector - unit.mean(axis=0)))
        assert found == pytest.approx(all_as_one - nearest, rel=2e-3, abs=2e-3)


def test_other_classes_are_told_from_known_ones() -> None:
    embeddings, targets = flock(0, 400)
    distance = fit_distance(embeddings, targets, 4)
    assert distance is not None
    known, unknown = distance.score(flock(1, 300)[0]), distance.score(flock(2, 300, where=1)[0])
    assert auroc(known, unknown) > 0.99


def test_it_survives_half_precision_and_says_what_is_missing() -> None:
    embeddings, targets = flock(0, 400, width=200)
    distance = fit_distance(embeddings, targets, 4)
    assert distance is not None
    arrays = distance_arrays(distance)
    again = distance_from(arrays, "zoo")
    scores = distance.score(embeddings)
    assert np.abs(again.score(embeddings) - scores).max() < 0.02 * scores.std()
    with pytest.raises(BundleInvalidError, match=r"zoo/reference.npz: .* needs distance_means;"):
        distance_from({name: value for name, value in arrays.items() if name != "distance_means"}, "zoo")


def test_out_of_fold_scores_are_like_those_of_new_photos() -> None:
    embeddings, targets = flock(0, 300, width=200)
    folds = np.arange(300) % 5
    held_out = out_of_fold_distance(embeddings, targets, 4, folds)
    distance = fit_distance(embeddings, targets, 4)
    assert held_out is not None
    assert distance is not None
    new, seen = distance.score(flock(9, 300, width=200)[0]), distance.score(embeddings)
    assert abs(held_out.mean() - new.mean()) < 0.5 * abs(seen.mean() - new.mean())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_few_known_photos_are_refused(seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, (200, 5))
    rule = fit_unknown(logits, None)
    assert rule is not None
    assert rule.method == "energy"
    scores = known_scores(rule, logits, None)
    assert (scores < rule.threshold).mean() <= REFUSED
    unit = squashed(scores, rule.threshold)
    assert ((unit >= 0) & (unit <= 1)).all()
    assert ((unit < 0.5) == (scores < rule.threshold)).all()


@pytest.mark.parametrize(("photos", "share", "expected"), [(150, 0.05, 4 / 151), (1200, 0.02, 18 / 1201)])
def test_new_known_photos_are_refused_less_than_wanted_nine_times_of_ten(
    photos: int, share: float, expected: float
) -> None:
    """With the plain quantile the share was wanted on average, and exceeded every second time (37% with 150 photos)."""
    generator = np.random.default_rng(4)
    true = np.sort(energy(generator.normal(0, 3, (200_000, 5))))
    refused = []
    for _ in range(400):
        rule = fit_unknown(generator.normal(0, 3, (photos, 5)), None, refused=share)
        assert rule is not None
        assert rule.energy is not None
        raw = rule.threshold * rule.energy.deviation + rule.energy.mean
        refused.append(np.searchsorted(true, raw) / len(true))
    above = np.mean(np.array(refused) > share)
    assert above <= 0.1 + 2.5 * np.sqrt(0.1 * 0.9 / 400)
    assert float(np.mean(refused)) == pytest.approx(expected, rel=0.1), "and no more careful than it takes"


def test_copies_and_frames_count_once() -> None:
    """Ten frames of each of forty animals are forty observations: too few to promise two percent."""
    generator = np.random.default_rng(5)
    animals = generator.normal(0, 3, (40, 5))
    frames = np.repeat(animals, 10, axis=0) + generator.normal(0, 0.01, (400, 5))
    seen = HeldOut(logits=frames, targets=np.zeros(400, np.int64), embedding=frames, units=np.arange(400) // 10)
    assert seen.observations == 40
    careful = fit_unknown(frames, None, observations=seen.observations)
    careless = fit_unknown(frames, None)
    assert careful is not None
    assert careless is not None
    assert careful.threshold < careless.threshold
    assert not (known_scores(careful, frames, None) < careful.threshold).any()


def test_energy_is_the_log_of_the_sum_of_exponentials() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [1000.0, 0.0, 0.0]])
    assert energy(logits) == pytest.approx([np.log(np.exp([1, 2, 3]).sum()), 1000.0])


def test_what_cannot_be_judged_gets_no_rule() -> None:
    embeddings, targets = flock(0, 20)
    nothing = HeldOut(
        logits=np.empty((0, 4), np.float32), targets=np.empty(0, np.int64), embedding=np.empty((0, 40), np.float32)
    )
    rules = calibrate(nothing, embedding=embeddings, label=targets)
    assert (rules.calibration.temperature, rules.conformal, rules.unknown, rules.reference) == (1.0, None, None, {})
    assert fit_distance(np.ones((100, 8), np.float32), np.arange(100) % 4, 4) is None, "all photos are the same"
    assert fit_unknown(np.zeros((FEWEST - 1, 3)), None) is None


def test_distances_are_measured_within_one_network() -> None:
    """The network that is kept turns and stretches embeddings otherwise than the one that has not seen the photos."""
    embeddings, targets = flock(0, 300)
    new, new_targets = flock(1, 200)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(40, 40)))[0].astype(np.float32)
    logits = np.eye(4)[new_targets] * 6
    same = HeldOut(logits=logits, targets=new_targets, embedding=new)
    turned = fit_distance(embeddings @ turn, targets, 4)
    assert turned is not None
    other = HeldOut(
        logits=logits, targets=new_targets, embedding=new @ turn, distance=turned.score((new @ turn).astype(np.float32))
    )
    wanted, found = (calibrate(one, embedding=embeddings, label=targets).unknown for one in (same, other))
    assert wanted is not None
    assert found is not None
    assert wanted.distance is not None
    assert found.distance is not None
    assert found.distance.mean == pytest.approx(wanted.distance.mean, rel=0.01)
    assert found.threshold == pytest.approx(wanted.threshold, rel=0.05)


def test_where_the_other_networks_have_no_distance_the_logits_decide() -> None:
    embeddings, targets = flock(0, 300)
    nothing = HeldOut(
        logits=np.eye(4)[targets] * 6, targets=targets, embedding=embeddings, distance=np.full(300, np.nan)
    )
    rules = calibrate(nothing, embedding=embeddings, label=targets)
    assert rules.unknown is not None
    assert (rules.unknown.method, rules.reference) == ("energy", {})


@pytest.mark.parametrize("photos", [0, 1])
def test_a_class_without_photos_or_with_one_leaves_the_distance_to_the_others(photos: int) -> None:
    """An okapi more must not make every other animal's rule a worse one."""
    embeddings, targets = flock(0, 400)
    one = np.zeros((photos, 40), np.float32) + 3
    more, classes = np.concatenate([embeddings, one]), np.concatenate([targets, np.full(photos, 4)])
    distance = fit_distance(more, classes, 5)
    assert distance is not None
    assert distance.means.shape[0] == 4 + photos
    known, unknown = distance.score(flock(1, 300)[0]), distance.score(flock(2, 300, where=1)[0])
    assert auroc(known, unknown) > 0.99
    logits = np.concatenate([np.eye(4)[targets] * 6, np.full((len(targets), 1), -1e9)], axis=1)
    held_out = HeldOut(logits=logits, targets=targets, embedding=embeddings, folds=np.arange(400) % 5)
    rules = calibrate(held_out, embedding=more, label=classes)
    assert rules.unknown is not None
    assert rules.unknown.method == "energy_mahalanobis"


def test_all_rules_from_photos_out_of_fold() -> None:
    embeddings, targets = flock(0, 300)
    held_out = HeldOut(
        logits=-((embeddings[:, None] - flock(0, 1)[0][:1]) ** 2).sum(axis=2) * np.ones((1, 4))
        + np.eye(4)[targets] * 4,
        targets=targets,
        embedding=embeddings,
        folds=np.arange(300) % 5,
    )
    rules = calibrate(held_out, embedding=embeddings, label=targets)
    assert rules.unknown is not None
    assert rules.unknown.method == "energy_mahalanobis"
    assert rules.conformal is not None
    assert rules.conformal.n == 300
    assert distance_from(rules.reference, "here").score(embeddings).shape == (300,)
