"""Verdicts: what changed is named, the same window gives the same numbers, and too little is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from animal_classification.monitoring.drift.judge import DriftJudge, TooFewPhotosError
from animal_classification.monitoring.drift.kind import described
from animal_classification.monitoring.drift.likely_cause import likely_cause
from animal_classification.monitoring.drift.reference import DriftReference
from animal_classification.monitoring.drift.terminal_text import verdict_lines
from animal_classification.monitoring.drift.verdict import EstimatedAccuracy
from tests.support.drift_samples import as_window, made_judge, made_reference, made_sample


def test_clean_photos_are_no_drift() -> None:
    verdict = made_judge().judge(as_window(made_sample(200, 7)[0]))
    assert (verdict.kind, verdict.score, verdict.harmful, verdict.fired) == ("none", 0.0, False, frozenset())
    assert verdict.accuracy is not None
    assert verdict.accuracy.low <= 0.9 <= verdict.accuracy.high


def test_darker_photos_are_an_image_drift_with_its_number() -> None:
    verdict = made_judge().judge(as_window(made_sample(200, 7, dark=1.5)[0]))
    assert verdict.kind == "image"
    assert verdict.tests.image_largest == "brightness"
    assert verdict.tests.image_shift == pytest.approx(-1.5, abs=0.3)
    assert "darker (brightness -1." in verdict.says


def test_strangers_are_a_drift_of_the_content_with_their_share() -> None:
    verdict = made_judge().judge(as_window(made_sample(200, 7, strangers=0.3)[0]))
    assert verdict.kind == "content"
    assert verdict.part == pytest.approx(0.33, abs=0.06)
    assert verdict.harmful
    assert verdict.accuracy is not None
    assert verdict.accuracy.high < 0.8


def test_other_shares_are_a_drift_of_the_mix_and_name_the_animals() -> None:
    judge = made_judge(made_reference(mistakes=0.02))
    verdict = judge.judge(as_window(made_sample(200, 7, shares=(0.1, 0.1, 0.8), mistakes=0.02)[0]))
    assert verdict.kind == "mix"
    assert verdict.tests.mix_changes[0][0] == "lion"
    assert "lion" in verdict.says
    assert verdict.tests.look_p > 0.0025, "animals that come in other shares look as before"


def test_another_look_is_named_where_no_number_moved() -> None:
    sample, _ = made_sample(200, 7)
    moved = replace(sample, embedding=sample.embedding + np.eye(1, 16, 9).astype(np.float32) * 0.6)
    verdict = made_judge().judge(as_window(moved))
    assert verdict.kind == "look"


def test_the_part_that_changed_and_its_camera_are_named() -> None:
    sample, _ = made_sample(200, 7, strangers=0.2)
    stats = sample.stats.copy()
    stats[:40, 4] -= 12
    window = as_window(replace(sample, stats=stats), source=("cam4",) * 40 + ("cam1",) * 80 + ("cam2",) * 80)
    judged = made_judge()
    evidence = judged.judge(window)
    # The numbers of the others stayed: only the strangers look otherwise.
    assert (evidence.kind, evidence.part_source) == ("image", "cam4")
    assert "nearly all from cam4, " in evidence.says
    assert "saturation" in evidence.says


def test_the_one_camera_whose_photos_changed_is_named() -> None:
    sample, _ = made_sample(200, 7)
    stats = sample.stats.copy()
    stats[150:, 0] -= 8
    window = as_window(replace(sample, stats=stats), source=("cam1",) * 75 + ("cam2",) * 75 + ("cam4",) * 50)
    verdict = made_judge().judge(window)
    assert (verdict.kind, verdict.part, verdict.part_source) == ("image", 0.25, "cam4")
    assert verdict.says.startswith("25% of photos, those from cam4, are darker (brightness -1.")
    everywhere = replace(window, source=("cam1", "cam2") * 100)
    assert made_judge().judge(everywhere).part_source is None


def test_photos_that_all_look_otherwise_are_no_strangers() -> None:
    """As when a camera is turned: many count as strangers, but those that do not look otherwise as well."""
    sample, _ = made_sample(200, 7, strangers=0.3)
    moved = replace(sample, embedding=sample.embedding + np.eye(1, 16, 9).astype(np.float32) * 0.6)
    verdict = made_judge().judge(as_window(moved))
    assert {"content", "look"} <= verdict.fired
    assert verdict.kind == "look"


def test_two_windows_in_a_row_confirm() -> None:
    judge = made_judge()
    windows = [as_window(made_sample(200, seed, dark=1.5)[0]) for seed in (7, 8)]
    first, second = judge.judge_in_turn(windows)
    assert (first.confirmed, second.confirmed) == (False, True)
    assert first.score == 0.2
    assert not judge.judge(windows[1], fired_before={"mix"}).confirmed


def test_the_same_window_gets_the_same_numbers() -> None:
    window = as_window(made_sample(200, 7)[0])
    assert made_judge().judge(window) == made_judge().judge(window)


def test_no_more_photos_are_judged_than_the_reference_has() -> None:
    verdict = made_judge(made_reference(120)).judge(as_window(made_sample(300, 7)[0]), size=200)
    assert (verdict.read, verdict.used) == (300, 120)


def test_too_few_photos_are_refused_with_their_number() -> None:
    with pytest.raises(TooFewPhotosError, match="49 photos are left of 49") as error:
        made_judge().judge(as_window(made_sample(49, 7)[0]))
    assert (error.value.left, error.value.read) == (49, 49)


def test_photos_without_statistics_are_judged_by_the_other_tests() -> None:
    sample, _ = made_sample(200, 7, dark=2)
    verdict = made_judge().judge(as_window(replace(sample, stats=np.full((200, 12), np.nan, np.float32))))
    assert (verdict.kind, verdict.tests.image_p, verdict.tests.image_largest) == ("none", 1.0, "")
    json.dumps(verdict.to_json(), allow_nan=False)


def test_a_reference_without_labels_gives_no_estimate() -> None:
    sample, _ = made_sample(300, 0)
    reference = DriftReference(sample=sample, label=np.full(300, -1))
    judge = DriftJudge(reference=reference, labels=("cat", "dog", "lion"), model="zoo", version="3")
    verdict = judge.judge(as_window(made_sample(200, 7, dark=1.5)[0]), fired_before={"image"})
    assert verdict.accuracy is None
    assert verdict.to_json()["accuracy"] == {"reference": None, "estimated": None, "audit": None}
    assert verdict.harmful, "what cannot be estimated is told"
    assert any("no labels" in line for line in verdict_lines([verdict]))


def test_the_object_of_the_api_is_as_promised() -> None:
    verdict = made_judge().judge(as_window(made_sample(200, 7, dark=1.5)[0]))
    found = verdict.to_json({"accuracy": 0.86, "low": 0.79, "high": 0.93, "reviewed": 61})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == [
        *("model", "version", "source", "since", "until", "read", "used", "reference", "verdict", "tests", "accuracy")
    ]
    assert set(found["reference"]) == {"kind", "photos", "sha256"}
    assert {"kind", "part", "source", "confirmed", "harmful", "says"} <= set(found["verdict"])
    assert set(found["tests"]) == {"look", "image", "content", "mix"}
    assert found["accuracy"]["audit"]["reviewed"] == 61
    assert found["since"].startswith("2023-11-14T")


@pytest.mark.parametrize(
    ("low", "points", "score"), [(0.85, 0.9, 0.2), (0.5, 0.6, 0.25 + 0.75 * 0.2 / 0.2), (0.7, 0.86, 0.26)]
)
def test_the_score_says_whether_to_wake_somebody(low: float, points: float, score: float) -> None:
    verdict = made_judge().judge(as_window(made_sample(200, 7, dark=1.5)[0]), fired_before={"image"})
    high = 0.7 if points == 0.6 else 0.93
    told = replace(verdict, accuracy=EstimatedAccuracy(reference=0.91, low=low, high=high, points={"atc": points}))
    assert told.score == pytest.approx(min(1.0, score) if points != 0.6 else 1.0, abs=0.01)
    assert told.scores[told.kind] == told.score
    assert sum(told.scores.values()) == told.score


def test_causes_are_told_by_direction() -> None:
    night = np.array([-0.9, -0.6, 0.6, -0.2, -1.0, -0.2, -0.1, 0.6, 0.0, 1.5, -0.6, 0.1])
    assert likely_cause(night) == "taken at night in infra-red"
    assert likely_cause(np.eye(1, 12, 5)[0]) is None
    assert likely_cause(np.zeros(12)) is None
    assert described(np.eye(1, 12, 5)[0]) == "are redder (cast +1.0 sd): another white balance, evening or lamp light"
