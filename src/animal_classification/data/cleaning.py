"""A manifest without what is wrong. The photos themselves are never touched.

The rules, in order; docs/data.md repeats them:

1. Photos that cannot be read, have no label, or are tiny are left out.
2. A picture under two labels is left out with all its copies: nobody can say which label is right.
3. Of other copies one is kept: the one in test, else val, else train, so that numbers stay comparable; among several
   there the one with the most pixels, then the most bytes, then the first by content.
4. Photos whose label is probably wrong are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from animal_classification.data.manifest import Manifest, Record
from animal_classification.data.quality.findings import ADVICE, KINDS, Finding
from animal_classification.errors import UsageError

_ONE_IS_KEPT = frozenset({"duplicate", "near_duplicate", "leak"})
_PREFERENCE = {"test": 0, "val": 1, "train": 2, None: 3}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A photo that is not in the new manifest, and the finding that says why."""

    path: str
    label: str
    kind: str
    why: str


@dataclass(frozen=True)
class Cleaning:
    """The new manifest, and what it lacks."""

    manifest: Manifest
    left_out: tuple[LeftOut, ...]


def clean(manifest: Manifest, findings: Sequence[Finding], *, keep: Collection[str] = ()) -> Cleaning:
    """Leave out what the findings say is wrong.

    Args:
        manifest: The photos.
        findings: As from ``inspect``.
        keep: Kinds of findings to ignore.

    Raises:
        UsageError: There is no such kind, or nothing would be left.
    """
    check_kinds(keep)
    rows = {row.path: row for row in manifest}
    # Findings come with the worst kind first, and a photo is left out for the worst.
    left_out: dict[str, LeftOut] = {}
    for finding in findings:
        if finding.kind in keep or finding.kind in ADVICE:
            continue
        for path, why in _condemned(finding, rows):
            left_out.setdefault(path, LeftOut(path, rows[path].label, finding.kind, why))
    kept = [row for row in manifest if row.path not in left_out]
    if not kept:
        raise UsageError(f"nothing would be left of {len(manifest)} photos; see: animals data inspect")
    return Cleaning(manifest.with_rows(kept), tuple(left_out[path] for path in sorted(left_out)))


def check_kinds(kinds: Collection[str]) -> None:
    """Refuse a kind that cannot be kept.

    Raises:
        UsageError: There is no such kind.
    """
    possible = [kind for kind in KINDS if kind not in ADVICE]
    for kind in kinds:
        if kind not in possible:
            raise UsageError(f"no such kind to keep: {kind!r}; one of {', '.join(possible)}")


def _condemned(finding: Finding, rows: dict[str, Record]) -> Iterator[tuple[str, str]]:
    if finding.kind not in _ONE_IS_KEPT:
        yield from ((path, finding.explanation) for path in finding.paths)
        return
    best = min(finding.paths, key=lambda path: _rank(rows[path]))
    yield from ((path, f"{finding.explanation}; {best} is kept") for path in finding.paths if path != best)


def _rank(row: Record) -> tuple[int, int, int, str, str]:
    return (
        _PREFERENCE[row.split],
        -(row.width or 0) * (row.height or 0),
        -(row.bytes or 0),
        row.sha256 or "",
        row.path,
    )
