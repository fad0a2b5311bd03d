"""The findings that cost nothing beyond the manifest, as lines for whoever trains without having inspected."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.quality.photo_checks import find_class_trouble

SMALL_CLASS = 10
_SHOWN = 3


def training_notes(manifest: Manifest) -> list[str]:
    """What is wrong with labels, as far as names, counts and hashes tell: a line for each kind."""
    return [
        *(finding.explanation for finding in find_class_trouble(manifest, 0) if finding.kind == "similar_labels"),
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
