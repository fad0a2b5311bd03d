"""The sets of labels that an answer may name: taxa and the bundle's own groups, from fine to coarse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from animal_classification.taxonomy.lineage import Lineage, common, scientific_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animal_classification.bundle.schema import Label
    from animal_classification.taxonomy.decision import AnswerLevel

_RANKS: tuple[AnswerLevel, ...] = ("class", "order", "family", "genus")


@dataclass(frozen=True)
class Taxon:
    """Two or more labels with one name.

    Attributes:
        name: A group's common name if there is one, else the scientific name.
        level: The rank; ``group`` where the labels are no taxon.
        scientific_name: Of the finest taxon that holds them all; empty where there is none.
        lineage: Of that taxon.
        members: Indices of the labels, ascending.
    """

    name: str
    level: AnswerLevel
    scientific_name: str
    lineage: Lineage
    members: tuple[int, ...]


@dataclass(frozen=True)
class _Names:
    rank: AnswerLevel | None = None
    group: str | None = None


def taxa_of(labels: Sequence[Label]) -> tuple[Taxon, ...]:
    """All taxa and groups of two or more labels, each set once, by the number of their labels.

    A set that is a genus and a family (all dogs of a model may be one genus) is the finest of them: who is sure of the
    labels is sure of it. A set that is a taxon and a group has the taxon's rank and the group's name.
    """
    lineages = [Lineage.of(label) for label in labels]
    names: dict[tuple[int, ...], _Names] = {}
    for rank, members in _by_rank(lineages):
        names[members] = _Names(rank)
    for group, members in _by_group(labels):
        names[members] = _Names(names.get(members, _Names()).rank, group)
    taxa = [_taxon(labels, lineages, members, said) for members, said in names.items() if len(members) > 1]
    return tuple(sorted(taxa, key=lambda taxon: (len(taxon.members), taxon.name)))


def _taxon(labels: Sequence[Label], lineages: Sequence[Lineage], members: tuple[int, ...], said: _Names) -> Taxon:
    lineage = common(lineages[index] for index in members)
    scientific = scientific_name(lineage, [labels[index].taxon or "" for index in members])
    return Taxon(
        name=said.group or scientific,
        level=said.rank or "group",
        scientific_name=scientific,
        lineage=lineage,
        members=members,
    )


def _by_rank(lineages: Sequence[Lineage]) -> Iterator[tuple[AnswerLevel, tuple[int, ...]]]:
    """From coarse to fine."""
    for position, rank in enumerate(_RANKS):
        members: dict[str, list[int]] = defaultdict(list)
        for index, lineage in enumerate(lineages):
            if lineage[position]:
                members[lineage[position]].append(index)
        yield from ((rank, tuple(found)) for found in members.values())


def _by_group(labels: Sequence[Label]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """From coarse to fine; a word that stands at two levels means all of its labels."""
    depth = max((len(label.groups) for label in labels), default=0)
    for level in range(depth):
        members: dict[str, list[int]] = defaultdict(list)
        for index, label in enumerate(labels):
            if level < len(label.groups):
                members[label.groups[level]].append(index)
        for group in members:
            yield group, tuple(index for index, label in enumerate(labels) if group in label.groups)


class TaxonSums:
    """Sums of probabilities over many sets of labels at once.

    The sets fall into a few layers (all families, all orders ...) in which none overlaps another, so that each layer
    is one pass over the labels in another order: a few thousand additions a row, where a matrix product takes a
    hundred thousand.

    Args:
        sets: Indices of labels, each set ascending and not empty.
    """

    def __init__(self, sets: Sequence[Sequence[int]]) -> None:
        self._count = len(sets)
        self._layers = [_Layer.of(layer, sets) for layer in _disjoint(sets)]

    def __call__(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """``[N, L]`` to ``[N, sets]``."""
        sums = np.empty((len(probabilities), self._count))
        for layer in self._layers:
            sums[:, layer.columns] = np.add.reduceat(probabilities[:, layer.labels], layer.starts, axis=1)
        return sums


@dataclass(frozen=True)
class _Layer:
    """Sets that do not overlap, their labels one after the other."""

    columns: list[int]
    labels: list[int]
    starts: list[int]

    @classmethod
    def of(cls, columns: list[int], sets: Sequence[Sequence[int]]) -> _Layer:
        lengths = [len(sets[column]) for column in columns]
        labels = [label for column in columns for label in sets[column]]
        return cls(columns, labels, [0, *np.cumsum(lengths)[:-1].tolist()])


def _disjoint(sets: Sequence[Sequence[int]]) -> list[list[int]]:
    """Positions of the sets, in layers without overlap; the first layer that has room takes a set."""
    layers: list[tuple[list[int], set[int]]] = []
    for position, members in enumerate(sets):
        for columns, taken in layers:
            if taken.isdisjoint(members):
                columns.append(position)
                taken.update(members)
                break
        else:
            layers.append(([position], set(members)))
    return [columns for columns, _ in layers]
