"""New photos join a divided data set, and no photo that is in it ever changes its split.

``split`` deals all photos out anew when the folder grows, which is right for a first look and wrong for a loop: a test
set that changes with every cycle compares nothing. Here the old photos stay as they are. A new photo goes where its
first copy is; one without a copy is ``fresh`` (labelled, but kept out of training, so that the next model can be judged
on it) with probability ``FRESH_SHARE``, decided by its own hash, else it goes to train.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from animal_classification.data.duplicates import units_of
from animal_classification.data.manifest import FRESH, Manifest, ManifestRow
from animal_classification.data.scanner import Facts

FRESH_SHARE = 0.3
COPY_OF_TEST = "it, or a copy of it, is a test photo, and the test photos never change"
BETWEEN_SPLITS = "it is a copy of photos in several splits, and would carry one into the other"
THERE = "it is in the data already"


@dataclass(frozen=True, slots=True)
class RefusedPhoto:
    """A new photo that does not join, and why."""

    row: ManifestRow
    why: str


@dataclass(frozen=True)
class Extension:
    """A data set with more photos.

    Attributes:
        manifest: The old rows as they were, and the new ones with their splits.
        added: The new rows.
        refused: New photos that did not join.
    """

    manifest: Manifest
    added: tuple[ManifestRow, ...]
    refused: tuple[RefusedPhoto, ...]


def fraction(sha256: str, purpose: str) -> float:
    """A number in [0, 1) that depends on a photo and a purpose alone, spread evenly over photos."""
    digest = hashlib.sha256(f"{sha256}\n{purpose}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def extend(
    manifest: Manifest,
    facts: Sequence[Facts],
    new: Sequence[tuple[ManifestRow, Facts]],
    *,
    fresh: float = FRESH_SHARE,
) -> Extension:
    """Let new photos join a divided data set.

    Args:
        manifest: The data set, divided.
        facts: What ``scan`` says of every row of it.
        new: Usable photos with labels, and what ``scan`` says of them; their splits are not looked at.
        fresh: Share of the photos without a copy in the data that are kept out of training.

    Returns:
        The larger data set. Which photos are in it, and in which split, depends on their content alone, not on their
        order.
    """
    known = {row.sha256 for row in manifest}
    refused = [RefusedPhoto(row, THERE) for row, _ in new if row.sha256 in known]
    pairs = {row.sha256: (row, fact) for row, fact in new if row.sha256 not in known}  # each content once
    ordered = [pairs[sha256] for sha256 in sorted(pairs, key=str)]
    old = len(manifest)
    together = replace(manifest, rows=(*manifest.rows, *(replace(row, split=None) for row, _ in ordered)))
    units = units_of(together, [*facts, *(fact for _, fact in ordered)])
    members: dict[int, list[int]] = defaultdict(list)
    for index, unit in enumerate(units):
        members[unit].append(index)
    added = []
    for places in members.values():
        joining = [together.rows[index] for index in places if index >= old]
        if not joining:
            continue
        before = {together.rows[index].split for index in places if index < old} - {None}
        where, why = _place(before, joining, fresh)
        refused += [RefusedPhoto(row, why) for row in joining if where is None]
        added += [replace(row, split=where) for row in joining if where is not None]
    joined = manifest.with_rows([*manifest.rows, *added])
    return Extension(joined, tuple(sorted(added, key=lambda row: row.path)), tuple(refused))


def _place(before: set[str | None], joining: Sequence[ManifestRow], fresh: float) -> tuple[str | None, str]:
    """The split of photos that belong together, given the splits of the old photos among them; or why there is none."""
    if "test" in before:
        return None, COPY_OF_TEST
    if len(before) > 1:
        return None, BETWEEN_SPLITS
    if before:
        return next(iter(before)), ""
    first = min(str(row.sha256) for row in joining)
    return (FRESH if fraction(first, FRESH) < fresh else "train"), ""
