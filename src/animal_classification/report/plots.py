"""The large plots: which classes are confused, whether probabilities mean what they say, known and unknown photos.

They are drawn 360 units wide, so that their words can be read on a phone; on a wide screen they grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from animal_classification.bundle.schema import Unknown
from animal_classification.evaluation.result import ConfusionMatrix, PhotoRow, Reliability
from animal_classification.report.numbers import count
from animal_classification.report.svg import Svg, shortened

WIDTH = 360.0
MOST_CONFUSED = 16
_LONGEST_NAME = 16
_LETTER = 0.56  # width of a letter, of its height
_MOST_COUNTED = 999  # larger numbers do not fit below a bar
_BINS = 24


@dataclass(frozen=True)
class KnownScores:
    """A histogram of how sure the model is that photos are of its classes: photos by score, from 0 to 1.

    Attributes:
        known: Photos of its classes.
        other: Photos of none of them.
    """

    known: list[int]
    other: list[int]

    @classmethod
    def of(cls, photos: Sequence[PhotoRow]) -> KnownScores | None:
        """Count photos; ``None`` where one of the two kinds is missing."""
        known, other = (
            [row.known_score for row in photos if row.known is ours and row.known_score is not None]
            for ours in (True, False)
        )
        return cls(_histogram(known), _histogram(other)) if known and other else None


def _histogram(values: Sequence[float]) -> list[int]:
    counts = [0] * _BINS
    for value in values:
        counts[min(int(value * _BINS), _BINS - 1)] += 1
    return counts


def confused_classes(confusion: ConfusionMatrix) -> list[int]:
    """Positions of the classes that the plot shows: those with a mistake, the most confused if there are many."""
    wrong = [[n if i != j else 0 for j, n in enumerate(row)] for i, row in enumerate(confusion.matrix)]
    mistakes = [sum(row) + sum(other[i] for other in wrong) for i, row in enumerate(wrong)]
    most = sorted(range(len(mistakes)), key=lambda i: (-mistakes[i], i))[:MOST_CONFUSED]
    return sorted(i for i in most if mistakes[i])


def confusion_plot(confusion: ConfusionMatrix) -> Svg | None:
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
                _square(drawing, confusion, (i, j), (x, y, cell))
    return drawing


def _square(drawing: Svg, confusion: ConfusionMatrix, pair: tuple[int, int], place: tuple[float, float, float]) -> None:
    """Photos of one class that were taken for another: the more of the class, the stronger."""
    (i, j), (x, y, cell) = pair, place
    n = confusion.matrix[i][j]
    share, truth, answer = n / sum(confusion.matrix[i]), confusion.labels[i], confusion.labels[j]
    kind, title = ("right", f"{truth}: right") if i == j else ("wrong", f"{truth} taken for {answer}")
    strength = 0.15 + 0.85 * share if i == j else 0.3 + 0.7 * min(3 * share, 1.0)
    side = cell - 1
    drawing.add("rect", x=x, y=y, width=side, height=side, kind=kind, fill_opacity=strength, title=title)
    text = count(n)
    size = min(10.0, cell * 0.72, cell * 0.9 / (_LETTER * len(text)))
    drawing.text(
        x + side / 2,
        y + side / 2 + size * 0.35,
        text,
        text_anchor="middle",
        style=f"font-size:{size:.1f}px",
        kind="light" if strength > 0.55 else "dark",
    )


def reliability_plot(measured: Reliability, when: str) -> Svg:
    """Bars of equal width: share of right answers by confidence; below them, how many photos.

    Args:
        measured: At one temperature.
        when: ``before`` or ``after``, the calibration.
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
    for bar in bars:
        x, width = across(bar.low) + 1, across(bar.high) - across(bar.low) - 2
        low, gap = sorted((bar.accuracy, bar.confidence))
        drawing.add("rect", x=x, y=up(low), width=width, height=low * tall, kind="filled")
        kind = "too-sure" if bar.accuracy < bar.confidence else "too-modest"
        drawing.add("rect", x=x, y=up(gap), width=width, height=(gap - low) * tall, kind=kind)
        strip = 26 * bar.n / most
        drawing.add("rect", x=x, y=high - strip, width=width, height=strip, kind="count")
        if most <= _MOST_COUNTED:
            drawing.text(x + width / 2, high - strip - 3, count(bar.n), text_anchor="middle", kind="small")
    drawing.add("line", x1=across(0), y1=up(0), x2=across(1), y2=up(1), kind="ideal")
    drawing.add("line", x1=left, x2=across(1), y1=high, y2=high, kind="axis")
    return drawing


def known_score_plot(scores: KnownScores, rule: Unknown) -> Svg:
    """How sure the model is that photos are of its classes: its own photos upwards, others downwards."""
    # Scores of other kinds are brought to 0 to 1, with the threshold in the middle (``inference.ood``).
    threshold = rule.threshold if rule.method in {"background", "max_probability"} else 0.5
    left, wide, middle, tall = 8.0, WIDTH - 16, 104.0, 76.0
    drawing = Svg(WIDTH, 218, "How sure it is that a photo shows one of its animals", kind="known")
    for counts, kind, sign in ((scores.known, "known", -1), (scores.other, "other", 1)):
        step, most = wide / len(counts), max(counts)
        for place, n in enumerate(counts):
            if n:
                size = max(tall * n / most, 1.0)
                y = middle - size if sign < 0 else middle
                drawing.add("rect", x=left + place * step, y=y, width=step - 1, height=size, kind=kind)
    line = left + wide * threshold
    drawing.add("line", x1=left, x2=left + wide, y1=middle, y2=middle, kind="axis")
    drawing.add("line", x1=line, x2=line, y1=18, y2=186, kind="threshold")
    anchor = "start" if line < WIDTH * 0.25 else "end" if line > WIDTH * 0.75 else "middle"
    drawing.text(line, 12, "threshold", text_anchor=anchor)
    drawing.text(left, 204, "← unlike its animals")
    drawing.text(left + wide, 204, "like them →", text_anchor="end")
    return drawing


def _anchor(share: float) -> str:
    return {0.0: "start", 1.0: "end"}.get(share, "middle")
