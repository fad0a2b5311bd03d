"""Photos worth a look, with what the model says of them, where it looked, and what it learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from animal_classification.evaluation.result import Evaluation, PhotoRow
from animal_classification.report.images import Pictures
from animal_classification.report.numbers import Ledger, Sentence, Shown, say

_TYPICAL_CLASSES = 48
_MISTAKES, _SHOWN = 12, 6


@dataclass(frozen=True)
class Near:
    """A training photo that is like a photo."""

    picture: str
    path: str
    label: str
    similarity: Shown


@dataclass(frozen=True)
class Example:
    """A photo: what it shows, what the model says, where it looked (empty where nobody asked)."""

    picture: str
    heat: str
    path: str
    says: Sentence
    kind: str
    nearest: Sequence[Near]


@dataclass(frozen=True)
class Gallery:
    """Photos that belong together."""

    title: str
    explains: str
    examples: Sequence[Example]
    small: bool = False


def galleries(result: Evaluation, numbers: Ledger, pictures: Pictures) -> list[Gallery]:
    """What there is to be seen, the worst first; a gallery without a photo is left out."""
    chosen = result.examples

    def several(places: Sequence[int], most: int = _SHOWN) -> list[Example]:
        return [_example(result, place, numbers, pictures) for place in places[:most]]

    typical = [places[0] for places in chosen.typical.values() if places][:_TYPICAL_CLASSES]
    found = [
        Gallery(
            "Most confident mistakes",
            "The model's worst errors, or photos with a wrong label.",
            several(chosen.confident_mistakes, _MISTAKES),
        ),
        Gallery("Least sure", "Right or wrong: where a person should look at the answer.", several(chosen.uncertain)),
        Gallery(
            "Other photos that were taken for one of its animals",
            "They should have been called unknown.",
            several(chosen.unknown_accepted),
        ),
        Gallery(
            "Own animals that were called unknown",
            "They should not have been.",
            several(chosen.known_refused),
        ),
        Gallery(
            "Most typical",
            "One photo of each class, of those named rightly the one nearest to the middle of the class.",
            [_typical(result, place, numbers, pictures) for place in typical],
            small=True,
        ),
    ]
    return [gallery for gallery in found if gallery.examples]


def _typical(result: Evaluation, place: int, numbers: Ledger, pictures: Pictures) -> Example:
    row = result.photos[place]
    says = say("{} ({})", row.truth, numbers.percent(f"photos.{place}.probability", row.probability or 0.0))
    return Example(
        picture=pictures.photo(row), heat="", path=row.path, says=_refused(row, says), kind="right", nearest=()
    )


def _example(result: Evaluation, place: int, numbers: Ledger, pictures: Pictures) -> Example:
    row, key = result.photos[place], f"photos.{place}"
    sure = numbers.percent(f"{key}.probability", row.probability or 0.0)
    if row.correct is False:
        says = say("{}, taken for {} ({})", row.truth, row.answer, sure)
    elif row.correct is None:
        says = say("taken for {} ({})", row.answer, sure)
    else:
        says = say("{}, rightly ({})", row.truth, sure)
    if row.correct is not None and not row.correct and row.p_truth is not None:
        says = say("{}; gives {} to {}", says, numbers.percent(f"{key}.p_truth", row.p_truth), row.truth)
    nearest = [
        Near(
            pictures.training_photo(one.path),
            one.path,
            one.label,
            numbers.decimal(f"{key}.nearest.{number}", one.similarity, 2),
        )
        for number, one in enumerate(row.nearest)
    ]
    return Example(
        picture=pictures.photo(row),
        heat=pictures.heat(row),
        path=row.path,
        says=_refused(row, says),
        kind="wrong" if row.correct is False or row.correct is None else "right",
        nearest=nearest,
    )


def _refused(row: PhotoRow, says: Sentence) -> Sentence:
    return say("{}, but called unknown", says) if row.correct is not None and row.unknown else says
