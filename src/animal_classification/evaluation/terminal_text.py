"""An evaluation as lines for a terminal, for people who know animals and not statistics."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from animal_classification.evaluation.eval_set import NOTHING
from animal_classification.evaluation.model_comparison import verdict

if TYPE_CHECKING:
    from animal_classification.evaluation.result import Evaluation, Interval

WEAKEST = 5
PAIRS = 3
_SLICES = 3


def summary_lines(result: Evaluation) -> Iterator[str]:
    """How good it is, where it fails, and what it says of photos that it does not know."""
    data = result.data
    yield f"{result.model.name} {result.model.version} on {_photos(data.scored)} of {data.source}{_split(data.split)}"
    yield ""
    yield from _table(_numbers(result))
    weak = sorted((one for one in result.classes if one.n), key=lambda one: (one.recall, -one.n))[:WEAKEST]
    if any(one.recall < 1 for one in weak):
        yield ""
        yield "weakest classes"
        yield from _table(
            [
                [f"  {one.name}", f"{_percent(one.recall)} of {one.n} found", _mistaken(one.taken_for, one.mistaken)]
                for one in weak
                if one.recall < 1
            ]
        )
    for one in [one for one in result.slices if one.weaker][:_SLICES]:
        yield f"weaker where {one.by} is {one.name}: {_percent(one.accuracy.value)} of {one.n}"
    if result.comparison is not None:
        yield ""
        yield from verdict(result.comparison)
        yield f"{_photos(result.comparison.n)} of labels that both know"
    if result.drift:
        yield ""
        yield "the same photos under changes"
        yield from _table(_changes(result))
    yield from _counts(result)


def _numbers(result: Evaluation) -> list[list[str]]:
    overall, after, sets, unknown = result.overall, result.calibration.after, result.sets, result.unknown
    rows = [
        ["told right", *_interval(overall.answered_right), _independent(result)],
        ["right label", *_interval(overall.accuracy), "accuracy, whatever is called unknown"],
        ["… every class alike", *_interval(overall.balanced_accuracy), "balanced accuracy"],
    ]
    rows += [[f"among the first {k}", _percent(value), "", ""] for k, value in overall.top.items() if k > 1]
    weighted = overall.weighted
    rows.append(
        ["precision, recall, F1", f"{weighted.precision:.3f}  {weighted.recall:.3f}  {weighted.f1:.3f}", "", "weighted"]
    )
    before = result.calibration.before.ece
    rows.append(
        [
            "confidence is off by",
            f"{100 * after.ece:.1f} points",
            "",
            f"ECE; {100 * before:.1f} before calibration, {100 * after.ece_by_chance:.1f} by chance alone",
        ]
    )
    if sets is not None:
        wanted = _percent(1 - sets.rule.alpha)
        rows.append(["prediction sets", *_interval(sets.coverage), f"hold the truth, {wanted} wanted"])
        rows.append(["sets as shown", _percent(sets.coverage_shown), "", f"{sets.mean_size:.2f} labels on average"])
    if unknown is not None and unknown.refused_known is not None:
        rows.append(["called unknown, wrongly", _percent(unknown.refused_known), "", ""])
        if unknown.refused_unknown is not None and unknown.auroc is not None:
            note = f"of {unknown.n}; AUROC {unknown.auroc:.3f}"
            rows.append(["called unknown, rightly", _percent(unknown.refused_unknown), "", note])
    return rows


def _independent(result: Evaluation) -> str:
    """What the intervals rest on, where that is less than photos."""
    data = result.data
    if data.units == data.scored:
        return "95% interval"
    groups = f" of {data.groups} groups" if data.groups else ""
    return f"95% interval, for {data.units} independent observations{groups}"


def _counts(result: Evaluation) -> Iterator[str]:
    """What is not in the numbers, and why; nothing is dropped silently."""
    data = result.data
    if data.unknown_labels:
        named = [name for name in data.unknown_labels if name != NOTHING]
        some = f": {', '.join(named[:PAIRS])}{_more(named)}" if named else ""
        yield f"{_photos(data.unknown)} of none of the model's classes count as unknown{some}"
    if data.unreadable:
        yield f"{_photos(data.unreadable)} could not be used"
    if data.left_out:
        yield "not looked at: " + ", ".join(f"{count} {reason}" for reason, count in data.left_out.items())
    if data.missing_labels:
        names = ", ".join(data.missing_labels[:PAIRS])
        yield f"no photo of {len(data.missing_labels)} of the model's classes: {names}{_more(data.missing_labels)}"


def _more(names: Collection[str]) -> str:
    return " …" if len(names) > PAIRS else ""


def _mistaken(name: str | None, often: int) -> str:
    return f"taken for {name} {often} times" if name and often > 1 else f"taken for {name} once" if name else ""


def _interval(number: Interval) -> tuple[str, str]:
    return _percent(number.value), f"{100 * number.low:.1f} to {100 * number.high:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"


def _split(name: str) -> str:
    return "" if name == "all" else f", split {name}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _changes(result: Evaluation) -> list[list[str]]:
    rows = [["  photos", "right label", "called unknown", "drift found (photos of a window)"]]
    for one in result.drift:
        found = ", ".join(f"{_percent(share)} ({size})" for size, share in sorted(one.found.items()))
        unknown = "" if one.unknown is None else _percent(one.unknown)
        rows.append([f"  {one.says}", _percent(one.accuracy.value), unknown, f"{found}  {one.kind}" if found else ""])
    return rows
