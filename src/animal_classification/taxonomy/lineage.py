"""A label's place in the tree of life: class, order, family, genus, species."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from animal_classification.bundle.schema import Label


class Lineage(NamedTuple):
    """Scientific names by rank; empty where there is none, or where the label is wider than the rank.

    Attributes:
        class_: Such as ``Mammalia``.
        order: Such as ``Carnivora``.
        family: Such as ``Canidae``.
        genus: Such as ``Canis``.
        species: The second word of the species' name alone, as Wildlife Insights and SpeciesNet write it: ``latrans``.
    """

    class_: str = ""
    order: str = ""
    family: str = ""
    genus: str = ""
    species: str = ""

    @classmethod
    def of(cls, label: Label) -> Lineage:
        """From a bundle's label; the species comes from its scientific name."""
        words = (label.taxon or "").split()
        class_, order, family, genus = label.ranks
        species = words[1] if len(words) > 1 and words[0] == genus else ""
        return cls(class_, order, family, genus, species)


def common(lineages: Iterable[Lineage]) -> Lineage:
    """What several lineages share: each rank on which all of them agree, down to the first disagreement.

    >>> common([Lineage("Mammalia", "Carnivora", "Canidae", "Vulpes"), Lineage("Mammalia", "Carnivora", "Felidae")])
    Lineage(class_='Mammalia', order='Carnivora', family='', genus='', species='')
    """
    shared: list[str] = []
    for names in zip(*lineages, strict=True):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return Lineage(*shared)


def scientific_name(lineage: Lineage, taxa: Sequence[str] = ()) -> str:
    """The name of the finest taxon: that which all of ``taxa`` agree on, else of the finest rank of the lineage.

    Args:
        lineage: What the members share.
        taxa: The scientific names of the members; all dog breeds are ``Canis lupus familiaris``.
    """
    if taxa and taxa[0] and len(set(taxa)) == 1:
        return taxa[0]
    if lineage.species:
        return f"{lineage.genus} {lineage.species}"
    return next((name for name in reversed(lineage) if name), "")
