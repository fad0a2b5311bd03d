"""How good a model is, as its card says it: after a training, or after an evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from animal_classification.evaluation.report import headline
from animal_classification.evaluation.report.numbers import Ledger, Sentence, Shown, say

if TYPE_CHECKING:
    from animal_classification.evaluation.result import Evaluation

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class CardNumbers:
    """How good it is.

    Attributes:
        dataset: What the photos are called.
        split: Which part of them.
        photos: How many.
        rows: What is measured, a name and a number with whatever explains it.
        weakest: The classes that it recognises least, and how many of their photos it finds.
        metrics: For the front matter, by the names that Hugging Face gives them.
        verdict: The same in words; empty where nobody looked so closely.
    """

    dataset: str
    split: str
    photos: Shown
    rows: Sequence[tuple[str, Sentence]]
    weakest: Sequence[tuple[str, Sentence]]
    metrics: Sequence[tuple[str, Shown]]
    verdict: Sequence[headline.Point] = ()


def simple(
    summary: dict[str, float], recalls: dict[str, float], dataset: str, photos: int, numbers: Ledger
) -> CardNumbers:
    """What training measures.

    Args:
        summary: ``accuracy``, ``balanced_accuracy``, ``top5`` and ``loss``.
        recalls: By class.
        dataset: What the photos are called.
        photos: How many there were.
        numbers: Gets them all.
    """
    accuracy = summary["accuracy"]
    error = math.sqrt(accuracy * (1 - accuracy) / photos)
    worst = sorted(recalls, key=lambda name: (recalls[name], name))[:_SHOWN]
    names = list(recalls)
    return CardNumbers(
        dataset=dataset,
        split="test",
        photos=numbers.count("data.scored", photos),
        rows=[
            (
                "accuracy",
                say(
                    "{} (standard error {})",
                    numbers.decimal("accuracy", accuracy),
                    numbers.decimal("accuracy.standard_error", error),
                ),
            ),
            (
                "mean recall of the classes",
                say("{}", numbers.decimal("balanced_accuracy", summary["balanced_accuracy"])),
            ),
            ("true class among the first five", say("{}", numbers.decimal("top5", summary["top5"]))),
            ("loss (nats)", say("{}", numbers.decimal("loss", summary["loss"]))),
        ],
        weakest=[(name, say("{}", numbers.decimal(f"recall.{names.index(name)}", recalls[name], 2))) for name in worst],
        metrics=[
            ("accuracy", numbers.decimal("accuracy", accuracy, 4)),
            ("loss", numbers.decimal("loss", summary["loss"], 4)),
        ],
    )


def of_evaluation(result: Evaluation, numbers: Ledger) -> CardNumbers:
    """What an evaluation measures."""
    overall, after, sets, unknown = result.overall, result.calibration.after, result.sets, result.unknown

    def interval(name: str, number: Any) -> Sentence:
        parts = [
            numbers.percent(f"{name}.{part}", value)
            for part, value in (("value", number.value), ("low", number.low), ("high", number.high))
        ]
        return say("{} (95% interval {} to {})", *parts)

    rows = [
        ("accuracy", interval("overall.accuracy", overall.accuracy)),
        ("every class alike (balanced accuracy)", interval("overall.balanced_accuracy", overall.balanced_accuracy)),
    ]
    rows += [
        (f"true class among the first {k}", say("{}", numbers.percent(f"overall.top.{k}", share)))
        for k, share in overall.top.items()
        if k > 1
    ]
    rows += [
        (f"{words} (weighted)", say("{}", numbers.decimal(f"overall.weighted.{name}", getattr(overall.weighted, name))))
        for words, name in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
    ]
    rows.append(
        (
            "calibration error (ECE)",
            say(
                "{}; {} before calibration, {} by chance alone",
                numbers.percent("calibration.after.ece", after.ece),
                numbers.percent("calibration.before.ece", result.calibration.before.ece),
                numbers.percent("calibration.after.ece_by_chance", after.ece_by_chance),
            ),
        )
    )
    if sets is not None:
        wanted = numbers.percent("sets.wanted", 1 - sets.rule.alpha, 0)
        rows.append((f"prediction sets hold the truth ({wanted} wanted)", interval("sets.coverage", sets.coverage)))
    if unknown is not None and unknown.auroc is not None:
        rows.append(("photos of other things (AUROC)", say("{}", numbers.decimal("unknown.own.auroc", unknown.auroc))))
    weakest = [
        (
            one.name,
            say(
                "{} of {}",
                numbers.percent(f"classes.{place}.recall", one.recall),
                headline.photos(numbers.count(f"classes.{place}.n", one.n)),
            ),
        )
        for place, one in headline.weakest(result)[:_SHOWN]
    ]
    return CardNumbers(
        dataset=result.data.source,
        split=result.data.split,
        photos=numbers.count("data.scored", result.data.scored),
        rows=rows,
        weakest=weakest,
        metrics=[
            ("accuracy", numbers.decimal("accuracy", overall.accuracy.value, 4)),
            ("f1", numbers.decimal("f1", overall.weighted.f1, 4)),
        ],
        verdict=headline.points(result, numbers),
    )
