"""The confusion matrix and example predictions, drawn with Pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from animal_classification import imaging
from animal_classification.errors import ImageError

if TYPE_CHECKING:
    from animal_classification.training.heldout_metrics import HeldOutMetrics

_INK, _PAPER, _RIGHT, _WRONG = (34, 34, 34), (255, 255, 255), (31, 111, 67), (166, 48, 36)
_LONGEST = 24  # characters of a label
_MOST_CLASSES = 60  # of which names and numbers are shown
_THUMBNAIL, _CAPTION, _COLUMNS, _EXAMPLES = 160, 34, 6, 18


def confusion_png(table: NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """Draw a confusion matrix: true classes down, answers across, shaded by the share of the true class.

    Args:
        table: Counts, ``[C, C]``.
        classes: Their names.
    """
    many = len(classes) > _MOST_CLASSES
    cell = max(2, 1200 // len(classes)) if many else 26
    names = [] if many else [_short(name) for name in classes]
    font = ImageFont.load_default(12)
    margin = 12 + max((round(font.getlength(name)) for name in names), default=0)
    side = margin + cell * len(classes) + 12
    picture = Image.new("RGB", (side, side), _PAPER)
    draw = ImageDraw.Draw(picture)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    for row, column in zip(*np.nonzero(table), strict=True):
        _cell(
            draw,
            (margin + cell * int(column), margin + cell * int(row), cell),
            float(shares[row, column]),
            row == column,
        )
        if not many:
            centre = (margin + cell * (int(column) + 0.5), margin + cell * (int(row) + 0.5))
            ink = _PAPER if shares[row, column] > 0.5 else _INK
            draw.text(centre, str(table[row, column]), fill=ink, font=font, anchor="mm")
    for index, name in enumerate(names):
        draw.text((margin - 6, margin + cell * (index + 0.5)), name, fill=_INK, font=font, anchor="rm")
        _upright(picture, name, (margin + cell * index, margin - 6), cell, font)
    draw.rectangle((margin, margin, margin + cell * len(classes), margin + cell * len(classes)), outline=_INK)
    return _png(picture)


def examples_png(measured: HeldOutMetrics, files: Sequence[Path], classes: Sequence[str]) -> bytes:
    """Draw test photos with what was answered: the surest mistakes first, then photos of as many classes as fit.

    Args:
        measured: The answers.
        files: The photos, in the same order.
        classes: Names.
    """
    chosen = _chosen(measured)
    height = _THUMBNAIL + _CAPTION
    rows = max(1, -(-len(chosen) // _COLUMNS))
    picture = Image.new("RGB", (_COLUMNS * _THUMBNAIL, rows * height), _PAPER)
    draw = ImageDraw.Draw(picture)
    font, limits = ImageFont.load_default(12), imaging.Limits.of_container()
    for place, index in enumerate(chosen):
        left, top = place % _COLUMNS * _THUMBNAIL, place // _COLUMNS * height
        picture.paste(_thumbnail(files[index], limits), (left, top))
        answer, truth = int(measured.answers[index]), int(measured.targets[index])
        right = answer == truth
        draw.text(
            (left + 4, top + _THUMBNAIL + 2),
            f"{_short(classes[answer])} {measured.probabilities[index, answer]:.0%}",
            fill=_RIGHT if right else _WRONG,
            font=font,
        )
        if not right:
            draw.text((left + 4, top + _THUMBNAIL + 17), f"is {_short(classes[truth])}", fill=_INK, font=font)
    return _png(picture)


def _chosen(measured: HeldOutMetrics) -> list[int]:
    wrong = np.flatnonzero(measured.answers != measured.targets)
    confidence = measured.probabilities.max(axis=1)
    mistakes = wrong[np.argsort(-confidence[wrong], kind="stable")][: _EXAMPLES * 2 // 3]
    right = np.flatnonzero(measured.answers == measured.targets)
    _, firsts = np.unique(measured.targets[right], return_index=True)
    places = np.linspace(0, len(firsts) - 1, min(len(firsts), _EXAMPLES - len(mistakes))).round().astype(int)
    return [*mistakes.tolist(), *right[firsts[places]].tolist()]


def _thumbnail(file: Path, limits: imaging.Limits) -> Image.Image:
    try:
        picture = imaging.thumbnail(file, 4 * _THUMBNAIL, limits=limits)
    except ImageError:
        return Image.new("RGB", (_THUMBNAIL, _THUMBNAIL), (200, 200, 200))
    return ImageOps.fit(picture, (_THUMBNAIL - 4, _THUMBNAIL - 4))


def _cell(draw: ImageDraw.ImageDraw, place: tuple[int, int, int], share: float, right: bool) -> None:
    left, top, side = place
    ink = _RIGHT if right else _WRONG
    colour = tuple(round(255 + (part - 255) * (0.15 + 0.85 * share)) for part in ink)
    draw.rectangle((left, top, left + side - 1, top + side - 1), fill=colour)


def _upright(
    picture: Image.Image,
    name: str,
    place: tuple[int, int],
    cell: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    strip = Image.new("RGB", (max(1, round(font.getlength(name))), cell), _PAPER)
    ImageDraw.Draw(strip).text((0, cell / 2), name, fill=_INK, font=font, anchor="lm")
    turned = strip.transpose(Image.Transpose.ROTATE_90)
    picture.paste(turned, (place[0], place[1] - turned.height))


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()
