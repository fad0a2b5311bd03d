"""What is one observation: photos that must not be torn apart, and that count as one.

Copies and near copies of a picture, and photos of one group (a site, a sequence, an individual), say the same thing
again. Splitting, folds, the search for wrong labels, evaluation and comparison all ask here, so that they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from animal_classification.data.duplicates import DuplicateSet, UnionFind, copy_sets
from animal_classification.data.manifest import Manifest
from animal_classification.data.scanner import Facts


def units_of(manifest: Manifest, facts: Sequence[Facts]) -> tuple[int, ...]:
    """For every row the position of the first row of its unit; an unusable photo is one by itself.

    Args:
        manifest: The photos.
        facts: What ``scan`` says of every row of it; near copies are found by their fingerprints.
    """
    return joined_units(manifest, copy_sets(manifest, facts))


def joined_units(manifest: Manifest, copies: Iterable[DuplicateSet], *, groups: bool = True) -> tuple[int, ...]:
    """The same, for whoever has found the copies already; without ``groups`` copies alone count as one."""
    joined = UnionFind(len(manifest))
    for same in copies:
        joined.join_all(same.members)
    first: dict[str, int] = {}
    for index, row in enumerate(manifest.rows):
        if groups and row.problem is None and row.group is not None:
            joined.join(first.setdefault(row.group, index), index)
    return tuple(joined.find(index) for index in range(len(manifest)))
