"""The tables of a page, as rows of names, numbers and small plots."""

from __future__ import annotations

from dataclasses import dataclass, field

from animal_classification.evaluation.result import Evaluation, Reliability, SetResult, Slice
from animal_classification.report.numbers import NOTHING, Ledger, Sentence, Shown, say
from animal_classification.report.sparklines import interval_mark, share_bar
from animal_classification.report.summary import photos, weakest
from animal_classification.report.svg import Svg

_SLICES = {"group": "group", "size": "shorter side", "brightness": "brightness"}
SCORES = {"max_probability": "highest probability alone", "energy": "energy of the logits alone"}
_PAIRS = 8


@dataclass(frozen=True)
class ClassRow:
    """A line of the table of classes."""

    name: str
    bar: Svg
    n: Shown
    recall: Shown
    precision: Shown
    f1: Shown
    ap: Shown
    taken_for: Sentence


@dataclass(frozen=True)
class Line:
    """A name, a plot, a number, and what belongs to it."""

    name: Sentence
    plot: Svg | None
    number: Shown | Sentence
    note: Sentence = field(default=NOTHING)


def class_rows(result: Evaluation, numbers: Ledger) -> list[ClassRow]:
    """Every class that has photos, the least recognised first."""
    rows = []
    for place, one in weakest(result):
        key = f"classes.{place}"
        mistaken = numbers.count(f"{key}.mistaken", one.mistaken)
        rows.append(
            ClassRow(
                name=one.name,
                bar=share_bar(one.recall, f"found, {one.name}", interval=one.recall_interval),
                n=numbers.count(f"{key}.n", one.n),
                recall=numbers.percent(f"{key}.recall", one.recall),
                precision=numbers.percent(f"{key}.precision", one.precision),
                f1=numbers.decimal(f"{key}.f1", one.f1),
                ap=numbers.decimal(f"{key}.ap", one.ap),
                taken_for=say("{} × {}", mistaken, one.taken_for) if one.taken_for else say(""),
            )
        )
    return rows


def averages(result: Evaluation, numbers: Ledger) -> list[tuple[str, list[Shown]]]:
    """Precision, recall, F1 and average precision over classes and over photos."""
    return [
        (words, [numbers.decimal(f"overall.{name}.{one}", getattr(part, one)) for one in _AVERAGED])
        for name, words, part in (
            ("weighted", "every photo alike (weighted)", result.overall.weighted),
            ("macro", "every class alike (macro)", result.overall.macro),
        )
    ]


_AVERAGED = ("precision", "recall", "f1", "ap")


def pair_lines(result: Evaluation, numbers: Ledger) -> list[Line]:
    """The commonest mistakes, and how many there are beside them."""
    pairs, matrix = result.confusion.pairs[:_PAIRS], result.confusion.matrix
    lines = [
        Line(say("{} taken for {}", truth, answer), None, numbers.count(f"confusion.pairs.{place}", count))
        for place, (truth, answer, count) in enumerate(pairs)
    ]
    wrong = sum(map(sum, matrix)) - sum(row[place] for place, row in enumerate(matrix))
    left = wrong - sum(count for _, _, count in pairs)
    return [*lines, Line(say("any other"), None, numbers.count("confusion.pairs_left", left))] if left else lines


def calibration_rows(result: Evaluation, numbers: Ledger) -> list[tuple[str, Shown, Shown]]:
    """Each measure before and after the temperature."""
    before, after = result.calibration.before, result.calibration.after

    def both(words: str, name: str, digits: int) -> tuple[str, Shown, Shown]:
        def one(when: str, part: Reliability) -> Shown:
            return numbers.decimal(f"calibration.{when}.{name}.decimal", getattr(part, name), digits)

        return words, one("before", before), one("after", after)

    return [
        both("temperature", "temperature", 3),
        both("calibration error (ECE), bins of equally many photos", "ece", 4),
        both("… of a perfect model, by chance", "ece_by_chance", 4),
        both("calibration error (ECE), bins of equal width", "ece_equal_width", 4),
        both("… of a perfect model, by chance", "ece_equal_width_by_chance", 4),
        both("Brier score (0 to 2)", "brier", 4),
        both("log loss (nats)", "log_loss", 4),
    ]


def set_lines(sets: SetResult, numbers: Ledger) -> list[Line]:
    """How often the sets hold the truth: drawn ones, which must meet what is wanted, and those that are shown."""
    wanted = 1 - sets.rule.alpha
    lowest = min(0.5, sets.coverage.low)
    return [
        Line(
            say("drawn by lot: to be compared with the {} wanted", numbers.percent("sets.wanted", wanted, 0)),
            interval_mark(sets.coverage, wanted, lowest, "coverage of drawn sets"),
            numbers.percent("sets.coverage.value", sets.coverage.value),
            say(
                "{} to {}",
                numbers.percent("sets.coverage.low", sets.coverage.low),
                numbers.percent("sets.coverage.high", sets.coverage.high),
            ),
        ),
        Line(
            say("as shown with predictions: never empty, at least as often"),
            share_bar(sets.coverage_shown, "coverage of shown sets"),
            numbers.percent("sets.coverage_shown", sets.coverage_shown),
        ),
    ]


def set_size_lines(sets: SetResult, numbers: Ledger) -> list[Line]:
    """Photos by the number of names in their set."""
    most = max(sets.sizes.values(), default=1)
    return [
        Line(
            say("{} name" if size == 1 else "{} names", numbers.count(f"sets.sizes.{size}.size", size)),
            share_bar(count / most, f"sets of {size}"),
            photos(numbers.count(f"sets.sizes.{size}", count)),
        )
        for size, count in sets.sizes.items()
    ]


def worst_covered(sets: SetResult, numbers: Ledger) -> list[Line]:
    """Classes whose sets hold the truth least often."""
    names = list(sets.by_class)
    low = sorted((share, name) for name, share in sets.by_class.items() if share < 1 - sets.rule.alpha)[:_PAIRS]
    return [
        Line(
            say("{}", name),
            share_bar(share, f"coverage, {name}"),
            numbers.percent(f"sets.by_class.{names.index(name)}", share),
        )
        for share, name in low
    ]


def unknown_rows(result: Evaluation, numbers: Ledger) -> list[tuple[str, Shown, Shown]]:
    """AUROC and false positives of the model's score, and of others to compare."""
    measured = result.unknown
    if measured is None or measured.auroc is None or measured.fpr95 is None:
        return []
    rows = [("this model's score", measured.auroc, measured.fpr95, "own")]
    rows += [(SCORES.get(one.name, one.name), one.auroc, one.fpr95, one.name) for one in measured.others]
    return [
        (words, numbers.decimal(f"unknown.{key}.auroc", auroc), numbers.percent(f"unknown.{key}.fpr95", passed))
        for words, auroc, passed, key in rows
    ]


def slice_lines(result: Evaluation, numbers: Ledger) -> list[Line]:
    """Accuracy on parts of the photos, with intervals; those that chance does not explain are marked."""
    whole = result.overall.accuracy.value
    lowest = min((one.accuracy.low for one in result.slices), default=0.0)
    lowest = max(0.0, min(lowest, whole) - 0.02)
    lines = []
    for place, one in enumerate(result.slices):
        key = f"slices.{place}"
        lines.append(
            Line(
                say("{} {}" + (" (weaker)" if one.weaker else ""), _SLICES[one.by], one.name),
                interval_mark(one.accuracy, whole, lowest, f"{_SLICES[one.by]} {one.name}"),
                numbers.percent(f"{key}.accuracy.value", one.accuracy.value),
                say(
                    "{} to {}, {}",
                    numbers.percent(f"{key}.accuracy.low", one.accuracy.low),
                    numbers.percent(f"{key}.accuracy.high", one.accuracy.high),
                    _photos_of(one, key, numbers),
                ),
            )
        )
    return lines


def _photos_of(part: Slice, key: str, numbers: Ledger) -> Sentence:
    count = photos(numbers.count(f"{key}.n", part.n))
    if part.units == part.n:
        return count
    return say("{} ({} independent)", count, numbers.count(f"{key}.units", part.units))
