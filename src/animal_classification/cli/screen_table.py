"""Rows for a person at a terminal: the photo, the animal, how sure, and what it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from animal_classification.common.console import printable
from animal_classification.predict.job import Sink

if TYPE_CHECKING:
    from animal_classification.inference.results import FileResult
    from animal_classification.predict.job import PredictedPhoto
    from animal_classification.predict.sorting import Placed

# So many rows are looked at before the widths of the columns are settled; after that, rows come as they are known.
LOOKED_AT = 50
GAP = 2
NARROWEST = 40
_HEAD = ("photo", "animal", "sure", "group")


class ScreenSink(Sink):
    """Prints a table whose columns fit the terminal, however many rows there are."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._waiting: list[tuple[tuple[str, ...], str]] = []
        self._widths: list[int] | None = None

    def add(self, photo: PredictedPhoto, placed: Placed | None) -> None:
        self._waiting.append(_cells(photo.result))
        if self._widths is not None or len(self._waiting) >= LOOKED_AT:
            self._print()

    def finish(self) -> None:
        if self._waiting:
            self._print()

    def _print(self) -> None:
        if self._widths is None:
            self._widths = column_widths([_HEAD, *(cells for cells, _ in self._waiting)], self._console.width)
            self._line(_HEAD, "bold")
        for cells, style in self._waiting:
            self._line(cells, style)
        self._waiting.clear()

    def _line(self, cells: tuple[str, ...], style: str) -> None:
        assert self._widths is not None
        photo, animal, sure, group = self._widths
        if len(cells) == 2:  # a photo that cannot be read: the reason takes the other columns
            rest = max(self._console.width, NARROWEST) - photo - GAP
            texts = [_fitted(cells[0], photo, keep_end=True), _fitted(cells[1], rest)]
            styles = ["", style]
        else:
            texts = [
                _fitted(cells[0], photo, keep_end=True),
                _fitted(cells[1], animal),
                " " * (sure - cell_len(cells[2])) + cells[2],
                _fitted(cells[3], group),
            ]
            styles = ["bold" if style == "bold" else "", style, style, "bold" if style == "bold" else "dim"]
        line = Text(" " * GAP).join(Text(text, one) for text, one in zip(texts, styles, strict=True))
        line.rstrip()
        self._console.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)


def column_widths(rows: list[tuple[str, ...]], width: int) -> list[int]:
    """Widths of the four columns: as wide as needed, and the photo's name gives way first."""
    whole = [row for row in rows if len(row) == 4]
    wanted = [max(cell_len(row[index]) for row in whole) for index in range(4)]
    wanted[0] = max(cell_len(row[0]) for row in rows)
    room = max(width, NARROWEST) - 3 * GAP - wanted[2]
    wanted[3] = min(wanted[3], room // 4)
    wanted[1] = min(wanted[1], room // 3)
    wanted[0] = min(wanted[0], room - wanted[1] - wanted[3])
    return wanted


def percent(probability: float) -> str:
    """A probability for people, who should not read certainty into rounding.

    >>> percent(0.973), percent(0.9999), percent(0.001)
    ('97%', '>99%', '<1%')
    """
    if probability > 0.99:
        return ">99%"
    return "<1%" if probability < 0.01 else f"{probability:.0%}"


def _cells(result: FileResult) -> tuple[tuple[str, ...], str]:
    photo = printable(result.path)
    prediction = result.prediction
    if prediction is None:
        return (photo, printable(result.error or "")), "red"
    answer = prediction.answer
    beside = prediction.group or ""
    if prediction.unknown:
        beside = f"{prediction.background}?" if prediction.background else ""
    elif beside == answer.name:
        beside = ""
    style = "yellow" if answer.level in ("unknown", "known") else "green"
    return (photo, printable(answer.name), percent(answer.probability), printable(beside)), style


def _fitted(text: str, width: int, *, keep_end: bool = False) -> str:
    """Text padded or cut to so many cells; of a path, the end says most."""
    missing = width - cell_len(text)
    if missing >= 0:
        return text + " " * missing
    while cell_len(text) > width - 1 and text:
        text = text[1:] if keep_end else text[:-1]
    text = f"…{text}" if keep_end else f"{text}…"
    return text + " " * (width - cell_len(text))
