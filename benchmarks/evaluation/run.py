"""Tables for docs/measurements/evaluation.md.

    python -m benchmarks.evaluation.run held-out PHOTOS
    python -m benchmarks.evaluation.run sets PHOTOS
    python -m benchmarks.evaluation.run unknown PHOTOS --others FOLDER
    python -m benchmarks.evaluation.run share PHOTOS --others FOLDER

Embeddings are remembered in the user's cache, as in training: the first run takes half a minute more.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from animal_classification.bundle.schema import Conformal
from animal_classification.evaluation import calibration, conformal
from animal_classification.evaluation.ood import auroc, false_positive_rate
from benchmarks.evaluation.scores import scores
from benchmarks.evaluation.setting import Model, Setting

LEFT_OUT = 5
SHARES = (0.01, 0.02, 0.03, 0.05)
RULES = {
    "APS": Conformal(alpha=0.1, quantile=0, method="aps"),
    **{
        f"RAPS, penalty {penalty:g}, {free} free": Conformal(
            alpha=0.1, quantile=0, method="raps", penalty=penalty, free=free
        )
        for penalty in (0.01, 0.1)
        for free in (1, 2, 3)
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=["held-out", "sets", "unknown", "share"])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--others", type=Path, help="photos of no animal at all")
    parser.add_argument("--times", type=int, default=10, help="divisions, or choices of classes to leave out")
    asked = parser.parse_args()
    begun = time.monotonic()
    if asked.experiment == "held-out":
        held_out(asked.photos, range(asked.times))
    elif asked.experiment == "sets":
        sets(asked.photos, range(asked.times))
    elif asked.experiment == "share":
        share(asked.photos, asked.others, range(asked.times))
    else:
        unknown(asked.photos, asked.others, range(asked.times))
    print(f"\n{time.monotonic() - begun:.0f} s")


def held_out(folder: Path, seeds: Sequence[int]) -> None:
    """Accuracy, calibration and coverage on the test photos of each division."""
    names = (
        "accuracy",
        "told right",
        "called unknown",
        "ECE before",
        "ECE",
        "by chance",
        "ECE, equal width",
        "by chance",
        "coverage",
        "shown",
        "labels",
    )
    rows = [_held_out(Setting.of(folder, seed).train()) for seed in seeds]
    _print_table("seed", names, zip(map(str, seeds), rows, strict=True), rows)


def _held_out(model: Model) -> list[float]:
    rule = model.rules.conformal
    assert rule is not None
    logits, targets = model.logits(model.test), model.test_targets
    raw, after = (
        calibration.calibrated(logits, 1.0),
        calibration.calibrated(logits, model.rules.calibration.temperature),
    )
    right, confidence = after.argmax(axis=1) == targets, after.max(axis=1)
    sizes, covered = conformal.shown_sets(after, targets, rule)
    known = ~model.refused(model.test)
    found = [float(right.mean()), float((right & known).mean()), float(1 - known.mean())]
    found.append(calibration.calibration_error(calibration.reliability(raw.max(axis=1), right)))
    for equal_mass in (True, False):
        bars = calibration.reliability(confidence, right, equal_mass=equal_mass)
        found += [calibration.calibration_error(bars), calibration.error_by_chance(confidence, equal_mass=equal_mass)]
    return [*found, conformal.coverage(after, targets, rule), float(covered.mean()), float(sizes.mean())]


def sets(folder: Path, seeds: Sequence[int]) -> None:
    """Coverage and size of sets by different rules, at two levels."""
    models = [Setting.of(folder, seed).train() for seed in seeds]
    for alpha in (0.1, 0.05):
        print(f"\n{1 - alpha:.0%} wanted\n")
        rows = [np.mean([_sets(model, rule, alpha) for model in models], axis=0).tolist() for rule in RULES.values()]
        _print_table("rule", ("coverage", "shown", "labels", "most labels"), zip(RULES, rows, strict=True), [])


def _sets(model: Model, rule: Conformal, alpha: float) -> list[float]:
    temperature = model.rules.calibration.temperature
    held = calibration.calibrated(model.held_logits, temperature)
    truths = conformal.truth_scores(held, model.held_targets, rule, conformal.draws(len(held), 0))
    fitted = rule.model_copy(update={"quantile": conformal.conformal_quantile(truths, alpha), "alpha": alpha})
    test = calibration.calibrated(model.logits(model.test), temperature)
    sizes, covered = conformal.shown_sets(test, model.test_targets, fitted)
    drawn = conformal.coverage(test, model.test_targets, fitted)
    return [drawn, float(covered.mean()), float(sizes.mean()), float(sizes.max())]


def unknown(folder: Path, others: Path | None, seeds: Sequence[int]) -> None:
    """Scores on photos of five classes that were left out, chosen anew each time, and on photos of no animal."""
    found: dict[str, list[list[float]]] = {}
    things = sorted(path for path in others.rglob("*") if path.is_file()) if others else []
    for seed in seeds:
        setting = Setting.of(folder, seed)
        classes = sorted(setting.dataset.classes)
        left_out = sorted(np.random.default_rng(seed).choice(classes, LEFT_OUT, replace=False).tolist())
        model = setting.train([name for name in classes if name not in left_out])
        unknowns = [setting.of_classes(left_out), *([setting.of_files(things)] if things else [])]
        print(f"left out: {', '.join(left_out)}", flush=True)
        for name, score in scores(model).items():
            known = score(model.test)
            row = [told for x in unknowns for told in (auroc(known, score(x)), false_positive_rate(known, score(x)))]
            found.setdefault(name, []).append(row)
    print()
    rows = {name: np.array(values) for name, values in found.items()}
    table = [
        (name, [values[:, 0].mean(), values[:, 0].min(), *values[:, 1:].mean(axis=0)])
        for name, values in sorted(rows.items(), key=lambda item: float(item[1][:, 0].mean()))
    ]
    names = ("AUROC", "worst", "FPR at 95%", *(("AUROC, no animals", "FPR at 95%") if things else ()))
    _print_table("score", names, table, [])


def share(folder: Path, others: Path | None, seeds: Sequence[int]) -> None:
    """What each share of photos of the classes that may be refused costs in others that pass."""
    things = sorted(path for path in others.rglob("*") if path.is_file()) if others else []
    found: dict[float, list[list[float]]] = {refused: [] for refused in SHARES}
    for seed in seeds:
        setting = Setting.of(folder, seed)
        classes = sorted(setting.dataset.classes)
        left_out = sorted(np.random.default_rng(seed).choice(classes, LEFT_OUT, replace=False).tolist())
        model = setting.train([name for name in classes if name not in left_out])
        right = model.logits(model.test).argmax(axis=1) == model.test_targets
        unknowns = [setting.of_classes(left_out), *([setting.of_files(things)] if things else [])]
        for refused, rows in found.items():
            rules = model.rules_for(refused)
            called = model.refused(model.test, rules)
            passed = [1 - float(model.refused(x, rules).mean()) for x in unknowns]
            rows.append([float(called.mean()), float((right & ~called).mean()), *passed])
    names = (
        "called unknown",
        "answered right",
        "other animals that pass",
        *(("no animals that pass",) if things else ()),
    )
    _print_table("share wanted", names, [(f"{x:.0%}", np.mean(rows, axis=0).tolist()) for x, rows in found.items()], [])


def _print_table(
    first: str, names: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]], averaged: Sequence[Sequence[float]]
) -> None:
    print(f"| {first} | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    shown = list(rows)
    if averaged:
        shown.append(("mean", np.mean(averaged, axis=0).tolist()))
    for name, values in shown:
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |", flush=True)


if __name__ == "__main__":
    main()
