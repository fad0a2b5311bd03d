"""Animals by name: common names, synonyms and scientific names, with their place in the tree of life.

The table (``known_animals.csv``) is made by ``tools/photos_model/known_animals.py`` from the labels of the built-in
model, WordNet's other names for them, and a list of animals that camera traps often meet.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

from animal_classification.bundle.schema import GROUP_SEPARATOR, NO_TAXON, RANKS

_TABLE = "known_animals.csv"


class KnownAnimal(NamedTuple):
    """One taxon.

    Attributes:
        scientific_name: Of any rank: ``Lynx rufus``, ``Cervidae``.
        ranks: Class, order, family and genus; empty where it has none.
    """

    scientific_name: str
    ranks: tuple[str, ...]

    @property
    def lineage(self) -> str | None:
        """As ``labels[].lineage`` of a bundle has it; ``None`` where not even the class is known."""
        names = [name or NO_TAXON for name in self.ranks]
        while names and names[-1] == NO_TAXON:
            names.pop()
        return GROUP_SEPARATOR.join(names) or None


def lookup(name: str) -> KnownAnimal | None:
    """The animal of that name, common or scientific, in any case, with spaces, ``_`` or ``-``; in plural as well.

    >>> lookup("White-tailed_Deer").scientific_name
    'Odocoileus virginianus'
    """
    known = _known()
    plain = _plain(name)
    return known.get(plain) or (known.get(plain.removesuffix("s")) if plain.endswith("s") else None)


@cache
def _known() -> Mapping[str, KnownAnimal]:
    known: dict[str, KnownAnimal] = {}
    scientific: dict[str, KnownAnimal] = {}
    text = resources.files(__package__).joinpath(_TABLE).read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        animal = KnownAnimal(row["scientific_name"], tuple(row[rank] for rank in RANKS))
        for name in row["names"].split("|"):
            known[_plain(name)] = animal
        scientific.setdefault(_plain(animal.scientific_name), animal)
        for position, taxon in enumerate(animal.ranks):
            above = KnownAnimal(taxon, (*animal.ranks[: position + 1], *[""] * (len(RANKS) - position - 1)))
            scientific.setdefault(_plain(taxon), above)
    scientific.pop("", None)
    return {**scientific, **known}


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()
