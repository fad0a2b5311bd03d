"""The large plots: which classes are confused, whether probabilities mean what they say, known and unknown photos.

They are drawn 360 units wide, so that their words can be read on a phone; on a wide screen they grow.
"""

from __future__ import annotations

from collections.abc import Sequence

from animal_classification.evaluation.result import ConfusionMatrix, Evaluation, Reliability
from animal_classification.report.numbers import Ledger
from animal_classification.report.svg import Svg, shortened

WIDTH = 360.0
MOST_CONFUSED = 16
_LONGEST_NAME = 16
_LETTER = 0.56  # width of a letter, of its height
_MOST_COUNTED = 999  # larger numbers do not fit below a bar
_BINS = 24


def confused_classes(confusion: ConfusionMatrix) -> list[int]:
    """Positions of the classes that the plot shows: those with a mistake, the most confused if there are many."""
    wrong = [[n if i != j else 0 for j, n in enumerate(row)] for i, row in enumerate(confusion.matrix)]
    mistakes = [sum(row) + sum(other[i] for other in wrong) for i, row in enumerate(wrong)]
    most = sorted(range(len(mistakes)), key=lambda i: (-mistakes[i], i))[:MOST_CONFUSED]
    return sorted(i for i in most if mistakes[i])


def confusion_plot(confusion: ConfusionMatrix, numbers: Ledger) -> Svg | None:
    """A square for each pair of classes; ``None`` where nothing was confused."""
    shown = confused_classes(confusion)
    if not shown:
        return None
    names = [shortened(confusion.labels[i], _LONGEST_NAME) for i in shown]
    height = min(10.0, 0.72 * (WIDTH - 70) / len(shown))
    gutter = min(_LETTER * height * max(map(len, names)) + 12, 120)
    cell = min((WIDTH - gutter - 2) / len(shown), 44.0)
    side = gutter + cell * len(shown) + 2
    drawing = Svg(WIDTH, side + 4, "Confusion matrix: rows are the truth, columns the answers", kind="confusion")
    for place, (i, name) in enumerate(zip(shown, names, strict=True)):
        middle, edge = gutter + cell * (place + 0.5) + height * 0.35, gutter - 5
        full, style = confusion.labels[i], f"font-size:{height:.1f}px"
        drawing.text(edge, middle, name, title=full, text_anchor="end", style=style)
        drawing.text(middle, edge, name, title=full, transform=f"rotate(-90 {middle:.2f} {edge:.2f})", style=style)
    for row, i in enumerate(shown):
        for column, j in enumerate(shown):
            x, y = gutter + cell * column, gutter + cell * row
            drawing.add("rect", x=x, y=y, width=cell - 1, height=cell - 1, kind="empty")
            if confusion.matrix[i][j]:
                _square(drawing, confusion, (i, j), (x, y, cell), numbers)
    return drawing


def _square(
    drawing: Svg, confusion: ConfusionMatrix, pair: tuple[int, int], place: tuple[float, float, float], numbers: Ledger
) -> None:
    """Photos of one class that were taken for another: the more of the class, the stronger."""
    (i, j), (x, y, cell) = pair, place
    count = confusion.matrix[i][j]
    share, truth, answer = count / sum(confusion.matrix[i]), confusion.labels[i], confusion.labels[j]
    kind, title = ("right", f"{truth}: right") if i == j else ("wrong", f"{truth} taken for {answer}")
    strength = 0.15 + 0.85 * share if i == j else 0.3 + 0.7 * min(3 * share, 1.0)
    side = cell - 1
    drawing.add("rect", x=x, y=y, width=side, height=side, kind=kind, fill_opacity=strength, title=title)
    text = numbers.count(f"confusion.{i}.{j}", count)
    size = min(10.0, cell * 0.72, cell * 0.9 / (_LETTER * len(text.text)))
    drawing.text(
        x + side / 2,
        y + side / 2 + size * 0.35,
        text,
        text_anchor="middle",
        style=f"font-size:{size:.1f}px",
        kind="light" if strength > 0.55 else "dark",
    )


def reliability_plot(measured: Reliability, when: str, numbers: Ledger) -> Svg:
    """Bars of equal width: share of right answers by confidence; below them, how many photos.

    Args:
        measured: At one temperature.
        when: ``before`` or ``after``, the calibration.
        numbers: Of the report.
    """
    left, top, bottom, high = 34.0, 8.0, 262.0, 318.0
    wide, tall = WIDTH - left - 8, bottom - top
    drawing = Svg(WIDTH, 352, f"Reliability {when} calibration", kind="reliability")

    def across(share: float) -> float:
        return left + share * wide

    def up(share: float) -> float:
        return bottom - share * tall

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawing.add("line", x1=left, x2=across(1), y1=up(share), y2=up(share), kind="grid")
        drawing.text(left - 5, up(share) + 3.5, f"{100 * share:.0f}%", text_anchor="end")
        drawing.text(across(share), high + 16, f"{100 * share:.0f}%", text_anchor=_anchor(share))
    drawing.text(across(0.5), high + 31, "how sure it says it is", text_anchor="middle")
    bars = [bar for bar in measured.bins_equal_width if bar.n]
    most = max((bar.n for bar in bars), default=1)
    for place, bar in enumerate(measured.bins_equal_width):
        if not bar.n:
            continue
        x, width = across(bar.low) + 1, across(bar.high) - across(bar.low) - 2
        low, gap = sorted((bar.accuracy, bar.confidence))
        drawing.add("rect", x=x, y=up(low), width=width, height=low * tall, kind="filled")
        kind = "too-sure" if bar.accuracy < bar.confidence else "too-modest"
        drawing.add("rect", x=x, y=up(gap), width=width, height=(gap - low) * tall, kind=kind)
        strip = 26 * bar.n / most
        drawing.add("rect", x=x, y=high - strip, width=width, height=strip, kind="count")
        if most <= _MOST_COUNTED:
            text = numbers.count(f"calibration.{when}.bins_equal_width.{place}.n", bar.n)
            drawing.text(x + width / 2, high - strip - 3, text, text_anchor="middle", kind="small")
    drawing.add("line", x1=across(0), y1=up(0), x2=across(1), y2=up(1), kind="ideal")
    drawing.add("line", x1=left, x2=across(1), y1=high, y2=high, kind="axis")
    return drawing


def known_score_plot(result: Evaluation) -> Svg | None:
    """How sure the model is that photos are of its classes: its own photos upwards, others downwards."""
    known = [row.known_score for row in result.photos if row.known and row.known_score is not None]
    other = [row.known_score for row in result.photos if not row.known and row.known_score is not None]
    if result.unknown is None or not other or not known:
        return None
    rule = result.unknown.rule
    # Scores of other kinds are brought to 0 to 1, with the threshold in the middle (inference.known.squashed).
    threshold = rule.threshold if rule.method in {"background", "max_probability"} else 0.5
    left, wide, middle, tall = 8.0, WIDTH - 16, 104.0, 76.0
    drawing = Svg(WIDTH, 218, "How sure it is that a photo shows one of its animals", kind="known")
    for values, kind, sign in ((known, "known", -1), (other, "other", 1)):
        shares = _histogram(values)
        most = max(shares)
        for place, share in enumerate(shares):
            if share:
                size = max(tall * share / most, 1.0)
                y = middle - size if sign < 0 else middle
                width = wide / _BINS - 1
                drawing.add("rect", x=left + place * wide / _BINS, y=y, width=width, height=size, kind=kind)
    line = left + wide * threshold
    drawing.add("line", x1=left, x2=left + wide, y1=middle, y2=middle, kind="axis")
    drawing.add("line", x1=line, x2=line, y1=18, y2=186, kind="threshold")
    anchor = "start" if line < WIDTH * 0.25 else "end" if line > WIDTH * 0.75 else "middle"
    drawing.text(line, 12, "threshold", text_anchor=anchor)
    drawing.text(left, 204, "← unlike its animals")
    drawing.text(left + wide, 204, "like them →", text_anchor="end")
    return drawing


def _histogram(values: Sequence[float]) -> list[float]:
    counts = [0] * _BINS
    for value in values:
        counts[min(int(value * _BINS), _BINS - 1)] += 1
    return [count / len(values) for count in counts]


def _anchor(share: float) -> str:
    return {0.0: "start", 1.0: "end"}.get(share, "middle")
