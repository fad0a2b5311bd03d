"""Single photos and whole classes: what cannot be read, is too small, or is too rare."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from statistics import median

from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.quality.findings import Finding

NO_LABEL = "has no label"


def find_unusable(manifest: Manifest) -> Iterator[Finding]:
    """Rows with a problem."""
    for row in manifest:
        if row.problem is not None:
            kind = "no_label" if row.problem == NO_LABEL else "unreadable"
            yield Finding(kind=kind, severity="error", paths=(row.path,), explanation=row.problem)


def find_tiny(manifest: Manifest, min_side: int) -> Iterator[Finding]:
    """Photos whose shorter side is below ``min_side``, or below half the usual where all photos are that small."""
    sides = {row: side for row in manifest.usable if (side := _shorter_side(row))}
    if not sides:
        return
    limit = min(float(min_side), median(sides.values()) / 2)
    for row, side in sides.items():
        if side < limit:
            yield Finding(
                kind="tiny",
                severity="warning",
                paths=(row.path,),
                explanation=f"is {row.width} x {row.height} pixels; below {limit:g} hardly anything can be seen",
            )


def find_class_trouble(manifest: Manifest, min_class: int) -> Iterator[Finding]:
    """Classes that are alone, empty, small, or differ from another only in how they are written."""
    counts = Counter(row.label for row in manifest.usable)
    if len(counts) == 1:
        name = next(iter(counts))
        yield _advice(
            "one_class", f"all {counts[name]} photos are {name!r}; a classifier needs a second class", "error"
        )
    for name in sorted({*manifest.empty_classes, *(set(manifest.classes) - set(counts))}):
        yield _advice("empty_class", f"{name!r} has no usable photo", "warning")
    for name, count in sorted(counts.items()):
        if count < min_class:
            photos = f"{count} photo{'s' if count != 1 else ''}"
            yield _advice(
                "small_class", f"{name!r} has {photos}; {min_class} and more make a class reliable", "warning"
            )
    spellings = defaultdict(list)
    for name in sorted(counts):
        spellings[" ".join(name.casefold().replace("_", " ").replace("-", " ").split())].append(name)
    for names in spellings.values():
        if len(names) > 1:
            yield _advice("similar_labels", f"{' and '.join(map(repr, names))} are probably one class", "warning")


def _advice(kind: str, explanation: str, severity: str) -> Finding:
    return Finding(kind=kind, severity="error" if severity == "error" else "warning", paths=(), explanation=explanation)


def _shorter_side(row: ManifestRow) -> int | None:
    return min(row.width, row.height) if row.width and row.height else None
