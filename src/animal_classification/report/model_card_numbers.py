"""How good a model is, as its card says it: after a training or an export, or after an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animal_classification.report import summary
from animal_classification.report.numbers import Ledger, Sentence, Shown, say

if TYPE_CHECKING:
    from animal_classification.evaluation.result import Evaluation, Interval
    from animal_classification.evaluation.scorecard import Scorecard

_SHOWN = 5
_INTERVAL = "{} (95% interval {} to {})"
_TOLD = 'told right (the right label, or a right group, and not "unknown")'


@dataclass(frozen=True, kw_only=True)
class CardNumbers:
    """How good it is.

    Attributes:
        dataset: What the photos are called.
        split: Which part of them.
        photos: How many.
        apart: What is known of whether training has seen them: comes after ``photos`` in a sentence.
        rows: What is measured, a name and a number with whatever explains it.
        weakest: The classes that it recognises least, and how many of their photos it finds.
        metrics: For the front matter, by the names that Hugging Face gives them.
        verdict: The same in words; empty where nobody looked so closely.
    """

    dataset: str
    split: str
    photos: Shown
    apart: Sentence
    rows: Sequence[tuple[str, Sentence]]
    weakest: Sequence[tuple[str, Sentence]]
    metrics: Sequence[tuple[str, Shown]]
    verdict: Sequence[summary.SummaryPoint] = ()


def of_scorecard(tested: Scorecard, dataset: str, numbers: Ledger) -> CardNumbers:
    """What training and exports measure.

    Args:
        tested: On the photos that were kept apart.
        dataset: What the photos are called.
        numbers: Gets them all.
    """
    recalls = tested.recalls
    worst, names = sorted(recalls, key=lambda name: (recalls[name], name))[:_SHOWN], list(recalls)
    photos = numbers.count("data.scored", tested.photos)
    return CardNumbers(
        dataset=dataset,
        split="test",
        photos=photos,
        apart=_apart(tested.seen, numbers),
        rows=[
            (_TOLD, _decimals("answered_right", tested.answered_right, numbers)),
            ("accuracy", _decimals("accuracy", tested.accuracy, numbers)),
            ("mean recall of the classes", _decimals("balanced_accuracy", tested.balanced_accuracy, numbers)),
            ("called unknown, wrongly", say("{}", numbers.decimal("called_unknown", tested.called_unknown))),
            ("true class among the first five", say("{}", numbers.decimal("top5", tested.top5))),
            ("loss (nats)", say("{}", numbers.decimal("loss", tested.loss))),
            ("photos independent of each other", say("{}", numbers.count("data.units", tested.units))),
        ],
        weakest=[(name, say("{}", numbers.decimal(f"recall.{names.index(name)}", recalls[name], 2))) for name in worst],
        metrics=[
            ("accuracy", numbers.decimal("accuracy", tested.accuracy.value, 4)),
            ("answered_right", numbers.decimal("answered_right", tested.answered_right.value, 4)),
            ("loss", numbers.decimal("loss", tested.loss, 4)),
        ],
    )


def of_evaluation(result: Evaluation, numbers: Ledger) -> CardNumbers:
    """What an evaluation measures."""
    overall, after, sets, unknown = result.overall, result.calibration.after, result.sets, result.unknown

    balanced = overall.balanced_accuracy
    rows = [
        (_TOLD, _percents("overall.answered_right", overall.answered_right, numbers)),
        ("accuracy", _percents("overall.accuracy", overall.accuracy, numbers)),
        ("every class alike (balanced accuracy)", _percents("overall.balanced_accuracy", balanced, numbers)),
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
        rows.append(
            (f"prediction sets hold the truth ({wanted} wanted)", _percents("sets.coverage", sets.coverage, numbers))
        )
    if unknown is not None and unknown.auroc is not None:
        rows.append(("photos of other things (AUROC)", say("{}", numbers.decimal("unknown.own.auroc", unknown.auroc))))
    weakest = [
        (
            one.name,
            say(
                "{} of {}",
                numbers.percent(f"classes.{place}.recall", one.recall),
                summary.photos(numbers.count(f"classes.{place}.n", one.n)),
            ),
        )
        for place, one in summary.weakest(result)[:_SHOWN]
    ]
    return CardNumbers(
        dataset=result.data.source,
        split=result.data.split,
        photos=numbers.count("data.scored", result.data.scored),
        apart=_apart(result.data.seen if result.data.seen_known else None, numbers),
        rows=rows,
        weakest=weakest,
        metrics=[
            ("accuracy", numbers.decimal("accuracy", overall.accuracy.value, 4)),
            ("answered_right", numbers.decimal("answered_right", overall.answered_right.value, 4)),
            ("f1", numbers.decimal("f1", overall.weighted.f1, 4)),
        ],
        verdict=summary.points(result, numbers),
    )


def _percents(name: str, number: Interval, numbers: Ledger) -> Sentence:
    return say(_INTERVAL, *(numbers.percent(f"{name}.{part}", value) for part, value in number))


def _decimals(name: str, number: Interval, numbers: Ledger) -> Sentence:
    ends = (numbers.decimal(f"{name}.{part}", value) for part, value in (("low", number.low), ("high", number.high)))
    return say(_INTERVAL, numbers.decimal(name, number.value), *ends)


def _apart(seen: int | None, numbers: Ledger) -> Sentence:
    if seen is None:
        return say("; whether training has seen them is not known")
    if not seen:
        return say(" that were kept apart from its training")
    return say(", of which training has seen {}, or copies of them", numbers.count("data.seen", seen))
