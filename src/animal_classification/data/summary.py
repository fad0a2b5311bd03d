"""A data set in numbers: what the terminal, the JSON and the page say about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from animal_classification.data.manifest import SPLITS
from animal_classification.data.quality.inspection import Inspection


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of some numbers."""

    least: float
    middle: float
    most: float

    @classmethod
    def of(cls, values: list[int]) -> Spread | None:
        """``None`` for no numbers."""
        return cls(min(values), median(values), max(values)) if values else None


@dataclass(frozen=True)
class DatasetSummary:
    """What there is.

    Attributes:
        photos: All rows.
        usable: Those without a problem.
        classes: Usable photos by class and split; ``""`` stands for no split.
        formats: Usable photos by what the files really are.
        sides: Spread of the shorter side, in pixels.
        bytes: Of all usable files.
        groups: Number of distinct groups.
    """

    photos: int
    usable: int
    classes: dict[str, Counter[str]]
    formats: Counter[str]
    sides: Spread | None
    bytes: int
    groups: int

    @property
    def splits(self) -> list[str]:
        """The splits that occur, in their usual order."""
        found = {split for counts in self.classes.values() for split in counts}
        return [split for split in (*SPLITS, "") if split in found]


def summarise(inspection: Inspection) -> DatasetSummary:
    """Count."""
    manifest = inspection.manifest
    rows = manifest.usable
    return DatasetSummary(
        photos=len(manifest),
        usable=len(rows),
        classes=manifest.counts(),
        formats=Counter(
            fact.format
            for row, fact in zip(manifest.rows, inspection.facts, strict=True)
            if fact.format and row.problem is None
        ),
        sides=Spread.of([min(row.width, row.height) for row in rows if row.width and row.height]),
        bytes=sum(row.bytes or 0 for row in rows),
        groups=len({row.group for row in rows if row.group}),
    )


def as_object(inspection: Inspection, source: str) -> dict[str, Any]:
    """Everything that was found, for ``--json``."""
    summary, manifest = summarise(inspection), inspection.manifest
    return {
        "source": source,
        "root": str(manifest.root.absolute()),
        "version": manifest.version,
        "photos": summary.photos,
        "usable": summary.usable,
        "classes": {name: {split or "none": n for split, n in c.items()} for name, c in summary.classes.items()},
        "formats": dict(summary.formats.most_common()),
        "shorter_side": asdict(summary.sides) if summary.sides else None,
        "bytes": summary.bytes,
        "groups": summary.groups,
        "counts": dict(inspection.counts()),
        "findings": [asdict(finding) for finding in inspection.findings],
        "not_looked_for": list(inspection.not_looked_for),
        "notes": list(manifest.notes),
    }
