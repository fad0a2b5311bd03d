"""Checks of single photos, classes and duplicates; the cheap ones also run before every training."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

from animal_classification.data.duplicates import DuplicateSet
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.quality.findings import Finding

NO_LABEL = "has no label"
SMALL_CLASS = 10
_SHOWN = 3


def find_unusable(manifest: Manifest) -> Iterator[Finding]:
    """Photos that cannot be used."""
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


def find_class_problems(manifest: Manifest, min_class: int) -> Iterator[Finding]:
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


def find_copies(manifest: Manifest, sets: Sequence[DuplicateSet]) -> Iterator[Finding]:
    """One finding for each set of duplicates, or two if it spans both splits and labels.

    A picture in two splits flatters the test; one under two labels confuses the training.
    """
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


def training_notes(manifest: Manifest) -> list[str]:
    """Problems that names, counts and hashes show, a line for each kind, for a training without an inspection."""
    return [
        *(finding.explanation for finding in find_class_problems(manifest, 0) if finding.kind == "similar_labels"),
        *_two_labels(manifest.usable),
        *_repeated(manifest.usable),
        *_small_classes(manifest),
    ]


def _two_labels(rows: Sequence[ManifestRow]) -> list[str]:
    """Photos with the same bytes under several labels: two animals in one photo, or a mistake."""
    labels: dict[str | None, dict[str, str]] = defaultdict(dict)
    for row in rows:
        labels[row.sha256].setdefault(row.label, row.path)
    torn = [found for sha256, found in labels.items() if sha256 is not None and len(found) > 1]
    if not torn:
        return []
    names = " and ".join(map(repr, torn[0]))
    return [
        f"{len(torn)} photos stand under several labels, of which at most one can be learned; "
        f"the first: {next(iter(torn[0].values()))!r} as {names}; animals data clean leaves them out"
    ]


def _repeated(rows: Sequence[ManifestRow]) -> list[str]:
    paths = Counter(row.path for row in rows)
    repeated = [path for path, count in paths.items() if count > 1]
    return [f"{len(repeated)} paths stand in several rows; the first: {repeated[0]!r}"] if repeated else []


def _small_classes(manifest: Manifest) -> list[str]:
    counts = Counter(row.label for row in manifest.usable)
    small = sorted(
        (name for name, count in counts.items() if count < SMALL_CLASS), key=lambda name: (counts[name], name)
    )
    if not small:
        return []
    shown = ", ".join(f"{name!r} {counts[name]}" for name in small[:_SHOWN]) + (", …" if len(small) > _SHOWN else "")
    return [
        f"{len(small)} of {len(counts)} classes have fewer than {SMALL_CLASS} photos ({shown}): "
        "hardly anything is learned of them"
    ]
