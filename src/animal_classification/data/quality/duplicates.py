"""Copies, and what they spoil: a picture in two splits flatters the test, under two labels it confuses the training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from animal_classification.data.duplicates import DuplicateSet
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.quality.findings import Finding


def find_copies(manifest: Manifest, sets: Sequence[DuplicateSet]) -> Iterator[Finding]:
    """One finding for each set of copies; two where it spans both splits and labels."""
    for copies in sets:
        rows = [manifest.rows[index] for index in copies.members]
        paths = tuple(row.path for row in rows)
        labels = sorted({row.label for row in rows})
        splits = sorted({row.split for row in rows if row.split})
        how = "the same bytes" if copies.exact else _likeness(rows)
        if len(labels) > 1:
            explanation = f"{how} under the labels {' and '.join(labels)}"
            yield Finding(kind="label_conflict", severity="error", paths=paths, explanation=explanation)
        if len(splits) > 1:
            explanation = f"{how} in {' and '.join(splits)}"
            yield Finding(kind="leak", severity="error", paths=paths, explanation=explanation)
        if len(labels) == 1 and len(splits) < 2:
            kind = "duplicate" if copies.exact else "near_duplicate"
            yield Finding(kind=kind, severity="warning", paths=paths, explanation=f"{how}, {len(rows)} times")


def _likeness(rows: Sequence[ManifestRow]) -> str:
    contents = len({row.sha256 for row in rows})
    return "the same picture" if contents == len(rows) else f"the same picture in {contents} versions"
