"""The gate's tests: pure functions of what two models say of the same photos.

A test passes, fails, or is undecided; one that has nothing to go by is skipped. What is promised is simulated in
``tests/unit/loop/test_gate_tests.py``: a candidate that is worse by the margin passes in at most one of twenty, and one
that is as good passes in 55, 79 and 96% with 300, 600 and 1,200 photos (margin 2 points, models that differ on 4%).
"""

# Imported where it is used: SciPy's tests take half a second to load.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation import calibration
from animal_classification.evaluation.significance_tests import ALPHA, holm
from animal_classification.loop.config import GateConfig

Verdict = Literal["pass", "fail", "undecided", "skipped"]
RESAMPLES = 2000
_CALIBRATION_RESAMPLES = 200
MANY = 600  # frozen photos from which the smaller margin holds
FEW_FRESH = 30  # fresh photos from which the candidate must be better, not only as good
FEW_OF_CLASS = 10
FEW_STRANGERS = 20
# (1.645 + 0.84) squared: one-sided 5%, and 80% power at a true difference of nothing.
_DECIDES = 6.2


@dataclass(frozen=True, kw_only=True)
class PairedAnswers:
    """What two models say of the same photos; arrays are ``[N]``.

    Attributes:
        labels: What each photo shows.
        units: Equal numbers for photos that are no two observations.
        right: Whether the old and the new model are right.
        unknown: Whether they call it unknown.
        confidence: Their calibrated probability of the label that they give.
    """

    labels: Sequence[str]
    units: NDArray[np.int64]
    right: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    unknown: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    confidence: tuple[NDArray[np.float64], NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class GateTest:
    """One line of the gate's table.

    Attributes:
        name: Of the test.
        verdict: What came of it.
        says: The numbers, in words.
        values: The numbers.
    """

    name: str
    verdict: Verdict
    says: str
    values: dict[str, Any]

    def as_object(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "verdict": self.verdict, "says": self.says, **self.values}


@dataclass(frozen=True, slots=True)
class DifferenceBounds:
    """A difference in accuracy, new minus old, with one-sided 95% bounds."""

    value: float
    low: float
    high: float


def difference_bounds(answers: PairedAnswers, seed: int = 0) -> DifferenceBounds:
    """Bootstrap over groups: units are drawn with replacement, and each brings all of its photos."""
    _, code = np.unique(answers.units, return_inverse=True)
    old, new = answers.right
    gains = np.bincount(code, new.astype(np.float64) - old.astype(np.float64))
    sizes = np.bincount(code).astype(np.float64)
    # Units alike in both are drawn together: a handful of kinds, however many units there are.
    kinds, members = np.unique(np.stack([gains, sizes], axis=1), axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(sizes), members / len(sizes), size=RESAMPLES)
    differences = (drawn @ kinds[:, 0]) / (drawn @ kinds[:, 1])
    low, high = np.quantile(differences, [ALPHA, 1 - ALPHA])
    return DifferenceBounds(float(gains.sum() / sizes.sum()), float(low), float(high))


def frozen_test(answers: PairedAnswers, config: GateConfig) -> GateTest:
    """The candidate is not worse than the margin on the photos that never change."""
    margin = (config.margin if len(answers) >= MANY else config.margin_few) / 100
    return _not_worse("frozen", answers, margin)


def fresh_test(answers: PairedAnswers, config: GateConfig) -> GateTest:
    """The candidate is not worse on newly labelled photos, and better where there are enough of them."""
    if not len(answers):
        return GateTest(name="fresh", verdict="skipped", says="no fresh photo is labelled yet", values={"photos": 0})
    found = _not_worse("fresh", answers, (config.margin if len(answers) >= MANY else config.margin_few) / 100)
    if found.verdict == "pass" and len(answers) >= FEW_FRESH and found.values["difference"] <= 0:
        says = f"{found.says}: not better, though it learned from such photos"
        return GateTest(name="fresh", verdict="fail", says=says, values=found.values)
    return found


def _not_worse(name: str, answers: PairedAnswers, margin: float) -> GateTest:
    if not len(answers):
        return GateTest(name=name, verdict="skipped", says="no photo to compare on", values={"photos": 0})
    bounds = difference_bounds(answers)
    old, new = answers.right
    discordance = float((old != new).mean())
    verdict: Verdict = "undecided"
    if bounds.low > -margin:
        verdict = "pass"
    elif bounds.value <= -margin or bounds.high < 0:
        verdict = "fail"
    values = {
        "photos": len(answers),
        "groups": len(np.unique(answers.units)),
        "old": float(old.mean()),
        "new": float(new.mean()),
        "difference": bounds.value,
        "low": bounds.low,
        "high": bounds.high,
        "margin": margin,
        "discordance": discordance,
        "would_decide": photos_to_decide(discordance, margin),
    }
    says = (
        f"{100 * values['old']:.1f}% to {100 * values['new']:.1f}% of {len(answers)} photos "
        f"({100 * bounds.value:+.1f} points, at least {100 * bounds.low:+.1f}; allowed {-100 * margin:+.1f})"
    )
    if verdict == "undecided":
        says += f"; about {values['would_decide']} photos would decide"
    return GateTest(name=name, verdict=verdict, says=says, values=values)


def photos_to_decide(discordance: float, margin: float) -> int:
    """Photos with which an equally good candidate would pass four times out of five."""
    return math.ceil(_DECIDES * max(discordance, 0.01) / margin**2) if margin else 0


def class_test(answers: PairedAnswers, config: GateConfig) -> GateTest:
    """No class gets much worse: exact one-sided McNemar test for each, Holm's correction over all."""
    old, new = answers.right
    labels = np.array(answers.labels, dtype=object)
    names, p_values, losses = [], [], []
    for name in sorted(set(answers.labels)):
        here = labels == name
        if int(here.sum()) < FEW_OF_CLASS:
            continue
        names.append(name)
        losses.append(float(old[here].mean() - new[here].mean()))
        p_values.append(mcnemar(old[here], new[here], answers.units[here]))
    if not names:
        says = f"no class has {FEW_OF_CLASS} photos"
        return GateTest(name="classes", verdict="skipped", says=says, values={"classes": 0})
    shown = zip(names, losses, holm(p_values), strict=True)
    worse = {name: loss for name, loss, real in shown if real and 100 * loss > config.class_loss}
    values = {"classes": len(names), "worse": worse, "losses": dict(zip(names, losses, strict=True))}
    if worse:
        says = "worse: " + ", ".join(f"{name} {-100 * loss:+.0f} points" for name, loss in worse.items())
        return GateTest(name="classes", verdict="fail", says=says, values=values)
    return GateTest(name="classes", verdict="pass", says=f"none of {len(names)} gets much worse", values=values)


def mcnemar(old: NDArray[np.bool_], new: NDArray[np.bool_], units: NDArray[np.int64]) -> float:
    """One-sided p-value that the new model is worse: exact binomial test on the units where the two differ."""
    from scipy.stats import binomtest

    _, code = np.unique(units, return_inverse=True)
    change = np.bincount(code, new.astype(np.float64) - old.astype(np.float64))
    lost, gained = int((change < 0).sum()), int((change > 0).sum())
    return float(binomtest(lost, lost + gained, 0.5, alternative="greater").pvalue) if lost + gained else 1.0


def unknown_test(answers: PairedAnswers, config: GateConfig) -> GateTest:
    """The candidate does not call many more photos of its classes unknown."""
    if not len(answers):
        return GateTest(name="unknown", verdict="skipped", says="no photo to compare on", values={"photos": 0})
    old, new = answers.unknown
    rise = float(new.mean() - old.mean())
    bad = 100 * rise > config.unknown and mcnemar(~old, ~new, answers.units) < ALPHA
    says = f"wrongly unknown {100 * old.mean():.1f}% to {100 * new.mean():.1f}%"
    values = {"old": float(old.mean()), "new": float(new.mean())}
    return GateTest(name="unknown", verdict="fail" if bad else "pass", says=says, values=values)


def stranger_test(old: NDArray[np.bool_], new: NDArray[np.bool_], config: GateConfig) -> GateTest:
    """The candidate still refuses photos of none of the classes; ``old`` and ``new`` say which are refused, ``[M]``."""
    if len(old) < FEW_STRANGERS:
        says = f"{len(old)} photos of no class: too few to say"
        return GateTest(name="strangers", verdict="skipped", says=says, values={"photos": len(old)})
    loss = float(old.mean() - new.mean())
    bad = 100 * loss > config.strangers and mcnemar(old, new, np.arange(len(old))) < ALPHA
    says = f"refused {100 * old.mean():.0f}% to {100 * new.mean():.0f}% of {len(old)}"
    values = {"photos": len(old), "old": float(old.mean()), "new": float(new.mean())}
    return GateTest(name="strangers", verdict="fail" if bad else "pass", says=says, values=values)


def calibration_test(answers: PairedAnswers, config: GateConfig) -> GateTest:
    """The candidate is about as honest about its doubts; what chance explains of its error is no reason."""
    if not len(answers):
        return GateTest(name="calibration", verdict="skipped", says="no photo to compare on", values={"photos": 0})
    old, new = (
        calibration.calibration_error(calibration.reliability(confidence, right))
        for confidence, right in zip(answers.confidence, answers.right, strict=True)
    )
    chance = calibration.error_by_chance(answers.confidence[1])
    surely = _least_rise(answers)
    bad = 100 * (new - old) > config.calibration and new > chance and surely > 0
    says = (
        f"error {100 * old:.1f} to {100 * new:.1f} points ({100 * (new - old):+.1f}, at least {100 * surely:+.1f}); "
        f"{100 * chance:.1f} by chance alone"
    )
    values = {"old": old, "new": new, "by_chance": chance, "least_rise": surely}
    return GateTest(name="calibration", verdict="fail" if bad else "pass", says=says, values=values)


def _least_rise(answers: PairedAnswers, seed: int = 0) -> float:
    """One-sided 95% bound of the rise of the calibration error, by a bootstrap over groups."""
    _, code = np.unique(answers.units, return_inverse=True)
    members = [np.flatnonzero(code == unit) for unit in range(int(code.max()) + 1)]
    lot = np.random.default_rng(seed)
    rises = []
    for _ in range(_CALIBRATION_RESAMPLES):
        drawn = np.concatenate([members[unit] for unit in lot.integers(0, len(members), len(members))])
        old, new = (
            calibration.calibration_error(calibration.reliability(confidence[drawn], right[drawn]))
            for confidence, right in zip(answers.confidence, answers.right, strict=True)
        )
        rises.append(new - old)
    return float(np.quantile(rises, ALPHA))


def label_test(old: Sequence[str], new: Sequence[str], config: GateConfig) -> GateTest:
    """The candidate knows all labels of the model in production, but for those that a person gave up."""
    lost = sorted(set(old) - set(new) - set(config.drop_labels))
    values: dict[str, Any] = {"lost": lost, "new": sorted(set(new) - set(old))}
    if lost:
        says = f"it lacks {', '.join(lost)} (--drop-label gives one up)"
        return GateTest(name="labels", verdict="fail", says=says, values=values)
    more = f", new: {', '.join(values['new'])}" if values["new"] else ""
    return GateTest(name="labels", verdict="pass", says=f"all {len(set(old))} are there{more}", values=values)


def overall(tests: Sequence[GateTest]) -> Verdict:
    """Fail where one fails, undecided where one is, else pass; a gate that compared nothing is undecided."""
    verdicts = {test.verdict for test in tests}
    if "fail" in verdicts:
        return "fail"
    compared = any(test.name in ("frozen", "fresh") and test.verdict != "skipped" for test in tests)
    return "undecided" if "undecided" in verdicts or not compared else "pass"
