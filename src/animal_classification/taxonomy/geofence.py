"""Where animals occur, from a file in the format of SpeciesNet's geofence.

    {"mammalia;carnivora;canidae;canis;latrans": {"allow": {"USA": [], "CAN": ["BC"]}, "block": {"USA": ["HI"]}}}

A key is a taxon of any rank, ``class;order;family;genus;species`` in lower case with empty places at the end. Countries
are ISO 3166-1 alpha-3; an empty list of regions means the whole country. ``allow`` is asked first, then ``block``; what
is not in the file is allowed everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from animal_classification.common.json_text import load_json
from animal_classification.common.text_files import read_text
from animal_classification.errors import UsageError
from animal_classification.taxonomy.allowed import AllowedLabels

if TYPE_CHECKING:
    from animal_classification.bundle.schema import Label
    from animal_classification.taxonomy.lineage import Lineage
    from animal_classification.taxonomy.taxonomy import Taxonomy

_RANKS = 5
_COUNTRY_LETTERS = 3
_REGION_LETTERS = 2
_ORDER = 1
# What SpeciesNet's taxonomy calls an order of ours.
_SAME_ORDER: Mapping[str, str] = {"cetartiodactyla": "artiodactyla"}
# Class and the finest name: orders and families differ from author to author (Cetartiodactyla, Artiodactyla).
_Key = tuple[str, int, str]
_Places = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class _Rule:
    allow: _Places
    block: _Places

    def forbids(self, country: str, region: str | None) -> bool:
        if self.allow:
            if country not in self.allow:
                return True
            regions = self.allow[country]
            if region and regions and region not in regions:
                return True
        if country not in self.block:
            return False
        return not self.block[country] or region in self.block[country]


@dataclass(frozen=True)
class Geofence:
    """The rules of one file.

    Attributes:
        name: Of the file.
        rules: By class, rank and finest name.
    """

    name: str
    rules: Mapping[_Key, _Rule]

    @classmethod
    def read(cls, path: Path) -> Geofence:
        """Read a file.

        Raises:
            UsageError: It is not there, no JSON, or not of this format; says which key is wrong.
        """
        try:
            document = load_json(read_text(path).removeprefix("\ufeff").encode("utf-8"), str(path))
        except ValueError as error:
            raise UsageError(f"{str(path)!r} is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise UsageError(f"{str(path)!r} is no geofence: expected an object with a key for each taxon")
        return cls(path.name, dict(_rule(path, key, value) for key, value in document.items()))

    def allowed(self, taxonomy: Taxonomy, country: str, region: str | None = None) -> AllowedLabels:
        """The labels that occur in a place.

        A label is forbidden where its own taxon is, or one above it.

        Args:
            taxonomy: The model's.
            country: ISO 3166-1 alpha-3, such as ``KEN``.
            region: The second half of an ISO 3166-2 code, such as ``CA`` of the United States.

        Raises:
            UsageError: A code does not have its form.
        """
        country, region = _code(country, _COUNTRY_LETTERS, "country"), region and _region(region)
        mask = np.array(
            [
                not any(self.rules[key].forbids(country, region) for key in _keys(label, lineage) if key in self.rules)
                for label, lineage in zip(taxonomy.labels, taxonomy.lineages, strict=True)
            ]
        )
        place = f"{country}-{region}" if region else country
        return AllowedLabels(mask, tuple("" if ok else f"is not in {place} ({self.name})" for ok in mask.tolist()))


def _code(text: str, letters: int, what: str) -> str:
    code = text.strip().upper()
    if len(code) != letters or not code.isascii() or not code.isalnum():
        example = "KEN" if letters == _COUNTRY_LETTERS else "CA"
        raise UsageError(f"--{what} {text!r} is no code of {letters} letters, such as {example}")
    return code


def _region(text: str) -> str:
    return _code(text, _REGION_LETTERS, "region")


def _keys(label: Label, lineage: Lineage) -> Iterator[_Key]:
    """The keys of a label and of the taxa above it."""
    class_ = lineage.class_.casefold()
    for rank, name in enumerate(lineage[:4]):
        if name:
            yield class_, rank, name.casefold()
    words = (label.taxon or "").casefold().split()
    if lineage.species and len(words) == 2:
        yield class_, 4, " ".join(words)
    elif lineage.species:
        # A domestic form is a species of its own there: canis;familiaris. Where the wild one lives says nothing of it.
        yield class_, 4, " ".join(words)
        yield class_, 4, f"{words[0]} {words[-1]}"


def _rule(path: Path, key: str, value: Any) -> tuple[_Key, _Rule]:
    names = key.casefold().split(";")
    if len(names) != _RANKS or not any(names):
        raise UsageError(f"{path.name}: the key {key!r} is not class;order;family;genus;species")
    if not isinstance(value, dict) or value.keys() - {"allow", "block"}:
        raise UsageError(f"{path.name}: {key!r} must be an object with allow, block or both")
    places = {word: _places(path, key, value.get(word) or {}) for word in ("allow", "block")}
    rank = max(position for position, name in enumerate(names) if name)
    names[_ORDER] = _SAME_ORDER.get(names[_ORDER], names[_ORDER])
    finest = f"{names[3]} {names[4]}" if rank == _RANKS - 1 else names[rank]
    return (names[0], rank, finest), _Rule(**places)


def _places(path: Path, key: str, value: Any) -> _Places:
    if isinstance(value, dict) and all(isinstance(regions, list) for regions in value.values()):
        return {
            country.upper(): frozenset(str(region).upper() for region in regions) for country, regions in value.items()
        }
    raise UsageError(f"{path.name}: {key!r}: expected countries with a list of regions each, such as {{'KEN': []}}")
