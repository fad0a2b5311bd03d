"""Answers as HTML: one photo large, many as cards with a table to download, or why there is none."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jinja2

from animal_classification.inference.formats import write_text
from animal_classification.inference.table import to_row
from animal_classification.serving.page.pictures import Picture, jpeg_url, seen_part
from animal_classification.serving.page.words import Words, counted, in_words, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animal_classification.bundle import BundleInfo
    from animal_classification.imaging import PreprocessSpec
    from animal_classification.inference.results import FileResult, Prediction
    from animal_classification.serving.service import Outcome

_BARS = 5


@dataclass(frozen=True, slots=True)
class Look:
    """One photo with what became of it, and the photo to show, unless it cannot be read."""

    outcome: Outcome
    picture: Picture | None

    @property
    def result(self) -> FileResult:
        return self.outcome.result


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    percent: str
    width: float


@dataclass(frozen=True, slots=True)
class _Card:
    file: str
    picture: Picture | None
    tone: str
    headline: str
    sentence: str
    percent: str = ""
    rows: Sequence[_Row] = ()


def fill(template: str, **values: Any) -> str:
    """Fill one of the templates; every value is escaped."""
    return _templates().get_template(template).render(values)


def one(look: Look, info: BundleInfo, spec: PreprocessSpec) -> str:
    """The answer for a single photo."""
    prediction, picture = look.result.prediction, look.picture
    if prediction is None or picture is None:
        return trouble("I cannot read this photo", f"{look.result.path} {look.result.error or 'cannot be shown'}.")
    words = in_words(prediction, info)
    heat = None if prediction.unknown else look.outcome.heatmap
    return fill(
        "one.html",
        visit=uuid4(),
        file=look.result.path,
        tone=_tone(prediction),
        words=words,
        picture=picture,
        heat=None if heat is None else jpeg_url(heat),
        seen=seen_part(picture, spec),
        looked_for=prediction.label,
        rows=_rows(prediction),
        rows_label="Animal or not" if prediction.unknown else "The five most probable animals",
        note="It may still be an animal that I was never shown." if prediction.unknown else None,
    )


def many(looks: Sequence[Look], info: BundleInfo, *, left_out: int = 0) -> str:
    """The answers for several photos, with their table to download."""
    table = csv_table([look.result for look in looks], info)
    note = f"{counted(left_out, 'more photo')} did not fit into one visit. For whole folders: animals predict FOLDER."
    return fill(
        "many.html",
        visit=uuid4(),
        title=counted(len(looks), "photo"),
        summary=_summary([look.result.prediction for look in looks]),
        table="data:text/csv;charset=utf-8;base64," + base64.b64encode(table).decode("ascii"),
        note=note if left_out else None,
        cards=[_card(look, info) for look in looks],
    )


def trouble(title: str, text: str) -> str:
    """A friendly no."""
    return fill("trouble.html", visit=uuid4(), title=title, text=text)


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.PackageLoader(__package__, "templates")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)


def csv_table(results: Sequence[FileResult], info: BundleInfo) -> bytes:
    """The table of ``animals predict``, in the same columns."""
    rows = (to_row(result, model=info.name, version=info.version) for result in results)
    buffer = BytesIO()
    write_text(rows, buffer, "csv", _BARS)
    return buffer.getvalue()


def _tone(prediction: Prediction) -> str:
    return {"label": "sure", "group": "partly", "known": "partly", "unknown": "not"}[prediction.answer.level]


def _rows(prediction: Prediction) -> list[_Row]:
    if prediction.unknown:
        shares = [("no animal that I know", 1 - prediction.known_score), ("an animal", prediction.known_score)]
    else:
        shares = [(item.label, item.probability) for item in prediction.top[:_BARS]]
    return [_Row(name, percent(share), 100 * share) for name, share in shares]


def _card(look: Look, info: BundleInfo) -> _Card:
    prediction, file = look.result.prediction, look.result.path
    if prediction is None:
        return _Card(file, look.picture, "unreadable", "Cannot be read", f"It {look.result.error}.")
    words: Words = in_words(prediction, info)
    return _Card(
        file,
        look.picture,
        _tone(prediction),
        words.headline,
        words.sentence if prediction.answer.level != "label" else "",
        percent(prediction.answer.probability),
        () if prediction.unknown else _rows(prediction),
    )


def _summary(predictions: Sequence[Prediction | None]) -> str:
    read = [prediction for prediction in predictions if prediction is not None]
    animals = sum(not prediction.unknown for prediction in read)
    parts = [counted(animals, "animal")]
    if without := len(read) - animals:
        parts.append(f"{without} without an animal")
    if unreadable := len(predictions) - len(read):
        parts.append(f"{unreadable} unreadable")
    return ", ".join(parts)
