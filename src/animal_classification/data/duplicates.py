"""Duplicate photos, exact or nearly so, and the observations that they form.

Copies and near copies of a picture, and photos of one group (a site, a sequence, an individual), are one observation:
they must not be divided, and count as one. Splitting, folds, label checks, evaluation and comparison all use
:func:`units_of`, so that they agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from animal_classification.data.manifest import Manifest
from animal_classification.data.perceptual_hash import NEAR, near_sets
from animal_classification.data.scanner import Facts


@dataclass(frozen=True, slots=True)
class DuplicateSet:
    """Photos that show one picture.

    Attributes:
        members: Their positions in the manifest, ascending; at least two.
        exact: All have the same bytes.
    """

    members: tuple[int, ...]
    exact: bool


def duplicate_sets(
    manifest: Manifest, facts: Sequence[Facts], *, limit: int = NEAR, further: Iterable[tuple[int, int]] = ()
) -> list[DuplicateSet]:
    """Find all sets of duplicates among the usable photos.

    Args:
        manifest: The photos.
        facts: What a scan says of every row of it.
        limit: How far two fingerprints may be apart; below zero, only equal bytes count.
        further: Pairs that are known to be one picture by other means, such as crops.
    """
    usable = [index for index, row in enumerate(manifest.rows) if row.problem is None]
    joined = UnionFind(len(manifest))
    by_content: dict[str | None, list[int]] = defaultdict(list)
    for index in usable:
        by_content[manifest.rows[index].sha256].append(index)
    for same in by_content.values():
        joined.join_all(same)
    # Equal bytes have equal fingerprints, so that one of each will do.
    seen = [(same[0], print_) for same in by_content.values() if (print_ := facts[same[0]].fingerprint)]
    if limit >= 0:
        firsts = near_sets([print_ for _, print_ in seen], limit=limit)
        for (index, _), first in zip(seen, firsts.tolist(), strict=True):
            joined.join(seen[first][0], index)
    for i, j in further:
        joined.join(i, j)
    return [
        DuplicateSet(tuple(members), len({manifest.rows[index].sha256 for index in members}) == 1)
        for members in joined.sets(usable)
    ]


class UnionFind:
    """Sets that grow together (union-find)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, item: int) -> int:
        """The item that stands for the whole set."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, first: int, second: int) -> None:
        """Make one set of two."""
        low, high = sorted((self.find(first), self.find(second)))
        self._parent[high] = low

    def join_all(self, items: Sequence[int]) -> None:
        """Make one set of many."""
        for item in items[1:]:
            self.join(items[0], item)

    def sets(self, items: Iterable[int]) -> list[list[int]]:
        """The sets of two and more, each ascending, in the order of their first."""
        members: dict[int, list[int]] = defaultdict(list)
        for item in sorted(items):
            members[self.find(item)].append(item)
        return [found for found in members.values() if len(found) > 1]


def units_of(manifest: Manifest, facts: Sequence[Facts]) -> tuple[int, ...]:
    """Observation of each row, as the position of its first row; an unusable photo is an observation of its own.

    Args:
        manifest: The photos.
        facts: What ``scan`` says of every row of it; near copies are found by their fingerprints.
    """
    return join_units(manifest, duplicate_sets(manifest, facts))


def join_units(manifest: Manifest, copies: Iterable[DuplicateSet], *, groups: bool = True) -> tuple[int, ...]:
    """The same from known duplicates; without ``groups``, only duplicates are joined."""
    joined = UnionFind(len(manifest))
    for same in copies:
        joined.join_all(same.members)
    first: dict[str, int] = {}
    for index, row in enumerate(manifest.rows):
        if groups and row.problem is None and row.group is not None:
            joined.join(first.setdefault(row.group, index), index)
    return tuple(joined.find(index) for index in range(len(manifest)))
