"""The labels that a word means: a name, an id, a group, or a scientific name of any rank."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from animal_classification.common.suggest import alike, close
from animal_classification.taxonomy.known_animals import lookup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from animal_classification.taxonomy.taxonomy import Taxonomy

_SHOWN = 3
# "Canis latrans Say, 1823" and "Vulpes (Linnaeus, 1758)": a name, and who gave it.
_WITH_AUTHOR = re.compile(r"([A-Z][a-z]+(?:-[a-z]+)?(?: [a-z]{3,}(?:-[a-z]+)?){0,2}),? \(?[A-Z].*")


class LabelWords:
    """Every word that stands for labels of a model, whatever its case.

    A species' name means the label of that species; where the model has subspecies and breeds only, it means these:
    ``Canis lupus`` is the grey wolf and no dog.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._words: dict[str, set[int]] = defaultdict(set)
        self._spelt: dict[str, str] = {}
        for index, label in enumerate(taxonomy.labels):
            for word in (label.name, label.id, *label.groups, label.taxon or "", *taxonomy.lineages[index][:4]):
                self._add(word, index)
        self._add_species()

    def find(self, word: str) -> tuple[int, ...]:
        """Indices of the labels, ascending; none where nothing has that name."""
        plain = plain_name(word)
        if plain in self._words:
            return tuple(sorted(self._words[plain]))
        author = _WITH_AUTHOR.fullmatch(" ".join(word.split()))
        if author and plain_name(author[1]) in self._words:
            return self.find(author[1])
        return self._by_synonym(plain)

    def nearest(self, word: str) -> list[str]:
        """Up to three names that may have been meant: of close relatives if the animal is known, else alike."""
        return self._relatives(word) or self._alike(word)

    def _add(self, word: str, index: int) -> None:
        if word:
            self._words[plain_name(word)].add(index)
            self._spelt.setdefault(plain_name(word), word)

    def _add_species(self) -> None:
        lineages = self._taxonomy.lineages
        found: dict[str, set[int]] = defaultdict(set)
        for index, lineage in enumerate(lineages):
            if lineage.species:
                found[f"{lineage.genus} {lineage.species}"].add(index)
        for species, members in found.items():
            if plain_name(species) not in self._words:
                self._words[plain_name(species)] = members
                self._spelt[plain_name(species)] = species

    def _by_synonym(self, plain: str) -> tuple[int, ...]:
        """Another name of the same species: ``puma`` is a cougar; but ``jackal`` is not all of Canidae."""
        known = lookup(plain)
        if known is None or " " not in known.scientific_name:
            return ()
        return tuple(sorted(self._words.get(plain_name(known.scientific_name), ())))

    def _relatives(self, word: str) -> list[str]:
        known = lookup(plain_name(word))
        for name in (known.ranks[3], known.ranks[2]) if known else ():
            members = self._words.get(plain_name(name), set()) if name else set()
            if members:
                return self._names(sorted(members))
        return []

    def _names(self, members: Iterable[int]) -> list[str]:
        return [self._taxonomy.labels[index].name for index in members][:_SHOWN]

    def _alike(self, word: str) -> list[str]:
        plain = plain_name(word)
        found = close(plain, self._words)
        if not 0 < len(found) <= _SHOWN:
            found = alike(plain, self._words)
        return [self._spelt[match] for match in found]


def plain_name(word: str) -> str:
    """A name for comparison: lower case, single spaces, ``_`` as a space."""
    return " ".join(word.replace("_", " ").split()).casefold()
