"""The audit's accuracy on simulated months: right on average, and its interval holds the truth as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from animal_classification.monitoring.audit import FEWEST, AuditSample, audited_accuracy
from animal_classification.prediction_log.photo_sampling import AuditRate

# How much more often answers are wrong than the model believes.
CLEAN, DRIFTED = 0.0, 0.3
PER_MONTH = 1500  # 50 a day
ANSWERED = (0.9, 0.7, 0.5)  # by third of doubt: people skip what they do not know


def month(seed: int, drift: float, photos: int = 20_000, wanted: float = PER_MONTH) -> tuple[AuditSample, float]:
    """What came in a month, and how much of it was right."""
    random = np.random.default_rng(seed)
    sure = random.random(photos) < 0.7
    confidence = np.where(sure, random.beta(20, 1, photos), random.beta(3, 2, photos))
    chance = np.clip(confidence - drift * random.uniform(0.3, 1.0, photos), 0.02, 0.999)
    right = (random.random(photos) < chance).astype(np.float64)
    doubt = 1.0 - confidence
    rate = AuditRate.for_number(wanted, photos, doubt.tolist())
    probability = np.array([rate.probability(value) for value in doubt])
    chosen = random.random(photos) < probability
    cuts = np.quantile(doubt[chosen], (1 / 3, 2 / 3))
    looked_at = random.random(photos) < np.array(ANSWERED)[np.searchsorted(cuts, doubt)]
    sample = AuditSample(
        photo=tuple(str(number) for number in np.flatnonzero(chosen)),
        probability=probability[chosen],
        doubt=doubt[chosen],
        confidence=confidence[chosen],
        right=np.where(looked_at, right, np.nan)[chosen],
        mean_confidence=float(confidence.mean()),
        photos=photos,
    )
    return sample, float(right.mean())


def held(
    seeds: range, drift: float, photos: int = 20_000, wanted: float = PER_MONTH
) -> tuple[float, NDArray[np.float64]]:
    """How often the interval holds the truth, and by how much the estimate is off."""
    inside, off = [], []
    for seed in seeds:
        sample, truth = month(seed, drift, photos, wanted)
        found = audited_accuracy(sample)
        assert found.accuracy is not None
        assert found.low is not None
        assert found.high is not None
        inside.append(found.low <= truth <= found.high)
        off.append(found.accuracy - truth)
    return float(np.mean(inside)), np.array(off)


@pytest.mark.parametrize("drift", [CLEAN, DRIFTED])
def test_some_months(drift: float) -> None:
    share, off = held(range(40), drift, photos=4000, wanted=300)
    assert share >= 0.85  # of 40 at 95%: fewer than 34 in one of seven hundred tries; the seeds are fixed
    assert abs(off.mean()) < 0.015


@pytest.mark.nightly
@pytest.mark.parametrize("drift", [CLEAN, 0.1, DRIFTED, 0.5])
def test_many_months(drift: float) -> None:
    share, off = held(range(1000), drift)
    assert 0.93 <= share <= 0.97
    assert abs(off.mean()) < 0.002


def test_what_was_looked_at_alone_would_mislead() -> None:
    sample, truth = month(3, CLEAN)
    found = audited_accuracy(sample)
    assert found.accuracy is not None
    assert abs(found.accuracy - truth) < 0.02
    assert np.nanmean(sample.right) < truth - 0.1


def test_everybody_looked_at_leaves_nothing_open() -> None:
    sample, _ = month(1, CLEAN, photos=200, wanted=200)
    whole = AuditSample(**{**vars(sample), "right": np.where(np.arange(len(sample.photo)) % 4 == 0, 0.0, 1.0)})
    found = audited_accuracy(whole)
    assert found.accuracy == pytest.approx(0.75)
    assert (found.low, found.high) == pytest.approx((0.75, 0.75))


def test_too_few_answers_are_counted_and_give_no_number() -> None:
    sample, _ = month(1, CLEAN)
    few = np.full(len(sample.photo), np.nan)
    few[: FEWEST - 1] = 1.0
    found = audited_accuracy(AuditSample(**{**vars(sample), "right": few}))
    assert found.reviewed == FEWEST - 1
    assert (found.accuracy, found.low, found.high) == (None, None, None)
    nothing = np.empty(0)
    empty = AuditSample(
        photo=(), probability=nothing, doubt=nothing, confidence=nothing, right=nothing, mean_confidence=0.0, photos=0
    )
    assert audited_accuracy(empty).response == (None, None, None)


def test_all_right_is_not_certainly_all_right() -> None:
    sample, _ = month(2, CLEAN, wanted=60)
    found = audited_accuracy(AuditSample(**{**vars(sample), "right": np.ones(len(sample.photo))}))
    assert found.low is not None
    assert found.low < 0.97


def test_the_same_sample_gives_the_same_numbers() -> None:
    sample, _ = month(4, DRIFTED)
    assert audited_accuracy(sample) == audited_accuracy(sample)
