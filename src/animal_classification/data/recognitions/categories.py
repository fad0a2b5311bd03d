"""Names of detection categories: three that count, and words for nothing."""

from __future__ import annotations

from animal_classification.data.detections import Category
from animal_classification.errors import UsageError

_CATEGORIES: dict[str, Category] = {
    "animal": "animal",
    "animals": "animal",
    "person": "person",
    "persons": "person",
    "people": "person",
    "human": "person",
    "humans": "person",
    "vehicle": "vehicle",
    "vehicles": "vehicle",
}
# MegaDetector's own numbers, where a file does not name them.
USUAL = {"1": "animal", "2": "person", "3": "vehicle"}
# animl and SpeciesNet 5 number the whole picture, or nothing, 0.
NOTHING = frozenset({"", "empty", "blank", "none", "nothing", "whole image", "whole picture", "image"})


def named_category(name: str) -> Category | None:
    """The category of that name, in any case; ``None`` where it is another word, such as a species."""
    return _CATEGORIES.get(name.strip().casefold())


def category_of(name: str, where: str) -> Category | None:
    """The category of that name; ``None`` for a word that means an empty or a whole picture.

    Args:
        name: In any case.
        where: Which file and what in it, for the message.

    Raises:
        UsageError: It is none of them: to guess would count cars as animals.
    """
    plain = name.strip().casefold()
    if plain in NOTHING:
        return None
    if plain not in _CATEGORIES:
        raise UsageError(
            f"{where} has the category {name!r}; wanted: animal, person (or human) or vehicle; rename it in the file"
        )
    return _CATEGORIES[plain]
