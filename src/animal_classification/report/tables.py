"""The tables of a page, as rows of names, numbers and small plots."""

from __future__ import annotations

from dataclasses import dataclass

from animal_classification.evaluation.result import Evaluation, Reliability, SetResult, Slice
from animal_classification.report.numbers import count, decimal, percent, percent_range, photos
from animal_classification.report.summary import weakest
from animal_classification.report.svg import Svg, interval_mark, share_bar

_SLICES = {"group": "group", "size": "shorter side", "brightness": "brightness"}
_SCORES = {"max_probability": "highest probability alone", "energy": "energy of the logits alone"}
_PAIRS = 8


@dataclass(frozen=True)
class ClassRow:
    """A line of the table of classes."""

    name: str
    bar: Svg
    n: str
    recall: str
    precision: str
    f1: str
    ap: str
    taken_for: str


@dataclass(frozen=True)
class Line:
    """A name, a plot, a number, and what belongs to it."""

    name: str
    plot: Svg | None
    number: str
    note: str = ""


def class_rows(result: Evaluation) -> list[ClassRow]:
    """Every class that has photos, the least recognised first."""
    return [
        ClassRow(
            name=one.name,
            bar=share_bar(one.recall, f"found, {one.name}", interval=one.recall_interval),
            n=count(one.n),
            recall=percent(one.recall),
            precision=percent(one.precision),
            f1=decimal(one.f1),
            ap=decimal(one.ap),
            taken_for=f"{count(one.mistaken)} × {one.taken_for}" if one.taken_for else "",
        )
        for one in weakest(result)
    ]


def averages(result: Evaluation) -> list[tuple[str, list[str]]]:
    """Precision, recall, F1 and average precision over classes and over photos."""
    return [
        (words, [decimal(number) for number in (part.precision, part.recall, part.f1, part.ap)])
        for words, part in (
            ("every photo alike (weighted)", result.overall.weighted),
            ("every class alike (macro)", result.overall.macro),
        )
    ]


def pair_lines(result: Evaluation) -> list[Line]:
    """The commonest mistakes, and how many there are beside them."""
    pairs, matrix = result.confusion.pairs[:_PAIRS], result.confusion.matrix
    lines = [Line(f"{truth} taken for {answer}", None, count(n)) for truth, answer, n in pairs]
    wrong = sum(map(sum, matrix)) - sum(row[place] for place, row in enumerate(matrix))
    left = wrong - sum(n for _, _, n in pairs)
    return [*lines, Line("any other", None, count(left))] if left else lines


def calibration_rows(result: Evaluation) -> list[tuple[str, str, str]]:
    """Each measure before and after the temperature."""

    def both(words: str, name: str, digits: int = 4) -> tuple[str, str, str]:
        def one(part: Reliability) -> str:
            return decimal(getattr(part, name), digits)

        return words, one(result.calibration.before), one(result.calibration.after)

    return [
        both("temperature", "temperature", 3),
        both("calibration error (ECE), bins of equally many photos", "ece"),
        both("… of a perfect model, by chance", "ece_by_chance"),
        both("calibration error (ECE), bins of equal width", "ece_equal_width"),
        both("… of a perfect model, by chance", "ece_equal_width_by_chance"),
        both("Brier score (0 to 2)", "brier"),
        both("log loss (nats)", "log_loss"),
    ]


@dataclass(frozen=True)
class ChangedRow:
    """A line of the table of changed photos."""

    says: str
    bar: Svg
    accuracy: str
    estimated: str
    ece: str
    unknown: str
    set_size: str
    found: tuple[str, ...]
    kind: str


def changed_rows(result: Evaluation) -> list[ChangedRow]:
    """Photos as they are, and under each change."""
    return [
        ChangedRow(
            says=one.says,
            bar=share_bar(one.accuracy.value, f"accuracy, {one.says}", interval=one.accuracy),
            accuracy=percent(one.accuracy.value),
            estimated="" if one.estimated is None else " to ".join(percent(end, 0) for end in one.estimated),
            ece=decimal(one.ece),
            unknown="" if one.unknown is None else percent(one.unknown),
            set_size="" if one.set_size is None else decimal(one.set_size, 2),
            found=tuple(percent(one.found[size], 0) if size in one.found else "" for size in found_sizes(result)),
            kind=one.kind,
        )
        for one in result.drift
    ]


def found_sizes(result: Evaluation) -> list[int]:
    """Photos of the windows that the monitor judged."""
    return sorted({size for one in result.drift for size in one.found})


def set_lines(sets: SetResult) -> list[Line]:
    """How often the sets hold the truth: drawn ones, which must meet what is wanted, and those that are shown."""
    wanted = 1 - sets.rule.alpha
    lowest = min(0.5, sets.coverage.low)
    return [
        Line(
            f"drawn by lot: to be compared with the {percent(wanted, 0)} wanted",
            interval_mark(sets.coverage, wanted, lowest, "coverage of drawn sets"),
            percent(sets.coverage.value),
            percent_range(sets.coverage),
        ),
        Line(
            "as shown with predictions: never empty, at least as often",
            share_bar(sets.coverage_shown, "coverage of shown sets"),
            percent(sets.coverage_shown),
        ),
    ]


def set_size_lines(sets: SetResult) -> list[Line]:
    """Photos by the number of names in their set."""
    most = max(sets.sizes.values(), default=1)
    return [
        Line(f"{count(size)} name{'' if size == 1 else 's'}", share_bar(n / most, f"sets of {size}"), photos(n))
        for size, n in sets.sizes.items()
    ]


def worst_covered(sets: SetResult) -> list[Line]:
    """Classes whose sets hold the truth least often."""
    low = sorted((share, name) for name, share in sets.by_class.items() if share < 1 - sets.rule.alpha)[:_PAIRS]
    return [Line(name, share_bar(share, f"coverage, {name}"), percent(share)) for share, name in low]


def unknown_rows(result: Evaluation) -> list[tuple[str, str, str]]:
    """AUROC and false positives of the model's score, and of others to compare."""
    measured = result.unknown
    if measured is None or measured.auroc is None or measured.fpr95 is None:
        return []
    rows = [("this model's score", measured.auroc, measured.fpr95)]
    rows += [(_SCORES.get(one.name, one.name), one.auroc, one.fpr95) for one in measured.others]
    return [(words, decimal(auroc), percent(passed)) for words, auroc, passed in rows]


def slice_lines(result: Evaluation) -> list[Line]:
    """Accuracy on parts of the photos, with intervals; those that chance does not explain are marked."""
    whole = result.overall.accuracy.value
    lowest = min((one.accuracy.low for one in result.slices), default=0.0)
    lowest = max(0.0, min(lowest, whole) - 0.02)
    return [
        Line(
            f"{_SLICES[one.by]} {one.name}{' (weaker)' if one.weaker else ''}",
            interval_mark(one.accuracy, whole, lowest, f"{_SLICES[one.by]} {one.name}"),
            percent(one.accuracy.value),
            f"{percent_range(one.accuracy)}, {_photos_of(one)}",
        )
        for one in result.slices
    ]


def _photos_of(part: Slice) -> str:
    text = photos(part.n)
    return text if part.units == part.n else f"{text} ({count(part.units)} independent)"
