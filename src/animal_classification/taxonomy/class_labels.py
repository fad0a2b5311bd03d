"""Labels for the classes of a model that is trained here, placed in the tree of life where their names say so."""

from __future__ import annotations

from collections.abc import Iterable

from animal_classification.bundle.schema import Label
from animal_classification.taxonomy.known_animals import lookup


def labels_of(classes: Iterable[str]) -> tuple[Label, ...]:
    """One label a class; its id and name are the class's.

    A class whose name is a common name, a synonym or a scientific name of an animal gets the scientific name and the
    lineage. Another gets neither, and its answers roll up by groups only.
    """
    return tuple(map(_label, classes))


def _label(name: str) -> Label:
    known = lookup(name)
    if known is None:
        return Label(id=name, name=name)
    return Label(id=name, name=name, taxon=known.scientific_name, lineage=known.lineage)
